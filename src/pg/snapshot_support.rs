//! What the snapshot room needs from C: reading a table without the planner, queries on the newest
//! snapshot, pinned settings, and steps that may fail.
//!
//! Why not `INSERT ... SELECT`: planning a query on a table folds the IMMUTABLE functions in its
//! index expressions, with the rights of whoever plans. A scan of the heap evaluates nothing, and
//! the output function of a type is C code that only a superuser can install.

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};
use std::ffi::{CStr, CString};
use std::panic::AssertUnwindSafe;

/// How a column of the original reaches the snapshot.
#[derive(Debug, Clone, Copy)]
pub struct CopiedColumn {
    /// attnum in the original
    pub number: i16,
    /// its type, when the value goes through the output function into a column of type text
    pub output_of: Option<pg_sys::Oid>,
}

/// Sets a setting until the enclosing `as_guard` or `as_restricted` ends.
pub fn pin(name: &CStr, value: &CStr) {
    // SAFETY: both strings are NUL-terminated; the value is restored when the nest level that
    // with_rights opened is closed, or by the abort of the transaction.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Waits for a lock of `mode` (a `pg_sys::*Lock` constant), held until the transaction ends.
pub fn lock_relation(relation: pg_sys::Oid, mode: u32) {
    // SAFETY: waits or raises; locking an OID that does not exist is harmless.
    unsafe {
        pg_sys::LockRelationOid(relation, mode as i32);
        pg_sys::AcceptInvalidationMessages();
    }
}

/// The single text value of `sql` with `$1 = argument`, seen through the newest snapshot also under
/// REPEATABLE READ; None when there is no row or a NULL.
pub fn newest_text(sql: &str, argument: pg_sys::Oid) -> Option<String> {
    let sql = CString::new(sql).ok()?;
    // SAFETY: SPI is connected and finished here; the value is copied into a String before
    // SPI_finish frees it. An error unwinds to the transaction, which cleans SPI up.
    unsafe {
        pg_sys::SPI_connect();
        let mut types = [pg_sys::OIDOID];
        let mut values = [pg_sys::Datum::from(argument)];
        let plan = pg_sys::SPI_prepare(sql.as_ptr(), 1, types.as_mut_ptr());
        let mut result = None;
        if !plan.is_null() {
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
            pg_sys::SPI_execute_snapshot(
                plan,
                values.as_mut_ptr(),
                std::ptr::null(),
                snapshot,
                std::ptr::null_mut(),
                true,
                false,
                1,
            );
            pg_sys::UnregisterSnapshot(snapshot);
            if pg_sys::SPI_processed > 0 && !pg_sys::SPI_tuptable.is_null() {
                let table = pg_sys::SPI_tuptable;
                let value = pg_sys::SPI_getvalue(*(*table).vals, (*table).tupdesc, 1);
                if !value.is_null() {
                    result = Some(CStr::from_ptr(value).to_string_lossy().into_owned());
                }
            }
        }
        pg_sys::SPI_finish();
        result
    }
}

/// The functions that the copy calls for every row, without pgrx's guard: the whole scan runs under
/// one boundary instead, which is what makes it as fast as Postgres's own.
mod raw {
    use pgrx::pg_sys;
    use std::ffi::{c_char, c_int};

    unsafe extern "C-unwind" {
        pub fn slot_getsomeattrs_int(slot: *mut pg_sys::TupleTableSlot, number: c_int);
        pub fn OutputFunctionCall(
            function: *mut pg_sys::FmgrInfo,
            value: pg_sys::Datum,
        ) -> *mut c_char;
        pub fn cstring_to_text(text: *const c_char) -> *mut pg_sys::text;
        pub fn MemoryContextReset(context: pg_sys::MemoryContext);
        pub fn ExecStoreVirtualTuple(
            slot: *mut pg_sys::TupleTableSlot,
        ) -> *mut pg_sys::TupleTableSlot;
        pub fn ProcessInterrupts();
    }
}

/// Copies the live rows of `source` into the empty table `target` (columns in order), as the newest
/// snapshot sees them. Both must be plain tables; the caller holds the lock. Returns the rows.
pub fn copy_rows(source: pg_sys::Oid, target: pg_sys::Oid, columns: &[CopiedColumn]) -> i64 {
    // SAFETY: opened with the locks that the caller holds; every C call runs under pgrx's guard or
    // under the one boundary of the scan, whose closure owns nothing that has a destructor. What is
    // allocated per row is in a context that is reset after each row; scan, slots, snapshot and
    // relations are released at the end, and by the resource owner after an error.
    unsafe {
        let from = pg_sys::table_open(source, pg_sys::AccessShareLock as i32);
        let to = pg_sys::table_open(target, pg_sys::RowExclusiveLock as i32);
        let mut outputs: Vec<Option<pg_sys::FmgrInfo>> = columns
            .iter()
            .map(|column| {
                column.output_of.map(|kept_type| {
                    let mut function = pg_sys::InvalidOid;
                    let mut varlena = false;
                    pg_sys::getTypeOutputInfo(kept_type, &mut function, &mut varlena);
                    let mut info = pg_sys::FmgrInfo::default();
                    pg_sys::fmgr_info(function, &mut info);
                    info
                })
            })
            .collect();
        let outputs = outputs.as_mut_slice();
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let read = pg_sys::table_slot_create(from, std::ptr::null_mut());
        let write =
            pg_sys::MakeSingleTupleTableSlot((*to).rd_att, &raw const pg_sys::TTSOpsVirtual);
        let bulk = pg_sys::GetBulkInsertState();
        let command = pg_sys::GetCurrentCommandId(true);
        let per_row = pg_sys::AllocSetContextCreateInternal(
            pg_sys::CurrentMemoryContext,
            c"migration_guard snapshot row".as_ptr(),
            0,
            8 * 1024,
            8 * 1024 * 1024,
        );
        let source_am = &*(*from).rd_tableam;
        let target_am = &*(*to).rd_tableam;
        let (Some(scan_begin), Some(next), Some(scan_end), Some(insert), Some(clear)) = (
            source_am.scan_begin,
            source_am.scan_getnextslot,
            source_am.scan_end,
            target_am.tuple_insert,
            (*(*write).tts_ops).clear,
        ) else {
            pgrx::error!("the access method of the table cannot be read");
        };
        let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN
            | pg_sys::ScanOptions::SO_ALLOW_STRAT
            | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
        // as CREATE TABLE AS does: the target is new and nobody else inserts into it
        let options = pg_sys::TABLE_INSERT_SKIP_FSM as i32;
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        let outer = pg_sys::CurrentMemoryContext;
        let rows = pg_sys::ffi::pg_guard_ffi_boundary(|| {
            let mut rows = 0i64;
            let scan =
                scan_begin(from, snapshot, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
            while next(scan, forward, read) {
                if std::ptr::read_volatile(&raw const pg_sys::InterruptPending) != 0 {
                    raw::ProcessInterrupts();
                }
                pg_sys::CurrentMemoryContext = per_row;
                let attributes = (*(*read).tts_tupleDescriptor).natts;
                if i32::from((*read).tts_nvalid) < attributes {
                    raw::slot_getsomeattrs_int(read, attributes);
                }
                for i in 0..columns.len() {
                    let at = (columns[i].number - 1) as usize;
                    let null = *(*read).tts_isnull.add(at);
                    let value = *(*read).tts_values.add(at);
                    *(*write).tts_isnull.add(i) = null;
                    *(*write).tts_values.add(i) = match &mut outputs[i] {
                        Some(output) if !null => {
                            let text = raw::OutputFunctionCall(output, value);
                            pg_sys::Datum::from(raw::cstring_to_text(text))
                        }
                        _ => value,
                    };
                }
                raw::ExecStoreVirtualTuple(write);
                insert(to, write, command, options, bulk);
                clear(write);
                pg_sys::CurrentMemoryContext = outer;
                raw::MemoryContextReset(per_row);
                rows += 1;
            }
            scan_end(scan);
            rows
        });
        pg_sys::FreeBulkInsertState(bulk);
        pg_sys::ExecDropSingleTupleTableSlot(write);
        pg_sys::ExecDropSingleTupleTableSlot(read);
        pg_sys::UnregisterSnapshot(snapshot);
        pg_sys::MemoryContextDelete(per_row);
        pg_sys::table_close(to, pg_sys::NoLock as i32);
        pg_sys::table_close(from, pg_sys::NoLock as i32);
        pg_sys::CommandCounterIncrement();
        rows
    }
}

/// Why a step failed: what Postgres said.
#[derive(Debug, Clone)]
pub struct Failure {
    pub code: PgSqlErrorCode,
    pub message: String,
}

/// Runs a step in a subtransaction of its own; an ERROR of Postgres undoes that step alone.
/// A cancelled query and a crash of the server's state are not caught.
pub fn attempt<R>(step: impl FnOnce() -> R) -> Result<R, Failure> {
    // SAFETY: the pattern of PL/pgSQL: memory context and resource owner are those from before,
    // whichever way the subtransaction ends.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let outcome = PgTryBuilder::new(AssertUnwindSafe(move || Ok(step())))
            .catch_others(|caught| {
                let failure = match &caught {
                    CaughtError::PostgresError(report)
                    | CaughtError::ErrorReport(report)
                    | CaughtError::RustPanic { ereport: report, .. } => Failure {
                        code: report.sql_error_code(),
                        message: report.message().to_string(),
                    },
                };
                if failure.code == PgSqlErrorCode::ERRCODE_QUERY_CANCELED {
                    caught.rethrow();
                }
                Err(failure)
            })
            .execute();
        match outcome {
            Ok(_) => pg_sys::ReleaseCurrentSubTransaction(),
            Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        outcome
    }
}
