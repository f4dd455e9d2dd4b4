//! Raising errors and writing to the log without the bridge's own dressing.

use crate::error::GuardError;
use pgrx::pg_sys;
use std::ffi::{CString, c_char, c_int};

unsafe extern "C-unwind" {
    fn errstart(elevel: c_int, domain: *const c_char) -> bool;
    fn errfinish(filename: *const c_char, lineno: c_int, funcname: *const c_char);
    fn errcode(sqlerrcode: c_int) -> c_int;
    fn errmsg(fmt: *const c_char, ...) -> c_int;
    fn errdetail(fmt: *const c_char, ...) -> c_int;
    fn errhint(fmt: *const c_char, ...) -> c_int;
    fn errhidestmt(hide_stmt: bool) -> c_int;
}

/// An error whose texts live in Postgres memory, so that it may cross a C frame.
#[derive(Clone, Copy)]
pub struct Raised {
    code: c_int,
    message: *const c_char,
    detail: *const c_char,
    hint: *const c_char,
}

fn palloc_text(text: &str) -> *const c_char {
    let text = CString::new(text.replace('\0', "")).unwrap_or_default();
    // SAFETY: pstrdup copies into the current memory context, which outlives the error's raising.
    unsafe { pg_sys::pstrdup(text.as_ptr()) }
}

impl Raised {
    /// Moves the texts of an error into Postgres memory.
    pub fn new(error: &GuardError) -> Self {
        let text = |t: &Option<String>| t.as_deref().map_or(std::ptr::null(), palloc_text);
        Self {
            code: error.code as c_int,
            message: palloc_text(&error.message),
            detail: text(&error.detail),
            hint: text(&error.hint),
        }
    }

    /// Raises at `level`; returns only when the level is below ERROR.
    ///
    /// # Safety
    /// At ERROR and above this jumps: no frame between here and Postgres may own a destructor.
    pub unsafe fn report(self, level: u32) {
        // SAFETY: the calls mirror the ereport macro; every pointer is NULL or a NUL-terminated
        // string, passed as the argument of a constant "%s".
        unsafe {
            if errstart(level as c_int, std::ptr::null()) {
                errcode(self.code);
                errmsg(c"%s".as_ptr(), self.message);
                if !self.detail.is_null() {
                    errdetail(c"%s".as_ptr(), self.detail);
                }
                if !self.hint.is_null() {
                    errhint(c"%s".as_ptr(), self.hint);
                }
                errfinish(c"migration_guard".as_ptr(), 0, c"migration_guard".as_ptr());
            }
        }
    }
}

/// A WARNING to the client, with DETAIL and HINT.
pub fn warn(error: &GuardError) {
    let raised = Raised::new(error);
    // SAFETY: a WARNING does not jump.
    unsafe { raised.report(pg_sys::WARNING) }
}

/// A line of the server log; never sent to the client, and without the statement that runs, whose
/// text the line carries in the form that the settings allow.
pub fn log(line: &str) {
    let line = palloc_text(line);
    // SAFETY: as in `report`; LOG_SERVER_ONLY does not jump.
    unsafe {
        if errstart(pg_sys::LOG_SERVER_ONLY as c_int, std::ptr::null()) {
            errmsg(c"%s".as_ptr(), line);
            errhidestmt(true);
            errfinish(c"migration_guard".as_ptr(), 0, c"migration_guard".as_ptr());
        }
    }
}
