//! The setting `migration_guard.token`, which is never shown in full.

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_sys};
use std::ffi::{CString, c_char};

static TOKEN: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// What SHOW answers when a token is set.
const SHOWN: &std::ffi::CStr = c"mg_***";

unsafe extern "C-unwind" fn show() -> *const c_char {
    if value().is_empty() { c"".as_ptr() } else { SHOWN.as_ptr() }
}

/// Registers the setting.
pub fn init() {
    // SAFETY: the show hook returns constants and does not raise.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"migration_guard.token",
            c"The token, or several separated by commas, that allows a destructive statement.",
            c"",
            &TOKEN,
            GucContext::Userset,
            GucFlags::NO_SHOW_ALL | GucFlags::DISALLOW_IN_FILE | GucFlags::DISALLOW_IN_AUTO_FILE,
            None,
            None,
            Some(show),
        );
    }
}

/// A setting `migration_guard.*` that does not exist is an error from now on.
pub fn reserve_prefix() {
    // SAFETY: called in _PG_init after every setting was defined.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"migration_guard".as_ptr()) }
}

/// The setting as it was given; empty when it is not set.
pub fn value() -> String {
    TOKEN.get().map(|v| v.to_string_lossy().into_owned()).unwrap_or_default()
}
