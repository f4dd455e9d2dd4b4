//! Thin SQL functions: check the arguments, call a room.

mod approvals;
mod guarding;
mod migrations;
mod snapshots;

use crate::error::{GuardError, Result};
use crate::pg::session;
use crate::settings;
use guard_core::text::api as text;

pgrx::extension_sql_file!("../../sql/bootstrap.sql", name = "bootstrap", bootstrap);
pgrx::extension_sql_file!("../../sql/finish.sql", name = "finish", finalize);

/// A superuser, or a member of the role that `migration_guard.admin_role` names. The session user
/// counts: a SECURITY DEFINER function of a superuser makes nobody an administrator.
pub fn is_administrator() -> bool {
    let user = session::session_user();
    session::is_superuser(user)
        || settings::admin_role().is_some_and(|role| session::has_rights_of(user, &role))
}

fn require_administrator(what: &str) -> Result<()> {
    if is_administrator() {
        return Ok(());
    }
    Err(GuardError::denied(text::administrators_only(what)).detail(text::ADMINISTRATORS))
}

fn require_superuser(what: &str) -> Result<()> {
    if session::is_superuser(session::current_user()) {
        return Ok(());
    }
    Err(GuardError::denied(text::superusers_only(what)))
}

/// An argument that may not be NULL.
fn given<T>(argument: Option<T>, name: &str) -> Result<T> {
    argument.ok_or_else(|| {
        GuardError::new(
            pgrx::PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            text::must_not_be_null(name),
        )
    })
}
