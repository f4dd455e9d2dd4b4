//! The trigger on the guard's own tables: nobody but the guard writes them, whatever was granted.

use super::{armed, nesting};
use crate::error::GuardError;
use guard_core::text;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

#[pg_extern(
    sql = "CREATE FUNCTION migration_guard.protect() RETURNS trigger LANGUAGE c AS '@MODULE_PATHNAME@', '@FUNCTION_NAME@';"
)]
fn protect(fcinfo: pg_sys::FunctionCallInfo) {
    if let Err(error) = refuse_strangers(fcinfo) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
}

fn refuse_strangers(fcinfo: pg_sys::FunctionCallInfo) -> Result<(), GuardError> {
    // SAFETY: fcinfo is the call that the server makes; the context of a trigger call is a
    // TriggerData with the table it fired on. What the function returns is a zero datum that is
    // not NULL, as a statement trigger must.
    let relation = unsafe {
        let context: *mut pg_sys::Node = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_TriggerData {
            return Err(GuardError::new(
                PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                text::ONLY_AS_TRIGGER,
            ));
        }
        (*(*context.cast::<pg_sys::TriggerData>()).tg_relation).rd_id
    };
    let Some(house) = armed::house() else { return Ok(()) };
    let own = nesting::in_internal();
    if relation == house.policy && (own || crate::api::is_administrator()) {
        // Every backend reads the policy anew.
        // SAFETY: the relation is open in this transaction.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) };
        return Ok(());
    }
    if own {
        return Ok(());
    }
    let table = super::catalog::identity((pg_sys::RelationRelationId, relation, 0));
    Err(GuardError::denied(text::protected_table(&table.unwrap_or_default()))
        .hint(text::PROTECTED_TABLE_HINT))
}
