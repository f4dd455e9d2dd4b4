//! The table is still there: its rows or columns come back where they were.
//!
//! | cause | with a key | without a key |
//! |---|---|---|
//! | truncate, delete | missing rows are inserted, rows written since stay | inserted when empty, else `force` |
//! | update, manual | missing rows inserted, changed rows set back, newer rows stay | `force` |
//! | drop-column | column added at the end, values set by key | `force` |
//!
//! `force` without a key replaces all rows; what was there is kept as a snapshot first. User triggers
//! and rules are switched off meanwhile and get their state back; foreign keys are checked as ever.

use super::db::{self, literal, quoted};
use super::registry::{self, Snapshot};
use super::restore::{self, RestoreRow};
use crate::error::{GuardError, Result};
use crate::pg::session::{as_guard, as_restricted, role_name};
use guard_core::text::snapshot as text;
use pgrx::prelude::*;
use std::collections::HashSet;

use super::keep::Cause;

/// The right of the table's present owner to read the kept rows, for the time of a restore.
pub struct Reading(Option<String>);

impl Reading {
    pub fn open(snapshot: &Snapshot, role: pg_sys::Oid) -> Result<Self> {
        let Some(storage) = &snapshot.storage else { return Ok(Self(None)) };
        let readable = as_guard(|| {
            db::one::<bool>(
                "SELECT has_table_privilege($1, $2::regclass, 'SELECT')",
                &[role.into(), storage.clone().into()],
            )
        })?;
        if readable == Some(true) {
            return Ok(Self(None));
        }
        let role = quoted(&role_name(role));
        as_guard(|| db::run(&format!("GRANT SELECT ON TABLE {storage} TO {role}"), &[]))?;
        Ok(Self(Some(format!("REVOKE SELECT ON TABLE {storage} FROM {role}"))))
    }

    pub fn close(self) -> Result<()> {
        if let Some(revoke) = self.0 {
            as_guard(|| db::run(&revoke, &[]))?;
        }
        Ok(())
    }
}

/// The kept rows as a subquery with the table's own types. What was kept as text, or has another type
/// now (`changed`), goes through the type's input function by way of json_populate_record: a cast
/// could be a user's function and give something else.
pub fn source(
    snapshot: &Snapshot,
    table: &str,
    columns: &[String],
    changed: &[String],
) -> Result<String> {
    let Some(storage) = &snapshot.storage else {
        return Err(GuardError::state(text::no_rows_to_copy(snapshot.id)));
    };
    let (mut list, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for column in columns {
        let Some(kept) = snapshot.kept.iter().find(|k| &k.name == column) else {
            return Err(GuardError::state(text::column_not_kept(snapshot.id, column)));
        };
        let name = quoted(column);
        if kept.as_text || changed.contains(column) {
            list.push(format!("p.{name}"));
            names.push(literal(column));
            values.push(if kept.as_text {
                format!("s.{name}")
            } else {
                format!("CASE WHEN num_nulls(s.{name}) = 0 THEN format('%s', s.{name}) END")
            });
        } else {
            list.push(format!("s.{name}"));
        }
    }
    let list = list.join(", ");
    if names.is_empty() {
        return Ok(format!("(SELECT {list} FROM {storage} AS s)"));
    }
    let (names, values) = (names.join(", "), values.join(", "));
    Ok(format!(
        "(SELECT {list} FROM {storage} AS s, LATERAL json_populate_record(NULL::{table}, \
         json_object(ARRAY[{names}]::text[], ARRAY[{values}]::text[])) AS p)"
    ))
}

/// Equality of rows by the types' own operators, whatever the search path holds, and hashable.
pub fn same_key(left: &str, right: &str, key: &[String]) -> String {
    let side = |alias: &str| {
        let columns: Vec<String> = key.iter().map(|k| format!("{alias}.{}", quoted(k))).collect();
        format!("ROW({})::record", columns.join(", "))
    };
    format!("{} OPERATOR(pg_catalog.=) {}", side(left), side(right))
}

/// Do two rows differ in these columns? By image, so that it works for types without equality.
pub fn differ(left: &str, right: &str, columns: &[String]) -> String {
    if columns.is_empty() {
        return "false".to_string();
    }
    let side = |alias: &str| {
        let columns: Vec<String> =
            columns.iter().map(|c| format!("{alias}.{}", quoted(c))).collect();
        format!("ROW({})::record", columns.join(", "))
    };
    format!("{} OPERATOR(pg_catalog.*<>) {}", side(left), side(right))
}

/// The table as it is now.
pub struct Present {
    pub relation: pg_sys::Oid,
    pub owner: pg_sys::Oid,
    /// quoted and qualified
    pub name: String,
    /// columns that can be written, and that the snapshot has too
    pub columns: Vec<String>,
    /// of these, the ones with another type now
    pub changed: Vec<String>,
    /// the key of the snapshot, where the table still has its columns
    pub key: Option<Vec<String>>,
    /// GENERATED ALWAYS AS IDENTITY: cannot be set by UPDATE
    pub always: Vec<String>,
    pub partitioned: bool,
}

impl Present {
    pub fn read(snapshot: &Snapshot, relation: pg_sys::Oid) -> Result<Self> {
        let (name, kind) = as_guard(|| {
            Spi::connect_mut(|client| {
                client
                    .update(
                        "SELECT format('%s.%s', quote_ident(n.nspname), quote_ident(c.relname)),
                                c.relkind::text
                           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                          WHERE c.oid = $1",
                        Some(1),
                        &[relation.into()],
                    )?
                    .first()
                    .get_two::<String, String>()
            })
        })?;
        let (Some(name), Some(kind)) = (name, kind) else {
            return Err(GuardError::unknown(text::no_such_relation(relation.to_u32())));
        };
        let columns = |which: &str| {
            let sql = format!(
                "SELECT attname::text FROM pg_attribute a
                  WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped {which}
                  ORDER BY a.attnum"
            );
            as_guard(|| db::all::<String>(&sql, &[relation.into()]))
        };
        let there = columns("")?;
        let writable = columns("AND a.attgenerated = ''")?;
        let always = columns("AND a.attidentity = 'a'")?;
        let kept = |c: &String| snapshot.kept.iter().any(|k| &k.name == c);
        let common: Vec<String> = writable.into_iter().filter(kept).collect();
        let mut changed = Vec::new();
        for column in &common {
            let now = as_guard(|| {
                db::one::<String>(
                    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                      WHERE attrelid = $1 AND attname = $2::name AND NOT attisdropped",
                    &[relation.into(), column.clone().into()],
                )
            })?;
            let then = snapshot.kept.iter().find(|k| &k.name == column).map(|k| k.r#type.clone());
            if now != then {
                changed.push(column.clone());
            }
        }
        let key = snapshot
            .definition
            .key
            .clone()
            .filter(|key| key.iter().all(|k| common.contains(k) && !snapshot.lost.contains(k)));
        Ok(Self {
            relation,
            owner: registry::owner_of(relation)?,
            name,
            partitioned: kind == "p",
            changed,
            always,
            key: key.filter(|k| k.iter().all(|c| there.contains(c))),
            columns: common,
        })
    }

    fn as_owner<R>(&self, work: impl FnOnce() -> R) -> R {
        as_restricted(self.owner, || {
            db::pin_formats();
            work()
        })
    }
}

/// User triggers, rules, forced row security and deferred constraints, out of the way for a while.
struct Quiet {
    back: Vec<String>,
}

impl Quiet {
    fn begin(present: &Present) -> Result<Self> {
        let pairs = as_guard(|| {
            db::all::<String>(
                "SELECT format('DISABLE TRIGGER %I', t.tgname) || E'\\x01'
                        || format('%s TRIGGER %I', CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS'
                                  WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, t.tgname)
                   FROM pg_trigger t
                  WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgenabled <> 'D'
                 UNION ALL
                 SELECT format('DISABLE RULE %I', r.rulename) || E'\\x01'
                        || format('%s RULE %I', CASE r.ev_enabled WHEN 'A' THEN 'ENABLE ALWAYS'
                                  WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, r.rulename)
                   FROM pg_rewrite r
                  WHERE r.ev_class = $1 AND r.ev_enabled <> 'D' AND r.ev_type <> '1'
                 UNION ALL
                 SELECT 'NO FORCE ROW LEVEL SECURITY' || E'\\x01' || 'FORCE ROW LEVEL SECURITY'
                   FROM pg_class c WHERE c.oid = $1 AND c.relforcerowsecurity AND c.relrowsecurity",
                &[present.relation.into()],
            )
        })?;
        let constraints = as_guard(|| {
            db::all::<String>(
                "SELECT DISTINCT format('%I.%I', n.nspname, c.conname) FROM pg_constraint c
                   JOIN pg_namespace n ON n.oid = c.connamespace
                  WHERE $1 IN (c.conrelid, c.confrelid) AND c.condeferrable",
                &[present.relation.into()],
            )
        })?;
        let deferred = as_guard(|| {
            db::all::<String>(
                "SELECT DISTINCT format('%I.%I', n.nspname, c.conname) FROM pg_constraint c
                   JOIN pg_namespace n ON n.oid = c.connamespace
                  WHERE $1 IN (c.conrelid, c.confrelid) AND c.condeferred",
                &[present.relation.into()],
            )
        })?;
        let mut back = Vec::new();
        present.as_owner(|| {
            if !constraints.is_empty() {
                db::run(&format!("SET CONSTRAINTS {} IMMEDIATE", constraints.join(", ")), &[])?;
            }
            for pair in &pairs {
                let Some((off, on)) = pair.split_once('\x01') else { continue };
                db::run(&format!("ALTER TABLE ONLY {} {off}", present.name), &[])?;
                back.push(format!("ALTER TABLE ONLY {} {on}", present.name));
            }
            Ok::<_, GuardError>(())
        })?;
        if !deferred.is_empty() {
            back.push(format!("SET CONSTRAINTS {} DEFERRED", deferred.join(", ")));
        }
        Ok(Self { back })
    }

    fn end(self, present: &Present) -> Result<()> {
        present.as_owner(|| {
            for statement in &self.back {
                db::run(statement, &[])?;
            }
            Ok(())
        })
    }
}

/// Brings the snapshot's rows or columns back into `relation`.
pub fn restore(
    snapshot: &Snapshot,
    relation: pg_sys::Oid,
    force: bool,
    report: &mut Vec<RestoreRow>,
) -> Result<()> {
    registry::require_owner_of(relation)?;
    if snapshot.cause == Cause::DropColumn {
        // adding a column takes this lock anyway; taken first, nobody waits in between
        crate::pg::snapshot_support::lock_relation(relation, pg_sys::AccessExclusiveLock);
    } else {
        restore::lock(relation);
    }
    let present = Present::read(snapshot, relation)?;
    if snapshot.storage.is_none() {
        let parts = registry::parts_of(snapshot.id)?;
        if snapshot.cause == Cause::DropColumn && present.partitioned {
            columns(snapshot, &present, force, report)?;
        } else if parts.is_empty() {
            return Err(GuardError::state(text::nothing_to_restore(
                snapshot.id,
                &snapshot.table_name,
            )));
        } else {
            for part in parts {
                report.extend(restore::restore(part, None, force)?);
            }
        }
        return registry::restored(snapshot, None);
    }
    let reading = Reading::open(snapshot, present.owner)?;
    if snapshot.cause == Cause::DropColumn {
        columns(snapshot, &present, force, report)?;
    } else {
        rows(snapshot, &present, force, report)?;
    }
    reading.close()?;
    registry::restored(snapshot, Some(relation))
}

fn rows(
    snapshot: &Snapshot,
    present: &Present,
    force: bool,
    report: &mut Vec<RestoreRow>,
) -> Result<()> {
    let object = format!("rows of {}", present.name);
    for gone in snapshot.kept.iter().filter(|k| !present.columns.contains(&k.name)) {
        if snapshot.definition.columns.iter().any(|c| c.name == gone.name && c.generated.is_empty())
        {
            report.push(RestoreRow::new(
                format!("column {}.{}", present.name, text::shown(&gone.name)),
                "skipped",
                Some(text::column_is_gone()),
            ));
        }
    }
    if present.columns.is_empty() {
        return Err(GuardError::state(text::no_common_columns(snapshot.id)));
    }
    let quiet = Quiet::begin(present)?;
    let table = &present.name;
    let list: Vec<String> = present.columns.iter().map(|c| quoted(c)).collect();
    let list = list.join(", ");
    let source = source(snapshot, table, &present.columns, &present.changed)?;
    let insert = format!(
        "INSERT INTO {table} ({list}) OVERRIDING SYSTEM VALUE SELECT {list} FROM {source} AS src"
    );
    let empty = present.as_owner(|| {
        db::one::<bool>(&format!("SELECT NOT EXISTS (SELECT FROM ONLY {table})"), &[])
    })? == Some(true);
    match &present.key {
        _ if empty => {
            let rows = present.as_owner(|| db::run(&insert, &[]))?;
            report.push(RestoreRow::new(object, "inserted", Some(text::row_count(rows))));
        }
        Some(key) => {
            let newer = present.as_owner(|| {
                db::one::<i64>(
                    &format!(
                        "SELECT count(*) FROM ONLY {table} AS t WHERE NOT EXISTS \
                         (SELECT FROM {source} AS src WHERE {})",
                        same_key("t", "src", key)
                    ),
                    &[],
                )
            })?;
            if matches!(snapshot.cause, Cause::Update | Cause::Manual) {
                let changed = set_back(present, &source, key, &present.columns)?;
                report.push(RestoreRow::new(
                    object.clone(),
                    "updated",
                    Some(text::row_count(changed)),
                ));
            }
            let insert = format!(
                "{insert} WHERE NOT EXISTS (SELECT FROM ONLY {table} AS t WHERE {})",
                same_key("t", "src", key)
            );
            let rows = present.as_owner(|| db::run(&insert, &[]))?;
            report.push(RestoreRow::new(object.clone(), "inserted", Some(text::row_count(rows))));
            let newer = newer.unwrap_or(0);
            if newer > 0 {
                report.push(RestoreRow::new(object, "kept", Some(text::newer_rows(newer))));
            }
        }
        None if force => replace(snapshot, present, &insert, report)?,
        None => {
            return Err(GuardError::state(text::no_key(&snapshot.table_name))
                .detail(text::no_key_detail())
                .hint(text::no_key_hint(snapshot.id)));
        }
    }
    if snapshot.cause == Cause::Truncate {
        continue_sequences(snapshot, report)?;
    }
    quiet.end(present)
}

/// TRUNCATE ... RESTART IDENTITY: the sequence goes on behind what it had reached, never back.
fn continue_sequences(snapshot: &Snapshot, report: &mut Vec<RestoreRow>) -> Result<()> {
    for sequence in &snapshot.definition.sequences {
        let (Some(value), true) = (sequence.last_value, sequence.is_called) else { continue };
        let set = as_guard(|| {
            let there = db::one::<bool>(
                "SELECT to_regclass($1) IS NOT NULL",
                &[sequence.name.clone().into()],
            )?;
            if there != Some(true) {
                return Ok(None);
            }
            db::one::<i64>(
                &format!(
                    "SELECT setval(q.seqrelid, {value}, true) FROM pg_sequence q, {} AS s
                      WHERE q.seqrelid = {}::regclass
                        AND CASE WHEN q.seqincrement > 0 THEN s.last_value < {value}
                                 ELSE s.last_value > {value} END",
                    sequence.name,
                    literal(&sequence.name)
                ),
                &[],
            )
        })?;
        if let Some(value) = set {
            report.push(RestoreRow::new(
                format!("sequence {}", sequence.name),
                "set",
                Some(text::sequence_value(value)),
            ));
        }
    }
    Ok(())
}

fn set_back(present: &Present, source: &str, key: &[String], columns: &[String]) -> Result<i64> {
    let columns: Vec<String> = columns
        .iter()
        .filter(|c| !key.contains(c) && !present.always.contains(c))
        .cloned()
        .collect();
    if columns.is_empty() {
        return Ok(0);
    }
    let set: Vec<String> = columns.iter().map(|c| format!("{0} = src.{0}", quoted(c))).collect();
    let update = format!(
        "UPDATE ONLY {} AS t SET {} FROM {source} AS src WHERE {} AND {}",
        present.name,
        set.join(", "),
        same_key("t", "src", key),
        differ("t", "src", &columns)
    );
    present.as_owner(|| db::run(&update, &[]))
}

/// Without a key rows cannot be told apart: all of them give way, kept as a snapshot first.
fn replace(
    snapshot: &Snapshot,
    present: &Present,
    insert: &str,
    report: &mut Vec<RestoreRow>,
) -> Result<()> {
    let referenced = as_guard(|| {
        db::one::<String>(
            "SELECT string_agg(DISTINCT conrelid::regclass::text, ', ') FROM pg_constraint
              WHERE confrelid = $1 AND contype = 'f'",
            &[present.relation.into()],
        )
    })?;
    if let Some(others) = referenced {
        return Err(GuardError::state(text::cannot_replace(&snapshot.table_name, &others))
            .hint(text::restore_as_copy_hint(snapshot.id, &snapshot.definition.name)));
    }
    let kept = restore::keep_before_replacing(present.relation, snapshot.id)?;
    let object = format!("rows of {}", present.name);
    let delete = format!("DELETE FROM ONLY {}", present.name);
    let gone = present.as_owner(|| db::run(&delete, &[]))?;
    report.push(RestoreRow::new(object.clone(), "replaced", Some(text::replaced(gone, kept))));
    let rows = present.as_owner(|| db::run(insert, &[]))?;
    report.push(RestoreRow::new(object, "inserted", Some(text::row_count(rows))));
    Ok(())
}

/// Dropped columns: added at the end, filled by key, then default, constraints, indexes, comments.
fn columns(
    snapshot: &Snapshot,
    present: &Present,
    force: bool,
    report: &mut Vec<RestoreRow>,
) -> Result<()> {
    let definition = &snapshot.definition;
    let whole_tree = snapshot.part_of.is_some() || force;
    let there = as_guard(|| {
        db::all::<String>(
            "SELECT attname::text FROM pg_attribute
              WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped",
            &[present.relation.into()],
        )
    })?;
    let mut lost = Vec::new();
    for column in definition.columns.iter().filter(|c| snapshot.lost.contains(&c.name)) {
        if there.contains(&column.name) && !whole_tree {
            return Err(GuardError::new(
                PgSqlErrorCode::ERRCODE_DUPLICATE_COLUMN,
                text::column_exists(&snapshot.table_name, &column.name),
            )
            .hint(text::column_exists_hint(snapshot.id)));
        }
        lost.push(column);
    }
    let inherited = as_guard(|| {
        db::one::<bool>(
            "SELECT relispartition FROM pg_class WHERE oid = $1",
            &[present.relation.into()],
        )
    })?;
    if inherited == Some(true) && lost.iter().any(|c| !there.contains(&c.name)) {
        let error = GuardError::state(text::column_of_a_partition(snapshot.id, &present.name));
        return Err(match snapshot.part_of {
            Some(whole) => error.hint(text::restore_first_hint(whole)),
            None => error,
        });
    }
    let names: Vec<String> = lost.iter().map(|c| c.name.clone()).collect();
    let owner = role_name(present.owner);
    let quiet = Quiet::begin(present)?;
    let mut seen = HashSet::new();
    let concerned: Vec<_> = definition.steps.iter().filter(|s| s.concerns(&names)).collect();
    for step in concerned.iter().filter(|s| s.phase < 30) {
        restore::run_step(
            step,
            &step.statement(&present.name, &owner, None),
            present.owner,
            &mut seen,
            report,
        )?
        .ok();
    }
    for column in lost.iter().filter(|c| !there.contains(&c.name)) {
        let add = format!("ALTER TABLE {} ADD COLUMN {}", present.name, column.definition);
        present.as_owner(|| db::run(&add, &[]))?;
        report.push(RestoreRow::new(
            format!("column {}.{}", present.name, text::shown(&column.name)),
            "added",
            Some(text::column_is_last()),
        ));
    }
    // the partitions first: an index on the parent then takes those of the partitions under it
    for part in registry::parts_of(snapshot.id)? {
        report.extend(restore::restore(part, None, force)?);
    }
    if snapshot.storage.is_some() {
        values(snapshot, present, &lost_values(snapshot, &names), force, report)?;
    }
    for column in lost.iter().filter(|c| !c.not_null.is_empty()) {
        let statement = format!(
            "ALTER TABLE {} ALTER COLUMN {} SET NOT NULL",
            present.name,
            quoted(&column.name)
        );
        let set =
            crate::pg::snapshot_support::attempt(|| present.as_owner(|| db::run(&statement, &[])));
        if let Err(failure) = set {
            report.push(RestoreRow::new(
                format!("not null of column {}.{}", present.name, text::shown(&column.name)),
                "failed",
                Some(failure.message),
            ));
        }
    }
    let mut report_after = Vec::new();
    for step in concerned.iter().filter(|s| s.phase >= 30 && s.kind != "not-null") {
        let at = report_after.len();
        let step = if present.partitioned { &step.on_all_partitions() } else { *step };
        let statement = step.statement(&present.name, &owner, None);
        let outcome =
            restore::run_step(step, &statement, present.owner, &mut seen, &mut report_after)?;
        // what the drop left alone (or a sibling column brought back) is there already
        if outcome.is_err_and(|f| already_there(f.code)) {
            report_after.truncate(at);
        }
    }
    report.append(&mut report_after);
    restore::sequence_values(snapshot, Some(&names), report)?;
    quiet.end(present)
}

fn already_there(code: PgSqlErrorCode) -> bool {
    matches!(
        code,
        PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT
            | PgSqlErrorCode::ERRCODE_DUPLICATE_TABLE
            | PgSqlErrorCode::ERRCODE_INVALID_TABLE_DEFINITION
    )
}

/// The lost columns that carry values of their own.
fn lost_values(snapshot: &Snapshot, names: &[String]) -> Vec<String> {
    let own = |name: &String| {
        snapshot.definition.columns.iter().any(|c| &c.name == name && c.generated.is_empty())
    };
    names.iter().filter(|n| own(n)).cloned().collect()
}

fn values(
    snapshot: &Snapshot,
    before: &Present,
    columns: &[String],
    force: bool,
    report: &mut Vec<RestoreRow>,
) -> Result<()> {
    if columns.is_empty() {
        return Ok(());
    }
    let present = Present::read(snapshot, before.relation)?;
    let object = format!("values of {}", present.name);
    let mut needed = columns.to_vec();
    match &present.key {
        Some(key) => {
            needed.extend(key.iter().cloned());
            let source = source(snapshot, &present.name, &needed, &present.changed)?;
            let rows = set_back(&present, &source, key, columns)?;
            report.push(RestoreRow::new(object, "updated", Some(text::row_count(rows))));
        }
        None if force => {
            let list: Vec<String> = present.columns.iter().map(|c| quoted(c)).collect();
            let list = list.join(", ");
            let source = source(snapshot, &present.name, &present.columns, &present.changed)?;
            let insert = format!(
                "INSERT INTO {} ({list}) OVERRIDING SYSTEM VALUE SELECT {list} FROM {source} AS src",
                present.name
            );
            replace(snapshot, &present, &insert, report)?;
        }
        None if snapshot.row_count == 0 => {}
        None => {
            return Err(GuardError::state(text::no_key(&snapshot.table_name))
                .detail(text::no_key_detail())
                .hint(text::no_key_hint(snapshot.id)));
        }
    }
    Ok(())
}
