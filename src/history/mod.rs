//! The room of the history: what ran, under which migration.
//!
//! Statements wait in memory and are written together at the commit: one row for the migration,
//! one for each statement, below the executor. A rollback, also to a savepoint, forgets what it
//! undid. A query that reads the history in the same transaction has them written first
//! ([`flush`]); what was written and then rolled back to a savepoint is written again.

use crate::error::{GuardError, Result};
use crate::pg::rows::{self, Value};
use crate::pg::{armed, session, xact};
use crate::settings;
use guard_core::digest::sha256_hex;
use guard_core::fingerprint::{fingerprint, statements_checksum};
use guard_core::history::Entry;
use guard_core::redact;
use guard_core::rules::Risk;
use guard_core::text::history as say;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

pgrx::extension_sql_file!("../../sql/history.sql", name = "history", requires = ["bootstrap"]);

/// A statement that ran.
pub struct StatementRow {
    /// Transaction nest level that it belongs to now.
    pub nest_level: i32,
    pub command: String,
    pub object_type: String,
    pub object_identity: String,
    /// The exact slice of the source; what is kept of it is decided when it is written.
    pub text: String,
    pub risk: &'static str,
    pub verdict: &'static str,
    pub rules: Vec<String>,
    /// Microseconds since 2000-01-01 00:00 UTC.
    pub started_at: i64,
    /// Where WAL stood before it ran.
    pub lsn: u64,
    pub micros: i64,
    pub table_bytes: Option<u64>,
    pub rewrote: bool,
    pub snapshot_id: Option<i64>,
    pub approval_id: Option<i64>,
}

struct Waiting {
    row: StatementRow,
    fingerprint: String,
    /// What named the migration when the statement ran; None for nothing.
    named: Option<Rc<Named>>,
    /// The migration that it was written to, and the transaction nest level of that.
    written: Option<(i64, i32)>,
}

/// The name under which a session's statements go.
struct Named {
    /// Which call of begin_migration gave it; 0 for the setting.
    serial: u64,
    name: String,
    checksum: Option<String>,
    ticket: Option<String>,
}

fn same(a: &Option<Rc<Named>>, b: &Option<Rc<Named>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.serial == b.serial && a.name == b.name,
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inserted {
    NotYet,
    /// By this transaction, at this nest level.
    At(i32),
    /// By an earlier transaction of this backend.
    Before,
}

/// A row of migrations_history of this backend.
#[derive(Clone)]
struct Open {
    id: i64,
    named: Option<Rc<Named>>,
    /// Statements that stand under it already.
    statements: i32,
    inserted: Inserted,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    begun: Option<Rc<Named>>,
    last_serial: u64,
    /// What was begun before, with the transaction nest level of the change: a rollback undoes it.
    begun_before: Vec<(i32, Option<Rc<Named>>)>,
    /// The migrations that this transaction writes to.
    open: Vec<Open>,
    /// The named migrations that this backend committed: later transactions add to them.
    committed: Vec<Open>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}

/// Runs `work` on the state while nothing borrows it: what the guard runs meanwhile may look at it.
fn with_state<R>(work: impl FnOnce(&mut State) -> R) -> R {
    struct PutBack(State);
    impl Drop for PutBack {
        fn drop(&mut self) {
            STATE.set(std::mem::take(&mut self.0));
        }
    }
    let mut state = PutBack(STATE.take());
    work(&mut state.0)
}

/// More than this many statements are not kept in memory.
const WAIT_AT_MOST: usize = 1000;
/// A backend adds to no more names than these; an older one gets a new row.
const NAMES_AT_MOST: usize = 100;

fn name_now(state: &State) -> Option<Rc<Named>> {
    state.begun.clone().or_else(|| {
        let name = settings::migration()?;
        Some(Rc::new(Named { serial: 0, name, checksum: None, ticket: settings::ticket() }))
    })
}

/// Does the session name its migration?
pub fn is_named() -> bool {
    STATE.with_borrow(|s| s.begun.is_some()) || settings::migration().is_some()
}

/// Names the migration that the following statements of this session belong to.
pub fn begin(name: &str, checksum: Option<&str>, ticket: Option<&str>) -> Result<()> {
    if name.trim().is_empty() {
        return Err(GuardError::argument(say::NO_NAME));
    }
    STATE.with_borrow_mut(|s| {
        s.last_serial += 1;
        let named = Named {
            serial: s.last_serial,
            name: name.into(),
            checksum: checksum.map(Into::into),
            ticket: ticket.map(Into::into),
        };
        let before = s.begun.replace(Rc::new(named));
        s.begun_before.push((xact::nest_level(), before));
    });
    Ok(())
}

/// Ends what [`begin`] began.
pub fn end() -> Result<()> {
    STATE.with_borrow_mut(|s| match s.begun.take() {
        Some(before) => {
            s.begun_before.push((xact::nest_level(), Some(before)));
            Ok(())
        }
        None => Err(GuardError::state(say::NOT_BEGUN).hint(say::NOT_BEGUN_HINT)),
    })
}

/// Adds a statement that ran.
pub fn record(row: StatementRow) {
    let full = STATE.with_borrow_mut(|s| {
        let fingerprint = fingerprint(&row.text);
        let named = name_now(s);
        s.waiting.push(Waiting { row, fingerprint, named, written: None });
        s.waiting.iter().filter(|w| w.written.is_none()).count() >= WAIT_AT_MOST
    });
    if full {
        flush();
        STATE.with_borrow_mut(|s| {
            // Only a row that no rollback to a savepoint can undo may be forgotten.
            s.waiting.retain(|w| w.written.is_none_or(|(_, level)| level != 1));
        });
    }
}

/// Is anything waiting to be written?
pub fn is_waiting() -> bool {
    STATE.with_borrow(|s| s.waiting.iter().any(|w| w.written.is_none()))
}

/// The id of the migration that this transaction writes to. Assigns a transaction id.
pub fn migration_id() -> Result<i64> {
    let Some(house) = armed::house() else {
        return Err(GuardError::state(say::NOT_ENABLED));
    };
    with_state(|s| {
        let named = name_now(s);
        let at = open(s, &house, &named)?;
        Ok(s.open[at].id)
    })
}

/// The row that this transaction writes to under this name, as an index: that of the same name in
/// this backend, or a new one.
fn open(state: &mut State, house: &armed::House, named: &Option<Rc<Named>>) -> Result<usize> {
    if let Some(at) = state.open.iter().position(|o| same(&o.named, named)) {
        return Ok(at);
    }
    let committed = state.committed.iter().position(|o| named.is_some() && same(&o.named, named));
    let open = match committed {
        Some(at) if stands(state.committed[at].id)? => state.committed[at].clone(),
        _ => Open {
            id: rows::next_value(house.history_sequence),
            named: named.clone(),
            statements: 0,
            inserted: Inserted::NotYet,
        },
    };
    state.open.push(open);
    Ok(state.open.len() - 1)
}

/// Is the row still there and free? One that a prepared transaction added to is not.
fn stands(id: i64) -> Result<bool> {
    const QUERY: &str =
        "SELECT 1 FROM migration_guard.migrations_history WHERE id = $1 FOR UPDATE SKIP LOCKED";
    Ok(session::as_guard(|| {
        Spi::connect_mut(|client| client.update(QUERY, None, &[id.into()]).map(|r| !r.is_empty()))
    })?)
}

/// Writes what waits. At the commit an error aborts the transaction.
pub fn flush() {
    if !is_waiting() || rows::read_only() {
        return;
    }
    let Some(house) = armed::house() else { return };
    let written = with_state(|state| {
        while let Some(first) = state.waiting.iter().position(|w| w.written.is_none()) {
            let named = state.waiting[first].named.clone();
            let same_name = state.waiting[first..].iter().take_while(|w| same(&w.named, &named));
            let last = first + same_name.count();
            write(state, &house, first..last, named)?;
        }
        Ok::<_, GuardError>(())
    });
    if let Err(error) = written {
        pgrx::pg_sys::panic::ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
}

/// Writes statements that go under one name.
fn write(
    state: &mut State,
    house: &armed::House,
    which: Range<usize>,
    named: Option<Rc<Named>>,
) -> Result<()> {
    let at = open(state, house, &named)?;
    let mut migration = state.open[at].clone();
    let nest_level = xact::nest_level();
    let applied_by = session::role_name(session::current_user());
    let session_role = session::role_name(session::session_user());
    let how = settings::statement_text();
    let fresh = &state.waiting[which.clone()];

    let mut statement_rows: Vec<Vec<Option<pg_sys::Datum>>> = Vec::with_capacity(fresh.len());
    for (position, w) in (migration.statements + 1..).zip(fresh) {
        let text = redact::statement_text(&w.row.text, how);
        let texts = |t: &str| if t.is_empty() { None } else { Value::Text(t).datum() };
        statement_rows.push(vec![
            Value::Int8(rows::next_value(house.statements_sequence)).datum(),
            Value::Int8(migration.id).datum(),
            Value::Int4(position).datum(),
            Value::Text(&w.row.command).datum(),
            texts(&w.row.object_type),
            texts(&w.row.object_identity),
            text.as_deref().and_then(|t| Value::Text(t).datum()),
            Value::Text(&w.fingerprint).datum(),
            Value::Text(&sha256_hex(w.row.text.as_bytes())).datum(),
            Value::Text(w.row.risk).datum(),
            Value::Text(w.row.verdict).datum(),
            Value::Texts(w.row.rules.clone()).datum(),
            Value::Time(w.row.started_at).datum(),
            Value::Micros(w.row.micros).datum(),
            w.row
                .table_bytes
                .and_then(|b| Value::Int8(i64::try_from(b).unwrap_or(i64::MAX)).datum()),
            Value::Bool(w.row.rewrote).datum(),
            w.row.snapshot_id.and_then(|id| Value::Int8(id).datum()),
            w.row.approval_id.and_then(|id| Value::Int8(id).datum()),
            Value::Null.datum(),
        ]);
    }
    rows::insert(house.statements, &mut statement_rows);

    let count = i32::try_from(fresh.len()).unwrap_or(i32::MAX);
    let micros: i64 = fresh.iter().map(|w| w.row.micros).sum();
    let risk = fresh.iter().map(|w| w.row.risk).max_by_key(|r| severity(r)).unwrap_or("safe");
    let approval_id = fresh.iter().find_map(|w| w.row.approval_id);
    if migration.inserted == Inserted::NotYet {
        let checksum = named
            .as_ref()
            .and_then(|n| n.checksum.clone())
            .unwrap_or_else(|| statements_checksum(fresh.iter().map(|w| w.fingerprint.as_str())));
        let transaction_id = rows::transaction_id();
        let name = named
            .as_ref()
            .map_or_else(|| say::unnamed_migration(transaction_id), |n| n.name.clone());
        let ticket = named.as_ref().and_then(|n| n.ticket.clone()).or_else(settings::ticket);
        let application_name = rows::application_name();
        let client_addr = rows::client_address();
        let started_at = fresh.first().map_or_else(xact::now, |w| w.row.started_at);
        let start_lsn = fresh.first().map_or_else(rows::wal_position, |w| w.row.lsn);
        let now = xact::now();
        let source = "session";
        let entry_hash = Entry {
            version: 1,
            id: migration.id,
            migration_name: &name,
            started_at,
            applied_by: &applied_by,
            session_role: &session_role,
            source,
            application_name: &application_name,
            client_addr: client_addr.as_deref(),
            transaction_id,
            start_lsn,
        }
        .hash()
        .unwrap_or_default();
        let mut row = [vec![
            Value::Int8(migration.id).datum(),
            Value::Text(&name).datum(),
            Value::Time(now).datum(),
            Value::Text(&applied_by).datum(),
            Value::Micros(micros).datum(),
            Value::Text(&checksum).datum(),
            Value::Bool(false).datum(),
            Value::Null.datum(),
            rows::metadata(),
            Value::Text("applied").datum(),
            Value::Text(source).datum(),
            Value::Time(started_at).datum(),
            Value::Time(now).datum(),
            Value::Text(&session_role).datum(),
            Value::Text(&application_name).datum(),
            Value::Address(client_addr.as_deref()).datum(),
            Value::TransactionId(transaction_id).datum(),
            Value::Lsn(start_lsn).datum(),
            Value::Lsn(rows::wal_position()).datum(),
            Value::Int4(count).datum(),
            Value::Text(risk).datum(),
            ticket.as_deref().and_then(|t| Value::Text(t).datum()),
            approval_id.and_then(|id| Value::Int8(id).datum()),
            Value::Text(&entry_hash).datum(),
            Value::Null.datum(),
        ]];
        rows::insert(house.history, &mut row);
        migration.inserted = Inserted::At(nest_level);
    } else {
        let checksum = named.as_ref().and_then(|n| n.checksum.clone());
        add(migration.id, micros, risk, approval_id, checksum)?;
    }
    migration.statements += count;
    state.waiting[which].iter_mut().for_each(|w| w.written = Some((migration.id, nest_level)));
    state.open[at] = migration;
    Ok(())
}

/// How bad a risk word is.
fn severity(risk: &str) -> Risk {
    [Risk::Caution, Risk::Review, Risk::Destructive]
        .into_iter()
        .find(|r| r.as_str() == risk)
        .unwrap_or(Risk::Safe)
}

/// Adds a later transaction, or a later part of this one, to a row that stands already.
fn add(
    id: i64,
    micros: i64,
    risk: &str,
    approval_id: Option<i64>,
    checksum: Option<String>,
) -> Result<()> {
    const UPDATE: &str = "UPDATE migration_guard.migrations_history h SET \
           execution_time = h.execution_time + pg_catalog.make_interval(secs => $2::float8 / 1000000), \
           finished_at = pg_catalog.clock_timestamp(), applied_at = pg_catalog.clock_timestamp(), \
           end_lsn = pg_catalog.pg_current_wal_insert_lsn(), \
           statement_count = s.n, \
           checksum = COALESCE($5, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(s.fingerprints, 'UTF8')), 'hex')), \
           risk = CASE WHEN pg_catalog.array_position(ARRAY['safe', 'caution', 'review', 'destructive'], $3) \
                     > pg_catalog.array_position(ARRAY['safe', 'caution', 'review', 'destructive'], h.risk) \
                  THEN $3 ELSE h.risk END, \
           approval_id = COALESCE(h.approval_id, $4) \
         FROM (SELECT pg_catalog.count(*)::int AS n, \
                 pg_catalog.string_agg(fingerprint, '' ORDER BY position) AS fingerprints \
               FROM migration_guard.migration_statements WHERE migration_id = $1) s \
         WHERE h.id = $1";
    session::as_guard(|| {
        Spi::connect_mut(|client| {
            client
                .update(
                    UPDATE,
                    None,
                    &[id.into(), micros.into(), risk.into(), approval_id.into(), checksum.into()],
                )
                .map(|_| ())
        })
    })?;
    Ok(())
}

/// Forgets what a rollback undid: everything at this transaction nest level or deeper. Level 0 is
/// the end of the transaction.
pub fn forget(nest_level: i32) {
    STATE.with_borrow_mut(|s| {
        let State { waiting, open, begun, begun_before, .. } = s;
        if nest_level == 0 {
            open.clear();
        }
        for w in waiting.iter_mut() {
            if let Some((id, level)) = w.written
                && level >= nest_level
            {
                w.written = None;
                open.iter_mut().filter(|o| o.id == id).for_each(|o| o.statements -= 1);
            }
        }
        waiting.retain(|w| w.row.nest_level < nest_level);
        open.retain(|o| !matches!(o.inserted, Inserted::At(level) if level >= nest_level));
        while let Some((_, before)) = begun_before.pop_if(|(level, _)| *level >= nest_level) {
            *begun = before;
        }
    });
}

/// At the commit: a named migration stays open for the next transaction of this backend.
pub fn committed() {
    STATE.with_borrow_mut(|s| {
        s.begun_before.clear();
        for open in s.open.drain(..) {
            if open.named.is_none() || open.inserted == Inserted::NotYet {
                continue;
            }
            s.committed.retain(|o| !same(&o.named, &open.named));
            if s.committed.len() >= NAMES_AT_MOST {
                s.committed.remove(0);
            }
            s.committed.push(Open { inserted: Inserted::Before, ..open });
        }
    });
}

/// A subtransaction was released into its parent.
pub fn merge_into(parent: i32) {
    STATE.with_borrow_mut(|s| {
        for w in &mut s.waiting {
            w.row.nest_level = w.row.nest_level.min(parent);
            w.written = w.written.map(|(id, level)| (id, level.min(parent)));
        }
        for open in &mut s.open {
            if let Inserted::At(level) = &mut open.inserted {
                *level = (*level).min(parent);
            }
        }
        s.begun_before.iter_mut().for_each(|(level, _)| *level = (*level).min(parent));
    });
}
