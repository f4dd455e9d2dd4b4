//! What the SQL functions say of their callers and arguments.

/// A function for administrators; `what` is one of the deeds below.
pub fn administrators_only(what: &str) -> String {
    format!("only an administrator may {what}")
}

/// Who is an administrator.
pub const ADMINISTRATORS: &str = "Administrators are superusers and the members of the role that migration_guard.admin_role names.";

/// A function for superusers; `what` is one of the deeds below.
pub fn superusers_only(what: &str) -> String {
    format!("only a superuser may {what}")
}

/// issue_token.
pub const ISSUE_A_TOKEN: &str = "issue a token";

/// revoke.
pub const REVOKE_AN_APPROVAL: &str = "revoke an approval";

/// enable.
pub const ENABLE: &str = "enable the guard";

/// disable.
pub const DISABLE: &str = "disable the guard";

/// An argument that must not be NULL.
pub fn must_not_be_null(argument: &str) -> String {
    format!("{argument} must not be NULL")
}

/// The comment on an event trigger of the guard.
pub fn event_trigger_comment(event: &str) -> String {
    format!("migration_guard: {event}")
}
