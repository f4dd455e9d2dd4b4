//! The life of a transaction: what is put back when it, or a part of it, is rolled back.

use super::{nesting, rows};
use crate::{approval, guard, history};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// One mark per open subtransaction: the nesting level at its start.
    static MARKS: RefCell<Vec<(pg_sys::SubTransactionId, nesting::Level)>> = const { RefCell::new(Vec::new()) };
    /// What this transaction created: catalog, OID and column, with the transaction nest level.
    /// Of relations only the columns: the relation cache knows the rest.
    static CREATED: RefCell<HashMap<(pg_sys::Oid, pg_sys::Oid, i32), i32>> = RefCell::default();
}

/// The nest level of the present (sub)transaction; 1 is the transaction itself.
pub fn nest_level() -> i32 {
    // SAFETY: reads backend state.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

/// Was this object, or column of a relation, created by the present transaction?
pub fn is_new(class: pg_sys::Oid, object: pg_sys::Oid, column: i32) -> bool {
    CREATED.with_borrow(|created| created.contains_key(&(class, object, column)))
}

/// Notes that the present transaction created an object or column.
pub fn created(class: pg_sys::Oid, object: pg_sys::Oid, column: i32) {
    CREATED.with_borrow_mut(|created| created.insert((class, object, column), nest_level()));
}

/// Microseconds since 2000-01-01 00:00 UTC, as Postgres counts them.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_xact(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    use pg_sys::XactEvent as E;
    match event {
        // The last moment at which writing is allowed, after every deferred trigger.
        E::XACT_EVENT_PRE_COMMIT | E::XACT_EVENT_PRE_PREPARE if history::is_waiting() => {
            rows::with_snapshot(history::flush);
        }
        E::XACT_EVENT_COMMIT | E::XACT_EVENT_PREPARE => {
            history::committed();
            transaction_over();
        }
        E::XACT_EVENT_ABORT => {
            nesting::back_to(nesting::OUTERMOST);
            guard::forget_frames(0);
            transaction_over();
        }
        _ => {}
    }
}

/// A commit inside a procedure leaves the statements around it running, so their frames stay.
fn transaction_over() {
    MARKS.with_borrow_mut(Vec::clear);
    CREATED.with_borrow_mut(HashMap::clear);
    history::forget(0);
    approval::forget(0);
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_subxact(
    event: pg_sys::SubXactEvent::Type,
    id: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    use pg_sys::SubXactEvent as E;
    match event {
        E::SUBXACT_EVENT_START_SUB => MARKS.with_borrow_mut(|m| m.push((id, nesting::mark()))),
        E::SUBXACT_EVENT_COMMIT_SUB => {
            MARKS.with_borrow_mut(|m| m.retain(|(mark, _)| *mark < id));
            let parent = nest_level() - 1;
            CREATED.with_borrow_mut(|created| {
                created.values_mut().for_each(|level| *level = (*level).min(parent));
            });
            history::merge_into(parent);
            approval::merge_into(parent);
        }
        E::SUBXACT_EVENT_ABORT_SUB => {
            let level = MARKS.with_borrow_mut(|m| {
                let at = m.iter().position(|(mark, _)| *mark >= id);
                let level = at.map(|i| m[i].1);
                m.retain(|(mark, _)| *mark < id);
                level
            });
            let aborted = nest_level();
            // A savepoint stays open between statements of the client: no level to go back to
            // but that of its own statement.
            if let Some(level) = level {
                nesting::back_to(level);
            }
            guard::forget_frames(aborted);
            CREATED.with_borrow_mut(|created| created.retain(|_, level| *level < aborted));
            history::forget(aborted);
            approval::forget(aborted);
        }
        _ => {}
    }
}

/// Registers the callbacks.
pub fn init() {
    // SAFETY: called once from _PG_init; the callbacks live as long as the library.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_xact), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_subxact), std::ptr::null_mut());
    }
}
