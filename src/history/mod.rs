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
use pgrx::prelude::*;
use std::cell::RefCell;

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
    pub micros: i64,
    pub table_bytes: Option<u64>,
    pub rewrote: bool,
    pub snapshot_id: Option<i64>,
    pub approval_id: Option<i64>,
}

struct Waiting {
    row: StatementRow,
    fingerprint: String,
    /// Transaction nest level at which it was written, if it was.
    written: Option<i32>,
}

/// The name under which a session's statements go.
#[derive(Clone, PartialEq, Eq)]
struct Named {
    name: String,
    checksum: Option<String>,
    ticket: Option<String>,
}

/// A row of migrations_history of this backend.
#[derive(Clone)]
struct Open {
    id: i64,
    name: Option<String>,
    /// Statements that stand under it already.
    statements: i32,
    /// Transaction nest level at which the row was inserted; None for one that is committed.
    written: Option<i32>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    begun: Option<Named>,
    /// The migration that this transaction writes to, once its id was needed.
    current: Option<Open>,
    /// The last named migration that this backend committed: the next transaction adds to it.
    committed: Option<Open>,
    start_lsn: u64,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::default());
}

/// More than this many statements are not kept in memory.
const WAIT_AT_MOST: usize = 1000;

fn name_now(state: &State) -> Option<Named> {
    state.begun.clone().or_else(|| {
        settings::migration().map(|name| Named { name, checksum: None, ticket: settings::ticket() })
    })
}

/// Does the session name its migration?
pub fn is_named() -> bool {
    STATE.with_borrow(|s| name_now(s).is_some())
}

/// Names the migration that the following statements of this session belong to.
pub fn begin(name: &str, checksum: Option<&str>, ticket: Option<&str>) -> Result<()> {
    if name.is_empty() {
        return Err(GuardError::argument("a migration needs a name"));
    }
    flush();
    STATE.with_borrow_mut(|s| {
        s.current = None;
        s.committed = None;
        s.begun = Some(Named {
            name: name.into(),
            checksum: checksum.map(Into::into),
            ticket: ticket.map(Into::into),
        });
    });
    Ok(())
}

/// Ends what [`begin`] began.
pub fn end() -> Result<()> {
    flush();
    STATE.with_borrow_mut(|s| {
        s.current = None;
        s.committed = None;
        match s.begun.take() {
            Some(_) => Ok(()),
            None => Err(GuardError::state("no migration was begun in this session")
                .hint("SELECT migration_guard.begin_migration('name');")),
        }
    })
}

/// Adds a statement that ran.
pub fn record(row: StatementRow) {
    let full = STATE.with_borrow_mut(|s| {
        if s.waiting.is_empty() {
            s.start_lsn = rows::wal_position();
        }
        let fingerprint = fingerprint(&row.text);
        s.waiting.push(Waiting { row, fingerprint, written: None });
        s.waiting.iter().filter(|w| w.written.is_none()).count() >= WAIT_AT_MOST
    });
    if full {
        flush();
        STATE.with_borrow_mut(|s| {
            // Only a row that no rollback to a savepoint can undo may be forgotten.
            s.waiting.retain(|w| w.written != Some(1));
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
        return Err(GuardError::state("migration_guard is not enabled in this database"));
    };
    Ok(STATE.with_borrow_mut(|s| open(s, &house).id))
}

/// The row that this transaction writes to: that of the same name in this backend, or a new one.
fn open(state: &mut State, house: &armed::House) -> Open {
    if let Some(current) = &state.current {
        return current.clone();
    }
    let name = name_now(state).map(|n| n.name);
    let open = match &state.committed {
        Some(committed) if name.is_some() && committed.name == name => committed.clone(),
        _ => Open {
            id: rows::next_value(house.history_sequence),
            name,
            statements: 0,
            // Not inserted yet; `written` is set when it is.
            written: Some(i32::MAX),
        },
    };
    state.current = Some(open.clone());
    open
}

/// At the commit: writes what waits. Errors abort the transaction.
pub fn flush_at_commit() {
    flush();
}

/// Writes what waits.
pub fn flush() {
    if !is_waiting() || rows::read_only() {
        return;
    }
    let Some(house) = armed::house() else { return };
    STATE.with_borrow_mut(|state| write(state, &house));
}

fn write(state: &mut State, house: &armed::House) {
    let named = name_now(state);
    let mut migration = open(state, house);
    let nest_level = xact::nest_level();
    let applied_by = session::role_name(session::current_user());
    let session_role = session::role_name(session::session_user());
    let how = settings::statement_text();
    let first = state.waiting.iter().position(|w| w.written.is_none()).unwrap_or(0);
    let fresh = &state.waiting[first..];

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
    if migration.written == Some(i32::MAX) {
        let checksum = named
            .as_ref()
            .and_then(|n| n.checksum.clone())
            .unwrap_or_else(|| statements_checksum(fresh.iter().map(|w| w.fingerprint.as_str())));
        let transaction_id = rows::transaction_id();
        let name =
            migration.name.clone().unwrap_or_else(|| format!("transaction {transaction_id}"));
        let ticket = named.and_then(|n| n.ticket).or_else(settings::ticket);
        let application_name = rows::application_name();
        let client_addr = rows::client_address();
        let started_at = fresh.first().map_or_else(xact::now, |w| w.row.started_at);
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
            start_lsn: state.start_lsn,
        }
        .hash()
        .unwrap_or_default();
        let metadata = serde_json::json!({ "server_version": crate::pg::version::server() });
        let mut row = [vec![
            Value::Int8(migration.id).datum(),
            Value::Text(&name).datum(),
            Value::Time(now).datum(),
            Value::Text(&applied_by).datum(),
            Value::Micros(micros).datum(),
            Value::Text(&checksum).datum(),
            Value::Bool(false).datum(),
            Value::Null.datum(),
            Value::Json(&metadata).datum(),
            Value::Text("applied").datum(),
            Value::Text(source).datum(),
            Value::Time(started_at).datum(),
            Value::Time(now).datum(),
            Value::Text(&session_role).datum(),
            Value::Text(&application_name).datum(),
            Value::Address(client_addr.as_deref()).datum(),
            Value::TransactionId(transaction_id).datum(),
            Value::Lsn(state.start_lsn).datum(),
            Value::Lsn(rows::wal_position()).datum(),
            Value::Int4(count).datum(),
            Value::Text(risk).datum(),
            ticket.as_deref().and_then(|t| Value::Text(t).datum()),
            approval_id.and_then(|id| Value::Int8(id).datum()),
            Value::Text(&entry_hash).datum(),
            Value::Null.datum(),
        ]];
        rows::insert(house.history, &mut row);
        migration.written = Some(nest_level);
    } else {
        add(migration.id, micros, risk, approval_id, named.and_then(|n| n.checksum));
    }
    migration.statements += count;
    state.current = Some(migration);
    state.waiting[first..].iter_mut().for_each(|w| w.written = Some(nest_level));
}

/// How bad a risk word is.
fn severity(risk: &str) -> Risk {
    [Risk::Caution, Risk::Review, Risk::Destructive]
        .into_iter()
        .find(|r| r.as_str() == risk)
        .unwrap_or(Risk::Safe)
}

/// Adds a later transaction, or a later part of this one, to a row that stands already.
fn add(id: i64, micros: i64, risk: &str, approval_id: Option<i64>, checksum: Option<String>) {
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
    let result = session::as_guard(|| {
        Spi::connect_mut(|client| {
            client
                .update(
                    UPDATE,
                    None,
                    &[id.into(), micros.into(), risk.into(), approval_id.into(), checksum.into()],
                )
                .map(|_| ())
        })
    });
    if let Err(error) = result {
        pgrx::pg_sys::panic::ErrorReport::from(GuardError::from(error)).report(PgLogLevel::ERROR);
    }
}

/// Forgets what a rollback undid: everything at this transaction nest level or deeper. Level 0 is
/// the end of the transaction.
pub fn forget(nest_level: i32) {
    STATE.with_borrow_mut(|s| {
        s.waiting.retain(|w| w.row.nest_level < nest_level);
        for w in &mut s.waiting {
            w.written = w.written.filter(|level| *level < nest_level);
        }
        let gone = |open: &Open| open.written.is_some_and(|l| l != i32::MAX && l >= nest_level);
        if nest_level == 0 || s.current.as_ref().is_some_and(gone) {
            s.current = None;
        }
    });
}

/// At the commit: a named migration stays open for the next transaction of this backend.
pub fn committed() {
    STATE.with_borrow_mut(|s| {
        if let Some(open) = s.current.take()
            && open.name.is_some()
            && open.written.is_none_or(|l| l != i32::MAX)
        {
            s.committed = Some(Open { written: None, ..open });
        }
    });
}

/// A subtransaction was released into its parent.
pub fn merge_into(parent: i32) {
    STATE.with_borrow_mut(|s| {
        for w in &mut s.waiting {
            w.row.nest_level = w.row.nest_level.min(parent);
            w.written = w.written.map(|level| level.min(parent));
        }
        if let Some(current) = &mut s.current
            && current.written != Some(i32::MAX)
        {
            current.written = current.written.map(|level| level.min(parent));
        }
    });
}
