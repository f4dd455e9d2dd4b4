//! enable, disable, status, version, and the rows of the view rules.

use super::{given, require_superuser};
use crate::error::GuardError;
use crate::pg::{armed, report, session, version};
use crate::{policy, status};
use guard_core::rules::RULES;
use guard_core::text::{api as text, policy as say};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

const PRESETS: [&str; 3] = ["observe", "standard", "strict"];

#[pg_extern(volatile, parallel_unsafe)]
fn enable(preset: default!(Option<String>, "'standard'")) -> Result<(), ErrorReport> {
    require_superuser(text::ENABLE)?;
    let preset = given(preset, "preset")?;
    if !PRESETS.contains(&preset.as_str()) {
        return Err(GuardError::argument(say::no_such_preset(&preset))
            .hint(say::NO_SUCH_PRESET_HINT)
            .into());
    }
    if let Some(other) = policy::install_preset(&preset)? {
        report::warn(&GuardError {
            hint: Some(say::other_preset_hint(&other, &preset)),
            ..GuardError::new(PgSqlErrorCode::ERRCODE_WARNING, say::other_preset(&other))
        });
    }
    create_event_triggers()?;
    armed::forget();
    Ok(())
}

#[pg_extern(volatile, parallel_unsafe)]
fn disable() -> Result<(), ErrorReport> {
    require_superuser(text::DISABLE)?;
    crate::history::flush();
    session::as_guard(|| {
        Spi::connect_mut(|client| {
            for (name, ..) in armed::EVENT_TRIGGERS {
                let name = name.to_string_lossy();
                client.update(&format!("DROP EVENT TRIGGER IF EXISTS {name}"), None, &[])?;
            }
            Ok::<_, spi::Error>(())
        })
    })
    .map_err(GuardError::from)?;
    armed::forget();
    Ok(())
}

/// Creates what is missing, and switches on what is not ALWAYS. The names are constants.
fn create_event_triggers() -> Result<(), GuardError> {
    session::as_guard(|| {
        Spi::connect_mut(|client| {
            for (name, event, function) in armed::EVENT_TRIGGERS {
                let name = name.to_string_lossy();
                let state: Option<String> = client
                    .select(
                        "SELECT evtenabled::text FROM pg_catalog.pg_event_trigger WHERE evtname = $1",
                        None,
                        &[name.as_ref().into()],
                    )?
                    .next()
                    .map_or(Ok(None), |row| row.get(1))?;
                if state.is_none() {
                    client.update(
                        &format!("CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION migration_guard.{function}()"),
                        None,
                        &[],
                    )?;
                    let comment = text::event_trigger_comment(event);
                    client.update(
                        &format!("COMMENT ON EVENT TRIGGER {name} IS '{comment}'"),
                        None,
                        &[],
                    )?;
                }
                if state.as_deref() != Some("A") {
                    client.update(
                        &format!("ALTER EVENT TRIGGER {name} ENABLE ALWAYS"),
                        None,
                        &[],
                    )?;
                }
            }
            Ok::<_, spi::Error>(())
        })
    })?;
    Ok(())
}

#[pg_extern(stable, parallel_unsafe)]
#[allow(clippy::type_complexity)] // the shape of the SQL result
fn status() -> Result<
    TableIterator<
        'static,
        (
            name!(item, String),
            name!(state, String),
            name!(detail, String),
            name!(hint, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let rows = status::rows()?;
    Ok(TableIterator::new(
        rows.into_iter().map(|r| (r.item, r.state.to_string(), r.detail, r.hint)),
    ))
}

#[pg_extern(name = "version", immutable, parallel_safe)]
fn library_version() -> &'static str {
    version::library()
}

#[pg_extern(stable, parallel_safe)]
fn rule_list() -> TableIterator<
    'static,
    (
        name!(rule, String),
        name!(family, String),
        name!(risk, String),
        name!(summary, String),
        name!(safer_way, String),
    ),
> {
    TableIterator::new(RULES.iter().map(|r| {
        (
            r.id.to_string(),
            r.family.to_string(),
            r.risk.as_str().to_string(),
            r.summary.to_string(),
            r.safer_way.to_string(),
        )
    }))
}

#[pg_extern(stable, parallel_safe)]
fn is_administrator() -> bool {
    super::is_administrator()
}
