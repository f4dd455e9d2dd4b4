//! The snapshot room: keeps what a statement is about to destroy, and brings it back.
//!
//! Invariants:
//! - a snapshot depends on nothing that a user owns: its columns are of built-in types, everything
//!   else is kept as text made by the type's output function;
//! - no code of a user runs with the guard's rights: tables are read by a heap scan, and whatever may
//!   evaluate an expression runs as the table's owner in a security-restricted operation;
//! - user triggers and rules stay silent during a restore; constraints are checked as ever;
//! - a restore says what it did, one row per object, and never leaves something out silently.

mod compare;
mod db;
mod definition;
mod in_place;
mod keep;
mod registry;
mod restore;

pub use compare::compare;
use keep::keep_tree;
pub use keep::{Cause, KeepRequest, keep};
pub use registry::{drop_snapshot, pin_snapshot, purge};
pub use restore::restore;

use crate::error::Result;
use pgrx::prelude::*;

extension_sql_file!("../../sql/snapshots.sql", name = "snapshots", requires = ["bootstrap"]);

/// What `snapshot_table` does: the caller owns the table, or is an administrator.
pub fn snapshot_on_request(
    relation: pg_sys::Oid,
    label: Option<String>,
    retention: Option<String>,
    max_bytes: Option<i64>,
) -> Result<i64> {
    registry::require_owner_of(relation)?;
    let request = KeepRequest {
        relation,
        cause: Cause::Manual,
        columns: None,
        label,
        migration_id: None,
        statement_id: None,
        retention,
        max_bytes,
    };
    Ok(keep_tree(&request)?.id)
}
