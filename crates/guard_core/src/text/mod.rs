//! Every sentence that a user reads, one module per room.

pub mod api;
pub mod approval;
pub mod history;
pub mod policy;
pub mod snapshot;
pub mod status;

use crate::approval::Refusal;
use crate::decide::Judged;
use crate::loss::{Kind, Object, Rows};
use crate::policy::Action;
use crate::statement::literal;

/// How many objects a DETAIL names before it says how many more there are.
const NAMED_AT_MOST: usize = 20;

/// Stands for objects whose names the caller may not know.
const HIDDEN: &str = "(others)";

/// A size as a person reads it.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 10240 && unit + 1 < UNITS.len() {
        value = value.div_ceil(1024);
        unit += 1;
    }
    format!("{value} {}", UNITS[unit])
}

/// A number of rows as a person reads it.
pub fn rows(rows: Rows) -> String {
    match rows {
        Rows::Exactly(0) => "no rows".into(),
        Rows::Exactly(1) => "1 row".into(),
        Rows::Exactly(n) => format!("{n} rows"),
        Rows::About(n) => format!("about {n} rows"),
        Rows::Unknown => "an unknown number of rows".into(),
    }
}

/// What a rule says of one object.
pub fn lost(rule: &str, object: &str) -> String {
    match rule {
        "drop-table" => format!("table {object} would be dropped"),
        "drop-column" => format!("column {object} would be dropped"),
        "drop-schema" => format!("schema {object} would be dropped with its contents"),
        "drop-owned" => format!("everything that {object} owns would be dropped"),
        "truncate" => format!("table {object} would be emptied"),
        "delete-without-where" => format!("every row of {object} could be deleted"),
        "update-without-where" => format!("every row of {object} could be changed"),
        _ => format!("{object} would be lost"),
    }
}

/// guard-tamper.
pub fn tamper(command: &str, object: &str) -> String {
    format!("{command} would weaken the guard itself: {object}")
}

/// drop-cascade.
pub fn cascade(object: &str, more: usize) -> String {
    let things = if more == 1 { "1 more object".into() } else { format!("{more} more objects") };
    format!("CASCADE from {object} would take {things}")
}

/// An object's name, if the caller may know it.
pub fn name(object: &Object) -> String {
    if object.visible { object.identity.clone() } else { unnamed(&object.type_name) }
}

fn unnamed(type_name: &str) -> String {
    format!("(a {type_name} that you may not read)")
}

/// An object with its figures, as a list item.
pub fn object_lost(object: &Object) -> String {
    if !object.visible {
        return unnamed(&object.type_name);
    }
    let name = format!("{} {}", object.type_name, object.identity);
    match object.rows {
        // The parent of partitions has no rows of its own; its partitions are listed themselves.
        Some(_) if object.kind == Kind::PartitionedTable => name,
        Some(count) => format!("{name} ({}, {})", rows(count), size(object.bytes)),
        None => name,
    }
}

/// A list of objects with their figures.
pub fn list(objects: &[&Object]) -> String {
    let mut items: Vec<String> =
        objects.iter().take(NAMED_AT_MOST).map(|o| object_lost(o)).collect();
    if objects.len() > NAMED_AT_MOST {
        items.push(format!("and {} more", objects.len() - NAMED_AT_MOST));
    }
    items.join(", ")
}

/// The three parts of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal3 {
    /// What was stopped, and on what.
    pub message: String,
    /// What would have been lost.
    pub detail: String,
    /// The exact next statement to type.
    pub hint: String,
}

/// A statement is stopped. `token` says why a presented token did not help.
pub fn blocked(
    command: &str,
    judged: &[Judged],
    token: Option<&str>,
    session_role: &str,
) -> Refusal3 {
    let stopped: Vec<&Judged> =
        judged.iter().filter(|j| j.action >= Action::RequireApproval).collect();
    let denied = stopped.iter().any(|j| j.action == Action::Deny);
    let mut rules: Vec<&str> = Vec::new();
    let mut objects: Vec<&str> = Vec::new();
    for j in &stopped {
        if !rules.contains(&j.finding.rule.id) {
            rules.push(j.finding.rule.id);
        }
        let object = if j.finding.visible { j.finding.object.as_str() } else { HIDDEN };
        if !objects.contains(&object) {
            objects.push(object);
        }
    }
    let on = match objects.as_slice() {
        [] => String::new(),
        [one] => format!(" on {one}"),
        [first, rest @ ..] => format!(" on {first} and {} more", rest.len()),
    };
    let verdict = if denied { "is denied by policy" } else { "needs an approved token" };
    let mut detail: Vec<String> = stopped
        .iter()
        .take(NAMED_AT_MOST)
        .map(|j| {
            let detail = j.finding.detail.as_ref().map(|d| format!(" [{d}]")).unwrap_or_default();
            format!("{}: {}{detail}.", j.finding.rule.id, j.finding.message)
        })
        .collect();
    if stopped.len() > NAMED_AT_MOST {
        detail.push(format!("And {} more findings.", stopped.len() - NAMED_AT_MOST));
    }
    if let Some(token) = token {
        detail.push(token.to_string());
    }
    let hint = if denied && rules == ["guard-tamper"] {
        "Only a superuser with a token for guard-tamper may change the guard.".to_string()
    } else if denied {
        format!(
            "A superuser can look at the rule with: SELECT * FROM migration_guard.policy WHERE rule IN ('*', {});",
            rules.iter().map(|r| literal(r)).collect::<Vec<_>>().join(", ")
        )
    } else {
        issue_token_hint(&rules, &objects, session_role)
    };
    Refusal3 {
        message: format!(
            "migration_guard stopped {command}{on}: it {verdict} ({})",
            rules.join(", ")
        ),
        detail: detail.join("\n"),
        hint,
    }
}

fn issue_token_hint(rules: &[&str], objects: &[&str], session_role: &str) -> String {
    let array = |items: &[&str]| items.iter().map(|i| literal(i)).collect::<Vec<_>>().join(", ");
    let all = objects.len() > NAMED_AT_MOST || objects.contains(&HIDDEN);
    let objects = if all { array(&["*"]) } else { array(objects) };
    format!(
        "An administrator can allow it with: SELECT migration_guard.issue_token(rules => ARRAY[{}], objects => ARRAY[{}], for_role => {}, reason => '...'); then run it again after: SET migration_guard.token = 'mg_...';",
        array(rules),
        objects,
        literal(session_role),
    )
}

/// Why a token does not help. Says nothing of any other token.
pub fn token_refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "The token is malformed: it reads mg_ and 43 characters.",
        Refusal::Unknown => "The token is unknown in this database.",
        Refusal::Revoked => "The token was revoked.",
        Refusal::Expired => "The token has expired.",
        Refusal::UsedUp => "The token is used up.",
        Refusal::InUse => "The last use of the token is being taken by another transaction.",
        Refusal::OtherRole => "The token was issued for another role.",
        Refusal::OtherRule => "The token was issued for other rules.",
        Refusal::OtherObject => "The token was issued for other objects.",
    }
}

/// A table or column went that the classifier had not seen coming.
pub fn unforeseen(command: &str, objects: &[String]) -> Refusal3 {
    Refusal3 {
        message: format!("migration_guard stopped {command}: it drops more than was approved"),
        detail: format!("Dropped without approval: {}.", objects.join(", ")),
        hint: "Drop these by name in statements of their own, so that they can be approved.".into(),
    }
}

/// A finding that the policy only warns of.
pub fn warned(message: &str, rule: &str) -> String {
    format!("migration_guard: {message} ({rule})")
}

/// One finding in the line that the server log gets.
pub fn logged_finding(rule: &str, object: &str) -> String {
    format!("{rule} {object}")
}

/// The line that the server log gets of a statement that was stopped. `statement` is its text, if
/// the settings allow any of it.
pub fn logged_refusal(
    command: &str,
    session_role: &str,
    findings: &[String],
    statement: Option<&str>,
) -> String {
    format!(
        "migration_guard: blocked {command} by {session_role}: {}; statement: {}",
        findings.join(", "),
        statement.unwrap_or("(not kept)"),
    )
}

/// Someone else than the guard writes to one of its tables.
pub fn protected_table(table: &str) -> String {
    format!("table {table} is written by migration_guard only")
}

/// What to use instead.
pub const PROTECTED_TABLE_HINT: &str = "Use the functions of the schema migration_guard.";

/// The function of a trigger is called by hand.
pub const ONLY_AS_TRIGGER: &str = "this function can only be called as a trigger";

/// The function of an event trigger is called by hand.
pub const ONLY_AS_EVENT_TRIGGER: &str = "this function can only be called as an event trigger";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Finding, rule};

    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 bytes"), (8192, "8192 bytes"), (16384, "16 kB"), (166 << 20, "166 MB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert!(size(u64::MAX).ends_with(" TB"));
    }

    fn judged(id: &str, object: &str, action: Action) -> Judged {
        Judged {
            finding: Finding {
                rule: rule(id).unwrap(),
                object: object.into(),
                table: None,
                message: lost(id, object),
                detail: Some("table public.o'rders (3 rows, 24 kB)".into()),
                bytes: 0,
                visible: true,
            },
            action,
        }
    }

    #[test]
    fn a_refusal_names_the_next_statement() {
        let r = blocked(
            "DROP TABLE",
            &[judged("drop-table", "public.o'rders", Action::RequireApproval)],
            None,
            "app",
        );
        assert_eq!(
            r.message,
            "migration_guard stopped DROP TABLE on public.o'rders: it needs an approved token (drop-table)"
        );
        assert!(r.detail.contains("3 rows, 24 kB"));
        assert!(r.hint.contains("issue_token(rules => ARRAY['drop-table'], objects => ARRAY['public.o''rders'], for_role => 'app'"));
    }

    #[test]
    fn a_denial_offers_no_token() {
        let r = blocked("DROP TABLE", &[judged("drop-table", "t", Action::Deny)], None, "app");
        assert!(r.message.contains("is denied by policy"));
        assert!(!r.hint.contains("issue_token"));
    }

    #[test]
    fn hidden_names_stay_hidden() {
        let mut hidden = judged("drop-table", "secret.plans", Action::RequireApproval);
        hidden.finding.visible = false;
        hidden.finding.message = String::new();
        let r = blocked("DROP SCHEMA", &[hidden], None, "app");
        assert!(!format!("{r:?}").contains("plans"), "{r:?}");
        assert!(r.hint.contains("objects => ARRAY['*']"));
    }

    #[test]
    fn a_thousand_findings_stay_readable() {
        let many: Vec<Judged> = (0..1000)
            .map(|i| judged("drop-table", &format!("public.t{i}"), Action::RequireApproval))
            .collect();
        let r = blocked("DROP TABLE", &many, None, "app");
        assert!(r.detail.contains("And 980 more findings."));
        assert!(r.detail.len() < 4000 && r.hint.len() < 1000);
    }
}
