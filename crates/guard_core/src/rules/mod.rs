//! The rules: which tests exist, and what they find in a statement.

mod destructive;
mod tamper;

use crate::loss::Loss;
use crate::policy::Action;
use crate::statement::Statement;

/// How bad it would be; a later one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// No rule fired.
    Safe,
    /// Worth knowing.
    Caution,
    /// Worth a second pair of eyes.
    Review,
    /// Data or definitions are lost.
    Destructive,
}

impl Risk {
    /// As it stands in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Risk::Safe => "safe",
            Risk::Caution => "caution",
            Risk::Review => "review",
            Risk::Destructive => "destructive",
        }
    }
}

/// A named risk test.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable, kebab-case; it appears in findings, policy, history and approvals.
    pub id: &'static str,
    /// The group that it is documented under.
    pub family: &'static str,
    /// How bad.
    pub risk: Risk,
    /// The action in the preset `standard`.
    pub standard: Action,
    /// The action in the preset `strict`.
    pub strict: Action,
    /// When it fires, in one sentence.
    pub summary: &'static str,
    /// What to do instead.
    pub safer_way: &'static str,
}

const fn destructive(id: &'static str, summary: &'static str, safer_way: &'static str) -> Rule {
    Rule {
        id,
        family: "destructive",
        risk: Risk::Destructive,
        standard: Action::RequireApproval,
        strict: Action::RequireApproval,
        summary,
        safer_way,
    }
}

/// Every rule of this release.
pub static RULES: &[Rule] = &[
    destructive(
        "drop-table",
        "DROP TABLE: each table that is named or that a cascade takes, foreign tables too",
        "rename it first, wait until nobody misses it, then drop it under a token",
    ),
    destructive(
        "drop-column",
        "ALTER TABLE ... DROP COLUMN, or a column that a cascade takes",
        "stop reading and writing the column first, then drop it under a token",
    ),
    destructive(
        "drop-schema",
        "DROP SCHEMA with contents",
        "move or drop the contents one by one, each under its own review",
    ),
    destructive(
        "drop-owned",
        "DROP OWNED BY",
        "REASSIGN OWNED BY keeps the objects under another owner",
    ),
    destructive(
        "drop-cascade",
        "CASCADE takes more than the named objects and their own parts",
        "drop the dependents by name, so that the review sees them",
    ),
    destructive(
        "truncate",
        "TRUNCATE of a table with rows, each partition and each table that CASCADE reaches",
        "delete in batches with a WHERE, or detach the partition",
    ),
    destructive(
        "delete-without-where",
        "DELETE that can remove every row of a table",
        "add a WHERE that names the rows",
    ),
    destructive(
        "update-without-where",
        "UPDATE that can change every row of a table",
        "add a WHERE that names the rows, and work in batches",
    ),
    Rule {
        id: "guard-tamper",
        family: "destructive",
        risk: Risk::Destructive,
        standard: Action::Deny,
        strict: Action::Deny,
        summary: "disabling, altering or dropping what the guard is made of",
        safer_way: "SELECT migration_guard.disable() by a superuser",
    },
];

/// A token that lists this rule literally lets a destructive statement run without a snapshot.
pub const NO_SNAPSHOT: &str = "no-snapshot";

/// The rule of this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|r| r.id == id)
}

/// A rule that fired on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The object, fully qualified and quoted.
    pub object: String,
    /// The table that the object belongs to, if it is not one.
    pub table: Option<String>,
    /// What happens, in one sentence.
    pub message: String,
    /// What would be lost, with numbers and names.
    pub detail: Option<String>,
    /// Bytes of the object, for size conditions of the policy.
    pub bytes: u64,
    /// May the object's name be shown to the caller?
    pub visible: bool,
}

/// What the classifier may ask about the database. Answers are computed when they are asked for.
pub trait Facts {
    /// What the statement would destroy.
    fn loss(&self, statement: &Statement) -> Loss;
    /// The guard's own object that the statement is aimed at, if it is.
    fn guard_subject(&self, statement: &Statement) -> Option<String>;
}

/// All findings of a statement, and what it would destroy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Classified {
    /// One per rule and object.
    pub findings: Vec<Finding>,
    /// What would go; the orchestrator keeps it before the statement runs.
    pub loss: Loss,
}

impl Classified {
    /// The worst risk of the findings.
    pub fn risk(&self) -> Risk {
        self.findings.iter().map(|f| f.rule.risk).max().unwrap_or(Risk::Safe)
    }
}

/// Tests every rule on a statement.
pub fn classify(statement: &Statement, facts: &dyn Facts) -> Classified {
    let loss =
        if destructive::may_destroy(statement) { facts.loss(statement) } else { Loss::default() };
    if loss.refused {
        return Classified { findings: Vec::new(), loss };
    }
    let mut findings = tamper::findings(statement, &loss, facts);
    if findings.is_empty() {
        findings = destructive::findings(statement, &loss);
    }
    Classified { findings, loss }
}
