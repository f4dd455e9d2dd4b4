//! The room of the policy: the only reader and writer of its table.

use crate::error::Result;
use crate::pg::session;
use guard_core::policy::{Action, Row};
use guard_core::rules::RULES;
use guard_core::text::policy as text;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

pgrx::extension_sql_file!("../sql/policy.sql", name = "policy", requires = ["bootstrap"]);

thread_local! {
    static ROWS: RefCell<Option<Rc<Vec<Row>>>> = const { RefCell::new(None) };
}

/// The policy was changed somewhere.
pub fn forget() {
    ROWS.set(None);
}

/// The rows of the policy, cached for the backend until somebody writes to the table.
pub fn rows() -> Rc<Vec<Row>> {
    if let Some(rows) = ROWS.with_borrow(Clone::clone) {
        return rows;
    }
    let rows = Rc::new(session::as_guard(read).unwrap_or_default());
    ROWS.set(Some(Rc::clone(&rows)));
    rows
}

/// Has any row a condition on sizes?
pub fn asks_for_size() -> bool {
    rows().iter().any(|row| row.min_bytes.is_some())
}

fn read() -> std::result::Result<Vec<Row>, spi::Error> {
    const QUERY: &str = "SELECT id, rule, object_pattern, role_name, application_pattern, min_bytes, \
         active_from, active_until, action \
         FROM migration_guard.policy ORDER BY id";
    Spi::connect(|client| {
        let mut rows = Vec::new();
        for row in client.select(QUERY, None, &[])? {
            let action: String = row.get(9)?.unwrap_or_default();
            rows.push(Row {
                id: row.get(1)?.unwrap_or_default(),
                rule: row.get(2)?.unwrap_or_default(),
                object_pattern: row.get(3)?.unwrap_or_default(),
                role_name: row.get(4)?,
                application_pattern: row.get(5)?,
                min_bytes: row.get(6)?,
                active_from: row.get(7)?.map(microseconds),
                active_until: row.get(8)?.map(microseconds),
                // The table's CHECK admits no other word; a stranger counts as the strictest.
                action: action.parse().unwrap_or(Action::Deny),
            });
        }
        Ok(rows)
    })
}

/// Since 2000-01-01 00:00 UTC; the two infinities are the ends of the range.
fn microseconds(time: TimestampWithTimeZone) -> i64 {
    time.into_inner()
}

/// Writes the rows of a preset; a rule that has a row of a preset keeps it. The result is the note
/// of another preset that is in force.
pub fn install_preset(preset: &str) -> Result<Option<String>> {
    let note = text::preset_note(preset);
    let other = session::as_guard(|| {
        Spi::connect_mut(|client| {
            let other = client
                .select(
                    "SELECT note FROM migration_guard.policy \
                     WHERE note LIKE 'preset %' AND note <> $1 LIMIT 1",
                    Some(1),
                    &[note.as_str().into()],
                )?
                .next()
                .map_or(Ok(None), |row| row.get::<String>(1))?;
            for rule in RULES {
                let action = match preset {
                    "observe" => Action::Allow,
                    "strict" => rule.strict,
                    _ => rule.standard,
                };
                client.update(
                    "INSERT INTO migration_guard.policy (rule, object_pattern, action, note) \
                     SELECT $1, '*', $2, $3 WHERE NOT EXISTS (\
                       SELECT FROM migration_guard.policy WHERE rule = $1 AND object_pattern = '*' \
                       AND note LIKE 'preset %')",
                    None,
                    &[rule.id.into(), action.as_str().into(), note.as_str().into()],
                )?;
            }
            Ok::<_, spi::Error>(other)
        })
    })?;
    forget();
    Ok(other)
}
