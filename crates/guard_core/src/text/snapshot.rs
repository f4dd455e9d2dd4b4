//! What the snapshot room says.

/// A relation OID that the catalogs do not know.
pub fn no_such_relation(oid: u32) -> String {
    format!("relation with OID {oid} does not exist")
}

/// A column that the table does not have.
pub fn no_such_column(table: &str, column: &str) -> String {
    format!("column \"{column}\" of table {table} does not exist")
}

/// An argument that must not be an empty string.
pub fn must_not_be_empty(argument: &str) -> String {
    format!("{argument} must not be an empty string")
}

/// A snapshot number that the registry does not know.
pub fn no_such_snapshot(id: i64) -> String {
    format!("snapshot {id} does not exist")
}

/// A snapshot whose rows were dropped.
pub fn snapshot_is_gone(id: i64) -> String {
    format!("snapshot {id} was dropped and cannot be restored")
}

/// The caller may not act as the owner of the original.
pub fn not_your_snapshot(id: i64) -> String {
    format!("permission denied for snapshot {id}")
}

/// Who could restore it.
pub fn not_your_snapshot_detail(owner: &str) -> String {
    format!(
        "It keeps a table of role \"{owner}\": its members, superusers and administrators may use it."
    )
}

/// The caller does not own the table.
pub fn must_own(table: &str) -> String {
    format!("must be owner of table {table}")
}

/// A function for administrators.
pub fn administrators_only(function: &str) -> String {
    format!("permission denied for function {function}")
}

/// Who is an administrator.
pub fn administrators_only_hint() -> String {
    "Ask a superuser or a member of the role named by migration_guard.admin_role.".to_string()
}

/// A view, an index, a sequence, or a temporary or system table.
pub fn not_a_table(name: &str, kind: &str) -> String {
    match kind {
        "temporary" => format!("{name} is a temporary table: there is nothing to keep"),
        "system" => format!("{name} is a system catalog: it cannot be kept"),
        _ => format!("{name} is not a table"),
    }
}

/// The stored document cannot be read or written.
pub fn unreadable_definition(why: &str) -> String {
    format!("the definition in the snapshot registry cannot be read: {why}")
}

/// The stored document is of another version.
pub fn unknown_version(version: u32) -> String {
    format!(
        "the snapshot was written by another version of migration_guard (document version {version})"
    )
}

/// A query on the registry gave nothing where it must.
pub fn registry_is_broken() -> String {
    "the snapshot registry is incomplete; recreate or update extension migration_guard".to_string()
}

/// The comment on a snapshot table.
pub fn storage_comment(table: &str) -> String {
    format!("Rows of {table}, kept by migration_guard; see migration_guard.snapshots")
}

/// The table exceeds the limit.
pub fn too_large(table: &str) -> String {
    format!("table {table} is too large to keep a snapshot of")
}

/// By how much.
pub fn too_large_detail(bytes: i64, limit: i64) -> String {
    format!("It holds {bytes} bytes; migration_guard.snapshot_max_bytes allows {limit}.")
}

/// The ways out.
pub fn too_large_hint() -> String {
    "Have a superuser raise migration_guard.snapshot_max_bytes, or use a token that lists the rule \
     no-snapshot to go on without one."
        .to_string()
}

/// The original name is in use.
pub fn name_is_taken(name: &str, kind: &str) -> String {
    format!("cannot restore under the name {name}: a {kind} of that name exists")
}

/// Why nothing was done.
pub fn name_is_taken_detail(id: i64) -> String {
    format!(
        "It is not the table that snapshot {id} was taken of, so its rows were left alone. Restore \
         under another name, or rename or drop what has the name first."
    )
}

/// The statement to type.
pub fn name_is_taken_hint(id: i64, name: &str) -> String {
    restore_as_copy_hint(id, name)
}

/// The statement that makes a copy.
pub fn restore_as_copy_hint(id: i64, name: &str) -> String {
    let new_name = new_name_argument(name);
    format!("SELECT * FROM migration_guard.restore_table({id}, new_name => '{new_name}');")
}

/// `orders` becomes `orders_restored`, quoted as SQL where it must be.
fn new_name_argument(name: &str) -> String {
    let name = join_name(name, "_restored", 63);
    shown(&name).replace('\'', "''")
}

/// A name as a person writes it: quoted only where it must be.
pub fn shown(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Puts two parts of a name together within `limit` bytes, shortening the first.
pub fn join_name(head: &str, tail: &str, limit: usize) -> String {
    let mut tail = tail;
    if tail.len() >= limit {
        let mut end = limit / 2;
        while !tail.is_char_boundary(end) {
            end -= 1;
        }
        tail = &tail[..end];
    }
    let mut end = head.len().min(limit - tail.len());
    while !head.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{tail}", &head[..end])
}

/// The new name is taken as well.
pub fn choose_another_name() -> String {
    "Choose another new_name.".to_string()
}

/// The new name has more than two parts.
pub fn bad_name(name: &str) -> String {
    format!("new_name is not a table name, with or without a schema: {name}")
}

/// The new name would be cut off.
pub fn name_too_long(name: &str) -> String {
    format!("new_name is longer than 63 bytes: {name}")
}

/// The schema of the new name.
pub fn no_such_schema(schema: &str) -> String {
    format!("schema \"{schema}\" does not exist")
}

/// The owner of the table lacks CREATE or USAGE.
pub fn owner_may_not_create(role: &str, schema: &str) -> String {
    format!("role \"{role}\" may not create tables in schema \"{schema}\"")
}

/// Two ways on.
pub fn owner_may_not_create_hint(role: &str, schema: &str) -> String {
    format!(
        "Let an administrator restore the snapshot, or GRANT CREATE, USAGE ON SCHEMA \"{schema}\" TO \
         \"{role}\"."
    )
}

/// The recorded owner was dropped.
pub fn owner_is_gone(was: &str, now: &str) -> String {
    format!("its owner \"{was}\" does not exist any more: it belongs to \"{now}\" now")
}

/// A grantor, or the owner of a table that refers to this one, was dropped.
pub fn role_is_gone(name: &str) -> String {
    format!("role \"{name}\" does not exist any more")
}

/// A parent by inheritance was dropped.
pub fn parent_is_gone(parent: &str) -> String {
    format!("its parent {parent} does not exist: restored as a table of its own")
}

/// The snapshot holds only some columns, and the table is gone.
pub fn column_snapshot_without_table(id: i64, table: &str) -> String {
    format!(
        "snapshot {id} keeps only columns of {table}: restore the table from another snapshot first"
    )
}

/// The snapshot holds no rows.
pub fn no_rows_to_copy(id: i64) -> String {
    format!("snapshot {id} keeps a definition without rows")
}

/// The snapshot holds no rows and the table is there.
pub fn nothing_to_restore(id: i64, table: &str) -> String {
    format!(
        "table {table} exists and snapshot {id} keeps no rows of it: there is nothing to restore"
    )
}

/// No column is in both.
pub fn no_common_columns(id: i64) -> String {
    format!("the table has none of the columns of snapshot {id} any more")
}

/// A column that was not kept.
pub fn column_not_kept(id: i64, column: &str) -> String {
    format!("snapshot {id} keeps no column \"{column}\"")
}

/// Rows cannot be matched.
pub fn no_key(table: &str) -> String {
    format!("table {table} has no key to match its rows with those of the snapshot")
}

/// What a key would be.
pub fn no_key_detail() -> String {
    "A primary key, or a unique index over columns that are NOT NULL, would tell rows apart. With \
     force, all rows of the table are replaced; those that are there now are kept as a snapshot first."
        .to_string()
}

/// The statement to type.
pub fn no_key_hint(id: i64) -> String {
    format!("SELECT * FROM migration_guard.restore_table({id}, force => true);")
}

/// Rows that others refer to are not replaced.
pub fn cannot_replace(table: &str, others: &str) -> String {
    format!("cannot replace the rows of {table}: foreign keys of {others} refer to them")
}

/// The dropped column was added again meanwhile.
pub fn column_exists(table: &str, column: &str) -> String {
    format!("column \"{column}\" of table {table} exists again")
}

/// What force does then.
pub fn column_exists_hint(id: i64) -> String {
    format!(
        "To overwrite its values with those of the snapshot: \
         SELECT * FROM migration_guard.restore_table({id}, force => true);"
    )
}

/// A partition gets its columns from its parent.
pub fn column_of_a_partition(id: i64, table: &str) -> String {
    format!(
        "snapshot {id} keeps columns of partition {table}: they come back with those of the \
         partitioned table"
    )
}

/// The table is not there to compare with.
pub fn table_is_gone(table: &str) -> String {
    format!("table {table} does not exist any more")
}

/// The statement to type.
pub fn restore_first_hint(id: i64) -> String {
    format!("SELECT * FROM migration_guard.restore_table({id});")
}

/// The label of the snapshot that a restore takes before it replaces rows.
pub fn label_before_restore(id: i64) -> String {
    format!("before the restore of snapshot {id}")
}

/// A number of rows.
pub fn row_count(rows: i64) -> String {
    match rows {
        1 => "1 row".to_string(),
        n => format!("{n} rows"),
    }
}

/// Rows that the snapshot does not know.
pub fn newer_rows(rows: i64) -> String {
    format!("{} written since the snapshot, left as they are", row_count(rows))
}

/// Rows that gave way.
pub fn replaced(rows: i64, snapshot: i64) -> String {
    format!("{} that were there are kept as snapshot {snapshot}", row_count(rows))
}

/// Where a dropped column stands now.
pub fn column_is_last() -> String {
    "it is the last column of the table now".to_string()
}

/// A column of the snapshot that the table lost meanwhile.
pub fn column_is_gone() -> String {
    "the table has no such column any more; its values stay in the snapshot".to_string()
}

/// Where a sequence goes on.
pub fn sequence_value(value: i64) -> String {
    format!("last value {value}")
}

/// A sequence that could not be made.
pub fn sequence_is_gone() -> String {
    "the sequence does not exist".to_string()
}

/// How a step's object reads in a report.
pub fn step_object(kind: &str, object: &str) -> String {
    match kind {
        "grant" => format!("grants on {object}"),
        "comment" | "object-comment" | "incoming-comment" => format!("comment on {object}"),
        "security-label" => format!("security label of {object}"),
        "replica-identity" => format!("replica identity of {object}"),
        "row-security" => format!("row security of {object}"),
        "column" => format!("options of {object}"),
        "not-null" => format!("not null of {object}"),
        "attach" => format!("partition bounds of {object}"),
        _ => object.to_string(),
    }
}

/// What a step that failed left behind.
pub fn failed_action(kind: &str) -> &'static str {
    match kind {
        "validate-foreign-key" => "not validated",
        _ => "failed",
    }
}

/// What a step did.
pub fn step_action(kind: &str) -> &'static str {
    match kind {
        "grant" => "granted",
        "attach" => "attached",
        "publication" => "added",
        "comment" | "object-comment" | "incoming-comment" | "security-label"
        | "replica-identity" | "row-security" | "column" | "not-null" | "default" => "set",
        _ => "created",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_quote_names() {
        assert!(name_is_taken_hint(12, "orders").ends_with("(12, new_name => 'orders_restored');"));
        assert!(restore_as_copy_hint(1, "Odd \"x' y").contains("'\"Odd \"\"x'' y_restored\"'"));
    }

    #[test]
    fn joined_names_fit() {
        assert_eq!(join_name("orders", "_pkey", 63), "orders_pkey");
        let long = join_name(&"é".repeat(60), "_pkey", 63);
        assert!(long.len() <= 63 && long.ends_with("_pkey"));
        assert!(join_name("t", &"x".repeat(200), 63).len() <= 63);
    }

    #[test]
    fn counts_agree_with_number() {
        assert_eq!(row_count(1), "1 row");
        assert_eq!(row_count(0), "0 rows");
    }
}
