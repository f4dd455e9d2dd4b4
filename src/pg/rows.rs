//! Writes rows of the guard's own tables below the executor: no trigger fires, no plan is made,
//! and a row with its index entries costs microseconds. And the little that goes with it:
//! sequences and snapshots.

use pgrx::pg_sys;
use std::cell::Cell;

/// Opens a table for writing and inserts rows. `rows` hold one value per column, in order.
pub fn insert(table: pg_sys::Oid, rows: &mut [Vec<Option<pg_sys::Datum>>]) {
    // SAFETY: the table is one of the guard's own: an ordinary heap with plain btree indexes and
    // no generated columns, for which CatalogTupleInsert does what an executor insert would. Each
    // tuple is formed from as many datums as the descriptor has columns (checked), of the types
    // that the caller was written for. Locks are kept until the end of the transaction.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock as i32);
        let indexes = pg_sys::CatalogOpenIndexes(relation);
        let columns = usize::try_from((*(*relation).rd_att).natts).unwrap_or(0);
        for row in rows.iter_mut() {
            row.resize(columns, None);
            let mut nulls: Vec<bool> = row.iter().map(Option::is_none).collect();
            let mut values: Vec<pg_sys::Datum> =
                row.iter().map(|v| v.unwrap_or(pg_sys::Datum::from(0usize))).collect();
            let tuple = pg_sys::heap_form_tuple(
                (*relation).rd_att,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            pg_sys::CatalogTupleInsertWithInfo(relation, tuple, indexes);
            pg_sys::heap_freetuple(tuple);
        }
        pg_sys::CatalogCloseIndexes(indexes);
        pg_sys::table_close(relation, pg_sys::NoLock as i32);
        pg_sys::CommandCounterIncrement();
    }
}

/// The next value of a sequence of the guard's own. Assigns a transaction id.
pub fn next_value(sequence: pg_sys::Oid) -> i64 {
    super::server::nextval(sequence)
}

/// Runs `work` with an active snapshot, also where the server has just put the last one away.
pub fn with_snapshot<R>(work: impl FnOnce() -> R) -> R {
    // SAFETY: pushed and popped in pairs; on an error the abort of the transaction pops it.
    unsafe {
        if pg_sys::ActiveSnapshotSet() {
            return work();
        }
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let result = work();
        pg_sys::PopActiveSnapshot();
        result
    }
}

/// The present transaction's full id. Assigns one.
pub fn transaction_id() -> u64 {
    // SAFETY: allowed in any transaction that may write.
    unsafe { pg_sys::GetTopFullTransactionId().value }
}

/// Where the next WAL record will go.
pub fn wal_position() -> u64 {
    // SAFETY: reads shared memory under its own spinlock.
    unsafe { pg_sys::GetXLogInsertRecPtr() }
}

/// May this server write at all? A standby may not.
pub fn read_only() -> bool {
    // SAFETY: read backend and shared state.
    unsafe { pg_sys::RecoveryInProgress() || pg_sys::XactReadOnly }
}

/// A value of a guard table's column.
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int4(i32),
    Int8(i64),
    Text(&'a str),
    Texts(Vec<String>),
    /// Microseconds since 2000-01-01 00:00 UTC.
    Time(i64),
    /// A duration in microseconds.
    Micros(i64),
    Lsn(u64),
    TransactionId(u64),
    Address(Option<&'a str>),
}

impl Value<'_> {
    /// The datum; None is NULL.
    pub fn datum(&self) -> Option<pg_sys::Datum> {
        use pgrx::IntoDatum;
        match self {
            Value::Null => None,
            Value::Bool(b) => b.into_datum(),
            Value::Int4(n) => n.into_datum(),
            Value::Int8(n) | Value::Time(n) => n.into_datum(),
            Value::Text(t) => t.into_datum(),
            Value::Texts(t) => t.clone().into_datum(),
            Value::Micros(n) => {
                // SAFETY: an Interval is plain data; the allocation lives in the current context.
                unsafe {
                    let interval: *mut pg_sys::Interval =
                        pg_sys::palloc0(size_of::<pg_sys::Interval>()).cast();
                    (*interval).time = *n;
                    Some(pg_sys::Datum::from(interval))
                }
            }
            Value::Lsn(n) | Value::TransactionId(n) => Some(pg_sys::Datum::from(*n)),
            Value::Address(address) => address.and_then(|a| from_text(pg_sys::inet_in, a)),
        }
    }
}

/// The `metadata` of a migration: the same for all of a backend, so it is made once.
pub fn metadata() -> Option<pg_sys::Datum> {
    thread_local! {
        static METADATA: Cell<Option<pg_sys::Datum>> = const { Cell::new(None) };
    }
    if METADATA.get().is_none() {
        let json = serde_json::json!({ "server_version": super::version::server() }).to_string();
        // SAFETY: the datum is made in the context that lives as long as the backend.
        METADATA.set(unsafe {
            pgrx::PgMemoryContexts::TopMemoryContext
                .switch_to(|_| from_text(pg_sys::jsonb_in, &json))
        });
    }
    METADATA.get()
}

type Function = unsafe fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum;

fn from_text(input: Function, text: &str) -> Option<pg_sys::Datum> {
    let text = std::ffi::CString::new(text).ok()?;
    // SAFETY: a built-in input function, given the NUL-terminated string that it expects; the
    // result is palloc'd and does not point into the string.
    unsafe {
        pgrx::direct_function_call_as_datum(input, &[Some(pg_sys::Datum::from(text.as_ptr()))])
    }
}

/// The client's address; None on a local socket and in background processes.
pub fn client_address() -> Option<String> {
    // SAFETY: the function reads the connection's address; without a connection it is not asked.
    unsafe {
        if pg_sys::MyProcPort.is_null() {
            return None;
        }
        let address = pgrx::direct_function_call_as_datum(pg_sys::inet_client_addr, &[])?;
        let text = pgrx::direct_function_call_as_datum(pg_sys::network_host, &[Some(address)])?;
        pgrx::FromDatum::from_datum(text, false)
    }
}

/// The client's application name.
pub fn application_name() -> String {
    // SAFETY: a setting of the server, NULL or NUL-terminated.
    unsafe { super::reader::text(pg_sys::application_name) }
}
