//! issue_token, use_token, revoke.

use super::{given, require_administrator};
use crate::approval;
use crate::error::GuardError;
use guard_core::text::api as text;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

fn texts(array: Option<Vec<Option<String>>>, name: &str) -> Result<Vec<String>, GuardError> {
    given(array, name)?.into_iter().map(|item| given(item, name)).collect()
}

#[pg_extern(volatile, parallel_unsafe)]
fn issue_token(
    rules: Option<Vec<Option<String>>>,
    objects: default!(Option<Vec<Option<String>>>, "'{*}'"),
    for_role: default!(Option<String>, "NULL"),
    valid_for: default!(Option<Interval>, "'1 hour'"),
    max_uses: default!(Option<i32>, "1"),
    reason: default!(Option<String>, "NULL"),
) -> Result<String, ErrorReport> {
    require_administrator(text::ISSUE_A_TOKEN)?;
    Ok(approval::issue(
        &texts(rules, "rules")?,
        &texts(objects, "objects")?,
        for_role.as_deref(),
        given(valid_for, "valid_for")?,
        given(max_uses, "max_uses")?,
        reason.as_deref(),
    )?)
}

#[pg_extern(volatile, parallel_unsafe)]
fn use_token(token: Option<String>) -> Result<(), ErrorReport> {
    Ok(approval::present(&given(token, "token")?)?)
}

#[pg_extern(volatile, parallel_unsafe)]
fn revoke(request_id: Option<i64>, reason: Option<String>) -> Result<(), ErrorReport> {
    require_administrator(text::REVOKE_AN_APPROVAL)?;
    Ok(approval::revoke(given(request_id, "request_id")?, &given(reason, "reason")?)?)
}
