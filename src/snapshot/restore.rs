//! Bringing a table back: which way, for whom, and making it again.

use super::db::{self, literal, quoted};
use super::definition::{RunAs, Step};
use super::keep::take_grants_away;
use super::registry::{self, Snapshot};
use super::{in_place, keep};
use crate::error::{GuardError, Result};
use crate::pg::session::{as_guard, as_restricted, current_user, role_name};
use crate::pg::snapshot_support::{self, Failure, attempt};
use guard_core::text::snapshot as text;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::collections::HashSet;

/// What a restore did with one object, or why it did not.
#[derive(Debug, Clone)]
pub struct RestoreRow {
    pub object: String,
    pub action: &'static str,
    pub detail: Option<String>,
}

impl RestoreRow {
    pub fn new(object: impl Into<String>, action: &'static str, detail: Option<String>) -> Self {
        Self { object: object.into(), action, detail }
    }
}

/// Brings back what the snapshot kept: the whole table when it is gone, its rows or columns in place
/// when it is still there, or a copy called `new_name`.
pub fn restore(id: i64, new_name: Option<&str>, force: bool) -> Result<Vec<RestoreRow>> {
    let snapshot = registry::load(id)?;
    let mut report = Vec::new();
    match (new_name, snapshot.present) {
        (Some(name), _) => copy_as(&snapshot, name, &mut report)?,
        (None, None) => recreate(&snapshot, &mut report)?,
        (None, Some(relation)) => in_place::restore(&snapshot, relation, force, &mut report)?,
    }
    Ok(report)
}

/// The roles and names that the steps of one restore share.
struct Site<'a> {
    snapshot: &'a Snapshot,
    /// quoted and qualified, where the table comes to stand
    target: String,
    /// the same, as a user writes it; known once the table is made
    shown: String,
    owner: pg_sys::Oid,
    /// what was done so far; steps that continue an object already listed add no row
    seen: HashSet<String>,
}

impl<'a> Site<'a> {
    fn new(snapshot: &'a Snapshot, target: String) -> Self {
        let owner = snapshot.owner.unwrap_or_else(current_user);
        let shown = snapshot.table_name.clone();
        Self { snapshot, target, shown, owner, seen: HashSet::new() }
    }
}

/// Runs `work` with the rights that a step needs, formats pinned.
fn with_rights<R>(
    owner: pg_sys::Oid,
    run_as: RunAs,
    role: Option<pg_sys::Oid>,
    work: impl FnOnce() -> R,
) -> R {
    let pinned = || {
        db::pin_formats();
        work()
    };
    match run_as {
        RunAs::Guard => as_guard(pinned),
        RunAs::Owner => as_restricted(owner, pinned),
        RunAs::Role => as_restricted(role.unwrap_or(owner), pinned),
    }
}

/// The OID of a role, None when it is gone.
fn role_oid(name: &str) -> Result<Option<pg_sys::Oid>> {
    as_guard(|| db::one("SELECT oid FROM pg_roles WHERE rolname = $1", &[name.into()]))
}

/// Runs one step on its own: what fails is undone and reported, the rest goes on.
pub fn run_step(
    step: &Step,
    statement: &str,
    owner: pg_sys::Oid,
    seen: &mut HashSet<String>,
    report: &mut Vec<RestoreRow>,
) -> Result<std::result::Result<(), Failure>> {
    let object = text::step_object(&step.kind, &step.object);
    let role = match (&step.run_as, &step.role) {
        (RunAs::Role, Some(name)) => match role_oid(name)? {
            Some(role) => Some(role),
            None => {
                report.push(RestoreRow::new(object, "skipped", Some(text::role_is_gone(name))));
                return Ok(Ok(()));
            }
        },
        _ => None,
    };
    let outcome = attempt(|| with_rights(owner, step.run_as, role, || db::run(statement, &[])));
    match outcome {
        Ok(result) => {
            result?;
            if seen.insert(object.clone()) {
                report.push(RestoreRow::new(object, text::step_action(&step.kind), None));
            }
            Ok(Ok(()))
        }
        Err(failure) => {
            // the row of an earlier step of the same object would claim too much
            let action = text::failed_action(&step.kind);
            if action == "failed" && seen.contains(&object) {
                report.retain(|row| row.object != object || row.action == "failed");
            }
            seen.insert(object.clone());
            report.push(RestoreRow::new(object, action, Some(failure.message.clone())));
            Ok(Err(failure))
        }
    }
}

/// What the owner may lack, and gets for the time of the restore: CREATE on the schema.
struct SchemaGrant(Option<String>);

impl SchemaGrant {
    /// Unless the caller is an administrator, nothing is granted while an expression of a user could run
    /// and use it (`user_code`), or for a table that was never there (`always_ask`).
    fn give(schema: &str, owner: pg_sys::Oid, user_code: bool, always_ask: bool) -> Result<Self> {
        let missing = as_guard(|| {
            db::one::<String>(
                "SELECT concat_ws(', ',
                     CASE WHEN NOT has_schema_privilege($1, $2, 'CREATE') THEN 'CREATE' END,
                     CASE WHEN NOT has_schema_privilege($1, $2, 'USAGE') THEN 'USAGE' END)",
                &[owner.into(), schema.into()],
            )
        })?
        .unwrap_or_default();
        if missing.is_empty() {
            return Ok(Self(None));
        }
        let role = role_name(owner);
        if (user_code || always_ask) && !registry::is_administrator()? {
            return Err(GuardError::denied(text::owner_may_not_create(&role, schema))
                .hint(text::owner_may_not_create_hint(&role, schema)));
        }
        let (schema, role) = (quoted(schema), quoted(&role));
        as_guard(|| db::run(&format!("GRANT {missing} ON SCHEMA {schema} TO {role}"), &[]))?;
        Ok(Self(Some(format!("REVOKE {missing} ON SCHEMA {schema} FROM {role}"))))
    }

    fn take_back(self) -> Result<()> {
        if let Some(revoke) = self.0 {
            as_guard(|| db::run(&revoke, &[]))?;
        }
        Ok(())
    }
}

fn relation_named(schema: &str, name: &str) -> Result<Option<String>> {
    as_guard(|| {
        db::one::<String>(
            "SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index'
                    WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type' ELSE 'table' END
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = $1 AND c.relname = $2",
            &[schema.into(), name.into()],
        )
    })
}

/// The table is gone: make it again under its own name, then the partitions taken with it.
fn recreate(snapshot: &Snapshot, report: &mut Vec<RestoreRow>) -> Result<()> {
    let definition = &snapshot.definition;
    if let Some(kind) = relation_named(&definition.schema, &definition.name)? {
        return Err(GuardError::new(
            PgSqlErrorCode::ERRCODE_DUPLICATE_TABLE,
            text::name_is_taken(&snapshot.table_name, &kind),
        )
        .detail(text::name_is_taken_detail(snapshot.id))
        .hint(text::name_is_taken_hint(snapshot.id, &definition.name)));
    }
    if snapshot.kept.len() < definition.columns.iter().filter(|c| c.is_stored()).count()
        && definition.relkind == "r"
    {
        return Err(GuardError::state(text::column_snapshot_without_table(
            snapshot.id,
            &snapshot.table_name,
        )));
    }
    let mut site = Site::new(snapshot, definition.identity());
    if snapshot.owner.is_none() {
        report.push(RestoreRow::new(
            format!("table {}", snapshot.table_name),
            "changed",
            Some(text::owner_is_gone(&snapshot.owner_name, &role_name(site.owner))),
        ));
    }
    make_schema(snapshot, report)?;
    let grant = SchemaGrant::give(&definition.schema, site.owner, definition.user_code, false)?;
    run_steps(&mut site, report, |s| s.phase < 30, None)?;
    let inherits = make_table(&site, report)?;
    run_steps(&mut site, report, |s| (30..60).contains(&s.phase), None)?;
    fill(&site, report)?;
    sequence_values(snapshot, None, report)?;
    reset_grants(&site)?;
    // what makes relations in the schema comes first: foreign keys and all that follows read other
    // tables, whose expressions must not find the owner with more rights than usual
    let makes = |s: &Step| s.phase < 80 || s.kind == "statistics";
    let wanted = |s: &Step| s.phase >= 60 && (s.kind != "inherited-constraint" || !inherits);
    run_steps(&mut site, report, |s| wanted(s) && makes(s), None)?;
    grant.take_back()?;
    run_steps(&mut site, report, |s| wanted(s) && !makes(s), None)?;
    attach_partitions(&site, report)?;
    analyze(&site);
    let oid = as_guard(|| {
        db::one::<pg_sys::Oid>("SELECT $1::regclass::oid", &[site.target.clone().into()])
    })?;
    registry::restored(snapshot, oid)?;
    for part in registry::parts_of(snapshot.id)? {
        report.extend(restore(part, None, false)?);
    }
    Ok(())
}

/// A copy beside the original: rows, defaults, constraints and indexes under derived names. It gets
/// no grants, triggers, policies, and no foreign keys of others: it is for looking and comparing.
fn copy_as(snapshot: &Snapshot, new_name: &str, report: &mut Vec<RestoreRow>) -> Result<()> {
    let definition = &snapshot.definition;
    if snapshot.storage.is_none() {
        return Err(GuardError::state(text::no_rows_to_copy(snapshot.id)));
    }
    if snapshot.kept.len() < definition.columns.iter().filter(|c| c.is_stored()).count() {
        return Err(GuardError::state(text::column_snapshot_without_table(
            snapshot.id,
            &snapshot.table_name,
        )));
    }
    let parts = db::all::<String>("SELECT unnest(pg_catalog.parse_ident($1))", &[new_name.into()])?;
    let (schema, name) = match parts.as_slice() {
        [name] => (definition.schema.clone(), name.clone()),
        [schema, name] => (schema.clone(), name.clone()),
        _ => return Err(GuardError::argument(text::bad_name(new_name))),
    };
    if name.len() > 63 {
        return Err(GuardError::argument(text::name_too_long(&name)));
    }
    if let Some(kind) = relation_named(&schema, &name)? {
        return Err(GuardError::new(
            PgSqlErrorCode::ERRCODE_DUPLICATE_TABLE,
            text::name_is_taken(new_name, &kind),
        )
        .hint(text::choose_another_name()));
    }
    let mut site = Site::new(snapshot, db::qualified(&schema, &name));
    let exists = as_guard(|| {
        db::one::<bool>(
            "SELECT to_regnamespace(quote_ident($1)) IS NOT NULL",
            &[schema.clone().into()],
        )
    })?;
    if exists != Some(true) {
        return Err(GuardError::new(
            PgSqlErrorCode::ERRCODE_INVALID_SCHEMA_NAME,
            text::no_such_schema(&schema),
        ));
    }
    let grant = SchemaGrant::give(&schema, site.owner, definition.user_code, true)?;
    make_table(&site, report)?;
    site.shown = display(&site.target)?;
    // what is derived once must be the same the second time (a constraint and its comment)
    let derived: RefCell<Vec<(String, String)>> = RefCell::new(Vec::new());
    let derive = |old: &str| -> String {
        if let Some((_, new)) = derived.borrow().iter().find(|(o, _)| o == old) {
            return new.clone();
        }
        let new = free_name(&schema, &definition.name, &name, old);
        derived.borrow_mut().push((old.to_string(), new.clone()));
        new
    };
    run_steps(&mut site, report, |s| (30..60).contains(&s.phase), Some(&derive))?;
    fill(&site, report)?;
    as_guard(|| take_grants_away(&site.target))?;
    let wanted = |s: &Step| {
        matches!(s.kind.as_str(), "constraint" | "inherited-constraint" | "foreign-key" | "index")
            || (s.kind == "comment" && s.phase == 95)
    };
    run_steps(&mut site, report, |s| s.phase >= 60 && wanted(s), Some(&derive))?;
    grant.take_back()?;
    analyze(&site);
    registry::restored(snapshot, None)
}

/// `orders_pkey` of `orders` becomes `copy_pkey` for `copy`; a number is added until it is free.
fn free_name(schema: &str, table: &str, new_table: &str, old: &str) -> String {
    let rest = old.strip_prefix(table).map(str::to_string).unwrap_or_else(|| format!("_{old}"));
    for n in 0..1000 {
        let candidate = match n {
            0 => text::join_name(new_table, &rest, 63),
            n => format!("{}{n}", text::join_name(new_table, &rest, 60)),
        };
        if matches!(relation_named(schema, &candidate), Ok(None)) {
            return candidate;
        }
    }
    old.to_string()
}

fn make_schema(snapshot: &Snapshot, report: &mut Vec<RestoreRow>) -> Result<()> {
    let definition = &snapshot.definition;
    let schema = quoted(&definition.schema);
    let exists = as_guard(|| {
        db::one::<bool>("SELECT to_regnamespace($1) IS NOT NULL", &[schema.clone().into()])
    })?;
    if exists == Some(true) {
        return Ok(());
    }
    let owner = match role_oid(&definition.schema_owner)? {
        Some(_) => format!(" AUTHORIZATION {}", quoted(&definition.schema_owner)),
        None => String::new(),
    };
    as_guard(|| db::run(&format!("CREATE SCHEMA {schema}{owner}"), &[]))?;
    report.push(RestoreRow::new(format!("schema {}", definition.schema), "created", None));
    Ok(())
}

/// CREATE TABLE; says whether the parents of the original are there and it inherits from them.
fn make_table(site: &Site, report: &mut Vec<RestoreRow>) -> Result<bool> {
    let definition = &site.snapshot.definition;
    let original = site.target == definition.identity();
    let mut parents = original && !definition.inherits.is_empty();
    let mut detail = None;
    if parents {
        for parent in &definition.inherits {
            let there = as_guard(|| {
                db::one::<bool>("SELECT to_regclass($1) IS NOT NULL", &[parent.clone().into()])
            })?;
            if there != Some(true) {
                parents = false;
                detail = Some(text::parent_is_gone(parent));
            }
        }
    }
    let mut create = definition.create_table(&site.target, parents);
    if !original && definition.persistence == "u" {
        create = create.replacen("CREATE UNLOGGED ", "CREATE ", 1);
    }
    // A generated column's expression is folded while the table is created: then the owner creates it.
    // Otherwise nothing is evaluated, and the table is given to the owner.
    if definition.has_generated() {
        with_rights(site.owner, RunAs::Owner, None, || db::run(&create, &[]))?;
    } else {
        let owner = quoted(&role_name(site.owner));
        with_rights(site.owner, RunAs::Guard, None, || {
            db::run(&create, &[])?;
            db::run(&format!("ALTER TABLE {} OWNER TO {owner}", site.target), &[])
        })?;
    }
    if let (Some(of), true) = (&definition.of_type, original) {
        let statement = format!("ALTER TABLE {} OF {of}", site.target);
        with_rights(site.owner, RunAs::Guard, None, || db::run(&statement, &[]))?;
    }
    let name = if original { site.snapshot.table_name.clone() } else { display(&site.target)? };
    report.push(RestoreRow::new(format!("table {name}"), "created", detail));
    Ok(parents)
}

/// A name as a user writes it: quoted only where it must be.
pub fn display(table: &str) -> Result<String> {
    let name = as_guard(|| {
        db::one::<String>(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
            &[table.into()],
        )
    })?;
    Ok(name.unwrap_or_else(|| table.to_string()))
}

fn run_steps(
    site: &mut Site,
    report: &mut Vec<RestoreRow>,
    wanted: impl Fn(&Step) -> bool,
    derive: Option<&dyn Fn(&str) -> String>,
) -> Result<()> {
    let mut broken: HashSet<&str> = HashSet::new();
    for step in site.snapshot.definition.steps.iter().filter(|s| wanted(s)) {
        if step.kind == "validate-foreign-key" && broken.contains(step.object.as_str()) {
            continue;
        }
        let statement = step.statement(&site.target, &role_name(site.owner), derive);
        let mut named = step.clone();
        if let Some(derive) = derive {
            named.object = step.object_in_copy(&site.snapshot.table_name, &site.shown, derive);
        }
        if run_step(&named, &statement, site.owner, &mut site.seen, report)?.is_err() {
            broken.insert(&step.object);
        }
    }
    Ok(())
}

/// The rows, inserted as the owner: domains, generated columns and partition bounds may run user code.
fn fill(site: &Site, report: &mut Vec<RestoreRow>) -> Result<()> {
    let Some(_) = &site.snapshot.storage else { return Ok(()) };
    let columns: Vec<String> = site
        .snapshot
        .definition
        .columns
        .iter()
        .filter(|c| c.generated.is_empty())
        .map(|c| c.name.clone())
        .collect();
    let reading = in_place::Reading::open(site.snapshot, site.owner)?;
    let list: Vec<String> = columns.iter().map(|c| quoted(c)).collect();
    let list = list.join(", ");
    let source = in_place::source(site.snapshot, &site.target, &columns, &[])?;
    let insert = format!(
        "INSERT INTO {} ({list}) OVERRIDING SYSTEM VALUE SELECT {list} FROM {source} AS src",
        site.target
    );
    let insert = match columns.is_empty() {
        true => None,
        false => Some(insert),
    };
    let rows = match insert {
        Some(insert) => with_rights(site.owner, RunAs::Owner, None, || db::run(&insert, &[]))?,
        None => 0,
    };
    reading.close()?;
    report.push(RestoreRow::new(
        format!("rows of {}", display(&site.target)?),
        "inserted",
        Some(text::row_count(rows)),
    ));
    Ok(())
}

/// Sequences of the table continue where they were; `columns` limits them to some columns.
pub fn sequence_values(
    snapshot: &Snapshot,
    columns: Option<&[String]>,
    report: &mut Vec<RestoreRow>,
) -> Result<()> {
    for sequence in &snapshot.definition.sequences {
        let Some(value) = sequence.last_value else { continue };
        if columns.is_some_and(|c| !c.contains(&sequence.column)) {
            continue;
        }
        let set = format!(
            "SELECT setval(to_regclass({}), {value}, {})",
            literal(&sequence.name),
            sequence.is_called
        );
        let set = as_guard(|| db::one::<i64>(&set, &[]))?;
        let object = format!("sequence {}", sequence.name);
        report.push(match set {
            Some(value) => RestoreRow::new(object, "set", Some(text::sequence_value(value))),
            None => RestoreRow::new(object, "failed", Some(text::sequence_is_gone())),
        });
    }
    Ok(())
}

/// Default privileges apply to the new table as to any; what was granted is what counts.
fn reset_grants(site: &Site) -> Result<()> {
    as_guard(|| take_grants_away(&site.target))?;
    if site.snapshot.definition.has_grants {
        let owner = quoted(&role_name(site.owner));
        let revoke = format!("REVOKE ALL ON TABLE {} FROM {owner}", site.target);
        with_rights(site.owner, RunAs::Owner, None, || db::run(&revoke, &[]))?;
    }
    Ok(())
}

/// A partitioned parent that is back takes the partitions of its tree that came back before it.
fn attach_partitions(site: &Site, report: &mut Vec<RestoreRow>) -> Result<()> {
    if site.snapshot.definition.relkind != "p" {
        return Ok(());
    }
    for id in registry::parts_of(site.snapshot.id)? {
        let part = registry::load(id)?;
        let Some(present) = part.present else { continue };
        let free = as_guard(|| {
            db::one::<bool>(
                "SELECT NOT relispartition FROM pg_class WHERE oid = $1",
                &[present.into()],
            )
        })?;
        let target = part.definition.identity();
        let prefix = format!("ALTER TABLE ONLY {}", site.snapshot.table_name);
        for step in part.definition.steps.iter().filter(|s| s.kind == "attach") {
            let statement = step.statement(&target, &role_name(site.owner), None);
            if free == Some(true) && statement.starts_with(&prefix) {
                let mut seen = HashSet::new();
                run_step(step, &statement, site.owner, &mut seen, report)?.ok();
            }
        }
    }
    Ok(())
}

/// Fresh statistics; a table without them would be planned badly until autovacuum comes by.
fn analyze(site: &Site) {
    if site.snapshot.definition.relkind == "r" {
        let statement = format!("ANALYZE {}", site.target);
        let owner = site.owner;
        let _ = attempt(|| with_rights(owner, RunAs::Owner, None, || db::run(&statement, &[])));
    }
}

/// Locks what a restore in place is about to change.
pub fn lock(relation: pg_sys::Oid) {
    snapshot_support::lock_relation(relation, pg_sys::ShareRowExclusiveLock);
}

/// Rows written since, kept before they are replaced.
pub fn keep_before_replacing(relation: pg_sys::Oid, id: i64) -> Result<i64> {
    let kept = keep::keep(&keep::KeepRequest {
        relation,
        cause: keep::Cause::Manual,
        columns: None,
        label: Some(text::label_before_restore(id)),
        migration_id: None,
        statement_id: None,
        retention: None,
        max_bytes: None,
    })?;
    Ok(kept.id)
}
