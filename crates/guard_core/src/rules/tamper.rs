//! The guard against being switched off by the statement it should judge.

use super::{Facts, Finding, rule};
use crate::loss::Loss;
use crate::statement::{Body, Class, EventTriggerState, Statement};
use crate::text;

/// Settings that may not be made permanent without the guard's leave.
const PROTECTED_SETTINGS: &[&str] = &[
    "migration_guard.mode",
    "migration_guard.auto_snapshot",
    "shared_preload_libraries",
    "session_preload_libraries",
    "local_preload_libraries",
    "event_triggers",
    "session_replication_role",
];

pub(super) fn findings(statement: &Statement, loss: &Loss, facts: &dyn Facts) -> Vec<Finding> {
    let Some(rule) = rule("guard-tamper") else { return Vec::new() };
    let finding = |object: String| Finding {
        rule,
        message: text::tamper(&statement.command, &object),
        detail: None,
        object,
        table: None,
        bytes: 0,
        visible: true,
    };
    if let Some(object) = loss.objects.iter().find(|o| o.guard) {
        return vec![finding(object.identity.clone())];
    }
    match &statement.body {
        // The lines that `status()` gives to mend a database.
        Body::PersistentSetting { name: Some(name), value: Some(value) } if mends(name, value) => {
            Vec::new()
        }
        Body::PersistentSetting { name, .. } => match name.as_deref() {
            Some(name) if PROTECTED_SETTINGS.iter().any(|p| p.eq_ignore_ascii_case(name)) => {
                vec![finding(name.to_ascii_lowercase())]
            }
            // RESET ALL takes every setting back. For a role or a database the catalog knows
            // whether the guard's preload is among them; for the system it always counts.
            None if statement.class == Class::AlterSystemStmt => vec![finding("ALL".into())],
            None => facts.guard_subject(statement).map(finding).into_iter().collect(),
            Some(_) => Vec::new(),
        },
        // Switching a trigger on, and what pg_dump writes about one, takes nothing away.
        Body::AlterEventTrigger {
            state: EventTriggerState::Always | EventTriggerState::Enabled,
            ..
        } => Vec::new(),
        _ if harmless_to_the_guard(statement.class) => Vec::new(),
        _ => facts.guard_subject(statement).map(finding).into_iter().collect(),
    }
}

/// Does the setting switch the guard on, or to its strictest?
fn mends(name: &str, value: &str) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "migration_guard.mode" => value.eq_ignore_ascii_case("enforce"),
        "migration_guard.auto_snapshot" | "event_triggers" => {
            ["on", "true", "yes", "1"].iter().any(|on| value.eq_ignore_ascii_case(on))
        }
        name if name.ends_with("_preload_libraries") => loads_the_guard(value),
        _ => false,
    }
}

fn loads_the_guard(libraries: &str) -> bool {
    libraries.split(',').any(|library| {
        let library = library.trim().trim_matches('"');
        library == "migration_guard" || library == "$libdir/migration_guard"
    })
}

/// Comments and labels change nothing; an update of the extension needs its owner and mends; rights on the guard's tables are not enough to write them
/// (their triggers refuse); an event trigger can only belong to a superuser.
fn harmless_to_the_guard(class: Class) -> bool {
    matches!(
        class,
        Class::CommentStmt
            | Class::SecLabelStmt
            | Class::GrantStmt
            | Class::AlterOwnerStmt
            | Class::AlterExtensionStmt
    )
}
