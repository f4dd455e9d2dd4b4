//! The door of the hooks: utility statements, plans, executor runs, the log.
//!
//! The functions that chain are written without locals that own anything: an error of Postgres
//! jumps through them untouched, with its position, context and constraint names. All Rust work is
//! done in guarded functions before and after; `after` is skipped by an error, and the abort
//! callbacks (see `xact`) put back what it would have.

use super::catalog::Catalog;
use super::nesting::{self, Level};
use super::reader::{self, Node};
use super::{armed, catalog, dml, log, xact};
use crate::guard::{self, Captured};
use crate::history;
use guard_core::statement::Recording;
use pgrx::pg_sys;
use std::ffi::{c_char, c_int, c_void};

// The server's own implementations, without the bridge's error conversion around them.
unsafe extern "C-unwind" {
    #[link_name = "standard_ProcessUtility"]
    fn raw_process_utility(
        pstmt: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: pg_sys::ProcessUtilityContext::Type,
        params: pg_sys::ParamListInfo,
        env: *mut pg_sys::QueryEnvironment,
        dest: *mut pg_sys::DestReceiver,
        qc: *mut pg_sys::QueryCompletion,
    );
    #[link_name = "standard_planner"]
    fn raw_planner(
        parse: *mut pg_sys::Query,
        query: *const c_char,
        options: c_int,
        params: pg_sys::ParamListInfo,
    ) -> *mut pg_sys::PlannedStmt;
    #[link_name = "standard_ExecutorStart"]
    fn raw_executor_start(query: *mut pg_sys::QueryDesc, eflags: c_int);
    #[cfg(not(feature = "pg18"))]
    #[link_name = "standard_ExecutorRun"]
    fn raw_executor_run(
        query: *mut pg_sys::QueryDesc,
        direction: pg_sys::ScanDirection::Type,
        count: u64,
        once: bool,
    );
    #[cfg(feature = "pg18")]
    #[link_name = "standard_ExecutorRun"]
    fn raw_executor_run(
        query: *mut pg_sys::QueryDesc,
        direction: pg_sys::ScanDirection::Type,
        count: u64,
    );
    #[link_name = "standard_ExecutorFinish"]
    fn raw_executor_finish(query: *mut pg_sys::QueryDesc);
}

static mut PREVIOUS_UTILITY: pg_sys::ProcessUtility_hook_type = None;
static mut PREVIOUS_PLANNER: pg_sys::planner_hook_type = None;
static mut PREVIOUS_START: pg_sys::ExecutorStart_hook_type = None;
static mut PREVIOUS_RUN: pg_sys::ExecutorRun_hook_type = None;
static mut PREVIOUS_FINISH: pg_sys::ExecutorFinish_hook_type = None;
static mut PREVIOUS_ACCESS: pg_sys::object_access_hook_type = None;
static mut PREVIOUS_LOG: pg_sys::emit_log_hook_type = None;

/// Installs the hooks.
pub fn init() {
    // SAFETY: called once from _PG_init, before any of them can be called; the previous hooks are
    // kept and called in turn.
    unsafe {
        PREVIOUS_UTILITY = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(process_utility);
        PREVIOUS_PLANNER = pg_sys::planner_hook;
        pg_sys::planner_hook = Some(planner);
        PREVIOUS_START = pg_sys::ExecutorStart_hook;
        pg_sys::ExecutorStart_hook = Some(executor_start);
        PREVIOUS_RUN = pg_sys::ExecutorRun_hook;
        pg_sys::ExecutorRun_hook = Some(executor_run);
        PREVIOUS_FINISH = pg_sys::ExecutorFinish_hook;
        pg_sys::ExecutorFinish_hook = Some(executor_finish);
        PREVIOUS_ACCESS = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(object_access);
        PREVIOUS_LOG = pg_sys::emit_log_hook;
        pg_sys::emit_log_hook = Some(emit_log);
        // Plans that the session made before the library came carry no marks: make them anew.
        if !pg_sys::process_shared_preload_libraries_in_progress {
            pg_sys::ResetPlanCache();
        }
    }
}

/// What `before` hands to `after` across the C frame: plain data.
#[derive(Clone, Copy)]
#[repr(C)]
struct Passage {
    level: Level,
    /// 0 for a statement that is not followed.
    frame: u64,
}

unsafe extern "C-unwind" fn process_utility(
    pstmt: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    env: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    qc: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are passed on as they came; no local here owns anything.
    unsafe {
        let passage = before_utility(pstmt, query, context);
        match PREVIOUS_UTILITY {
            Some(next) => next(pstmt, query, read_only_tree, context, params, env, dest, qc),
            None => {
                raw_process_utility(pstmt, query, read_only_tree, context, params, env, dest, qc)
            }
        }
        after_utility(passage);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn before_utility(
    pstmt: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    context: pg_sys::ProcessUtilityContext::Type,
) -> Passage {
    // Statements that Postgres derives from another (the sequence of a serial column, the parts
    // of CREATE SCHEMA) belong to that one.
    let derived = context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND;
    // SAFETY: the server passes a valid utility statement and its source text, both alive for the
    // whole call.
    let (node, location, len) =
        unsafe { (Node::new((*pstmt).utilityStmt), (*pstmt).stmt_location, (*pstmt).stmt_len) };
    // Of the classes that are recorded only with a finding no rule judges the utility statement
    // itself: what a DO block or an EXECUTE runs is seen on its own.
    let gated = !derived
        && node.class().recording() != Recording::Finding
        && !nesting::starts_internal()
        && armed::catalogs_readable();
    let frame = if gated && let Some(house) = armed::house() {
        // SAFETY: as above.
        let text = unsafe { reader::slice(query, location, len) };
        let statement = reader::statement(node, &text);
        let facts = Catalog { house, node: Some(node), targets: Vec::new(), figures: false };
        guard::before(Captured { statement, facts, by_trigger: false })
    } else {
        None
    };
    Passage { level: nesting::enter(), frame: frame.unwrap_or(0) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn after_utility(passage: Passage) {
    nesting::leave(passage.level);
    if passage.frame != 0 {
        guard::after(passage.frame);
    }
}

unsafe extern "C-unwind" fn planner(
    parse: *mut pg_sys::Query,
    query: *const c_char,
    options: c_int,
    params: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: as in `process_utility`. The planner may fold a user's functions: one level deeper.
    unsafe {
        let marks =
            if dml::changes_rows(parse) { examine_query(parse) } else { std::ptr::null_mut() };
        let level = nesting::enter();
        let plan = match PREVIOUS_PLANNER {
            Some(next) => next(parse, query, options, params),
            None => raw_planner(parse, query, options, params),
        };
        nesting::leave(level);
        if !marks.is_null() || history::is_waiting() {
            mark_plan(plan, marks);
        }
        plan
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn examine_query(parse: *mut pg_sys::Query) -> *mut pg_sys::List {
    // SAFETY: the server passes a valid query.
    unsafe { dml::examine(parse) }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn mark_plan(plan: *mut pg_sys::PlannedStmt, marks: *mut pg_sys::List) {
    // SAFETY: the plan was just made from the query that was examined.
    unsafe { dml::mark(plan, marks) }
}

unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, eflags: c_int) {
    // SAFETY: as in `process_utility`.
    unsafe {
        if dml::concerns(query, eflags) {
            before_dml(query);
        }
        match PREVIOUS_START {
            Some(next) => next(query, eflags),
            None => raw_executor_start(query, eflags),
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn before_dml(query: *mut pg_sys::QueryDesc) {
    if nesting::starts_internal() || !armed::catalogs_readable() {
        return;
    }
    let Some(house) = armed::house() else { return };
    // SAFETY: the server passes a valid query descriptor, alive for the whole call.
    let Some((statement, targets)) = (unsafe { dml::capture(query) }) else { return };
    let facts = Catalog { house, node: None, targets, figures: false };
    if let Some(frame) = guard::before(Captured { statement, facts, by_trigger: false }) {
        guard::ends_with(frame, query as usize);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn after_dml(query: *mut pg_sys::QueryDesc) {
    guard::after_query(query as usize);
}

#[cfg(not(feature = "pg18"))]
unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
    once: bool,
) {
    // SAFETY: as in `process_utility`.
    unsafe {
        let level = nesting::enter();
        match PREVIOUS_RUN {
            Some(next) => next(query, direction, count, once),
            None => raw_executor_run(query, direction, count, once),
        }
        nesting::leave(level);
    }
}

#[cfg(feature = "pg18")]
unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
) {
    // SAFETY: as in `process_utility`.
    unsafe {
        let level = nesting::enter();
        match PREVIOUS_RUN {
            Some(next) => next(query, direction, count),
            None => raw_executor_run(query, direction, count),
        }
        nesting::leave(level);
    }
}

unsafe extern "C-unwind" fn executor_finish(query: *mut pg_sys::QueryDesc) {
    // SAFETY: as in `process_utility`.
    unsafe {
        let level = nesting::enter();
        match PREVIOUS_FINISH {
            Some(next) => next(query),
            None => raw_executor_finish(query),
        }
        nesting::leave(level);
        if guard::is_following() {
            after_dml(query);
        }
    }
}

unsafe extern "C-unwind" fn object_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    sub: c_int,
    arg: *mut c_void,
) {
    // SAFETY: as in `process_utility`.
    unsafe {
        if let Some(next) = PREVIOUS_ACCESS {
            next(access, class, object, sub, arg);
        }
        if access == pg_sys::ObjectAccessType::OAT_POST_CREATE {
            note_created(class, object, sub);
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn note_created(class: pg_sys::Oid, object: pg_sys::Oid, column: c_int) {
    if class == pg_sys::RelationRelationId && column == 0 {
        // The relation cache knows that it is new.
        guard::created_relation(object.to_u32());
        return;
    }
    // A function that is replaced is announced as a new one; but it can be seen already.
    if class == pg_sys::ProcedureRelationId && catalog::function_is_visible(object) {
        return;
    }
    xact::created(class, object, column);
}

unsafe extern "C-unwind" fn emit_log(edata: *mut pg_sys::ErrorData) {
    // SAFETY: the server passes the error data that it is about to write, its strings in
    // ErrorContext. `hide_tokens` neither raises nor allocates from Rust while it looks.
    unsafe {
        log::hide_tokens(edata);
        if let Some(next) = PREVIOUS_LOG {
            next(edata);
        }
    }
}
