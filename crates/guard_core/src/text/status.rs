//! What `status()` says: a detail of each row, and the line that mends it.

/// What only the hooks see.
const HOOKS_ONLY: &str = "TRUNCATE, DELETE and UPDATE without WHERE, and statements on databases, roles, tablespaces and event triggers, ALTER SYSTEM";

/// No event trigger of the guard exists.
pub const NOT_ENABLED: &str = "the guard is not enabled in this database";

/// Some event triggers of the guard do not exist.
pub fn missing_event_triggers(names: &[String]) -> String {
    format!("missing: {}", names.join(", "))
}

/// Some event triggers of the guard can be switched off by a setting, or are.
pub fn weak_event_triggers(names: &[String]) -> String {
    format!("not ENABLE ALWAYS: {}", names.join(", "))
}

/// The event triggers are as `enable()` makes them.
pub const EVENT_TRIGGERS_OK: &str = "all four exist and are ENABLE ALWAYS";

/// The statement to type.
pub const EVENT_TRIGGERS_HINT: &str = "SELECT migration_guard.enable();";

/// The server starts with the library.
pub const PRELOADED: &str = "in shared_preload_libraries";

/// Each session starts with the library.
pub const PRELOADED_BY_SESSION: &str = "in session_preload_libraries: every statement is gated, but blocked attempts go to the server log alone";

/// The statement to type.
pub const PRELOADED_BY_SESSION_HINT: &str =
    "ALTER SYSTEM SET shared_preload_libraries = 'migration_guard'; -- then restart the server";

/// The library comes with the first DDL of a session.
pub fn not_preloaded() -> String {
    format!("not preloaded; a session that has run no DDL yet is not guarded against: {HOOKS_ONLY}")
}

/// The statement to type. `database` is quoted as SQL.
pub fn not_preloaded_hint(database: &str) -> String {
    format!("ALTER DATABASE {database} SET session_preload_libraries = 'migration_guard';")
}

/// mode = enforce.
pub const MODE_ENFORCE: &str = "enforce";

/// mode = off.
pub const MODE_OFF: &str = "nothing is gated or recorded";

/// mode = warn.
pub const MODE_WARN: &str = "warn: nothing is stopped";

/// mode = observe.
pub const MODE_OBSERVE: &str = "observe: nothing is stopped";

/// auto_snapshot = on.
pub const SNAPSHOTS_ON: &str = "taken before approved destructive statements";

/// auto_snapshot = off.
pub const SNAPSHOTS_OFF: &str =
    "automatic snapshots are off: nothing is kept before an approved destructive statement";

/// The line that sets a setting right where it was set wrong: `source` is that of pg_settings,
/// `database` and `role` are quoted as SQL.
pub fn mend_setting(
    source: &str,
    database: &str,
    role: &str,
    setting: &str,
    value: &str,
) -> String {
    match source {
        "database" => {
            format!("ALTER DATABASE {database} SET {setting} = {value}; -- then connect again")
        }
        "user" => format!("ALTER ROLE {role} SET {setting} = {value}; -- then connect again"),
        "database user" => {
            format!(
                "ALTER ROLE {role} IN DATABASE {database} SET {setting} = {value}; -- then connect again"
            )
        }
        "configuration file" => {
            format!("ALTER SYSTEM SET {setting} = {value}; SELECT pg_catalog.pg_reload_conf();")
        }
        _ => format!("SET {setting} = {value};"),
    }
}

/// Library and extension are of one version.
pub fn one_version(library: &str) -> String {
    format!("library and SQL objects are {library}")
}

/// Library and extension are of two versions.
pub fn two_versions(library: &str, installed: &str) -> String {
    format!("the library is {library}, the SQL objects are {installed}")
}

/// The statement to type.
pub const TWO_VERSIONS_HINT: &str = "ALTER EXTENSION migration_guard UPDATE;";

/// Nobody was granted a switch of the guard.
pub const NO_SWITCH_GRANTED: &str = "no role but superusers may set what switches the guard off";

/// A role was granted a switch of the guard. `role` is quoted as SQL.
pub fn switch_granted(role: &str, parameter: &str) -> String {
    format!("{role} may set {parameter}")
}

/// The statement to type.
pub fn switch_granted_hint(role: &str, parameter: &str) -> String {
    format!("REVOKE ALL ON PARAMETER {parameter} FROM {role};")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_mended_where_it_was_set() {
        for (source, line) in [
            ("database", "ALTER DATABASE db SET s = on; -- then connect again"),
            ("user", "ALTER ROLE r SET s = on; -- then connect again"),
            ("database user", "ALTER ROLE r IN DATABASE db SET s = on; -- then connect again"),
            ("configuration file", "ALTER SYSTEM SET s = on; SELECT pg_catalog.pg_reload_conf();"),
            ("session", "SET s = on;"),
        ] {
            assert_eq!(mend_setting(source, "db", "r", "s", "on"), line);
        }
    }
}
