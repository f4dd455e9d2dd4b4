//! The room of the status: what is guarded, what is not, and the line that mends it.

use crate::error::Result;
use crate::pg::{armed, preload, session, version};
use crate::settings;
use guard_core::decide::Mode;
use pgrx::prelude::*;

/// One row of `status()`.
pub struct Row {
    pub item: String,
    /// `ok`, `degraded` or `off`.
    pub state: &'static str,
    pub detail: String,
    pub hint: Option<String>,
}

fn row(item: &str, state: &'static str, detail: impl Into<String>, hint: Option<&str>) -> Row {
    Row { item: item.into(), state, detail: detail.into(), hint: hint.map(Into::into) }
}

/// What only the hooks see.
const HOOKS_ONLY: &str = "TRUNCATE, DELETE and UPDATE without WHERE, and statements on databases, roles, tablespaces and event triggers, ALTER SYSTEM";

/// The rows of `status()`, the worst of each item first.
pub fn rows() -> Result<Vec<Row>> {
    let mut rows = vec![event_triggers()?, preloaded()?, mode()?, versions()?];
    rows.push(auto_snapshot()?);
    rows.extend(switches()?);
    Ok(rows)
}

fn event_triggers() -> Result<Row> {
    let mut missing = Vec::new();
    let mut weak = Vec::new();
    for (name, ..) in armed::EVENT_TRIGGERS {
        let name = name.to_string_lossy();
        let state = session::as_guard(|| {
            Spi::connect(|client| {
                client
                    .select(
                        "SELECT evtenabled::text FROM pg_catalog.pg_event_trigger WHERE evtname = $1",
                        None,
                        &[name.as_ref().into()],
                    )?
                    .next()
                    .map_or(Ok(None), |row| row.get::<String>(1))
            })
        })?;
        match state.as_deref() {
            Some("A") => {}
            Some(_) => weak.push(name.into_owned()),
            None => missing.push(name.into_owned()),
        }
    }
    let hint = Some("SELECT migration_guard.enable();");
    Ok(if missing.len() == armed::EVENT_TRIGGERS.len() {
        row("event triggers", "off", "the guard is not enabled in this database", hint)
    } else if !missing.is_empty() {
        row("event triggers", "off", format!("missing: {}", missing.join(", ")), hint)
    } else if !weak.is_empty() {
        let state = if armed::house().is_some() { "degraded" } else { "off" };
        row("event triggers", state, format!("not ENABLE ALWAYS: {}", weak.join(", ")), hint)
    } else {
        row("event triggers", "ok", "all four exist and are ENABLE ALWAYS", None)
    })
}

fn preloaded() -> Result<Row> {
    let database = session::as_guard(|| {
        Spi::connect(|client| {
            client
                .select("SELECT pg_catalog.quote_ident(pg_catalog.current_database())", None, &[])?
                .first()
                .get_one::<String>()
        })
    })?
    .unwrap_or_default();
    Ok(match preload::how() {
        preload::How::Shared => row("preload", "ok", "in shared_preload_libraries", None),
        preload::How::Session => row(
            "preload",
            "degraded",
            "in session_preload_libraries: every statement is gated, but blocked attempts go to the server log alone",
            Some(
                "ALTER SYSTEM SET shared_preload_libraries = 'migration_guard'; -- then restart the server",
            ),
        ),
        preload::How::Not => row(
            "preload",
            "degraded",
            format!(
                "not preloaded; a session that has run no DDL yet is not guarded against: {HOOKS_ONLY}"
            ),
            Some(&format!(
                "ALTER DATABASE {database} SET session_preload_libraries = 'migration_guard';"
            )),
        ),
    })
}

fn mode() -> Result<Row> {
    let (state, detail) = match settings::mode() {
        Mode::Enforce => return Ok(row("mode", "ok", "enforce", None)),
        Mode::Off => ("off", "nothing is gated or recorded"),
        Mode::Warn => ("degraded", "warn: nothing is stopped"),
        Mode::Observe => ("degraded", "observe: nothing is stopped"),
    };
    let hint = mend("migration_guard.mode", "'enforce'")?;
    Ok(row("mode", state, detail, Some(&hint)))
}

fn auto_snapshot() -> Result<Row> {
    if settings::auto_snapshot() {
        return Ok(row("snapshots", "ok", "taken before approved destructive statements", None));
    }
    let hint = mend("migration_guard.auto_snapshot", "on")?;
    Ok(row(
        "snapshots",
        "degraded",
        "automatic snapshots are off: nothing is kept before an approved destructive statement",
        Some(&hint),
    ))
}

/// The line that sets a setting right where it was set wrong.
fn mend(setting: &str, value: &str) -> Result<String> {
    const QUERY: &str = "SELECT source, pg_catalog.quote_ident(pg_catalog.current_database()), \
         pg_catalog.quote_ident(session_user) FROM pg_catalog.pg_settings WHERE name = $1";
    let found = session::as_guard(|| {
        Spi::connect(|client| {
            let row = client.select(QUERY, Some(1), &[setting.into()])?.first();
            Ok::<_, spi::Error>((
                row.get::<String>(1)?.unwrap_or_default(),
                row.get::<String>(2)?.unwrap_or_default(),
                row.get::<String>(3)?.unwrap_or_default(),
            ))
        })
    })?;
    let (source, database, role) = found;
    Ok(match source.as_str() {
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
    })
}

fn versions() -> Result<Row> {
    let installed = session::as_guard(|| {
        Spi::connect(|client| {
            client
                .select(
                    "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'migration_guard'",
                    None,
                    &[],
                )?
                .next()
                .map_or(Ok(None), |row| row.get::<String>(1))
        })
    })?
    .unwrap_or_default();
    let library = version::library();
    Ok(if installed == library {
        row("version", "ok", format!("library and SQL objects are {library}"), None)
    } else {
        row(
            "version",
            "degraded",
            format!("the library is {library}, the SQL objects are {installed}"),
            Some("ALTER EXTENSION migration_guard UPDATE;"),
        )
    })
}

/// Roles that may set what switches event triggers or ordinary triggers off.
fn switches() -> Result<Vec<Row>> {
    const QUERY: &str = "SELECT DISTINCT p.parname::text, \
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END \
         FROM pg_catalog.pg_parameter_acl p, pg_catalog.aclexplode(p.paracl) a \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
         WHERE (p.parname IN ('session_replication_role', 'event_triggers', 'session_preload_libraries', \
                              'shared_preload_libraries', 'local_preload_libraries') \
                OR p.parname LIKE 'migration_guard.%') \
           AND NOT COALESCE(r.rolsuper, false) ORDER BY 1, 2";
    let granted = session::as_guard(|| {
        Spi::connect(|client| {
            let mut granted = Vec::new();
            for r in client.select(QUERY, None, &[])? {
                granted.push((
                    r.get::<String>(1)?.unwrap_or_default(),
                    r.get::<String>(2)?.unwrap_or_default(),
                ));
            }
            Ok::<_, spi::Error>(granted)
        })
    })?;
    if granted.is_empty() {
        return Ok(vec![row(
            "granted settings",
            "ok",
            "no role but superusers may set what switches the guard off",
            None,
        )]);
    }
    Ok(granted
        .into_iter()
        .map(|(parameter, role)| Row {
            item: "granted settings".into(),
            state: "degraded",
            detail: format!("{role} may set {parameter}"),
            hint: Some(format!("REVOKE ALL ON PARAMETER {parameter} FROM {role};")),
        })
        .collect())
}
