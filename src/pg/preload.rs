//! How the library came to be loaded in this backend.

use super::reader::text;
use pgrx::pg_sys;

/// Which preload setting names the library.
pub enum How {
    Shared,
    Session,
    Not,
}

/// Where the library is named. A library that was loaded by an event trigger or a function call
/// is not preloaded: other sessions start without it.
pub fn how() -> How {
    // SAFETY: settings of the server, NULL or NUL-terminated strings.
    let (shared, session) = unsafe {
        (
            text(pg_sys::shared_preload_libraries_string),
            text(pg_sys::session_preload_libraries_string),
        )
    };
    let names = |list: &str| {
        list.split(',').any(|l| {
            let l = l.trim().trim_matches('"');
            l.rsplit('/').next().is_some_and(|l| l.trim_end_matches(".so") == "migration_guard")
        })
    };
    if names(&shared) {
        How::Shared
    } else if names(&session) {
        How::Session
    } else {
        How::Not
    }
}
