//! Every difference between the major versions of Postgres.

use guard_core::statement::AlterTable;
use pgrx::pg_sys;

/// ALTER TABLE subcommands that not every major version knows.
pub fn alter_table(subtype: pg_sys::AlterTableType::Type, column: String) -> AlterTable {
    match subtype {
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        pg_sys::AlterTableType::AT_SetExpression => AlterTable::SetExpression { column },
        // Until 15 a recursing subcommand had a number of its own; the grammar never makes one.
        #[cfg(feature = "pg15")]
        pg_sys::AlterTableType::AT_AddColumnRecurse
        | pg_sys::AlterTableType::AT_AddConstraintRecurse
        | pg_sys::AlterTableType::AT_DropColumnRecurse
        | pg_sys::AlterTableType::AT_DropConstraintRecurse
        | pg_sys::AlterTableType::AT_ValidateConstraintRecurse => AlterTable::Internal,
        #[cfg(any(feature = "pg15", feature = "pg16", feature = "pg17"))]
        pg_sys::AlterTableType::AT_CheckNotNull => {
            drop(column);
            AlterTable::Internal
        }
        other => AlterTable::Unknown(other),
    }
}

/// Does `role` own the object? Objects of a class without owners (casts, access methods, ...) count
/// as owned, so that the guard speaks rather than keeps silent.
pub fn owns(class: pg_sys::Oid, object: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: the object was just found in its catalog; the tests read syscaches.
    #[cfg(not(feature = "pg15"))]
    unsafe {
        // For a class without owners the server's test would raise.
        !pg_sys::is_objectclass_supported(class)
            || pg_sys::get_object_attnum_owner(class) == 0
            || pg_sys::object_ownercheck(class, object, role)
    }
    #[cfg(feature = "pg15")]
    unsafe {
        match class {
            pg_sys::RelationRelationId => pg_sys::pg_class_ownercheck(object, role),
            pg_sys::NamespaceRelationId => pg_sys::pg_namespace_ownercheck(object, role),
            pg_sys::TypeRelationId => pg_sys::pg_type_ownercheck(object, role),
            pg_sys::ProcedureRelationId => pg_sys::pg_proc_ownercheck(object, role),
            pg_sys::ExtensionRelationId => pg_sys::pg_extension_ownercheck(object, role),
            LANGUAGES => pg_sys::pg_language_ownercheck(object, role),
            pg_sys::OperatorRelationId => pg_sys::pg_oper_ownercheck(object, role),
            pg_sys::OperatorClassRelationId => pg_sys::pg_opclass_ownercheck(object, role),
            pg_sys::OperatorFamilyRelationId => pg_sys::pg_opfamily_ownercheck(object, role),
            pg_sys::CollationRelationId => pg_sys::pg_collation_ownercheck(object, role),
            pg_sys::EventTriggerRelationId => pg_sys::pg_event_trigger_ownercheck(object, role),
            pg_sys::ForeignServerRelationId => pg_sys::pg_foreign_server_ownercheck(object, role),
            pg_sys::ForeignDataWrapperRelationId => {
                pg_sys::pg_foreign_data_wrapper_ownercheck(object, role)
            }
            _ => true,
        }
    }
}

#[cfg(feature = "pg15")]
const LANGUAGES: pg_sys::Oid = pg_sys::Oid::from_u32(2612);

/// Has the caller the rights that the plan needs? Asked of the server's own test, without raising.
///
/// # Safety
/// `plan` must be a valid planned statement.
pub unsafe fn plan_permitted(plan: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: the lists belong to the plan that the caller vouches for.
    unsafe {
        #[cfg(feature = "pg15")]
        return pg_sys::ExecCheckRTPerms((*plan).rtable, false);
        #[cfg(not(feature = "pg15"))]
        return pg_sys::ExecCheckPermissions((*plan).rtable, (*plan).permInfos, false);
    }
}

/// The join condition of MERGE: part of the join tree until 16, a field of its own since 17.
///
/// # Safety
/// `query` must be a valid query of MERGE.
pub unsafe fn merge_condition(query: *mut pg_sys::Query) -> *mut pg_sys::Node {
    // SAFETY: as promised by the caller; a query of MERGE has a join tree.
    unsafe {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        return (*(*query).jointree).quals;
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return (*query).mergeJoinCondition;
    }
}

/// Version of the library.
pub fn library() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Version of the server that the library was built for, as in `15`.
pub fn server() -> u32 {
    pg_sys::PG_VERSION_NUM / 10000
}

/// Columns of pg_constraint: the type, and the table that it is on (18 put one before it).
pub const CONSTRAINT_TYPE: i16 = 4;
pub const CONSTRAINT_TABLE: i16 = if cfg!(feature = "pg18") { 9 } else { 8 };

/// Rights, in the width that the version's AclMode has (64 bits since 16).
#[allow(clippy::unnecessary_cast)]
pub const ACL_SELECT: pg_sys::AclMode = pg_sys::ACL_SELECT as pg_sys::AclMode;
#[allow(clippy::unnecessary_cast)]
pub const ACL_TRUNCATE: pg_sys::AclMode = pg_sys::ACL_TRUNCATE as pg_sys::AclMode;
