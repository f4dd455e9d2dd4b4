//! The server's strong random source.

use crate::error::{GuardError, Result};
use guard_core::text::approval as text;
use pgrx::{PgSqlErrorCode, pg_sys};

/// 32 bytes that nobody can guess.
pub fn bytes() -> Result<[u8; 32]> {
    let mut bytes = [0u8; 32];
    // SAFETY: the buffer is as long as is said; the function fills it or returns false.
    if unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) } {
        Ok(bytes)
    } else {
        Err(GuardError::new(PgSqlErrorCode::ERRCODE_SYSTEM_ERROR, text::NO_RANDOM_BYTES))
    }
}
