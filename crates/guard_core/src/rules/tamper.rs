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
        // The line that `status()` gives to a database without preload.
        Body::PersistentSetting { value: Some(libraries), .. } if loads_the_guard(libraries) => {
            Vec::new()
        }
        Body::PersistentSetting { name, .. } => match name.as_deref() {
            Some(name) if PROTECTED_SETTINGS.iter().any(|p| p.eq_ignore_ascii_case(name)) => {
                vec![finding(name.to_ascii_lowercase())]
            }
            // RESET ALL takes every setting back, the guard's among them. For a role or a
            // database nothing of the guard's need be there; ALTER SYSTEM RESET ALL always counts.
            None if statement.class == Class::AlterSystemStmt => vec![finding("ALL".into())],
            _ => Vec::new(),
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

fn loads_the_guard(libraries: &str) -> bool {
    libraries.split(',').any(|library| {
        let library = library.trim().trim_matches('"');
        library == "migration_guard" || library == "$libdir/migration_guard"
    })
}

/// Comments and labels change nothing; rights on the guard's tables are not enough to write them
/// (their triggers refuse); an event trigger can only belong to a superuser.
fn harmless_to_the_guard(class: Class) -> bool {
    matches!(
        class,
        Class::CommentStmt | Class::SecLabelStmt | Class::GrantStmt | Class::AlterOwnerStmt
    )
}
