//! How a snapshot and the table of today differ.

use super::db::{self, quoted};
use super::in_place::{self, Present, Reading, differ, same_key};
use super::registry;
use crate::error::{GuardError, Result};
use crate::pg::session::as_restricted;
use guard_core::text::snapshot as text;
use pgrx::prelude::*;

/// Counts of rows. Without a key `changed` is None: a changed row counts on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    pub only_in_snapshot: i64,
    pub only_in_table: i64,
    pub changed: Option<i64>,
}

/// Compares as the owner of the table; the columns that both have count.
pub fn compare(id: i64) -> Result<Difference> {
    let snapshot = registry::load(id)?;
    let Some(relation) = snapshot.present else {
        return Err(GuardError::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            text::table_is_gone(&snapshot.table_name),
        )
        .hint(text::restore_first_hint(id)));
    };
    registry::require_owner_of(relation)?;
    let present = Present::read(&snapshot, relation)?;
    if snapshot.storage.is_none() || present.columns.is_empty() {
        return Err(GuardError::state(text::no_rows_to_copy(id)));
    }
    let reading = Reading::open(&snapshot, present.owner)?;
    let source = in_place::source(&snapshot, &present.name, &present.columns, &present.changed)?;
    let table = &present.name;
    let sql = match &present.key {
        Some(key) => {
            let same = same_key("t", "src", key);
            let others: Vec<String> =
                present.columns.iter().filter(|c| !key.contains(c)).cloned().collect();
            format!(
                "SELECT (SELECT count(*) FROM {source} AS src
                          WHERE NOT EXISTS (SELECT FROM ONLY {table} AS t WHERE {same})),
                        (SELECT count(*) FROM ONLY {table} AS t
                          WHERE NOT EXISTS (SELECT FROM {source} AS src WHERE {same})),
                        (SELECT count(*) FROM ONLY {table} AS t JOIN {source} AS src ON {same}
                          WHERE {})",
                differ("t", "src", &others)
            )
        }
        None => {
            let text_of = |alias: &str| {
                let list: Vec<String> =
                    present.columns.iter().map(|c| format!("{alias}.{}", quoted(c))).collect();
                format!("format('%s', ROW({})) COLLATE \"C\"", list.join(", "))
            };
            let (left, right) = (text_of("src"), text_of("t"));
            format!(
                "SELECT (SELECT count(*) FROM (SELECT {left} FROM {source} AS src EXCEPT ALL
                                               SELECT {right} FROM ONLY {table} AS t) AS x),
                        (SELECT count(*) FROM (SELECT {right} FROM ONLY {table} AS t EXCEPT ALL
                                               SELECT {left} FROM {source} AS src) AS x),
                        NULL::bigint"
            )
        }
    };
    let (only_in_snapshot, only_in_table, changed) = as_restricted(present.owner, || {
        db::pin_formats();
        Spi::connect_mut(|client| {
            client.update(&sql, Some(1), &[])?.first().get_three::<i64, i64, i64>()
        })
    })?;
    reading.close()?;
    Ok(Difference {
        only_in_snapshot: only_in_snapshot.unwrap_or(0),
        only_in_table: only_in_table.unwrap_or(0),
        changed,
    })
}
