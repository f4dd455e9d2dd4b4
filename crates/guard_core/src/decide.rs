//! From findings to a verdict.

use crate::policy::{self, Action, Subject};
use crate::rules::Finding;

/// How the guard acts on its verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A verdict is carried out.
    Enforce,
    /// What would have been stopped runs, with a WARNING of the same wording.
    Warn,
    /// What would have been stopped runs and is recorded.
    Observe,
    /// The guard does nothing but record guard-tamper.
    Off,
}

/// Who acts, for the policy.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Actor<'a> {
    pub session_role: &'a str,
    pub application: &'a str,
    pub superuser: bool,
    /// Microseconds, on the scale of the policy rows.
    pub now: i64,
}

/// A finding with the action that the policy gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Judged {
    pub finding: Finding,
    pub action: Action,
}

/// Gives every finding its action; the verdict of the statement is the strictest of them.
pub fn judge(findings: Vec<Finding>, rows: &[policy::Row], actor: &Actor) -> Vec<Judged> {
    findings
        .into_iter()
        .map(|finding| {
            let subject = Subject {
                rule: finding.rule.id,
                object: &finding.object,
                table: finding.table.as_deref(),
                session_role: actor.session_role,
                application: actor.application,
                bytes: finding.bytes,
                now: actor.now,
            };
            let mut action = policy::action(rows, &subject, finding.rule.standard);
            // guard-tamper is refused to everyone but a superuser, who needs a token for it; no
            // row of the policy can open it further.
            if finding.rule.id == "guard-tamper" {
                action = if actor.superuser { Action::RequireApproval } else { Action::Deny };
            }
            Judged { finding, action }
        })
        .collect()
}

/// The strictest action; `Allow` for a statement without findings.
pub fn verdict(judged: &[Judged]) -> Action {
    judged.iter().map(|j| j.action).max().unwrap_or(Action::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule;

    fn finding(id: &str) -> Finding {
        Finding {
            rule: rule(id).unwrap(),
            object: "public.t".into(),
            table: None,
            message: String::new(),
            detail: None,
            bytes: 0,
            visible: true,
        }
    }

    #[test]
    fn the_strictest_action_is_the_verdict() {
        let actor = Actor { session_role: "app", application: "", superuser: false, now: 0 };
        let judged = judge(vec![finding("drop-table"), finding("guard-tamper")], &[], &actor);
        assert_eq!(judged[0].action, Action::RequireApproval);
        assert_eq!(verdict(&judged), Action::Deny);
        assert_eq!(verdict(&[]), Action::Allow);
    }

    #[test]
    fn no_policy_row_opens_guard_tamper() {
        let row = policy::Row {
            id: 1,
            rule: "*".into(),
            object_pattern: "*".into(),
            role_name: None,
            application_pattern: None,
            min_bytes: None,
            active_from: None,
            active_until: None,
            action: Action::Allow,
        };
        for (superuser, expected) in [(true, Action::RequireApproval), (false, Action::Deny)] {
            let actor = Actor { session_role: "x", application: "", superuser, now: 0 };
            let judged = judge(vec![finding("guard-tamper")], std::slice::from_ref(&row), &actor);
            assert_eq!(verdict(&judged), expected);
        }
    }
}
