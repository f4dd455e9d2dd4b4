//! What a table is, as a document that can make it again. `definition.sql` composes it.

use crate::error::{GuardError, Result};
use crate::pg::session::as_guard;
use crate::pg::snapshot_support::newest_text;
use guard_core::text::snapshot as text;
use pgrx::pg_sys;
use serde::{Deserialize, Serialize};

/// The version of the document; a reader refuses what it does not know.
pub const VERSION: u32 = 1;

/// One table, complete enough to be created again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definition {
    pub version: u32,
    pub schema: String,
    pub name: String,
    /// r, p or f, as in pg_class
    pub relkind: String,
    /// p or u, as in pg_class
    pub persistence: String,
    pub is_partition: bool,
    pub owner: String,
    pub schema_owner: String,
    /// were grants ever made on the table itself?
    pub has_grants: bool,
    /// parents by plain inheritance, in order
    pub inherits: Vec<String>,
    /// what follows the column list: PARTITION BY, USING, WITH, TABLESPACE, SERVER
    pub tail: String,
    pub of_type: Option<String>,
    /// columns that identify a row: the primary key or a unique index without NULLs
    pub key: Option<Vec<String>>,
    /// does an expression, domain or operator of a user take part in making the table?
    pub user_code: bool,
    pub columns: Vec<Column>,
    pub sequences: Vec<Sequence>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub number: i16,
    pub type_oid: u32,
    pub r#type: String,
    /// kept as text: its type is not built in
    pub as_text: bool,
    pub collatable: bool,
    /// '' or s (stored) or v (virtual)
    pub generated: String,
    /// '' or a (always) or d (by default)
    pub identity: String,
    /// declared by the table itself, not by a parent
    pub local: bool,
    /// as in CREATE TABLE, without NOT NULL and DEFAULT
    pub definition: String,
    /// ' NOT NULL' with its name where it has one, or ''
    pub not_null: String,
}

impl Column {
    /// Has it values of its own in the heap?
    pub fn is_stored(&self) -> bool {
        self.generated != "v"
    }
}

/// A sequence that belongs to a column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sequence {
    /// quoted and qualified
    pub name: String,
    pub column: String,
    pub identity: bool,
    #[serde(default)]
    pub last_value: Option<i64>,
    #[serde(default)]
    pub is_called: bool,
}

/// One statement of the way back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    pub phase: i32,
    pub kind: String,
    /// what a user calls the thing
    pub object: String,
    pub run_as: RunAs,
    /// the role that `RunAs::Role` means
    pub role: Option<String>,
    /// the columns of the table that it concerns
    pub columns: Vec<String>,
    pub sql: Vec<Piece>,
}

/// Whose rights a step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunAs {
    /// the owner of the table, restricted
    Owner,
    /// another role, restricted: a grantor, the owner of a table that refers to this one
    Role,
    /// the guard itself: statements that evaluate nothing of a user's
    Guard,
}

/// A part of a step's statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Piece {
    Text(String),
    /// a name of this table's own that a copy must derive
    Own {
        own: String,
    },
    /// only when the table gets its original name
    Original {
        original: String,
    },
    /// the owner of the table, by its present name
    Owner {
        owner: String,
    },
    /// the name of the table
    Target(()),
}

/// Reads the definition of a table with the newest snapshot; the caller holds a lock on it.
pub fn capture(relation: pg_sys::Oid) -> Result<Definition> {
    let Some(document) = as_guard(|| {
        super::db::pin_formats();
        newest_text(include_str!("definition.sql"), relation)
    }) else {
        return Err(GuardError::unknown(text::no_such_relation(relation.to_u32())));
    };
    let mut definition = parse(&document)?;
    for sequence in &mut definition.sequences {
        let sql = format!("SELECT last_value::text || ',' || is_called FROM {}", sequence.name);
        let state = as_guard(|| super::db::one::<String>(&sql, &[]))?.unwrap_or_default();
        if let Some((value, called)) = state.split_once(',') {
            sequence.last_value = value.parse().ok();
            sequence.is_called = called.starts_with('t');
        }
    }
    Ok(definition)
}

/// Reads a stored document.
pub fn parse(document: &str) -> Result<Definition> {
    let definition: Definition = serde_json::from_str(document)
        .map_err(|e| GuardError::state(text::unreadable_definition(&e.to_string())))?;
    if definition.version != VERSION {
        return Err(GuardError::state(text::unknown_version(definition.version)));
    }
    Ok(definition)
}

impl Definition {
    /// The qualified name as a person writes it.
    pub fn shown(&self) -> String {
        format!("{}.{}", text::shown(&self.schema), text::shown(&self.name))
    }

    /// The quoted and qualified name.
    pub fn identity(&self) -> String {
        super::db::qualified(&self.schema, &self.name)
    }

    /// CREATE TABLE for `target`; with `parents`, inherited columns come from them.
    pub fn create_table(&self, target: &str, parents: bool) -> String {
        let parents = parents && !self.inherits.is_empty();
        let columns: Vec<String> = self
            .columns
            .iter()
            .filter(|c| c.local || !parents)
            .map(|c| format!("{}{}", c.definition, c.not_null))
            .collect();
        let persistence = if self.persistence == "u" { "UNLOGGED " } else { "" };
        let foreign = if self.relkind == "f" { "FOREIGN " } else { "" };
        let inherits = match parents {
            true => format!(" INHERITS ({})", self.inherits.join(", ")),
            false => String::new(),
        };
        let columns = columns.join(", ");
        format!("CREATE {persistence}{foreign}TABLE {target} ({columns}){inherits}{}", self.tail)
    }

    /// Are there columns whose expression is evaluated or folded while the table is created?
    pub fn has_generated(&self) -> bool {
        self.columns.iter().any(|c| !c.generated.is_empty())
    }
}

impl Step {
    /// The statement for `target`, a table of `owner`; `own` derives names, None keeps the original ones.
    pub fn statement(
        &self,
        target: &str,
        owner: &str,
        own: Option<&dyn Fn(&str) -> String>,
    ) -> String {
        self.sql
            .iter()
            .map(|piece| match (piece, own) {
                (Piece::Text(text), _) => text.clone(),
                (Piece::Own { own: name }, None) => super::db::quoted(name),
                (Piece::Own { own: name }, Some(derive)) => super::db::quoted(&derive(name)),
                (Piece::Original { original }, None) => original.clone(),
                (Piece::Original { .. }, Some(_)) => String::new(),
                (Piece::Owner { .. }, _) => super::db::quoted(owner),
                (Piece::Target(()), _) => target.to_string(),
            })
            .collect()
    }

    /// What a user calls the step's object when it belongs to the copy `shown` of table `original`.
    pub fn object_in_copy(
        &self,
        original: &str,
        shown: &str,
        derive: &dyn Fn(&str) -> String,
    ) -> String {
        let own = self.sql.iter().find_map(|piece| match piece {
            Piece::Own { own } => Some(derive(own)),
            _ => None,
        });
        match (own, self.object.split_once(' ')) {
            (Some(name), Some((noun, _))) => format!("{noun} {name}"),
            _ => self.object.replacen(original, shown, 1),
        }
    }

    /// An index of a partitioned table, made on its partitions too.
    pub fn on_all_partitions(&self) -> Self {
        let mut step = self.clone();
        for piece in &mut step.sql {
            if matches!(piece, Piece::Text(text) if text == " ON ONLY ") {
                *piece = Piece::Text(" ON ".to_string());
            }
        }
        step
    }

    pub fn concerns(&self, columns: &[String]) -> bool {
        self.columns.iter().any(|c| columns.contains(c))
    }
}
