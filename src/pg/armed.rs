//! Is this database guarded, and where are the guard's own objects?
//!
//! The answer is cached for the backend and forgotten when the catalogs of event triggers or
//! schemas change anywhere, so that the test costs a few nanoseconds per statement.

use pgrx::pg_sys;
use std::cell::RefCell;
use std::ffi::CStr;

/// The event triggers of `enable()`: name, event, function.
pub const EVENT_TRIGGERS: [(&CStr, &str, &str); 4] = [
    (c"migration_guard_start", "ddl_command_start", "on_ddl_command_start"),
    (c"migration_guard_end", "ddl_command_end", "on_ddl_command_end"),
    (c"migration_guard_drop", "sql_drop", "on_sql_drop"),
    (c"migration_guard_rewrite", "table_rewrite", "on_table_rewrite"),
];

/// OIDs of what the guard is made of, in an armed database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct House {
    pub namespace: pg_sys::Oid,
    pub snapshots_namespace: pg_sys::Oid,
    pub extension: pg_sys::Oid,
    pub event_triggers: [pg_sys::Oid; 4],
    pub history: pg_sys::Oid,
    pub statements: pg_sys::Oid,
    pub policy: pg_sys::Oid,
    pub history_sequence: pg_sys::Oid,
    pub statements_sequence: pg_sys::Oid,
}

thread_local! {
    /// None: not known. Some(None): not armed.
    static HOUSE: RefCell<Option<Option<House>>> = const { RefCell::new(None) };
}

/// The guard's objects if this database is armed: the four event triggers exist, call the
/// extension's functions, and none is disabled.
pub fn house() -> Option<House> {
    if let Some(known) = HOUSE.with_borrow(|h| *h) {
        return known;
    }
    let found = find();
    HOUSE.set(Some(found));
    found
}

/// Forgets the answer. What changed while the database was not armed told nobody: the policy is
/// read anew, too.
pub fn forget() {
    crate::policy::forget();
    HOUSE.set(None);
}

/// Can the catalogs be read now?
pub fn catalogs_readable() -> bool {
    // SAFETY: both only read backend state.
    unsafe {
        pg_sys::IsTransactionState()
            && !pg_sys::IsAbortedTransactionBlockState()
            && pg_sys::MyDatabaseId != pg_sys::InvalidOid
    }
}

fn find() -> Option<House> {
    // SAFETY: name lookups in syscaches inside a transaction; all with missing_ok, so none raises
    // for an absent object; each tuple is released after its fields were copied.
    unsafe {
        let namespace = pg_sys::get_namespace_oid(c"migration_guard".as_ptr(), true);
        if namespace == pg_sys::InvalidOid {
            return None;
        }
        let mut event_triggers = [pg_sys::InvalidOid; 4];
        for (slot, (name, ..)) in event_triggers.iter_mut().zip(EVENT_TRIGGERS) {
            let tuple = pg_sys::SearchSysCache1(
                pg_sys::SysCacheIdentifier::EVENTTRIGGERNAME as i32,
                pg_sys::Datum::from(name.as_ptr()),
            );
            if tuple.is_null() {
                return None;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_event_trigger>();
            let (oid, function, state) = ((*form).oid, (*form).evtfoid, (*form).evtenabled);
            pg_sys::ReleaseSysCache(tuple);
            if state as u8 == b'D' || pg_sys::get_func_namespace(function) != namespace {
                return None;
            }
            *slot = oid;
        }
        let relation = |name: &CStr| pg_sys::get_relname_relid(name.as_ptr(), namespace);
        let history = relation(c"migrations_history");
        let statements = relation(c"migration_statements");
        let policy = relation(c"policy");
        let extension = pg_sys::get_extension_oid(c"migration_guard".as_ptr(), true);
        if [history, statements, policy, extension].contains(&pg_sys::InvalidOid) {
            return None;
        }
        Some(House {
            namespace,
            snapshots_namespace: pg_sys::get_namespace_oid(
                c"migration_guard_snapshots".as_ptr(),
                true,
            ),
            extension,
            event_triggers,
            history,
            statements,
            policy,
            history_sequence: relation(c"migrations_history_id_seq"),
            statements_sequence: relation(c"migration_statements_id_seq"),
        })
    }
}

#[pgrx::pg_guard]
extern "C-unwind" fn on_catalog_change(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    forget();
}

#[pgrx::pg_guard]
extern "C-unwind" fn on_relation_change(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    let policy = HOUSE.with_borrow(|h| h.flatten().map(|h| h.policy));
    if relation == pg_sys::InvalidOid || policy == Some(relation) {
        crate::policy::forget();
    }
}

/// Registers the callbacks that keep the answer true.
pub fn init() {
    // SAFETY: called once from _PG_init; the callbacks live as long as the library.
    unsafe {
        for cache in [
            pg_sys::SysCacheIdentifier::EVENTTRIGGERNAME,
            pg_sys::SysCacheIdentifier::EVENTTRIGGEROID,
            pg_sys::SysCacheIdentifier::NAMESPACEOID,
        ] {
            pg_sys::CacheRegisterSyscacheCallback(
                cache as i32,
                Some(on_catalog_change),
                pg_sys::Datum::from(0usize),
            );
        }
        pg_sys::CacheRegisterRelcacheCallback(
            Some(on_relation_change),
            pg_sys::Datum::from(0usize),
        );
    }
}
