//! What a statement would destroy: the answer of the catalog to one statement, as owned data.

/// What an object is, as far as the rules tell objects apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Table,
    PartitionedTable,
    ForeignTable,
    Column,
    View,
    MaterializedView,
    Index,
    Sequence,
    Function,
    Type,
    Schema,
    Extension,
    EventTrigger,
    Constraint,
    ForeignKey,
    Trigger,
    Policy,
    Rule,
    Default,
    Other,
}

impl Kind {
    /// Does it hold rows of its own or of its partitions?
    pub fn is_table(self) -> bool {
        matches!(self, Kind::Table | Kind::PartitionedTable | Kind::ForeignTable)
    }
}

/// How an object comes to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Via {
    /// The statement names it.
    Named,
    /// It belongs to a named object: indexes, partitions, owned sequences, the contents of a schema.
    Part,
    /// It depends on something that goes, and CASCADE takes it.
    Cascade,
}

/// How many rows a relation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Counted, all of them.
    Exactly(u64),
    /// Estimated from the number of pages and the density of the pages that were read.
    About(u64),
    /// The caller may not read the table, or it is locked; but it is not known to be empty.
    Unknown,
}

impl Rows {
    /// Is it certain that nothing is there?
    pub fn none(self) -> bool {
        self == Rows::Exactly(0)
    }
}

/// One object that would be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// OID of the catalog that holds it, its own OID, and its column number or 0.
    pub address: (u32, u32, i32),
    /// What it is.
    pub kind: Kind,
    /// The server's name for the kind, as in `table` or `foreign key`.
    pub type_name: String,
    /// Fully qualified and quoted; for a column `schema.table.column`.
    pub identity: String,
    /// The table that it belongs to, for a column, constraint, trigger, ...
    pub table: Option<String>,
    /// How it comes to be lost.
    pub via: Via,
    /// Temporary, or created in this very transaction: nobody misses it.
    pub transient: bool,
    /// It is part of the guard.
    pub guard: bool,
    /// May its name and figures be shown to the caller?
    pub visible: bool,
    /// Its own name, unquoted: of a column the column's.
    pub name: String,
    /// Rows, for tables.
    pub rows: Option<Rows>,
    /// Bytes with indexes and toast, for tables.
    pub bytes: u64,
}

/// All that one statement would destroy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss {
    /// Named objects first, then what goes with them.
    pub objects: Vec<Object>,
    /// The caller may not run the statement: Postgres will refuse it, the guard keeps silent.
    pub refused: bool,
}

impl Loss {
    /// Objects whose loss somebody would notice.
    pub fn noticed(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|o| !o.transient)
    }
}
