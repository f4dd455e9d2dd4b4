//! The room of the status: what is guarded, what is not, and the line that mends it.

use crate::error::Result;
use crate::pg::{armed, preload, session, version};
use crate::settings;
use guard_core::decide::Mode;
use guard_core::text::status as text;
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
    let hint = Some(text::EVENT_TRIGGERS_HINT);
    Ok(if missing.len() == armed::EVENT_TRIGGERS.len() {
        row("event triggers", "off", text::NOT_ENABLED, hint)
    } else if !missing.is_empty() {
        row("event triggers", "off", text::missing_event_triggers(&missing), hint)
    } else if !weak.is_empty() {
        let state = if armed::house().is_some() { "degraded" } else { "off" };
        row("event triggers", state, text::weak_event_triggers(&weak), hint)
    } else {
        row("event triggers", "ok", text::EVENT_TRIGGERS_OK, None)
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
        preload::How::Shared => row("preload", "ok", text::PRELOADED, None),
        preload::How::Session => row(
            "preload",
            "degraded",
            text::PRELOADED_BY_SESSION,
            Some(text::PRELOADED_BY_SESSION_HINT),
        ),
        preload::How::Not => row(
            "preload",
            "degraded",
            text::not_preloaded(),
            Some(&text::not_preloaded_hint(&database)),
        ),
    })
}

fn mode() -> Result<Row> {
    let (state, detail) = match settings::mode() {
        Mode::Enforce => return Ok(row("mode", "ok", text::MODE_ENFORCE, None)),
        Mode::Off => ("off", text::MODE_OFF),
        Mode::Warn => ("degraded", text::MODE_WARN),
        Mode::Observe => ("degraded", text::MODE_OBSERVE),
    };
    let hint = mend("migration_guard.mode", "'enforce'")?;
    Ok(row("mode", state, detail, Some(&hint)))
}

fn auto_snapshot() -> Result<Row> {
    if settings::auto_snapshot() {
        return Ok(row("snapshots", "ok", text::SNAPSHOTS_ON, None));
    }
    let hint = mend("migration_guard.auto_snapshot", "on")?;
    Ok(row("snapshots", "degraded", text::SNAPSHOTS_OFF, Some(&hint)))
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
    Ok(text::mend_setting(&source, &database, &role, setting, value))
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
        row("version", "ok", text::one_version(library), None)
    } else {
        row(
            "version",
            "degraded",
            text::two_versions(library, &installed),
            Some(text::TWO_VERSIONS_HINT),
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
        return Ok(vec![row("granted settings", "ok", text::NO_SWITCH_GRANTED, None)]);
    }
    Ok(granted
        .into_iter()
        .map(|(parameter, role)| Row {
            item: "granted settings".into(),
            state: "degraded",
            detail: text::switch_granted(&role, &parameter),
            hint: Some(text::switch_granted_hint(&role, &parameter)),
        })
        .collect())
}
