//! begin_migration, end_migration.

use super::given;
use crate::history;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(volatile, parallel_unsafe)]
fn begin_migration(
    name: Option<String>,
    checksum: default!(Option<String>, "NULL"),
    ticket: default!(Option<String>, "NULL"),
) -> Result<(), ErrorReport> {
    Ok(history::begin(&given(name, "name")?, checksum.as_deref(), ticket.as_deref())?)
}

#[pg_extern(volatile, parallel_unsafe)]
fn end_migration() -> Result<(), ErrorReport> {
    Ok(history::end()?)
}
