//! The orchestrator: both doors call `before` and `after`; it calls the rooms.
//!
//! A statement that both doors see is decided and recorded once: the hook's frame is on the stack
//! when the event triggers of the same statement fire.

use crate::error::{GuardError, Result};
use crate::pg::catalog::Catalog;
use crate::pg::{nesting, report, rows, session, xact};
use crate::{approval, history, policy, settings, snapshot};
use guard_core::decide::{self, Actor, Judged, Mode};
use guard_core::loss::{Kind, Loss};
use guard_core::policy::Action;
use guard_core::rules::{self, Finding};
use guard_core::statement::{Body, Class, Recording, Statement, WholeTable};
use guard_core::text;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;
use std::cell::{Cell, RefCell};
use std::time::Instant;

/// A statement as a door saw it.
pub struct Captured {
    pub statement: Statement,
    pub facts: Catalog,
    /// Seen by an event trigger alone: its end will be, too.
    pub by_trigger: bool,
}

/// A statement that runs.
struct Frame {
    id: u64,
    nest_level: i32,
    by_trigger: bool,
    statement: Statement,
    judged: Vec<Judged>,
    risk: rules::Risk,
    verdict: Action,
    loss: Loss,
    started: Instant,
    started_at: i64,
    lsn: u64,
    approval_id: Option<i64>,
    snapshot_id: Option<i64>,
    rewrote: bool,
    /// Type and identity, when the end of the statement tells them.
    object: Option<(String, String)>,
    /// The relation that it created, where it does not name it.
    created: Option<u32>,
    /// The executor run that ends it, for DML.
    query: Option<usize>,
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    static NEXT_ID: Cell<u64> = const { Cell::new(1) };
}

/// Decides about a statement and keeps what it would destroy. The result is for [`after`]; None
/// when nothing needs to be done after it. A refusal raises an ERROR.
pub fn before(captured: Captured) -> Option<u64> {
    match decide_and_keep(captured) {
        Ok(frame) => frame,
        Err(error) => {
            ErrorReport::from(error).report(pgrx::PgLogLevel::ERROR);
            None
        }
    }
}

fn decide_and_keep(captured: Captured) -> Result<Option<u64>> {
    let mode = settings::mode();
    if mode == Mode::Off {
        return Ok(None);
    }
    let Captured { statement, mut facts, by_trigger } = captured;
    let mut classified = rules::classify(&statement, &facts);
    let risk = classified.risk();
    let mut judged = judged(classified.findings);
    // Sizes and rows are measured when a row of the policy or a person will read them.
    if !judged.is_empty() && (policy::asks_for_size() || decide::verdict(&judged) > Action::Allow) {
        facts.figures = true;
        classified = rules::classify(&statement, &facts);
        judged = self::judged(std::mem::take(&mut classified.findings));
    }
    let mut frame = Frame {
        id: NEXT_ID.replace(NEXT_ID.get() + 1),
        nest_level: xact::nest_level(),
        by_trigger,
        verdict: decide::verdict(&judged),
        judged,
        risk,
        loss: classified.loss,
        started: Instant::now(),
        started_at: xact::now(),
        lsn: rows::wal_position(),
        approval_id: None,
        snapshot_id: None,
        rewrote: false,
        object: None,
        created: None,
        query: None,
        statement,
    };
    if !frame.judged.is_empty() {
        act(&mut frame, mode)?;
    } else if frame.statement.class.recording() == Recording::Finding {
        return Ok(None);
    }
    frame.started = Instant::now();
    let id = frame.id;
    FRAMES.with_borrow_mut(|frames| frames.push(frame));
    Ok(Some(id))
}

fn judged(findings: Vec<Finding>) -> Vec<Judged> {
    if findings.is_empty() {
        return Vec::new();
    }
    let actor = Actor {
        session_role: &session::role_name(session::session_user()),
        application: &rows::application_name(),
        superuser: session::is_superuser(session::session_user()),
        now: xact::now(),
    };
    decide::judge(findings, &policy::rows(), &actor)
}

/// Carries a verdict out: approval, warning or refusal, and what is kept before the statement.
fn act(frame: &mut Frame, mode: Mode) -> Result<()> {
    if frame.verdict == Action::Allow {
        return Ok(());
    }
    let session_role = session::role_name(session::session_user());
    let mut keeps = settings::auto_snapshot();
    if frame.verdict >= Action::RequireApproval {
        let granted = match frame.verdict {
            Action::Deny => Err(None),
            _ => approval::cover(&needing_approval(&frame.judged), &session_role).map_err(Some),
        };
        match (granted, mode) {
            (Ok(approved), _) => {
                frame.approval_id = approved.approvals.first().copied();
                keeps &= !approved.without_snapshot;
            }
            (Err(_), Mode::Observe) => {}
            (Err(token), Mode::Warn) => {
                report::warn(&refusal(frame, token.flatten(), &session_role))
            }
            (Err(token), _) => {
                let error = refusal(frame, token.flatten(), &session_role);
                log_refusal(frame, &session_role);
                return Err(error);
            }
        }
    } else if frame.verdict == Action::Warn {
        for judged in frame.judged.iter().filter(|j| j.action == Action::Warn) {
            let mut warning = GuardError::new(
                PgSqlErrorCode::ERRCODE_WARNING,
                text::warned(&judged.finding.message, judged.finding.rule.id),
            );
            warning.detail = judged.finding.detail.clone();
            report::warn(&warning);
        }
    }
    if keeps && frame.risk == rules::Risk::Destructive {
        frame.snapshot_id = keep(frame)?;
    }
    Ok(())
}

fn needing_approval(judged: &[Judged]) -> Vec<&Finding> {
    judged.iter().filter(|j| j.action == Action::RequireApproval).map(|j| &j.finding).collect()
}

fn refusal(
    frame: &Frame,
    token: Option<guard_core::approval::Refusal>,
    session_role: &str,
) -> GuardError {
    let why = token.map(text::token_refused);
    let parts = text::blocked(&frame.statement.command, &frame.judged, why, session_role);
    GuardError::denied(parts.message).detail(parts.detail).hint(parts.hint)
}

/// Every refused attempt leaves a line in the server log: its transaction cannot keep a row.
fn log_refusal(frame: &Frame, session_role: &str) {
    let findings: Vec<String> = frame
        .judged
        .iter()
        .take(20)
        .map(|j| text::logged_finding(j.finding.rule.id, &j.finding.object))
        .collect();
    let statement =
        guard_core::redact::statement_text(&frame.statement.text, settings::statement_text());
    report::log(&text::logged_refusal(
        &frame.statement.command,
        session_role,
        &findings,
        statement.as_deref(),
    ));
}

/// Keeps the rows that would go; returns the first snapshot.
fn keep(frame: &Frame) -> Result<Option<i64>> {
    let mut requests: Vec<(u32, snapshot::Cause, Vec<String>)> = Vec::new();
    for object in frame.loss.noticed() {
        let cause = match &frame.statement.body {
            Body::Truncate { .. }
                if object.kind == Kind::Table && !object.rows.is_some_and(|r| r.none()) =>
            {
                snapshot::Cause::Truncate
            }
            Body::WholeTableDml { targets } => {
                // A partition or child goes the way of the tables that are named.
                let own = targets.iter().find(|(_, identity)| *identity == object.identity);
                match own.or(targets.first()) {
                    Some((WholeTable::Update, _)) => snapshot::Cause::Update,
                    _ => snapshot::Cause::Delete,
                }
            }
            Body::Drop { .. } | Body::DropOwned { .. } | Body::AlterTable { .. }
                if object.kind.is_table() =>
            {
                snapshot::Cause::DropTable
            }
            Body::Drop { .. } | Body::DropOwned { .. } | Body::AlterTable { .. }
                if object.kind == Kind::Column =>
            {
                snapshot::Cause::DropColumn
            }
            _ => continue,
        };
        let column = (cause == snapshot::Cause::DropColumn).then(|| object.name.clone());
        match requests.iter_mut().find(|(relation, ..)| *relation == object.address.1) {
            // Several columns of one table are kept together.
            Some((_, _, columns)) => columns.extend(column),
            None => requests.push((object.address.1, cause, Vec::from_iter(column))),
        }
    }
    if requests.is_empty() {
        return Ok(None);
    }
    let migration_id = history::migration_id()?;
    let mut first = None;
    for (relation, cause, columns) in requests {
        let kept = snapshot::keep(&snapshot::KeepRequest {
            relation: relation.into(),
            cause,
            columns: (!columns.is_empty()).then_some(columns),
            label: None,
            migration_id: Some(migration_id),
            statement_id: None,
            retention: settings::snapshot_retention(),
            max_bytes: settings::snapshot_max_bytes(),
        })?;
        first = first.or(Some(kept.id));
    }
    Ok(first)
}

/// Records a statement that ran.
pub fn after(id: u64) {
    let Some(frame) = FRAMES.with_borrow_mut(|frames| {
        let at = frames.iter().rposition(|f| f.id == id)?;
        let frame = frames.swap_remove(at);
        frames.truncate(at);
        Some(frame)
    }) else {
        return;
    };
    // The guard may be gone, or switched off, by the statement itself.
    if crate::pg::armed::house().is_none() {
        return;
    }
    if frame.statement.class.recording() == Recording::Named
        && frame.judged.is_empty()
        && !history::is_named()
    {
        return;
    }
    if is_own_event_trigger(&frame) {
        return;
    }
    let object = frame.object.or_else(|| match frame.created {
        Some(relation) => crate::pg::catalog::relation(relation),
        None => described(&frame.statement, &frame.loss),
    });
    let (object_type, object_identity) = object.unwrap_or_default();
    // Temporary objects are nobody else's business and leave nothing behind.
    if frame.judged.is_empty() && object_identity.starts_with("pg_temp.") {
        return;
    }
    history::record(history::StatementRow {
        nest_level: xact::nest_level(),
        command: frame.statement.command,
        object_type,
        object_identity,
        text: frame.statement.text,
        risk: frame.risk.as_str(),
        verdict: frame.verdict.as_str(),
        rules: distinct_rules(&frame.judged),
        started_at: frame.started_at,
        lsn: frame.lsn,
        micros: i64::try_from(frame.started.elapsed().as_micros()).unwrap_or(i64::MAX),
        table_bytes: frame.loss.objects.iter().map(|o| o.bytes).max().filter(|b| *b > 0),
        rewrote: frame.rewrote,
        snapshot_id: frame.snapshot_id,
        approval_id: frame.approval_id,
    });
}

/// Is any statement being followed?
pub fn is_following() -> bool {
    FRAMES.with_borrow(|frames| !frames.is_empty())
}

/// A relation was created by the statement that runs: the index, where the server chose its name.
pub fn created_relation(relation: u32) {
    FRAMES.with_borrow_mut(|frames| {
        if let Some(frame) = frames.last_mut()
            && matches!(frame.statement.body, Body::CreateIndex { index: None, .. })
        {
            frame.created.get_or_insert(relation);
        }
    });
}

/// The statement lasts as long as this executor run.
pub fn ends_with(id: u64, query: usize) {
    FRAMES.with_borrow_mut(|frames| {
        if let Some(frame) = frames.iter_mut().rfind(|f| f.id == id) {
            frame.query = Some(query);
        }
    });
}

/// An executor run is over.
pub fn after_query(query: usize) {
    let id =
        FRAMES.with_borrow(|frames| frames.iter().rfind(|f| f.query == Some(query)).map(|f| f.id));
    if let Some(id) = id {
        after(id);
    }
}

/// What pg_restore and `enable()` do to the guard's own event triggers is no change of a schema.
fn is_own_event_trigger(frame: &Frame) -> bool {
    let name = match &frame.statement.body {
        Body::AlterEventTrigger { name, .. } => name,
        Body::Object { kind: guard_core::statement::ObjectKind::EventTrigger, name }
            if matches!(
                frame.statement.class,
                Class::CommentStmt | Class::AlterOwnerStmt | Class::CreateEventTrigStmt
            ) =>
        {
            name
        }
        _ => return false,
    };
    frame.judged.is_empty()
        && crate::pg::armed::EVENT_TRIGGERS.iter().any(|(n, ..)| n.to_str() == Ok(name))
}

fn distinct_rules(judged: &[Judged]) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for j in judged {
        if !rules.iter().any(|r| r == j.finding.rule.id) {
            rules.push(j.finding.rule.id.to_string());
        }
    }
    rules
}

/// Type and identity of what a statement was about, when its end did not tell.
fn described(statement: &Statement, loss: &Loss) -> Option<(String, String)> {
    if let Some(object) = loss.objects.first() {
        return Some((object.type_name.clone(), object.identity.clone()));
    }
    crate::pg::catalog::subject(statement)
}

/// Is the statement that encloses the event trigger that fires now already known? If not, the
/// event trigger is the only door.
pub fn enclosing_is_known() -> bool {
    let depth = nesting::depth();
    FRAMES.with_borrow(|frames| frames.last().is_some_and(|f| !f.by_trigger)) && depth > 0
}

/// ddl_command_end of a statement that only the event triggers see.
pub fn after_by_trigger() {
    let id = FRAMES.with_borrow(|frames| frames.last().filter(|f| f.by_trigger).map(|f| f.id));
    if let Some(id) = id {
        after(id);
    }
}

/// Tells the statement that runs what it was about.
pub fn about(object_type: String, identity: String) {
    FRAMES.with_borrow_mut(|frames| {
        if let Some(frame) = frames.last_mut() {
            frame.object.get_or_insert((object_type, identity));
        }
    });
}

/// Does the statement that runs tell by itself what it is about?
pub fn is_described() -> bool {
    FRAMES.with_borrow(|frames| {
        frames.last().is_none_or(|f| {
            f.object.is_some()
                || f.created.is_some()
                || !f.loss.objects.is_empty()
                || matches!(
                    f.statement.body,
                    Body::Relation { .. }
                        | Body::AlterTable { .. }
                        | Body::CreateIndex {
                            relation: guard_core::statement::Name { schema: Some(_), .. },
                            index: Some(_),
                            ..
                        }
                )
        })
    })
}

/// table_rewrite.
pub fn rewritten() {
    FRAMES.with_borrow_mut(|frames| {
        if let Some(frame) = frames.last_mut() {
            frame.rewrote = true;
        }
    });
}

/// An object that sql_drop reports.
pub struct Dropped {
    pub address: (u32, u32, i32),
    pub object_type: String,
    pub identity: String,
    pub temporary: bool,
}

/// Objects of these types are compared with what was seen coming.
pub fn is_compared(object_type: &str) -> bool {
    matches!(object_type, "table" | "foreign table" | "table column")
}

/// Reconcile: a table or column that went although nobody had seen it coming ends the statement.
pub fn dropped(objects: &[Dropped]) -> Result<()> {
    if settings::mode() != Mode::Enforce {
        return Ok(());
    }
    let unforeseen = FRAMES.with_borrow(|frames| {
        let frame = frames.last()?;
        let foreseen = |address: (u32, u32, i32)| {
            frame.loss.objects.iter().any(|o| {
                o.address == address
                    || (o.address.0, o.address.1, 0) == (address.0, address.1, o.address.2)
            })
        };
        let missing: Vec<String> = objects
            .iter()
            .filter(|o| !o.temporary)
            .filter(|o| !foreseen(o.address))
            .map(|o| format!("{} {}", o.object_type, o.identity))
            .collect();
        (!missing.is_empty()).then(|| text::unforeseen(&frame.statement.command, &missing))
    });
    match unforeseen {
        Some(parts) => Err(GuardError::denied(parts.message).detail(parts.detail).hint(parts.hint)),
        None => Ok(()),
    }
}

/// After an error: the statements of the aborted (sub)transaction are over.
pub fn forget_frames(nest_level: i32) {
    FRAMES.with_borrow_mut(|frames| frames.retain(|f| f.nest_level < nest_level));
}
