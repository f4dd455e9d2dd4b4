//! Keeps tokens out of the server log.

use pgrx::pg_sys;
use std::ffi::c_char;

unsafe extern "C-unwind" {
    #[link_name = "debug_query_string"]
    static RAW_DEBUG_QUERY_STRING: *const c_char;
}

/// The length of a token behind its `mg_`.
const SECRET: usize = guard_core::approval::TOKEN_CHARACTERS;

/// Overwrites the secret part of every token in the message, and hides a statement that holds one.
///
/// # Safety
/// `edata` must be the error data given to emit_log_hook.
pub unsafe fn hide_tokens(edata: *mut pg_sys::ErrorData) {
    // SAFETY: the fields are NULL or NUL-terminated strings that elog.c made for this message with
    // palloc, so they may be overwritten in place. Literal strings never hold a token, and are not
    // written to then. debug_query_string is only read.
    unsafe {
        let e = &mut *edata;
        for field in [e.message, e.detail, e.detail_log, e.hint, e.context, e.internalquery] {
            if let Some(bytes) = find(field) {
                mask(field, bytes);
            }
        }
        if find(RAW_DEBUG_QUERY_STRING).is_some() {
            e.hide_stmt = true;
        }
    }
}

fn secret_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

/// Where the first token starts.
unsafe fn find(text: *const c_char) -> Option<usize> {
    if text.is_null() {
        return None;
    }
    // SAFETY: NUL-terminated, as the caller promises.
    let bytes = unsafe { std::ffi::CStr::from_ptr(text) }.to_bytes();
    find_from(bytes, 0)
}

fn find_from(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while at + 3 + SECRET <= bytes.len() {
        at += bytes[at..].windows(3).position(|w| w == b"mg_")?;
        let rest = bytes.get(at + 3..at + 3 + SECRET)?;
        if rest.iter().all(|b| secret_byte(*b)) {
            return Some(at);
        }
        at += 3;
    }
    None
}

unsafe fn mask(text: *mut c_char, first: usize) {
    // SAFETY: as the caller promises; the offsets stay inside the string.
    unsafe {
        let len = std::ffi::CStr::from_ptr(text).to_bytes().len();
        let bytes = std::slice::from_raw_parts_mut(text.cast::<u8>(), len);
        let mut next = Some(first);
        while let Some(at) = next {
            bytes[at + 3..at + 3 + SECRET].fill(b'*');
            next = find_from(bytes, at + 3);
        }
    }
}
