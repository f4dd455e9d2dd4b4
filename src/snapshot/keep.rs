//! Taking a snapshot: lock, definition, rows, registry.

use super::db::{self, literal, quoted};
use super::definition::{self, Column, Definition};
use crate::error::{GuardError, Result};
use crate::pg::session::{as_guard, current_user, role_name, session_user};
use crate::pg::snapshot_support::{self, CopiedColumn};
use guard_core::text::snapshot as text;
use pgrx::prelude::*;
use serde_json::json;

/// The schema of the kept rows.
pub const STORAGE_SCHEMA: &str = "migration_guard_snapshots";

/// Why a snapshot is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    DropTable,
    Truncate,
    Delete,
    Update,
    DropColumn,
    Manual,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::DropTable => "drop-table",
            Cause::Truncate => "truncate",
            Cause::Delete => "delete",
            Cause::Update => "update",
            Cause::DropColumn => "drop-column",
            Cause::Manual => "manual",
        }
    }

    pub fn parse(name: &str) -> Self {
        match name {
            "drop-table" => Cause::DropTable,
            "truncate" => Cause::Truncate,
            "delete" => Cause::Delete,
            "update" => Cause::Update,
            "drop-column" => Cause::DropColumn,
            _ => Cause::Manual,
        }
    }

    /// The lock that keeps others from changing what is about to be lost. The statement itself takes
    /// the strong one anyway.
    fn lock(self) -> u32 {
        match self {
            Cause::DropTable | Cause::Truncate | Cause::DropColumn => pg_sys::AccessExclusiveLock,
            Cause::Delete | Cause::Update => pg_sys::ShareRowExclusiveLock,
            Cause::Manual => pg_sys::ShareLock,
        }
    }
}

/// What to keep, and why.
#[derive(Debug, Clone)]
pub struct KeepRequest {
    pub relation: pg_sys::Oid,
    pub cause: Cause,
    /// for `Cause::DropColumn`: the columns that go
    pub columns: Option<Vec<String>>,
    pub label: Option<String>,
    pub migration_id: Option<i64>,
    pub statement_id: Option<i64>,
    /// an interval; None: it never expires
    pub retention: Option<String>,
    /// the limit of `migration_guard.snapshot_max_bytes`; None: no limit
    pub max_bytes: Option<i64>,
}

/// What was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    pub id: i64,
    pub rows: i64,
    pub bytes: i64,
}

/// Keeps one table. A partitioned parent and a foreign table have no rows of their own: their
/// definition alone is kept, and each partition needs a snapshot of its own: take the parent's first,
/// in the same transaction, and they belong together (or call [`keep_tree`]).
pub fn keep(request: &KeepRequest) -> Result<Kept> {
    keep_part(request, None)
}

/// Keeps a table and, when it is partitioned, every partition below it; the result is the root's
/// number with the rows and bytes of all.
pub fn keep_tree(request: &KeepRequest) -> Result<Kept> {
    let mut total = keep(request)?;
    let below = as_guard(|| {
        db::all::<pg_sys::Oid>(
            "SELECT relid::oid FROM pg_partition_tree($1) WHERE level > 0 ORDER BY level, relid",
            &[request.relation.into()],
        )
    })?;
    for relation in below {
        let part = keep_part(&KeepRequest { relation, ..request.clone() }, Some(total.id))?;
        total.rows += part.rows;
        total.bytes += part.bytes;
    }
    Ok(total)
}

fn keep_part(request: &KeepRequest, part_of: Option<i64>) -> Result<Kept> {
    snapshot_support::lock_relation(request.relation, request.cause.lock());
    check_kind(request.relation)?;
    let definition = definition::capture(request.relation)?;
    let columns = columns_to_keep(request, &definition)?;
    let by_column = columns.len() < definition.columns.iter().filter(|c| c.is_stored()).count();
    let has_rows = definition.relkind == "r";
    if has_rows {
        check_size(request, &definition)?;
    }
    let (taken_by, session_role) = (role_name(current_user()), role_name(session_user()));
    let document = serde_json::to_string(&definition)
        .map_err(|e| GuardError::state(text::unreadable_definition(&e.to_string())))?;
    let kept_columns: Vec<_> = columns
        .iter()
        .map(|c| json!({"name": c.name, "type": c.r#type, "as_text": c.as_text}))
        .collect();
    let lost = request.columns.clone().unwrap_or_default();
    let kept_columns = json!({"kept": kept_columns, "lost": lost}).to_string();
    let part_of = match part_of {
        None if definition.is_partition => whole_of(request)?,
        known => known,
    };
    as_guard(|| {
        let id: i64 = db::one("SELECT nextval('migration_guard.snapshot_id_seq')", &[])?
            .ok_or_else(|| GuardError::state(text::registry_is_broken()))?;
        let storage = has_rows.then(|| format!("snapshot_{id}"));
        let (rows, bytes) = match &storage {
            Some(storage) => copy(request.relation, storage, &definition, &columns)?,
            None => (0, 0),
        };
        let kind = match (has_rows, by_column) {
            (false, _) => "definition",
            (true, true) => "column",
            (true, false) => "copy",
        };
        db::run(
            "INSERT INTO migration_guard.snapshot (id, kind, cause, relation, database, part_of,
                    schema_name, relation_name, table_name, owner, owner_oid, label, taken_by, session_role,
                    migration_id, statement_id, row_count, bytes, expires_at, storage_name,
                    definition, columns)
             OVERRIDING SYSTEM VALUE
             SELECT $1, $2, $3, $4,
                    (SELECT system_identifier FROM pg_control_system()) || '/'
                    || (SELECT oid FROM pg_database WHERE datname = current_database()),
                    $5, $6, $7, format('%I.%I', $6, $7), $8,
                    (SELECT relowner FROM pg_class WHERE oid = $4), $9, $10, $11, $12, $13, $14, $15,
                    now() + $16::interval, $17, $18::jsonb, $19::jsonb",
            &[
                id.into(),
                kind.into(),
                request.cause.as_str().into(),
                request.relation.into(),
                part_of.into(),
                definition.schema.clone().into(),
                definition.name.clone().into(),
                definition.owner.clone().into(),
                request.label.clone().into(),
                taken_by.into(),
                session_role.into(),
                request.migration_id.into(),
                request.statement_id.into(),
                rows.into(),
                bytes.into(),
                request.retention.clone().into(),
                storage.into(),
                document.into(),
                kept_columns.into(),
            ],
        )?;
        Ok(Kept { id, rows, bytes })
    })
}

/// The snapshot of the topmost partitioned table above, when the same transaction took one for the
/// same cause just before: then a restore of that one brings this partition back too.
fn whole_of(request: &KeepRequest) -> Result<Option<i64>> {
    as_guard(|| {
        db::one(
            "SELECT s.id FROM migration_guard.snapshot s
              WHERE s.relation IN (SELECT relid::oid FROM pg_partition_ancestors($1) WHERE relid <> $1)
                AND s.cause = $2 AND s.part_of IS NULL AND s.dropped_at IS NULL
                AND s.taken_at >= now()
              ORDER BY s.id DESC LIMIT 1",
            &[request.relation.into(), request.cause.as_str().into()],
        )
    })
}

fn check_kind(relation: pg_sys::Oid) -> Result<()> {
    let found = as_guard(|| {
        db::one::<String>(
            "SELECT CASE WHEN c.oid < 16384 THEN 'system'
                         WHEN c.relpersistence = 't' THEN 'temporary'
                         WHEN c.relkind IN ('r', 'p', 'f') THEN 'table' ELSE 'other' END
                    || ' ' || format('%I.%I', n.nspname, c.relname)
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
            &[relation.into()],
        )
    })?;
    let Some(found) = found else {
        return Err(GuardError::unknown(text::no_such_relation(relation.to_u32())));
    };
    match found.split_once(' ') {
        Some(("table", _)) => Ok(()),
        Some((kind, name)) => Err(GuardError::new(
            PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
            text::not_a_table(name, kind),
        )),
        None => Err(GuardError::state(text::registry_is_broken())),
    }
}

/// For a dropped column: the key and the columns that go. The whole row where no key remains.
fn columns_to_keep<'a>(
    request: &KeepRequest,
    definition: &'a Definition,
) -> Result<Vec<&'a Column>> {
    let stored = || definition.columns.iter().filter(|c| c.is_stored());
    let lost = match &request.columns {
        Some(lost) if request.cause == Cause::DropColumn && !lost.is_empty() => lost,
        _ => return Ok(stored().collect()),
    };
    if let Some(unknown) = lost.iter().find(|l| !definition.columns.iter().any(|c| &c.name == *l)) {
        return Err(GuardError::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            text::no_such_column(&definition.shown(), unknown),
        ));
    }
    match &definition.key {
        Some(key) if !key.iter().any(|k| lost.contains(k)) => {
            Ok(stored().filter(|c| key.contains(&c.name) || lost.contains(&c.name)).collect())
        }
        _ => Ok(stored().collect()),
    }
}

fn check_size(request: &KeepRequest, definition: &Definition) -> Result<()> {
    let Some(limit) = request.max_bytes else { return Ok(()) };
    let bytes = as_guard(|| {
        db::one::<i64>("SELECT pg_table_size($1::regclass)", &[request.relation.into()])
    })?
    .unwrap_or(0);
    if bytes <= limit {
        return Ok(());
    }
    Err(GuardError::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        text::too_large(&definition.shown()),
    )
    .detail(text::too_large_detail(bytes, limit))
    .hint(text::too_large_hint()))
}

/// Makes the snapshot table and fills it; runs with the guard's rights.
fn copy(
    relation: pg_sys::Oid,
    storage: &str,
    definition: &Definition,
    columns: &[&Column],
) -> Result<(i64, i64)> {
    db::pin_formats();
    let target = db::qualified(STORAGE_SCHEMA, storage);
    let list: Vec<String> = columns
        .iter()
        .map(|c| match (c.as_text, c.collatable) {
            (true, _) => format!("{} text COLLATE \"C\"", quoted(&c.name)),
            (false, true) => format!("{} {} COLLATE \"C\"", quoted(&c.name), c.r#type),
            (false, false) => format!("{} {}", quoted(&c.name), c.r#type),
        })
        .collect();
    db::run(&format!("CREATE TABLE {target} ({})", list.join(", ")), &[])?;
    take_grants_away(&target)?;
    db::run(&format!("GRANT SELECT ON TABLE {target} TO {}", quoted(&definition.owner)), &[])?;
    let comment = literal(&text::storage_comment(&definition.shown()));
    db::run(&format!("COMMENT ON TABLE {target} IS {comment}"), &[])?;
    let oid: pg_sys::Oid = db::one("SELECT $1::regclass::oid", &[target.into()])?
        .ok_or_else(|| GuardError::state(text::registry_is_broken()))?;
    let copied: Vec<CopiedColumn> = columns
        .iter()
        .map(|c| CopiedColumn {
            number: c.number,
            output_of: c.as_text.then(|| pg_sys::Oid::from_u32(c.type_oid)),
        })
        .collect();
    let rows = snapshot_support::copy_rows(relation, oid, &copied);
    let bytes = db::one::<i64>("SELECT pg_total_relation_size($1::regclass)", &[oid.into()])?;
    Ok((rows, bytes.unwrap_or(0)))
}

/// Default privileges may have granted something on a table that was just created.
pub fn take_grants_away(table: &str) -> Result<()> {
    let grantees = db::all::<String>(
        "SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'PUBLIC'
                              ELSE format('%I', pg_get_userbyid(x.grantee)) END
           FROM pg_class c, aclexplode(c.relacl) x
          WHERE c.oid = $1::regclass AND x.grantee <> c.relowner",
        &[table.into()],
    )?;
    for grantee in grantees {
        db::run(&format!("REVOKE ALL ON TABLE {table} FROM {grantee}"), &[])?;
    }
    Ok(())
}
