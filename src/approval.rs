//! The room of approvals: tokens are issued, presented, matched and used up here.

use crate::error::{GuardError, Result};
use crate::pg::{random, session, xact};
use crate::settings;
use guard_core::approval::{Approval, Refusal, is_well_formed, token_from_bytes, token_hash};
use guard_core::rules::{Finding, NO_SNAPSHOT, RULES};
use guard_core::text::{self, approval as say};
use pgrx::prelude::*;
use std::cell::RefCell;

pgrx::extension_sql_file!("../sql/approval.sql", name = "approval", requires = ["bootstrap"]);

thread_local! {
    /// Tokens presented with `use_token` in this transaction, with their transaction nest level.
    static PRESENTED: RefCell<Vec<(String, i32)>> = const { RefCell::new(Vec::new()) };
}

/// What a set of tokens allowed.
pub struct Approved {
    pub approvals: Vec<i64>,
    /// One of them lists `no-snapshot`.
    pub without_snapshot: bool,
}

/// Forgets tokens presented at this transaction nest level or deeper.
pub fn forget(nest_level: i32) {
    PRESENTED.with_borrow_mut(|p| p.retain(|(_, level)| *level < nest_level));
}

/// A subtransaction was released into its parent.
pub fn merge_into(parent: i32) {
    PRESENTED
        .with_borrow_mut(|p| p.iter_mut().for_each(|(_, level)| *level = (*level).min(parent)));
}

/// Issues a token. The caller's right to do so was checked.
pub fn issue(
    rules: &[String],
    objects: &[String],
    for_role: Option<&str>,
    valid_for: pgrx::datum::Interval,
    max_uses: i32,
    reason: Option<&str>,
) -> Result<String> {
    check_scope(rules, objects, max_uses)?;
    if let Some(role) = for_role
        && !role_exists(role)?
    {
        return Err(GuardError::unknown(say::no_such_role(role)));
    }
    let token = token_from_bytes(&random::bytes()?);
    let issued = session::as_guard(|| {
        Spi::connect_mut(|client| {
            let row = client.update(
                "INSERT INTO migration_guard.approval \
                   (token_hash, rules, objects, for_role, issued_by, expires_at, max_uses, reason) \
                 SELECT $1, $2, $3, $4, session_user, pg_catalog.clock_timestamp() + $5, $6, $7 \
                 WHERE $5 > interval '0' RETURNING id",
                Some(1),
                &[
                    token_hash(&token).into(),
                    rules.to_vec().into(),
                    objects.to_vec().into(),
                    for_role.into(),
                    valid_for.into(),
                    max_uses.into(),
                    reason.into(),
                ],
            )?;
            let Some(id) = row.into_iter().next().and_then(|r| r.get::<i64>(1).ok().flatten())
            else {
                return Ok(false);
            };
            client.update(
                "INSERT INTO migration_guard.approval_use (approval_id, slot) \
                 SELECT $1, g FROM pg_catalog.generate_series(1, $2) g",
                None,
                &[id.into(), max_uses.into()],
            )?;
            Ok::<_, spi::Error>(true)
        })
    })?;
    if issued { Ok(token) } else { Err(GuardError::argument(say::VALID_FOR_NOTHING)) }
}

fn role_exists(name: &str) -> Result<bool> {
    const QUERY: &str = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1";
    Ok(session::as_guard(|| {
        Spi::connect(|client| client.select(QUERY, Some(1), &[name.into()]).map(|r| !r.is_empty()))
    })?)
}

/// More uses than this are a policy row, not a token.
const MAX_USES: i32 = 10_000;

fn check_scope(rules: &[String], objects: &[String], max_uses: i32) -> Result<()> {
    let known = |r: &str| r == "*" || r == NO_SNAPSHOT || RULES.iter().any(|k| k.id == r);
    if rules.is_empty() || objects.is_empty() {
        return Err(GuardError::argument(say::EMPTY_SCOPE));
    }
    if let Some(unknown) = rules.iter().find(|r| !known(r)) {
        return Err(GuardError::argument(say::no_such_rule(unknown)).hint(say::NO_SUCH_RULE_HINT));
    }
    if objects.iter().any(|o| o.is_empty()) {
        return Err(GuardError::argument(say::EMPTY_PATTERN));
    }
    if !(1..=MAX_USES).contains(&max_uses) {
        return Err(GuardError::argument(say::uses_out_of_range(MAX_USES)));
    }
    Ok(())
}

/// Revokes an approval. The caller's right to do so was checked.
pub fn revoke(id: i64, reason: &str) -> Result<()> {
    let found = session::as_guard(|| {
        Spi::connect_mut(|client| {
            client
                .update(
                    "UPDATE migration_guard.approval SET revoked_at = pg_catalog.clock_timestamp(), \
                     revoked_by = session_user, revoke_reason = $2 \
                     WHERE id = $1 AND revoked_at IS NULL RETURNING id",
                    None,
                    &[id.into(), reason.into()],
                )
                .map(|rows| !rows.is_empty())
        })
    })?;
    if found {
        return Ok(());
    }
    Err(GuardError::unknown(say::not_revocable(id)).hint(say::NOT_REVOCABLE_HINT))
}

/// Presents a token for the rest of the transaction. One that cannot help is refused at once.
pub fn present(token: &str) -> Result<()> {
    let role = session::role_name(session::session_user());
    look_up(token, &role).map_err(token_error)?;
    let level = xact::nest_level();
    PRESENTED.with_borrow_mut(|p| p.push((token.to_string(), level)));
    Ok(())
}

fn token_error(refusal: Refusal) -> GuardError {
    GuardError::denied(say::TOKEN_DOES_NOT_HELP)
        .detail(text::token_refused(refusal))
        .hint(say::TOKEN_DOES_NOT_HELP_HINT)
}

fn look_up(token: &str, session_role: &str) -> std::result::Result<Approval, Refusal> {
    if !is_well_formed(token) {
        return Err(Refusal::Malformed);
    }
    let approval =
        session::as_guard(|| read(&token_hash(token))).ok().flatten().ok_or(Refusal::Unknown)?;
    approval.check(session_role).map(|()| approval)
}

fn read(hash: &str) -> std::result::Result<Option<Approval>, spi::Error> {
    const QUERY: &str = "SELECT a.id, a.rules, a.objects, a.for_role, a.revoked_at IS NOT NULL, \
           a.expires_at <= pg_catalog.clock_timestamp(), \
           EXISTS (SELECT FROM migration_guard.approval_use u WHERE u.approval_id = a.id \
             AND (u.used_at IS NULL OR (u.transaction_id = pg_catalog.pg_current_xact_id_if_assigned() \
               AND u.used_at >= pg_catalog.transaction_timestamp()))), \
           a.token_hash \
         FROM migration_guard.approval a WHERE a.token_hash = $1";
    Spi::connect(|client| {
        for row in client.select(QUERY, Some(1), &[hash.into()])? {
            let stored: String = row.get(8)?.unwrap_or_default();
            if !guard_core::approval::same_hash(&stored, hash) {
                continue;
            }
            return Ok(Some(Approval {
                id: row.get(1)?.unwrap_or_default(),
                rules: row.get(2)?.unwrap_or_default(),
                objects: row.get(3)?.unwrap_or_default(),
                for_role: row.get(4)?,
                revoked: row.get(5)?.unwrap_or(true),
                expired: row.get(6)?.unwrap_or(true),
                usable: row.get(7)?.unwrap_or(false),
            }));
        }
        Ok(None)
    })
}

/// Do the presented tokens cover every finding? Then their uses are taken, in this transaction.
/// The error is why not: None when no token is presented at all.
pub fn cover(
    findings: &[&Finding],
    session_role: &str,
) -> std::result::Result<Approved, Option<Refusal>> {
    let mut tokens = settings::tokens();
    PRESENTED.with_borrow(|p| tokens.extend(p.iter().map(|(token, _)| token.clone())));
    let mut first_refusal = None;
    let mut approvals: Vec<Approval> = Vec::new();
    for token in &tokens {
        match look_up(token, session_role) {
            Ok(approval) if approvals.iter().any(|a| a.id == approval.id) => {}
            Ok(approval) => approvals.push(approval),
            Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
        }
    }
    let mut used: Vec<&Approval> = Vec::new();
    for finding in findings {
        let allows =
            |a: &&Approval| a.allows(finding.rule.id, &finding.object, finding.table.as_deref());
        match approvals.iter().find(|a| allows(a).is_ok()) {
            Some(approval) if used.iter().any(|u| u.id == approval.id) => {}
            Some(approval) => used.push(approval),
            None => {
                // The nearest miss says most: right rule, wrong object.
                let misses: Vec<Refusal> =
                    approvals.iter().filter_map(|a| allows(&a).err()).collect();
                let miss =
                    misses.iter().find(|r| **r == Refusal::OtherObject).or(misses.first()).copied();
                return Err(miss.or(first_refusal));
            }
        }
    }
    for approval in &used {
        take(approval.id).map_err(Some)?;
    }
    Ok(Approved {
        without_snapshot: used.iter().any(|a| a.rules.iter().any(|r| r == NO_SNAPSHOT)),
        approvals: used.iter().map(|a| a.id).collect(),
    })
}

/// Takes one use for this transaction, unless it has one already. Never waits.
fn take(id: i64) -> std::result::Result<(), Refusal> {
    // A use that came with a dump has the transaction id of another server: its time tells.
    const OWN: &str = "SELECT 1 FROM migration_guard.approval_use \
         WHERE approval_id = $1 AND transaction_id = pg_catalog.pg_current_xact_id_if_assigned() \
           AND used_at >= pg_catalog.transaction_timestamp()";
    const TAKE: &str = "UPDATE migration_guard.approval_use SET used_at = pg_catalog.clock_timestamp(), \
           used_by = session_user, transaction_id = pg_catalog.pg_current_xact_id() \
         WHERE approval_id = $1 AND slot = (\
           SELECT slot FROM migration_guard.approval_use WHERE approval_id = $1 AND used_at IS NULL \
           ORDER BY slot LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING slot";
    const LEFT: &str = "SELECT 1 FROM migration_guard.approval_use WHERE approval_id = $1 AND used_at IS NULL LIMIT 1";
    session::as_guard(|| {
        Spi::connect_mut(|client| {
            if !client.update(OWN, Some(1), &[id.into()])?.is_empty()
                || !client.update(TAKE, None, &[id.into()])?.is_empty()
            {
                return Ok(Ok(()));
            }
            let left = !client.update(LEFT, Some(1), &[id.into()])?.is_empty();
            Ok::<_, spi::Error>(Err(if left { Refusal::InUse } else { Refusal::UsedUp }))
        })
    })
    .unwrap_or(Err(Refusal::UsedUp))
}
