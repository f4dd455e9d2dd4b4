//! Who is asking, and with whose rights a piece of the guard's own work runs.

use crate::pg::nesting;
use pgrx::pg_sys;

/// The user whose rights count now (changed by SET ROLE and SECURITY DEFINER).
pub fn current_user() -> pg_sys::Oid {
    // SAFETY: reads a backend variable that is set before any SQL runs.
    unsafe { pg_sys::GetUserId() }
}

/// The user of the session; SET ROLE does not change it.
pub fn session_user() -> pg_sys::Oid {
    // SAFETY: as above.
    unsafe { pg_sys::GetSessionUserId() }
}

/// The name of a role; its OID in digits when it is gone.
pub fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: with noerr = true the lookup returns NULL instead of raising; the string is palloc'd
    // in the current context and copied before anything else runs.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return role.to_u32().to_string();
        }
        std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// Runs `work` with the rights of the bootstrap superuser, search_path pinned to pg_catalog, and
/// its statements marked as the guard's own. For our own tables, catalogs and the storage of
/// snapshots only: no expression of a user may be evaluated inside (see `as_restricted`).
pub fn as_guard<R>(work: impl FnOnce() -> R) -> R {
    let superuser = pg_sys::Oid::from_u32(pg_sys::BOOTSTRAP_SUPERUSERID);
    with_rights(superuser, pg_sys::SECURITY_LOCAL_USERID_CHANGE, work)
}

/// Runs `work` with the rights of `role` as a security-restricted operation, search_path pinned,
/// its own statements marked as the guard's own. For everything that may evaluate a user's code.
pub fn as_restricted<R>(role: pg_sys::Oid, work: impl FnOnce() -> R) -> R {
    let flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    with_rights(role, flags, work)
}

fn with_rights<R>(role: pg_sys::Oid, flags: u32, work: impl FnOnce() -> R) -> R {
    struct Restore {
        user: pg_sys::Oid,
        context: i32,
        guc_level: i32,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: restores what was read below. While an error unwinds the settings are left
            // to the abort of the (sub)transaction, which undoes them in the right order.
            unsafe {
                if !std::thread::panicking() {
                    pg_sys::AtEOXact_GUC(true, self.guc_level);
                }
                pg_sys::SetUserIdAndSecContext(self.user, self.context);
            }
        }
    }
    // SAFETY: plain calls on the backend's own state inside a transaction; the strings are
    // NUL-terminated constants, and a failing set_config_option raises, leaving the user unchanged.
    let _restore = unsafe {
        let mut user = pg_sys::InvalidOid;
        let mut context = 0;
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let guc_level = pg_sys::NewGUCNestLevel();
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            c"pg_catalog, pg_temp".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
        let restore = Restore { user, context, guc_level };
        pg_sys::SetUserIdAndSecContext(role, context | flags as i32);
        restore
    };
    nesting::internal(work)
}

/// Is the role a superuser?
pub fn is_superuser(role: pg_sys::Oid) -> bool {
    // SAFETY: reads a syscache.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Has `member` the rights of the role called `role`, if there is one?
pub fn has_rights_of(member: pg_sys::Oid, role: &str) -> bool {
    let Ok(role) = std::ffi::CString::new(role) else { return false };
    // SAFETY: a lookup with missing_ok, then a test of memberships.
    unsafe {
        let oid = pg_sys::get_role_oid(role.as_ptr(), true);
        oid != pg_sys::InvalidOid && pg_sys::has_privs_of_role(member, oid)
    }
}
