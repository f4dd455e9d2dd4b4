//! The door of the event triggers. Each function is called by the trigger of its event; called by
//! anything else it refuses.

use super::catalog::Catalog;
use super::reader::{self, Node};
use super::{armed, nesting};
use crate::guard::{self, Captured, Dropped};
use guard_core::text;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};

macro_rules! event_trigger {
    ($name:ident, $sql:literal, $body:path) => {
        #[pg_extern(sql = $sql)]
        fn $name(fcinfo: pg_sys::FunctionCallInfo) {
            if let Some(node) = called_as_event_trigger(fcinfo) {
                $body(node);
            }
        }
    };
}

event_trigger!(
    on_ddl_command_start,
    "CREATE FUNCTION migration_guard.on_ddl_command_start() RETURNS event_trigger LANGUAGE c AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';",
    started
);
event_trigger!(
    on_ddl_command_end,
    "CREATE FUNCTION migration_guard.on_ddl_command_end() RETURNS event_trigger LANGUAGE c AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';",
    ended
);
event_trigger!(
    on_sql_drop,
    "CREATE FUNCTION migration_guard.on_sql_drop() RETURNS event_trigger LANGUAGE c AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';",
    dropped
);
event_trigger!(
    on_table_rewrite,
    "CREATE FUNCTION migration_guard.on_table_rewrite() RETURNS event_trigger LANGUAGE c AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';",
    rewritten
);

/// The parse tree of the statement; None for the guard's own statements.
fn called_as_event_trigger(fcinfo: pg_sys::FunctionCallInfo) -> Option<Node> {
    // SAFETY: fcinfo is the call that the server makes; its context is NULL or a node, and an
    // EventTriggerData carries the parse tree of the statement that runs.
    unsafe {
        let context: *mut pg_sys::Node = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            ErrorReport::new(
                PgSqlErrorCode::ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED,
                text::ONLY_AS_EVENT_TRIGGER,
                "migration_guard",
            )
            .report(PgLogLevel::ERROR);
        }
        if nesting::in_internal() {
            return None;
        }
        Some(Node::new((*context.cast::<pg_sys::EventTriggerData>()).parsetree))
    }
}

fn started(node: Node) {
    if guard::enclosing_is_known() {
        return;
    }
    let Some(house) = armed::house() else { return };
    let text = source_of(node);
    let statement = reader::statement(node, &text);
    let facts = Catalog { house, node: Some(node), targets: Vec::new(), figures: false };
    guard::before(Captured { statement, facts, by_trigger: true });
}

fn ended(_node: Node) {
    if !guard::is_described()
        && let Some((object_type, identity)) = first_command()
    {
        guard::about(object_type, identity);
    }
    guard::after_by_trigger();
}

fn dropped(_node: Node) {
    if let Err(error) = guard::dropped(&dropped_objects()) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
}

fn rewritten(_node: Node) {
    guard::rewritten();
}

/// The source of a statement of which only the parse tree is known: exact if it is the top-level
/// statement of the portal, else the whole string that the client sent.
fn source_of(node: Node) -> String {
    // SAFETY: the active portal, its statements and its source text are alive while it runs.
    unsafe {
        let portal = pg_sys::ActivePortal;
        if !portal.is_null() && !(*portal).sourceText.is_null() {
            let source = (*portal).sourceText;
            for stmt in reader::items::<pg_sys::PlannedStmt>((*portal).stmts) {
                if (*stmt).utilityStmt == node.ptr() {
                    return reader::slice(source, (*stmt).stmt_location, (*stmt).stmt_len);
                }
            }
            return reader::text(source);
        }
    }
    String::new()
}

/// Calls one of the server's set-returning functions about the event that fires now, and reads
/// each row of its result.
fn rows_of<T>(function: u32, mut read: impl FnMut(&Row) -> T) -> Vec<T> {
    let mut found = Vec::new();
    // SAFETY: the call is set up as the executor does for a function that materializes its result:
    // a zeroed FunctionCallInfo without arguments, a ReturnSetInfo that allows that mode, and an
    // expression context for its per-query memory. The function only reads the state of the event
    // trigger that runs now. All is freed before returning.
    unsafe {
        let econtext = pg_sys::CreateStandaloneExprContext();
        let mut result: pg_sys::ReturnSetInfo = std::mem::zeroed();
        result.type_ = pg_sys::NodeTag::T_ReturnSetInfo;
        result.econtext = econtext;
        result.allowedModes = pg_sys::SetFunctionReturnMode::SFRM_Materialize as i32;
        result.returnMode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
        let mut finfo: pg_sys::FmgrInfo = std::mem::zeroed();
        pg_sys::fmgr_info(function.into(), &mut finfo);
        let Some(call) = finfo.fn_addr else { return found };
        let fcinfo: pg_sys::FunctionCallInfo =
            pg_sys::palloc0(size_of::<pg_sys::FunctionCallInfoBaseData>()).cast();
        (*fcinfo).flinfo = &mut finfo;
        (*fcinfo).resultinfo = (&raw mut result).cast();
        call(fcinfo);
        if !result.setResult.is_null() {
            let slot = pg_sys::MakeSingleTupleTableSlot(
                result.setDesc,
                &raw const pg_sys::TTSOpsMinimalTuple,
            );
            while pg_sys::tuplestore_gettupleslot(result.setResult, true, false, slot) {
                pg_sys::slot_getallattrs(slot);
                found.push(read(&Row(slot)));
            }
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::tuplestore_end(result.setResult);
        }
        pg_sys::FreeExprContext(econtext, true);
    }
    found
}

struct Row(*mut pg_sys::TupleTableSlot);

impl Row {
    /// The column of this number, from 1.
    fn get<T: FromDatum>(&self, column: usize) -> Option<T> {
        // SAFETY: the slot is deformed whole; the callers read columns with the types that
        // pg_proc declares for them.
        unsafe {
            let slot = self.0;
            T::from_datum(*(*slot).tts_values.add(column - 1), *(*slot).tts_isnull.add(column - 1))
        }
    }
}

/// Type and identity of the first object that the statement made or altered.
fn first_command() -> Option<(String, String)> {
    rows_of(pg_sys::F_PG_EVENT_TRIGGER_DDL_COMMANDS, |row| {
        (row.get::<String>(5).unwrap_or_default(), row.get::<String>(7).unwrap_or_default())
    })
    .into_iter()
    .next()
}

/// The tables and columns that the statement dropped; nothing else is compared with what was seen
/// coming, so nothing else is copied.
fn dropped_objects() -> Vec<Dropped> {
    rows_of(pg_sys::F_PG_EVENT_TRIGGER_DROPPED_OBJECTS, |row| {
        let object_type: &str = row.get(7).unwrap_or_default();
        if !guard::is_compared(object_type) {
            return None;
        }
        let oid = |column| row.get::<pg_sys::Oid>(column).unwrap_or(pg_sys::InvalidOid).to_u32();
        Some(Dropped {
            address: (oid(1), oid(2), row.get::<i32>(3).unwrap_or(0)),
            temporary: row.get::<bool>(6).unwrap_or(false),
            object_type: object_type.to_string(),
            identity: row.get::<String>(10).unwrap_or_default(),
        })
    })
    .into_iter()
    .flatten()
    .collect()
}
