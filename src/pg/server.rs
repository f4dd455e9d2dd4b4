//! What the bridge does not bind: functions and catalog layouts of the server, the same from 15 to
//! 18 unless `version` says otherwise.

use pgrx::pg_sys;
use std::ffi::{CStr, c_char, c_int};

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

mod raw {
    use super::*;
    unsafe extern "C-unwind" {
        pub fn find_all_inheritors(
            parent: pg_sys::Oid,
            lockmode: c_int,
            numparents: *mut *mut pg_sys::List,
        ) -> *mut pg_sys::List;
        pub fn get_relation_constraint_oid(
            relation: pg_sys::Oid,
            name: *const c_char,
            missing_ok: bool,
        ) -> pg_sys::Oid;
        pub fn nextval_internal(sequence: pg_sys::Oid, check_permissions: bool) -> i64;
    }
}

/// `catalog/pg_inherits.h`: a relation and all that inherit from it, no locks taken.
pub fn find_all_inheritors(parent: pg_sys::Oid) -> *mut pg_sys::List {
    // SAFETY: reads pg_inherits; an error of Postgres becomes a Rust panic at this boundary.
    unsafe {
        pg_guard_ffi_boundary(|| {
            raw::find_all_inheritors(parent, pg_sys::NoLock as c_int, std::ptr::null_mut())
        })
    }
}

/// `catalog/pg_constraint.h`: InvalidOid for an absent constraint.
pub fn get_relation_constraint_oid(relation: pg_sys::Oid, name: &CStr) -> pg_sys::Oid {
    // SAFETY: as above; the name is NUL-terminated.
    unsafe {
        pg_guard_ffi_boundary(|| raw::get_relation_constraint_oid(relation, name.as_ptr(), true))
    }
}

/// `commands/sequence.h`: the next value, without a test of the caller's rights.
pub fn nextval(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: as above; a sequence that is gone raises.
    unsafe { pg_guard_ffi_boundary(|| raw::nextval_internal(sequence, false)) }
}

/// `catalog/pg_depend.h`
#[repr(C)]
pub struct Depend {
    pub classid: pg_sys::Oid,
    pub objid: pg_sys::Oid,
    pub objsubid: i32,
    pub refclassid: pg_sys::Oid,
    pub refobjid: pg_sys::Oid,
    pub refobjsubid: i32,
    pub deptype: c_char,
}

/// `catalog/pg_shdepend.h`
#[repr(C)]
pub struct SharedDepend {
    pub dbid: pg_sys::Oid,
    pub classid: pg_sys::Oid,
    pub objid: pg_sys::Oid,
    pub objsubid: i32,
    pub refclassid: pg_sys::Oid,
    pub refobjid: pg_sys::Oid,
    pub deptype: c_char,
}

pub const CONSTRAINTS: pg_sys::Oid = pg_sys::Oid::from_u32(2606);
pub const POLICIES: pg_sys::Oid = pg_sys::Oid::from_u32(3256);
pub const REWRITE_RULES: pg_sys::Oid = pg_sys::Oid::from_u32(2618);
pub const DEFAULTS: pg_sys::Oid = pg_sys::Oid::from_u32(2604);
