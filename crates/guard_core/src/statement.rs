//! One SQL statement as the server sees it.

/// A possibly schema-qualified name, unquoted and folded as the server stores it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name {
    /// The schema, when the statement gives one.
    pub schema: Option<String>,
    /// The object's own name.
    pub name: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{}.{}", quote(schema), quote(&self.name)),
            None => f.write_str(&quote(&self.name)),
        }
    }
}

/// Quotes an identifier where it needs it. Reserved words are always quoted by the server's own
/// function; here only the form counts, which is enough for messages.
pub fn quote(identifier: &str) -> String {
    let plain = identifier.bytes().enumerate().all(|(i, b)| {
        b.is_ascii_lowercase() || b == b'_' || (i > 0 && (b.is_ascii_digit() || b == b'$'))
    });
    if plain && !identifier.is_empty() {
        identifier.to_string()
    } else {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }
}

/// Quotes a string literal.
pub fn literal(text: &str) -> String {
    let body = text.replace('\'', "''");
    if body.contains('\\') {
        format!("E'{}'", body.replace('\\', "\\\\"))
    } else {
        format!("'{body}'")
    }
}

/// What kind of thing a DROP, RENAME, COMMENT, ... speaks of. The names are those of the server's
/// `ObjectType`; one that this release does not know is `Other` with the server's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ObjectKind {
    AccessMethod,
    Aggregate,
    AccessMethodOperator,
    AccessMethodProcedure,
    Attribute,
    Cast,
    Column,
    Collation,
    Conversion,
    Database,
    Default,
    DefaultAcl,
    Domain,
    DomainConstraint,
    EventTrigger,
    Extension,
    ForeignDataWrapper,
    ForeignServer,
    ForeignTable,
    Function,
    Index,
    Language,
    LargeObject,
    MaterializedView,
    OperatorClass,
    Operator,
    OperatorFamily,
    ParameterAcl,
    Policy,
    Procedure,
    Publication,
    PublicationNamespace,
    PublicationRelation,
    Role,
    Routine,
    Rule,
    Schema,
    Sequence,
    Subscription,
    Statistics,
    TableConstraint,
    Table,
    Tablespace,
    Transform,
    Trigger,
    TextSearchConfiguration,
    TextSearchDictionary,
    TextSearchParser,
    TextSearchTemplate,
    Type,
    UserMapping,
    View,
    Other(u32),
}

/// One subcommand of ALTER TABLE (and of ALTER VIEW, INDEX, SEQUENCE, TYPE, FOREIGN TABLE, which
/// the server parses alike).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AlterTable {
    AddColumn {
        column: String,
    },
    DropColumn {
        column: String,
        cascade: bool,
        missing_ok: bool,
    },
    ColumnDefault {
        column: String,
        dropped: bool,
    },
    DropNotNull {
        column: String,
    },
    SetNotNull {
        column: String,
    },
    SetExpression {
        column: String,
    },
    DropExpression {
        column: String,
    },
    SetStatistics,
    SetOptions,
    ResetOptions,
    SetStorage,
    SetCompression,
    AddIndex,
    AddConstraint,
    AlterConstraint,
    ValidateConstraint {
        constraint: String,
    },
    DropConstraint {
        constraint: String,
        cascade: bool,
        missing_ok: bool,
    },
    AlterColumnType {
        column: String,
    },
    AlterColumnGenericOptions,
    ChangeOwner,
    ClusterOn,
    DropCluster,
    SetLogged,
    SetUnlogged,
    DropOids,
    SetAccessMethod,
    SetTablespace,
    SetRelationOptions,
    ResetRelationOptions,
    EnableTrigger {
        name: Option<String>,
    },
    DisableTrigger {
        name: Option<String>,
    },
    EnableRule {
        name: String,
    },
    DisableRule {
        name: String,
    },
    AddInherit,
    DropInherit,
    AddOf,
    DropOf,
    ReplicaIdentity,
    EnableRowSecurity,
    DisableRowSecurity,
    ForceRowSecurity,
    NoForceRowSecurity,
    GenericOptions,
    AttachPartition,
    DetachPartition {
        concurrently: bool,
    },
    DetachPartitionFinalize,
    AddIdentity {
        column: String,
    },
    SetIdentity {
        column: String,
    },
    DropIdentity {
        column: String,
        missing_ok: bool,
    },
    /// Subcommands that the server makes up itself while it rewrites a table.
    Internal,
    /// A subcommand that this release does not know, with the server's number.
    Unknown(u32),
}

/// How an event trigger is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum EventTriggerState {
    Enabled,
    Always,
    Replica,
    Disabled,
}

/// What DML may do to every row of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum WholeTable {
    Delete,
    Update,
}

/// The parts of a statement that a rule may need. Everything else is told by [`Class`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Body {
    /// Nothing beyond the class is needed.
    Plain,
    /// DROP of named objects. `names` are as written, for messages.
    Drop {
        kind: ObjectKind,
        names: Vec<String>,
        cascade: bool,
        missing_ok: bool,
        concurrent: bool,
    },
    DropOwned {
        roles: Vec<String>,
        cascade: bool,
    },
    Truncate {
        relations: Vec<Name>,
        cascade: bool,
    },
    AlterTable {
        relation: Name,
        kind: ObjectKind,
        missing_ok: bool,
        commands: Vec<AlterTable>,
    },
    /// A statement whose subject is one relation (CREATE TABLE, CREATE INDEX ON, ...).
    Relation {
        relation: Name,
        kind: ObjectKind,
    },
    /// A statement on one named object that is not a relation.
    Object {
        kind: ObjectKind,
        name: String,
    },
    Rename {
        kind: ObjectKind,
        relation: Option<Name>,
        name: String,
        new_name: String,
    },
    AlterEventTrigger {
        name: String,
        state: EventTriggerState,
    },
    /// CREATE INDEX: `index` is None when the server chooses the name.
    CreateIndex {
        relation: Name,
        index: Option<String>,
        concurrent: bool,
    },
    /// ALTER DATABASE, ROLE or SYSTEM ... SET: `name` is None for RESET ALL. The value is read for
    /// the settings that switch the guard only.
    PersistentSetting {
        name: Option<String>,
        value: Option<String>,
    },
    /// DELETE, UPDATE or MERGE that can touch every row of these relations.
    WholeTableDml {
        targets: Vec<(WholeTable, String)>,
    },
}

macro_rules! classes {
    ($($name:ident: $records:ident,)*) => {
        /// Every class of statement that the server's parser produces.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Class { $($name,)*
            /// A statement class that this release does not know, with the server's node tag.
            Unknown(u32),
        }

        impl Class {
            /// What the history keeps of a statement of this class.
            pub fn recording(self) -> Recording {
                match self { $(Class::$name => Recording::$records,)* Class::Unknown(_) => Recording::Always }
            }

            /// The class whose parse node is called `node`, as in `DropStmt`.
            pub fn from_node_name(node: &str) -> Option<Class> {
                match node { $(stringify!($name) => Some(Class::$name),)* _ => None }
            }
        }
    };
}

/// What the history keeps of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// It changes definitions: a row for each.
    Always,
    /// Only when a rule fired.
    Finding,
    /// Only inside a named migration or when a rule fired.
    Named,
}

classes! {
    // Data definition inside the database.
    AlterTableStmt: Always, AlterTableMoveAllStmt: Always, AlterDomainStmt: Always,
    AlterDefaultPrivilegesStmt: Always, GrantStmt: Always, CreateStmt: Always,
    CreateForeignTableStmt: Always, ImportForeignSchemaStmt: Always, DefineStmt: Always,
    DropStmt: Always, TruncateStmt: Always, CommentStmt: Always, SecLabelStmt: Always,
    IndexStmt: Always, CreateFunctionStmt: Always, AlterFunctionStmt: Always, RenameStmt: Always,
    RuleStmt: Always, ViewStmt: Always, CreateDomainStmt: Always, CreateTableAsStmt: Always,
    CreateSeqStmt: Always, AlterSeqStmt: Always, CreateTrigStmt: Always, CreatePLangStmt: Always,
    ReindexStmt: Always, CreateSchemaStmt: Always, CreateConversionStmt: Always,
    CreateCastStmt: Always, CreateOpClassStmt: Always, CreateOpFamilyStmt: Always,
    AlterOpFamilyStmt: Always, AlterObjectDependsStmt: Always, AlterObjectSchemaStmt: Always,
    AlterOwnerStmt: Always, AlterOperatorStmt: Always, AlterTypeStmt: Always,
    DropOwnedStmt: Always, ReassignOwnedStmt: Always, CompositeTypeStmt: Always,
    CreateEnumStmt: Always, CreateRangeStmt: Always, AlterEnumStmt: Always,
    AlterTSDictionaryStmt: Always, AlterTSConfigurationStmt: Always, CreateFdwStmt: Always,
    AlterFdwStmt: Always, CreateForeignServerStmt: Always, AlterForeignServerStmt: Always,
    CreateUserMappingStmt: Always, AlterUserMappingStmt: Always, DropUserMappingStmt: Always,
    CreateExtensionStmt: Always, AlterExtensionStmt: Always, AlterExtensionContentsStmt: Always,
    CreateEventTrigStmt: Always, AlterEventTrigStmt: Always, CreatePolicyStmt: Always,
    AlterPolicyStmt: Always, CreateTransformStmt: Always, CreateAmStmt: Always,
    CreatePublicationStmt: Always, AlterPublicationStmt: Always, CreateSubscriptionStmt: Always,
    AlterSubscriptionStmt: Always, DropSubscriptionStmt: Always, CreateStatsStmt: Always,
    AlterStatsStmt: Always, AlterCollationStmt: Always, ReplicaIdentityStmt: Always,
    // Shared objects and the server itself.
    CreateRoleStmt: Always, AlterRoleStmt: Always, AlterRoleSetStmt: Always, DropRoleStmt: Always,
    GrantRoleStmt: Always, CreatedbStmt: Always, DropdbStmt: Always, AlterDatabaseStmt: Always,
    AlterDatabaseRefreshCollStmt: Always, AlterDatabaseSetStmt: Always,
    CreateTableSpaceStmt: Always, DropTableSpaceStmt: Always, AlterTableSpaceOptionsStmt: Always,
    AlterSystemStmt: Always,
    // Maintenance.
    RefreshMatViewStmt: Named, ClusterStmt: Named, VacuumStmt: Finding, LockStmt: Finding,
    CheckPointStmt: Finding,
    // Rows, settings, cursors, transactions, and containers whose contents are seen themselves.
    SelectStmt: Finding, InsertStmt: Finding, UpdateStmt: Finding, DeleteStmt: Finding,
    MergeStmt: Finding, CopyStmt: Finding, ReturnStmt: Finding, PLAssignStmt: Finding,
    SetOperationStmt: Finding, RawStmt: Finding, PlannedStmt: Finding, DoStmt: Finding,
    CallStmt: Finding, ExplainStmt: Finding, PrepareStmt: Finding, ExecuteStmt: Finding,
    DeallocateStmt: Finding, DeclareCursorStmt: Finding, ClosePortalStmt: Finding,
    FetchStmt: Finding, TransactionStmt: Finding, VariableSetStmt: Finding,
    VariableShowStmt: Finding, DiscardStmt: Finding, ConstraintsSetStmt: Finding,
    NotifyStmt: Finding, ListenStmt: Finding, UnlistenStmt: Finding, LoadStmt: Finding,
}

/// One statement, top level or nested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its class.
    pub class: Class,
    /// The server's command tag, as in `DROP TABLE`.
    pub command: String,
    /// Its exact slice of the source text, without the terminating semicolon.
    pub text: String,
    /// What the rules need of its parse tree.
    pub body: Body,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert_eq!(quote("orders"), "orders");
        assert_eq!(quote("Orders"), "\"Orders\"");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote(""), "\"\"");
        assert_eq!(quote("größe"), "\"größe\"");
        let name = Name { schema: Some("s.x".into()), name: "t".into() };
        assert_eq!(name.to_string(), "\"s.x\".t");
    }

    #[test]
    fn literals_cannot_be_left() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }

    #[test]
    fn an_unknown_class_is_recorded() {
        assert_eq!(Class::Unknown(4711).recording(), Recording::Always);
        assert_eq!(Class::from_node_name("DropStmt"), Some(Class::DropStmt));
        assert_eq!(Class::from_node_name("FutureStmt"), None);
    }
}
