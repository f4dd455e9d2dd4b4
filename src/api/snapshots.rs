//! snapshot_table, restore_table and their kin.

use super::given;
use crate::error::{self, GuardError};
use crate::{settings, snapshot};
use guard_core::text::snapshot as text;
use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

fn not_empty(value: Option<String>, argument: &str) -> error::Result<Option<String>> {
    match value {
        Some(value) if value.trim().is_empty() => {
            Err(GuardError::argument(text::must_not_be_empty(argument)))
        }
        other => Ok(other),
    }
}

#[pg_extern(sql = r#"
CREATE FUNCTION @extschema@.snapshot_table(target regclass, label text DEFAULT NULL) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';
"#)]
fn snapshot_table(target: Option<pg_sys::Oid>, label: Option<String>) -> Result<i64, ErrorReport> {
    let target = given(target, "target")?;
    let label = not_empty(label, "label")?;
    let retention = settings::snapshot_retention();
    Ok(snapshot::snapshot_on_request(target, label, retention, settings::snapshot_max_bytes())?)
}

#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn restore_table(
    snapshot_id: Option<i64>,
    new_name: default!(Option<String>, "NULL"),
    force: default!(Option<bool>, "false"),
) -> Result<
    TableIterator<
        'static,
        (name!(object, String), name!(action, String), name!(detail, Option<String>)),
    >,
    ErrorReport,
> {
    let id = given(snapshot_id, "snapshot_id")?;
    let force = given(force, "force")?;
    let new_name = not_empty(new_name, "new_name")?;
    let rows = snapshot::restore(id, new_name.as_deref(), force)?;
    Ok(TableIterator::new(
        rows.into_iter().map(|row| (row.object, row.action.to_string(), row.detail)),
    ))
}

#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn compare_snapshot(
    snapshot_id: Option<i64>,
) -> Result<
    TableIterator<
        'static,
        (name!(only_in_snapshot, i64), name!(only_in_table, i64), name!(changed, Option<i64>)),
    >,
    ErrorReport,
> {
    let difference = snapshot::compare(given(snapshot_id, "snapshot_id")?)?;
    let row = (difference.only_in_snapshot, difference.only_in_table, difference.changed);
    Ok(TableIterator::once(row))
}

#[pg_extern(volatile, parallel_unsafe)]
fn pin_snapshot(snapshot_id: Option<i64>) -> Result<(), ErrorReport> {
    Ok(snapshot::pin_snapshot(given(snapshot_id, "snapshot_id")?)?)
}

#[pg_extern(volatile, parallel_unsafe)]
fn drop_snapshot(snapshot_id: Option<i64>) -> Result<(), ErrorReport> {
    Ok(snapshot::drop_snapshot(given(snapshot_id, "snapshot_id")?)?)
}

#[pg_extern(volatile, parallel_unsafe)]
fn purge_snapshots(older_than: default!(Option<Interval>, "NULL")) -> Result<i64, ErrorReport> {
    Ok(snapshot::purge(older_than)?)
}
