//! What the approval room says.

/// A token for a role that does not exist.
pub fn no_such_role(role: &str) -> String {
    format!("role \"{role}\" does not exist")
}

/// A token that would have expired when it is issued.
pub const VALID_FOR_NOTHING: &str = "valid_for must be longer than nothing";

/// A token that would allow nothing.
pub const EMPTY_SCOPE: &str = "a token needs at least one rule and one object pattern";

/// A token for a rule that does not exist.
pub fn no_such_rule(rule: &str) -> String {
    format!("there is no rule \"{rule}\"")
}

/// Where the rules are listed.
pub const NO_SUCH_RULE_HINT: &str = "SELECT rule, summary FROM migration_guard.rules;";

/// A token for an object pattern that matches nothing.
pub const EMPTY_PATTERN: &str = "an object pattern must not be empty";

/// A token for no use, or for too many.
pub fn uses_out_of_range(most: i32) -> String {
    format!("max_uses must be between 1 and {most}")
}

/// An approval that is not there, or was revoked before.
pub fn not_revocable(id: i64) -> String {
    format!("there is no approval {id} that could be revoked")
}

/// Where the approvals are listed.
pub const NOT_REVOCABLE_HINT: &str =
    "SELECT id, reason, revoked_at FROM migration_guard.approvals;";

/// A presented token cannot be used; the DETAIL is [`super::token_refused`].
pub const TOKEN_DOES_NOT_HELP: &str = "the token does not help";

/// Who has a better one.
pub const TOKEN_DOES_NOT_HELP_HINT: &str = "Ask an administrator for one: SELECT migration_guard.issue_token(rules => ARRAY['drop-table'], objects => ARRAY['public.orders']);";

/// The server could make no token.
pub const NO_RANDOM_BYTES: &str = "the server's random source gave no bytes";
