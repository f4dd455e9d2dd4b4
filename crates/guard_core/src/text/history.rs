//! What the history room says.

/// The name of a migration is empty.
pub const NO_NAME: &str = "a migration needs a name";

/// There is no migration to end.
pub const NOT_BEGUN: &str = "no migration was begun in this session";

/// The statement to type first.
pub const NOT_BEGUN_HINT: &str = "SELECT migration_guard.begin_migration('name');";

/// There is nothing to write to.
pub const NOT_ENABLED: &str = "migration_guard is not enabled in this database";

/// The name of a migration that nobody named.
pub fn unnamed_migration(transaction_id: impl std::fmt::Display) -> String {
    format!("transaction {transaction_id}")
}
