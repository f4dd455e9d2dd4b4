//! The one reader of parse trees: a C parse node becomes an owned `Statement`.

use guard_core::statement::{
    AlterTable, Body, Class, EventTriggerState, Name, ObjectKind, Statement,
};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::ffi::{CStr, c_char};

/// A parse node that is alive for as long as the hook or event trigger that was given it runs.
#[derive(Clone, Copy)]
pub struct Node(*mut pg_sys::Node);

impl Node {
    /// # Safety
    /// `node` must point to a valid parse node that outlives every use of the result.
    pub unsafe fn new(node: *mut pg_sys::Node) -> Self {
        Node(node)
    }

    pub(super) fn ptr<T>(self) -> *mut T {
        self.0.cast()
    }

    pub fn tag(self) -> pg_sys::NodeTag {
        // SAFETY: every node starts with its tag; `new` promises a valid node.
        unsafe { (*self.0).type_ }
    }

    /// The class of the statement; a tag without a name here is `Unknown`, never silently safe.
    pub fn class(self) -> Class {
        thread_local! {
            // Tags are small numbers; they are told apart by their names, once each.
            static KNOWN: RefCell<Vec<Option<Class>>> = const { RefCell::new(Vec::new()) };
        }
        let tag = self.tag();
        KNOWN.with_borrow_mut(|known| {
            let at = tag as usize;
            if known.len() <= at {
                known.resize(at + 1, None);
            }
            *known[at].get_or_insert_with(|| {
                let name = format!("{tag:?}");
                let class = name.strip_prefix("T_").and_then(Class::from_node_name);
                class.unwrap_or(Class::Unknown(tag as u32))
            })
        })
    }

    /// The server's command tag.
    pub fn command(self) -> String {
        // SAFETY: both functions only read the node; the tag's name is a constant of the server.
        unsafe { text(pg_sys::GetCommandTagName(pg_sys::CreateCommandTag(self.0))) }
    }
}

/// Copies a C string; NULL becomes the empty string. Bytes that are not UTF-8 (other server
/// encodings) are replaced.
pub(super) fn text(s: *const c_char) -> String {
    if s.is_null() {
        return String::new();
    }
    // SAFETY: every string of a parse tree is NUL-terminated.
    unsafe { CStr::from_ptr(s) }.to_string_lossy().into_owned()
}

/// The elements of a List of pointers.
pub(super) fn items<T>(list: *mut pg_sys::List) -> Vec<*mut T> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: a non-NULL List has `length` initialised cells.
    unsafe {
        (0..(*list).length as usize).map(|i| (*(*list).elements.add(i)).ptr_value.cast()).collect()
    }
}

/// Cuts the statement out of its source, without what stands before its first token and without
/// the semicolon. A
/// length of 0 means the rest. Only the slice is looked at: a script may hold thousands.
///
/// # Safety
/// `source` must be NUL-terminated, and `location` and `len` what the parser said of it.
pub unsafe fn slice(source: *const c_char, location: i32, len: i32) -> String {
    let start = usize::try_from(location).unwrap_or(0);
    // SAFETY: the parser's offsets lie inside the string.
    let bytes = unsafe {
        match usize::try_from(len) {
            Ok(len) if len > 0 => std::slice::from_raw_parts(source.add(start).cast(), len),
            _ => CStr::from_ptr(source.add(start)).to_bytes(),
        }
    };
    let text = String::from_utf8_lossy(bytes);
    // Since 17 the parser leaves out what stands before the first token; before, it does not.
    let first = guard_core::lexer::tokens(&text).next().map_or(0, |token| token.start);
    text[first..].trim_end_matches([' ', '\t', '\n', '\r', ';']).to_string()
}

/// Reads a statement.
pub fn statement(node: Node, text: &str) -> Statement {
    let class = node.class();
    Statement { class, command: node.command(), text: text.to_string(), body: body(node, class) }
}

fn body(node: Node, class: Class) -> Body {
    // SAFETY: the class was read from the node's tag, so each cast below is to the node's own type.
    unsafe {
        match class {
            Class::DropStmt => drop_stmt(node.ptr()),
            Class::DropOwnedStmt => {
                let stmt: *mut pg_sys::DropOwnedStmt = node.ptr();
                Body::DropOwned {
                    roles: items((*stmt).roles).into_iter().map(role).collect(),
                    cascade: (*stmt).behavior == pg_sys::DropBehavior::DROP_CASCADE,
                }
            }
            Class::TruncateStmt => {
                let stmt: *mut pg_sys::TruncateStmt = node.ptr();
                Body::Truncate {
                    relations: items((*stmt).relations).into_iter().map(name).collect(),
                    cascade: (*stmt).behavior == pg_sys::DropBehavior::DROP_CASCADE,
                }
            }
            Class::AlterTableStmt => {
                let stmt: *mut pg_sys::AlterTableStmt = node.ptr();
                Body::AlterTable {
                    relation: name((*stmt).relation),
                    kind: object_kind((*stmt).objtype),
                    missing_ok: (*stmt).missing_ok,
                    commands: items((*stmt).cmds).into_iter().map(alter_table).collect(),
                }
            }
            Class::RenameStmt => {
                let stmt: *mut pg_sys::RenameStmt = node.ptr();
                let relation = (*stmt).relation;
                Body::Rename {
                    kind: object_kind((*stmt).renameType),
                    relation: (!relation.is_null()).then(|| name(relation)),
                    name: if (*stmt).subname.is_null() {
                        object_name((*stmt).object)
                    } else {
                        text((*stmt).subname)
                    },
                    new_name: text((*stmt).newname),
                }
            }
            Class::AlterEventTrigStmt => {
                let stmt: *mut pg_sys::AlterEventTrigStmt = node.ptr();
                Body::AlterEventTrigger {
                    name: text((*stmt).trigname),
                    state: match (*stmt).tgenabled as u8 {
                        b'A' => EventTriggerState::Always,
                        b'R' => EventTriggerState::Replica,
                        b'D' => EventTriggerState::Disabled,
                        _ => EventTriggerState::Enabled,
                    },
                }
            }
            Class::AlterDatabaseSetStmt => {
                let stmt: *mut pg_sys::AlterDatabaseSetStmt = node.ptr();
                persistent_setting((*stmt).setstmt)
            }
            Class::AlterRoleSetStmt => {
                let stmt: *mut pg_sys::AlterRoleSetStmt = node.ptr();
                persistent_setting((*stmt).setstmt)
            }
            Class::AlterSystemStmt => {
                let stmt: *mut pg_sys::AlterSystemStmt = node.ptr();
                persistent_setting((*stmt).setstmt)
            }
            Class::CreateStmt | Class::CreateForeignTableStmt => {
                // A CreateForeignTableStmt begins with its CreateStmt.
                let stmt: *mut pg_sys::CreateStmt = node.ptr();
                relation((*stmt).relation, ObjectKind::Table)
            }
            Class::IndexStmt => {
                let stmt: *mut pg_sys::IndexStmt = node.ptr();
                let index = (*stmt).idxname;
                Body::CreateIndex {
                    relation: name((*stmt).relation),
                    index: (!index.is_null()).then(|| text(index)),
                    concurrent: (*stmt).concurrent,
                }
            }
            Class::ViewStmt => {
                let stmt: *mut pg_sys::ViewStmt = node.ptr();
                relation((*stmt).view, ObjectKind::View)
            }
            Class::CreateSeqStmt => {
                let stmt: *mut pg_sys::CreateSeqStmt = node.ptr();
                relation((*stmt).sequence, ObjectKind::Sequence)
            }
            Class::AlterSeqStmt => {
                let stmt: *mut pg_sys::AlterSeqStmt = node.ptr();
                relation((*stmt).sequence, ObjectKind::Sequence)
            }
            Class::CreateTrigStmt => {
                let stmt: *mut pg_sys::CreateTrigStmt = node.ptr();
                relation((*stmt).relation, ObjectKind::Trigger)
            }
            Class::RuleStmt => {
                let stmt: *mut pg_sys::RuleStmt = node.ptr();
                relation((*stmt).relation, ObjectKind::Rule)
            }
            Class::CreatePolicyStmt => {
                let stmt: *mut pg_sys::CreatePolicyStmt = node.ptr();
                relation((*stmt).table, ObjectKind::Policy)
            }
            Class::AlterPolicyStmt => {
                let stmt: *mut pg_sys::AlterPolicyStmt = node.ptr();
                relation((*stmt).table, ObjectKind::Policy)
            }
            Class::CreateTableAsStmt => {
                let stmt: *mut pg_sys::CreateTableAsStmt = node.ptr();
                let into = (*stmt).into;
                if into.is_null() { Body::Plain } else { relation((*into).rel, ObjectKind::Table) }
            }
            Class::RefreshMatViewStmt => {
                let stmt: *mut pg_sys::RefreshMatViewStmt = node.ptr();
                relation((*stmt).relation, ObjectKind::MaterializedView)
            }
            Class::CreateSchemaStmt => {
                let stmt: *mut pg_sys::CreateSchemaStmt = node.ptr();
                object(ObjectKind::Schema, text((*stmt).schemaname))
            }
            Class::CreateExtensionStmt => {
                let stmt: *mut pg_sys::CreateExtensionStmt = node.ptr();
                object(ObjectKind::Extension, text((*stmt).extname))
            }
            Class::AlterExtensionStmt => {
                let stmt: *mut pg_sys::AlterExtensionStmt = node.ptr();
                object(ObjectKind::Extension, text((*stmt).extname))
            }
            Class::AlterExtensionContentsStmt => {
                let stmt: *mut pg_sys::AlterExtensionContentsStmt = node.ptr();
                object(ObjectKind::Extension, text((*stmt).extname))
            }
            Class::CreateEventTrigStmt => {
                let stmt: *mut pg_sys::CreateEventTrigStmt = node.ptr();
                object(ObjectKind::EventTrigger, text((*stmt).trigname))
            }
            Class::AlterObjectSchemaStmt => {
                let stmt: *mut pg_sys::AlterObjectSchemaStmt = node.ptr();
                subject((*stmt).objectType, (*stmt).relation, (*stmt).object)
            }
            Class::AlterObjectDependsStmt => {
                let stmt: *mut pg_sys::AlterObjectDependsStmt = node.ptr();
                subject((*stmt).objectType, (*stmt).relation, (*stmt).object)
            }
            Class::AlterOwnerStmt => {
                let stmt: *mut pg_sys::AlterOwnerStmt = node.ptr();
                subject((*stmt).objectType, (*stmt).relation, (*stmt).object)
            }
            Class::CommentStmt => {
                let stmt: *mut pg_sys::CommentStmt = node.ptr();
                subject((*stmt).objtype, std::ptr::null_mut(), (*stmt).object)
            }
            Class::CreateFunctionStmt => {
                let stmt: *mut pg_sys::CreateFunctionStmt = node.ptr();
                object(ObjectKind::Function, names((*stmt).funcname))
            }
            Class::AlterFunctionStmt => {
                let stmt: *mut pg_sys::AlterFunctionStmt = node.ptr();
                subject((*stmt).objtype, std::ptr::null_mut(), (*stmt).func.cast())
            }
            _ => Body::Plain,
        }
    }
}

fn relation(range_var: *mut pg_sys::RangeVar, kind: ObjectKind) -> Body {
    Body::Relation { relation: name(range_var), kind }
}

fn object(kind: ObjectKind, name: String) -> Body {
    Body::Object { kind, name }
}

fn subject(
    kind: pg_sys::ObjectType::Type,
    range_var: *mut pg_sys::RangeVar,
    node: *mut pg_sys::Node,
) -> Body {
    if range_var.is_null() {
        object(object_kind(kind), object_name(node))
    } else {
        relation(range_var, object_kind(kind))
    }
}

fn name(range_var: *mut pg_sys::RangeVar) -> Name {
    if range_var.is_null() {
        return Name::default();
    }
    // SAFETY: a RangeVar of a parse tree; its strings are NULL or NUL-terminated.
    unsafe {
        let schema = (*range_var).schemaname;
        Name { schema: (!schema.is_null()).then(|| text(schema)), name: text((*range_var).relname) }
    }
}

fn role(spec: *mut pg_sys::RoleSpec) -> String {
    // SAFETY: a RoleSpec of a parse tree.
    unsafe {
        match (*spec).roletype {
            pg_sys::RoleSpecType::ROLESPEC_CSTRING => text((*spec).rolename),
            pg_sys::RoleSpecType::ROLESPEC_SESSION_USER => {
                super::session::role_name(super::session::session_user())
            }
            pg_sys::RoleSpecType::ROLESPEC_PUBLIC => "public".into(),
            _ => super::session::role_name(super::session::current_user()),
        }
    }
}

fn names(list: *mut pg_sys::List) -> String {
    // SAFETY: a list of String nodes, as the grammar makes it; the result is palloc'd.
    unsafe { text(pg_sys::NameListToString(list)) }
}

/// The name of an object as the grammar holds it, for messages: the form depends on the kind.
fn object_name(node: *mut pg_sys::Node) -> String {
    if node.is_null() {
        return String::new();
    }
    // SAFETY: the cast follows the node's own tag.
    unsafe {
        match (*node).type_ {
            pg_sys::NodeTag::T_String => string_value(node),
            pg_sys::NodeTag::T_TypeName => text(pg_sys::TypeNameToString(node.cast())),
            pg_sys::NodeTag::T_ObjectWithArgs => {
                names((*node.cast::<pg_sys::ObjectWithArgs>()).objname)
            }
            pg_sys::NodeTag::T_List => {
                let parts: Vec<*mut pg_sys::Node> = items(node.cast());
                let all_strings = parts.iter().all(|p| (**p).type_ == pg_sys::NodeTag::T_String);
                if all_strings {
                    names(node.cast())
                } else {
                    parts.into_iter().map(object_name).collect::<Vec<_>>().join(" ")
                }
            }
            _ => String::new(),
        }
    }
}

fn string_value(node: *mut pg_sys::Node) -> String {
    // SAFETY: the caller has seen the tag T_String.
    unsafe { text((*node.cast::<pg_sys::String>()).sval) }
}

unsafe fn drop_stmt(stmt: *mut pg_sys::DropStmt) -> Body {
    // SAFETY: the caller has seen the tag T_DropStmt.
    unsafe {
        let kind = (*stmt).removeType;
        Body::Drop {
            kind: object_kind(kind),
            names: items((*stmt).objects).into_iter().map(object_name).collect(),
            cascade: (*stmt).behavior == pg_sys::DropBehavior::DROP_CASCADE,
            missing_ok: (*stmt).missing_ok,
            concurrent: (*stmt).concurrent,
        }
    }
}

fn persistent_setting(stmt: *mut pg_sys::VariableSetStmt) -> Body {
    // SAFETY: the three statements that end here always have a setstmt. The arguments of a known
    // setting are constants, which the server writes as one palloc'd string; NULL for none.
    unsafe {
        let all = (*stmt).kind == pg_sys::VariableSetKind::VAR_RESET_ALL;
        let name = (!all && !(*stmt).name.is_null()).then(|| text((*stmt).name));
        let set = (*stmt).kind == pg_sys::VariableSetKind::VAR_SET_VALUE;
        let judged = name.as_deref().is_some_and(|n| {
            n.ends_with("_preload_libraries")
                || n.contains("migration_guard.")
                || n == "event_triggers"
        });
        let value = (set && judged).then(|| text(pg_sys::ExtractSetVariableArgs(stmt)));
        Body::PersistentSetting { name, value }
    }
}

fn alter_table(cmd: *mut pg_sys::AlterTableCmd) -> AlterTable {
    use pg_sys::AlterTableType as T;
    // SAFETY: the elements of AlterTableStmt.cmds are AlterTableCmd nodes.
    let (subtype, name, def, cascade, missing_ok) = unsafe {
        (
            (*cmd).subtype,
            text((*cmd).name),
            (*cmd).def,
            (*cmd).behavior == pg_sys::DropBehavior::DROP_CASCADE,
            (*cmd).missing_ok,
        )
    };
    match subtype {
        T::AT_AddColumn | T::AT_AddColumnToView => {
            // SAFETY: the definition of ADD COLUMN is a ColumnDef.
            let column = unsafe { text((*def.cast::<pg_sys::ColumnDef>()).colname) };
            AlterTable::AddColumn { column }
        }
        T::AT_DropColumn => AlterTable::DropColumn { column: name, cascade, missing_ok },
        T::AT_ColumnDefault => AlterTable::ColumnDefault { column: name, dropped: def.is_null() },
        T::AT_DropNotNull => AlterTable::DropNotNull { column: name },
        T::AT_SetNotNull => AlterTable::SetNotNull { column: name },
        T::AT_DropExpression => AlterTable::DropExpression { column: name },
        T::AT_SetStatistics => AlterTable::SetStatistics,
        T::AT_SetOptions => AlterTable::SetOptions,
        T::AT_ResetOptions => AlterTable::ResetOptions,
        T::AT_SetStorage => AlterTable::SetStorage,
        T::AT_SetCompression => AlterTable::SetCompression,
        T::AT_AddIndex | T::AT_AddIndexConstraint => AlterTable::AddIndex,
        T::AT_AddConstraint => AlterTable::AddConstraint,
        T::AT_AlterConstraint => AlterTable::AlterConstraint,
        T::AT_ValidateConstraint => AlterTable::ValidateConstraint { constraint: name },
        T::AT_DropConstraint => {
            AlterTable::DropConstraint { constraint: name, cascade, missing_ok }
        }
        T::AT_AlterColumnType => AlterTable::AlterColumnType { column: name },
        T::AT_AlterColumnGenericOptions => AlterTable::AlterColumnGenericOptions,
        T::AT_ChangeOwner => AlterTable::ChangeOwner,
        T::AT_ClusterOn => AlterTable::ClusterOn,
        T::AT_DropCluster => AlterTable::DropCluster,
        T::AT_SetLogged => AlterTable::SetLogged,
        T::AT_SetUnLogged => AlterTable::SetUnlogged,
        T::AT_DropOids => AlterTable::DropOids,
        T::AT_SetAccessMethod => AlterTable::SetAccessMethod,
        T::AT_SetTableSpace => AlterTable::SetTablespace,
        T::AT_SetRelOptions | T::AT_ReplaceRelOptions => AlterTable::SetRelationOptions,
        T::AT_ResetRelOptions => AlterTable::ResetRelationOptions,
        T::AT_EnableTrig | T::AT_EnableAlwaysTrig | T::AT_EnableReplicaTrig => {
            AlterTable::EnableTrigger { name: Some(name) }
        }
        T::AT_EnableTrigAll | T::AT_EnableTrigUser => AlterTable::EnableTrigger { name: None },
        T::AT_DisableTrig => AlterTable::DisableTrigger { name: Some(name) },
        T::AT_DisableTrigAll | T::AT_DisableTrigUser => AlterTable::DisableTrigger { name: None },
        T::AT_EnableRule | T::AT_EnableAlwaysRule | T::AT_EnableReplicaRule => {
            AlterTable::EnableRule { name }
        }
        T::AT_DisableRule => AlterTable::DisableRule { name },
        T::AT_AddInherit => AlterTable::AddInherit,
        T::AT_DropInherit => AlterTable::DropInherit,
        T::AT_AddOf => AlterTable::AddOf,
        T::AT_DropOf => AlterTable::DropOf,
        T::AT_ReplicaIdentity => AlterTable::ReplicaIdentity,
        T::AT_EnableRowSecurity => AlterTable::EnableRowSecurity,
        T::AT_DisableRowSecurity => AlterTable::DisableRowSecurity,
        T::AT_ForceRowSecurity => AlterTable::ForceRowSecurity,
        T::AT_NoForceRowSecurity => AlterTable::NoForceRowSecurity,
        T::AT_GenericOptions => AlterTable::GenericOptions,
        T::AT_AttachPartition => AlterTable::AttachPartition,
        T::AT_DetachPartition => {
            // SAFETY: the definition of DETACH PARTITION is a PartitionCmd.
            let concurrently = unsafe { (*def.cast::<pg_sys::PartitionCmd>()).concurrent };
            AlterTable::DetachPartition { concurrently }
        }
        T::AT_DetachPartitionFinalize => AlterTable::DetachPartitionFinalize,
        T::AT_AddIdentity => AlterTable::AddIdentity { column: name },
        T::AT_SetIdentity => AlterTable::SetIdentity { column: name },
        T::AT_DropIdentity => AlterTable::DropIdentity { column: name, missing_ok },
        T::AT_CookedColumnDefault
        | T::AT_ReAddIndex
        | T::AT_ReAddConstraint
        | T::AT_ReAddDomainConstraint
        | T::AT_ReAddComment
        | T::AT_ReAddStatistics => AlterTable::Internal,
        other => super::version::alter_table(other, name),
    }
}

/// The kind of thing that the grammar's ObjectType stands for.
pub fn object_kind(kind: pg_sys::ObjectType::Type) -> ObjectKind {
    use ObjectKind as K;
    use pg_sys::ObjectType as T;
    match kind {
        T::OBJECT_ACCESS_METHOD => K::AccessMethod,
        T::OBJECT_AGGREGATE => K::Aggregate,
        T::OBJECT_AMOP => K::AccessMethodOperator,
        T::OBJECT_AMPROC => K::AccessMethodProcedure,
        T::OBJECT_ATTRIBUTE => K::Attribute,
        T::OBJECT_CAST => K::Cast,
        T::OBJECT_COLUMN => K::Column,
        T::OBJECT_COLLATION => K::Collation,
        T::OBJECT_CONVERSION => K::Conversion,
        T::OBJECT_DATABASE => K::Database,
        T::OBJECT_DEFAULT => K::Default,
        T::OBJECT_DEFACL => K::DefaultAcl,
        T::OBJECT_DOMAIN => K::Domain,
        T::OBJECT_DOMCONSTRAINT => K::DomainConstraint,
        T::OBJECT_EVENT_TRIGGER => K::EventTrigger,
        T::OBJECT_EXTENSION => K::Extension,
        T::OBJECT_FDW => K::ForeignDataWrapper,
        T::OBJECT_FOREIGN_SERVER => K::ForeignServer,
        T::OBJECT_FOREIGN_TABLE => K::ForeignTable,
        T::OBJECT_FUNCTION => K::Function,
        T::OBJECT_INDEX => K::Index,
        T::OBJECT_LANGUAGE => K::Language,
        T::OBJECT_LARGEOBJECT => K::LargeObject,
        T::OBJECT_MATVIEW => K::MaterializedView,
        T::OBJECT_OPCLASS => K::OperatorClass,
        T::OBJECT_OPERATOR => K::Operator,
        T::OBJECT_OPFAMILY => K::OperatorFamily,
        T::OBJECT_PARAMETER_ACL => K::ParameterAcl,
        T::OBJECT_POLICY => K::Policy,
        T::OBJECT_PROCEDURE => K::Procedure,
        T::OBJECT_PUBLICATION => K::Publication,
        T::OBJECT_PUBLICATION_NAMESPACE => K::PublicationNamespace,
        T::OBJECT_PUBLICATION_REL => K::PublicationRelation,
        T::OBJECT_ROLE => K::Role,
        T::OBJECT_ROUTINE => K::Routine,
        T::OBJECT_RULE => K::Rule,
        T::OBJECT_SCHEMA => K::Schema,
        T::OBJECT_SEQUENCE => K::Sequence,
        T::OBJECT_SUBSCRIPTION => K::Subscription,
        T::OBJECT_STATISTIC_EXT => K::Statistics,
        T::OBJECT_TABCONSTRAINT => K::TableConstraint,
        T::OBJECT_TABLE => K::Table,
        T::OBJECT_TABLESPACE => K::Tablespace,
        T::OBJECT_TRANSFORM => K::Transform,
        T::OBJECT_TRIGGER => K::Trigger,
        T::OBJECT_TSCONFIGURATION => K::TextSearchConfiguration,
        T::OBJECT_TSDICTIONARY => K::TextSearchDictionary,
        T::OBJECT_TSPARSER => K::TextSearchParser,
        T::OBJECT_TSTEMPLATE => K::TextSearchTemplate,
        T::OBJECT_TYPE => K::Type,
        T::OBJECT_USER_MAPPING => K::UserMapping,
        T::OBJECT_VIEW => K::View,
        other => K::Other(other),
    }
}
