//! The registry: which snapshots exist, who may use them, and how long they stay.

use super::db;
use super::definition::{self, Definition};
use super::keep::{Cause, STORAGE_SCHEMA};
use crate::error::{GuardError, Result};
use crate::pg::session::{as_guard, current_user, role_name};
use guard_core::text::snapshot as text;
use pgrx::prelude::*;
use serde::Deserialize;

/// One row of the registry, as a restore needs it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub id: i64,
    pub cause: Cause,
    /// the table as it is now: the same OID, or by name where the OID means nothing
    pub present: Option<pg_sys::Oid>,
    pub part_of: Option<i64>,
    pub table_name: String,
    pub owner_name: String,
    /// None: the role is gone
    pub owner: Option<pg_sys::Oid>,
    pub row_count: i64,
    /// quoted and qualified
    pub storage: Option<String>,
    pub definition: Definition,
    pub kept: Vec<KeptColumn>,
    /// the columns that a dropped-column snapshot is about
    pub lost: Vec<String>,
}

/// A column of the snapshot table.
#[derive(Debug, Clone, Deserialize)]
pub struct KeptColumn {
    pub name: String,
    pub r#type: String,
    pub as_text: bool,
}

#[derive(Deserialize)]
struct Columns {
    kept: Vec<KeptColumn>,
    lost: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    cause: String,
    relation: u32,
    same_database: bool,
    part_of: Option<i64>,
    table_name: String,
    owner: String,
    owner_oid: Option<u32>,
    row_count: i64,
    storage_name: Option<String>,
    storage_exists: bool,
    dropped_at: Option<String>,
    definition: Option<serde_json::Value>,
    columns: Columns,
    oid_exists: bool,
    named: Option<u32>,
}

/// Is the current user a superuser or a member of `migration_guard.admin_role`?
pub fn is_administrator() -> Result<bool> {
    let caller = current_user();
    as_guard(|| {
        Ok(db::one::<bool>(
            "SELECT r.rolsuper OR EXISTS (SELECT FROM pg_roles a
                     WHERE a.rolname = current_setting('migration_guard.admin_role', true)
                       AND pg_has_role(r.oid, a.oid, 'USAGE'))
               FROM pg_roles r WHERE r.oid = $1",
            &[caller.into()],
        )?
        .unwrap_or(false))
    })
}

fn require_administrator(what: &str) -> Result<()> {
    match is_administrator()? {
        true => Ok(()),
        false => Err(GuardError::denied(text::administrators_only(what))
            .hint(text::administrators_only_hint())),
    }
}

/// May the current user act as `role`?
pub fn acts_as(role: pg_sys::Oid) -> Result<bool> {
    let caller = current_user();
    as_guard(|| {
        Ok(db::one::<bool>("SELECT pg_has_role($1, $2, 'USAGE')", &[caller.into(), role.into()])?
            .unwrap_or(false))
    })
}

/// The owner of a relation that exists.
pub fn owner_of(relation: pg_sys::Oid) -> Result<pg_sys::Oid> {
    as_guard(|| {
        db::one::<pg_sys::Oid>("SELECT relowner FROM pg_class WHERE oid = $1", &[relation.into()])
    })?
    .ok_or_else(|| GuardError::unknown(text::no_such_relation(relation.to_u32())))
}

/// Refuses a caller who neither owns the table nor is an administrator.
pub fn require_owner_of(relation: pg_sys::Oid) -> Result<()> {
    if is_administrator()? || acts_as(owner_of(relation)?)? {
        return Ok(());
    }
    let name = as_guard(|| db::one::<String>("SELECT $1::regclass::text", &[relation.into()]))?;
    Err(GuardError::denied(text::must_own(&name.unwrap_or_default())))
}

/// Loads a snapshot that the current user may restore from.
pub fn load(id: i64) -> Result<Snapshot> {
    let row = as_guard(|| {
        db::one::<String>(
            "SELECT (to_jsonb(s) || jsonb_build_object(
                     'relation', s.relation::bigint,
                     'same_database', s.database = (SELECT system_identifier FROM pg_control_system())
                         || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()),
                     'owner_oid', (SELECT r.oid::bigint FROM pg_roles r
                         WHERE CASE WHEN s.database = (SELECT system_identifier FROM pg_control_system())
                             || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
                             THEN r.oid = s.owner_oid ELSE r.rolname = s.owner END),
                     'storage_exists', EXISTS (SELECT FROM pg_class c
                         JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE n.nspname = 'migration_guard_snapshots' AND c.relname = s.storage_name),
                     'oid_exists', EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation
                                              AND c.relkind IN ('r', 'p', 'f')),
                     'named', (SELECT c.oid::bigint FROM pg_class c
                         JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE n.nspname = s.schema_name AND c.relname = s.relation_name
                           AND c.relkind IN ('r', 'p', 'f'))))::text
               FROM migration_guard.snapshot s WHERE s.id = $1",
            &[id.into()],
        )
    })?
    .ok_or_else(|| GuardError::unknown(text::no_such_snapshot(id)))?;
    let row: Row = serde_json::from_str(&row)
        .map_err(|e| GuardError::state(text::unreadable_definition(&e.to_string())))?;
    let owner = row.owner_oid.map(pg_sys::Oid::from_u32);
    let allowed = match owner {
        Some(owner) => acts_as(owner)? || is_administrator()?,
        None => is_administrator()?,
    };
    if !allowed {
        return Err(GuardError::denied(text::not_your_snapshot(id))
            .detail(text::not_your_snapshot_detail(&row.owner)));
    }
    let gone = row.storage_name.is_some() && !row.storage_exists;
    let Some(definition) = row.definition.filter(|_| row.dropped_at.is_none() && !gone) else {
        return Err(GuardError::state(text::snapshot_is_gone(id)));
    };
    let present = match (row.same_database, row.oid_exists) {
        (true, true) => Some(pg_sys::Oid::from_u32(row.relation)),
        (true, false) => None,
        // after a dump and restore the OID means nothing; a dropped table must stay dropped
        (false, _) if row.cause == "drop-table" => None,
        (false, _) => row.named.map(pg_sys::Oid::from_u32),
    };
    Ok(Snapshot {
        id,
        cause: Cause::parse(&row.cause),
        present,
        part_of: row.part_of,
        table_name: row.table_name,
        owner_name: row.owner,
        owner,
        row_count: row.row_count,
        storage: row.storage_name.map(|name| db::qualified(STORAGE_SCHEMA, &name)),
        definition: definition::parse(&definition.to_string())?,
        kept: row.columns.kept,
        lost: row.columns.lost,
    })
}

/// Snapshots of partitions taken together with `id`.
pub fn parts_of(id: i64) -> Result<Vec<i64>> {
    as_guard(|| {
        db::all(
            "SELECT id FROM migration_guard.snapshot
              WHERE part_of = $1 AND dropped_at IS NULL ORDER BY id",
            &[id.into()],
        )
    })
}

/// Writes down a restore. When the table came back with another OID, every snapshot of it follows.
pub fn restored(snapshot: &Snapshot, now: Option<pg_sys::Oid>) -> Result<()> {
    let by = role_name(current_user());
    as_guard(|| {
        db::run(
            "UPDATE migration_guard.snapshot SET restored_at = clock_timestamp(), restored_by = $2
              WHERE id = $1",
            &[snapshot.id.into(), by.into()],
        )?;
        if let Some(now) = now {
            db::run(
                "UPDATE migration_guard.snapshot s
                    SET relation = $2,
                        owner_oid = coalesce($3, s.owner_oid),
                        database = (SELECT system_identifier FROM pg_control_system()) || '/'
                            || (SELECT oid FROM pg_database WHERE datname = current_database())
                   FROM migration_guard.snapshot o
                  WHERE o.id = $1 AND s.relation = o.relation AND s.database = o.database",
                &[snapshot.id.into(), now.into(), snapshot.owner.into()],
            )?;
        }
        Ok(())
    })
}

/// Keeps a snapshot from being purged.
pub fn pin_snapshot(id: i64) -> Result<()> {
    load(id)?;
    as_guard(|| {
        db::run("UPDATE migration_guard.snapshot SET pinned = true WHERE id = $1", &[id.into()])
    })?;
    Ok(())
}

/// Drops the rows of a snapshot and of the partitions taken with it.
pub fn drop_snapshot(id: i64) -> Result<()> {
    require_administrator("drop_snapshot")?;
    let known = as_guard(|| {
        db::all::<i64>(
            "SELECT id FROM migration_guard.snapshot
              WHERE (id = $1 OR part_of = $1) AND dropped_at IS NULL ORDER BY id",
            &[id.into()],
        )
    })?;
    if known.is_empty() {
        return Err(GuardError::unknown(text::no_such_snapshot(id)));
    }
    known.into_iter().try_for_each(discard)
}

/// Drops what has expired, or what is older than `older_than`; pinned snapshots stay.
pub fn purge(older_than: Option<pgrx::datum::Interval>) -> Result<i64> {
    require_administrator("purge_snapshots")?;
    let due = as_guard(|| {
        db::all::<i64>(
            "SELECT id FROM migration_guard.snapshot
              WHERE dropped_at IS NULL AND NOT pinned
                AND CASE WHEN $1 IS NULL THEN expires_at <= clock_timestamp()
                         ELSE taken_at <= clock_timestamp() - $1 END
              ORDER BY id",
            &[older_than.into()],
        )
    })?;
    let count = due.len() as i64;
    due.into_iter().try_for_each(discard)?;
    Ok(count)
}

fn discard(id: i64) -> Result<()> {
    as_guard(|| {
        let storage = db::one::<String>(
            "UPDATE migration_guard.snapshot SET dropped_at = clock_timestamp(), definition = NULL
              WHERE id = $1 RETURNING storage_name",
            &[id.into()],
        )?;
        if let Some(storage) = storage {
            let table = db::qualified(STORAGE_SCHEMA, &storage);
            db::run(&format!("DROP TABLE IF EXISTS {table}"), &[])?;
        }
        Ok(())
    })
}
