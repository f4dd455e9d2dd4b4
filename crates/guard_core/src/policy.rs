//! Which action applies to a finding: the most specific row of the policy wins.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What happens to a statement with a finding; a later one is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It runs and is recorded; nothing is kept for undo.
    Allow,
    /// It runs, is recorded, and the client sees a WARNING.
    Warn,
    /// It runs only with a valid token.
    RequireApproval,
    /// It does not run.
    Deny,
}

impl Action {
    /// As it stands in the policy table and in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Warn => "warn",
            Action::RequireApproval => "require_approval",
            Action::Deny => "deny",
        }
    }
}

impl FromStr for Action {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "allow" => Ok(Action::Allow),
            "warn" => Ok(Action::Warn),
            "require_approval" => Ok(Action::RequireApproval),
            "deny" => Ok(Action::Deny),
            other => Err(other.to_string()),
        }
    }
}

/// Does `pattern` match `text`? `*` stands for any characters, everything else for itself.
/// Linear in the product of the lengths at worst; no recursion.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let (mut pi, mut ti) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while ti < t.len() {
        if pi < p.len() && p[pi] == b'*' {
            star = Some((pi, ti));
            pi += 1;
        } else if pi < p.len() && p[pi] == t[ti] {
            pi += 1;
            ti += 1;
        } else if let Some((sp, st)) = star {
            pi = sp + 1;
            ti = st + 1;
            star = Some((sp, st + 1));
        } else {
            return false;
        }
    }
    p[pi..].iter().all(|b| *b == b'*')
}

/// Does `pattern` cover the object, itself or as part of its table?
pub fn covers(pattern: &str, object: &str, table: Option<&str>) -> bool {
    matches(pattern, object) || table.is_some_and(|table| matches(pattern, table))
}

/// One row of the policy table. `None` and `*` mean "any".
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Row {
    pub id: i64,
    pub rule: String,
    pub object_pattern: String,
    pub role_name: Option<String>,
    pub application_pattern: Option<String>,
    pub min_bytes: Option<i64>,
    /// Microseconds since an epoch that `Subject::now` shares.
    pub active_from: Option<i64>,
    pub active_until: Option<i64>,
    pub action: Action,
}

/// What a row is matched against.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Subject<'a> {
    pub rule: &'a str,
    pub object: &'a str,
    pub table: Option<&'a str>,
    pub session_role: &'a str,
    pub application: &'a str,
    pub bytes: u64,
    pub now: i64,
}

impl Row {
    fn applies(&self, s: &Subject) -> bool {
        (self.rule == "*" || self.rule == s.rule)
            && covers(&self.object_pattern, s.object, s.table)
            && self.role_name.as_deref().is_none_or(|r| r == "*" || r == s.session_role)
            && self.application_pattern.as_deref().is_none_or(|a| matches(a, s.application))
            && self.min_bytes.is_none_or(|b| u64::try_from(b).is_ok_and(|b| s.bytes >= b))
            && self.active_from.is_none_or(|t| t <= s.now)
            && self.active_until.is_none_or(|t| s.now < t)
    }

    /// Rule, then object (a literal, then the longest pattern), role, application, `min_bytes`,
    /// window.
    fn specificity(&self) -> (bool, (bool, usize), bool, bool, i64, bool) {
        let literal = !self.object_pattern.contains('*');
        (
            self.rule != "*",
            (literal, self.object_pattern.chars().filter(|c| *c != '*').count()),
            self.role_name.as_deref().is_some_and(|r| r != "*"),
            self.application_pattern.as_deref().is_some_and(|a| a != "*"),
            self.min_bytes.unwrap_or(-1),
            self.active_from.is_some() || self.active_until.is_some(),
        )
    }

    /// The client chooses its application name, so a row that names one may only tighten.
    fn names_application(&self) -> bool {
        self.application_pattern.as_deref().is_some_and(|a| a != "*")
    }
}

/// The action for a finding: of the rows that apply the most specific, on a tie the strictest;
/// `fallback` when none applies.
pub fn action(rows: &[Row], subject: &Subject, fallback: Action) -> Action {
    let best = |rows: &mut dyn Iterator<Item = &Row>| {
        rows.max_by_key(|r| (r.specificity(), r.action)).map(|r| r.action)
    };
    let base = best(&mut rows.iter().filter(|r| !r.names_application() && r.applies(subject)))
        .unwrap_or(fallback);
    let with_application =
        best(&mut rows.iter().filter(|r| r.applies(subject))).unwrap_or(fallback);
    base.max(with_application)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rule: &str, object: &str, action: Action) -> Row {
        Row {
            id: 0,
            rule: rule.into(),
            object_pattern: object.into(),
            role_name: None,
            application_pattern: None,
            min_bytes: None,
            active_from: None,
            active_until: None,
            action,
        }
    }

    fn subject<'a>(rule: &'a str, object: &'a str) -> Subject<'a> {
        Subject {
            rule,
            object,
            table: None,
            session_role: "app",
            application: "psql",
            bytes: 10,
            now: 100,
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("public.*", "public.orders", true),
            ("public.*", "publicity.orders", false),
            ("*.orders", "sales.orders", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
            ("", "", true),
            ("", "x", false),
            ("*a*a*a*a*b", &"a".repeat(3000), false),
            ("pub_ic.t", "public.t", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(covers("public.users", "public.users.email", Some("public.users")));
        assert!(!covers("public.user", "public.users.email", Some("public.users")));
    }

    #[test]
    fn the_most_specific_row_wins() {
        use Action::*;
        let rows = [
            row("*", "*", Deny),
            row("drop-table", "*", RequireApproval),
            row("drop-table", "scratch.*", Warn),
            row("drop-table", "scratch.tmp", Allow),
        ];
        for (rule, object, expected) in [
            ("truncate", "public.t", Deny),
            ("drop-table", "public.t", RequireApproval),
            ("drop-table", "scratch.x", Warn),
            ("drop-table", "scratch.tmp", Allow),
        ] {
            assert_eq!(action(&rows, &subject(rule, object), Allow), expected, "{rule} {object}");
        }
        assert_eq!(action(&[], &subject("truncate", "t"), Warn), Warn);
    }

    #[test]
    fn on_a_tie_the_strictest() {
        let rows = [row("truncate", "a*", Action::Allow), row("truncate", "*a", Action::Deny)];
        assert_eq!(action(&rows, &subject("truncate", "aa"), Action::Warn), Action::Deny);
    }

    #[test]
    fn an_application_name_can_only_tighten() {
        let mut loose = row("drop-table", "*", Action::Allow);
        loose.application_pattern = Some("psql".into());
        let rows = [row("drop-table", "*", Action::RequireApproval), loose];
        assert_eq!(
            action(&rows, &subject("drop-table", "t"), Action::Warn),
            Action::RequireApproval
        );
        let mut tight = row("drop-table", "*", Action::Deny);
        tight.application_pattern = Some("ps*".into());
        let rows = [row("drop-table", "*", Action::Allow), tight];
        assert_eq!(action(&rows, &subject("drop-table", "t"), Action::Warn), Action::Deny);
    }

    #[test]
    fn windows_sizes_and_roles() {
        let mut r = row("drop-table", "*", Action::Deny);
        r.active_from = Some(50);
        r.active_until = Some(100);
        assert_eq!(action(&[r.clone()], &subject("drop-table", "t"), Action::Warn), Action::Warn);
        r.active_until = Some(101);
        assert_eq!(action(&[r.clone()], &subject("drop-table", "t"), Action::Warn), Action::Deny);
        r.min_bytes = Some(11);
        assert_eq!(action(&[r.clone()], &subject("drop-table", "t"), Action::Warn), Action::Warn);
        r.min_bytes = Some(10);
        r.role_name = Some("other".into());
        assert_eq!(action(&[r], &subject("drop-table", "t"), Action::Warn), Action::Warn);
    }
}
