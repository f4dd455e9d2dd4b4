//! The classifier on a fake catalog: what is found in a statement, given what it would destroy.

use guard_core::loss::{Kind, Loss, Object, Rows, Via};
use guard_core::rules::{Facts, classify};
use guard_core::statement::{
    AlterTable, Body, Class, EventTriggerState, Name, ObjectKind, Statement, WholeTable,
};
use std::cell::Cell;

struct Fake {
    loss: Loss,
    guard_subject: Option<String>,
    asked: Cell<u32>,
}

impl Facts for Fake {
    fn loss(&self, _: &Statement) -> Loss {
        self.asked.set(self.asked.get() + 1);
        self.loss.clone()
    }
    fn guard_subject(&self, _: &Statement) -> Option<String> {
        self.guard_subject.clone()
    }
}

fn fake(objects: Vec<Object>) -> Fake {
    Fake { loss: Loss { objects, refused: false }, guard_subject: None, asked: Cell::new(0) }
}

fn object(kind: Kind, identity: &str, via: Via) -> Object {
    Object {
        address: (1259, identity.bytes().map(u32::from).sum(), 0),
        kind,
        type_name: format!("{kind:?}").to_lowercase(),
        identity: identity.into(),
        name: identity.rsplit('.').next().unwrap_or_default().into(),
        table: None,
        via,
        transient: false,
        guard: false,
        visible: true,
        rows: kind.is_table().then_some(Rows::Exactly(3)),
        bytes: 8192,
    }
}

fn statement(class: Class, body: Body) -> Statement {
    Statement { class, command: "COMMAND".into(), text: String::new(), body }
}

fn drop(kind: ObjectKind, cascade: bool) -> Statement {
    let body =
        Body::Drop { kind, names: Vec::new(), cascade, missing_ok: false, concurrent: false };
    statement(Class::DropStmt, body)
}

fn found(statement: &Statement, facts: &Fake) -> Vec<(&'static str, String)> {
    classify(statement, facts).findings.into_iter().map(|f| (f.rule.id, f.object)).collect()
}

fn pairs(expected: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    expected.iter().map(|(rule, object)| (*rule, object.to_string())).collect()
}

#[test]
fn drop_table_and_what_goes_with_it() {
    let facts = fake(vec![
        object(Kind::PartitionedTable, "public.t", Via::Named),
        object(Kind::Table, "public.t1", Via::Part),
        object(Kind::View, "public.v", Via::Cascade),
        object(Kind::ForeignKey, "fk on public.u", Via::Cascade),
    ]);
    assert_eq!(
        found(&drop(ObjectKind::Table, true), &facts),
        pairs(&[
            ("drop-table", "public.t"),
            ("drop-table", "public.t1"),
            ("drop-cascade", "public.t")
        ])
    );
    let detail =
        classify(&drop(ObjectKind::Table, true), &facts).findings[2].detail.clone().unwrap();
    assert_eq!(detail, "view public.v, foreignkey fk on public.u");
}

#[test]
fn nobody_misses_transient_objects() {
    let mut table = object(Kind::Table, "public.t", Via::Named);
    table.transient = true;
    assert_eq!(found(&drop(ObjectKind::Table, false), &fake(vec![table])), []);
}

#[test]
fn what_postgres_refuses_is_not_judged() {
    let mut facts = fake(vec![object(Kind::Table, "public.t", Via::Named)]);
    facts.loss.refused = true;
    assert_eq!(found(&drop(ObjectKind::Table, false), &facts), []);
}

#[test]
fn a_schema_counts_for_what_is_in_it() {
    let schema = object(Kind::Schema, "s", Via::Named);
    assert_eq!(found(&drop(ObjectKind::Schema, true), &fake(vec![schema.clone()])), []);
    let facts = fake(vec![schema, object(Kind::Table, "s.t", Via::Part)]);
    assert_eq!(
        found(&drop(ObjectKind::Schema, true), &facts),
        pairs(&[("drop-schema", "s"), ("drop-table", "s.t")])
    );
}

#[test]
fn a_type_takes_columns() {
    let mut column = object(Kind::Column, "public.t.c", Via::Cascade);
    column.table = Some("public.t".into());
    column.address.2 = 3;
    let facts = fake(vec![object(Kind::Type, "public.e", Via::Named), column]);
    assert_eq!(
        found(&drop(ObjectKind::Type, true), &facts),
        pairs(&[("drop-column", "public.t.c"), ("drop-cascade", "public.e")])
    );
}

#[test]
fn truncate_of_what_has_rows() {
    let body = Body::Truncate { relations: vec![Name::default()], cascade: false };
    let truncate = statement(Class::TruncateStmt, body);
    let mut empty = object(Kind::Table, "public.empty", Via::Named);
    empty.rows = Some(Rows::Exactly(0));
    let mut locked = object(Kind::Table, "public.locked", Via::Named);
    locked.rows = Some(Rows::Unknown);
    let mut sparse = object(Kind::Table, "public.sparse", Via::Named);
    sparse.rows = Some(Rows::About(0));
    assert_eq!(
        found(&truncate, &fake(vec![empty, locked, sparse])),
        pairs(&[("truncate", "public.locked"), ("truncate", "public.sparse")])
    );
}

#[test]
fn whole_table_dml() {
    let targets =
        vec![(WholeTable::Delete, "public.a".to_string()), (WholeTable::Update, "public.b".into())];
    let dml = statement(Class::PlannedStmt, Body::WholeTableDml { targets });
    let facts = fake(vec![
        object(Kind::Table, "public.a", Via::Named),
        object(Kind::Table, "public.b", Via::Named),
    ]);
    assert_eq!(
        found(&dml, &facts),
        pairs(&[("delete-without-where", "public.a"), ("update-without-where", "public.b")])
    );
}

#[test]
fn the_catalog_is_asked_only_when_something_can_be_lost() {
    let alter = |command| {
        statement(
            Class::AlterTableStmt,
            Body::AlterTable {
                relation: Name::default(),
                kind: ObjectKind::Table,
                missing_ok: false,
                commands: vec![command],
            },
        )
    };
    let facts = fake(Vec::new());
    classify(&alter(AlterTable::AddColumn { column: "c".into() }), &facts);
    classify(&statement(Class::CreateStmt, Body::Plain), &facts);
    assert_eq!(facts.asked.get(), 0);
    let drop = AlterTable::DropColumn { column: "c".into(), cascade: false, missing_ok: false };
    classify(&alter(drop), &facts);
    assert_eq!(facts.asked.get(), 1);
}

#[test]
fn tampering() {
    let mut guard = object(Kind::EventTrigger, "migration_guard_start", Via::Named);
    guard.guard = true;
    let tamper = |subject: &str| pairs(&[("guard-tamper", subject)]);
    assert_eq!(
        found(&drop(ObjectKind::EventTrigger, false), &fake(vec![guard])),
        tamper("migration_guard_start")
    );

    let mut aimed = fake(Vec::new());
    aimed.guard_subject = Some("migration_guard_start".into());
    let alter = |state| {
        let body = Body::AlterEventTrigger { name: "migration_guard_start".into(), state };
        statement(Class::AlterEventTrigStmt, body)
    };
    assert_eq!(found(&alter(EventTriggerState::Disabled), &aimed), tamper("migration_guard_start"));
    assert_eq!(found(&alter(EventTriggerState::Replica), &aimed), tamper("migration_guard_start"));
    // What pg_dump writes about an event trigger, and what enable() mends.
    assert_eq!(found(&alter(EventTriggerState::Always), &aimed), []);
    assert_eq!(found(&statement(Class::CommentStmt, Body::Plain), &aimed), []);
    assert_eq!(found(&statement(Class::AlterOwnerStmt, Body::Plain), &aimed), []);
}

#[test]
fn settings_that_must_not_be_made_permanent() {
    let set = |class, name: Option<&str>| {
        statement(class, Body::PersistentSetting { name: name.map(Into::into), value: None })
    };
    let facts = fake(Vec::new());
    for name in [
        "migration_guard.mode",
        "MIGRATION_GUARD.AUTO_SNAPSHOT",
        "event_triggers",
        "session_preload_libraries",
        "session_replication_role",
    ] {
        assert_eq!(found(&set(Class::AlterRoleSetStmt, Some(name)), &facts).len(), 1, "{name}");
    }
    assert_eq!(found(&set(Class::AlterDatabaseSetStmt, Some("work_mem")), &facts), []);
    assert_eq!(found(&set(Class::AlterRoleSetStmt, None), &facts), []);
    assert_eq!(found(&set(Class::AlterSystemStmt, None), &facts).len(), 1);
    // The line that status() gives to load the guard is no tampering; one without the guard is.
    let preload = |libraries: &str| {
        let body = Body::PersistentSetting {
            name: Some("session_preload_libraries".into()),
            value: Some(libraries.into()),
        };
        found(&statement(Class::AlterDatabaseSetStmt, body), &facts).len()
    };
    assert_eq!((preload("migration_guard"), preload("auto_explain")), (0, 1));
}
