//! Rules about data and definitions that are lost.

use super::{Finding, rule};
use crate::loss::{Kind, Loss, Object, Via};
use crate::statement::{AlterTable, Body, ObjectKind, Statement, WholeTable};
use crate::text;

/// Can a statement of this form destroy anything? Only then is the catalog asked.
pub(super) fn may_destroy(statement: &Statement) -> bool {
    match &statement.body {
        Body::Drop { .. }
        | Body::DropOwned { .. }
        | Body::Truncate { .. }
        | Body::WholeTableDml { .. } => true,
        Body::AlterTable { commands, .. } => commands.iter().any(|c| {
            matches!(
                c,
                AlterTable::DropColumn { .. } | AlterTable::DropConstraint { cascade: true, .. }
            )
        }),
        _ => false,
    }
}

pub(super) fn findings(statement: &Statement, loss: &Loss) -> Vec<Finding> {
    let mut found = Vec::new();
    match &statement.body {
        Body::Truncate { .. } => {
            let emptied = loss.noticed().filter(|o| {
                matches!(o.kind, Kind::Table | Kind::ForeignTable)
                    && !o.rows.is_some_and(|r| r.none())
            });
            found.extend(emptied.filter_map(|o| finding("truncate", o)));
        }
        Body::WholeTableDml { targets } => {
            for (what, identity) in targets {
                let id = match what {
                    WholeTable::Delete => "delete-without-where",
                    WholeTable::Update => "update-without-where",
                };
                let object = loss.noticed().find(|o| o.identity == *identity);
                found.extend(object.and_then(|o| finding(id, o)));
            }
        }
        Body::Drop { .. } | Body::DropOwned { .. } | Body::AlterTable { .. } => {
            found.extend(containers(statement, loss));
            for object in loss.noticed() {
                if object.kind.is_table() {
                    found.extend(finding("drop-table", object));
                } else if object.kind == Kind::Column && !goes_with_its_table(object, loss) {
                    found.extend(finding("drop-column", object));
                }
            }
            found.extend(cascade(statement, loss));
        }
        _ => {}
    }
    found
}

fn finding(id: &str, object: &Object) -> Option<Finding> {
    let rule = rule(id)?;
    Some(Finding {
        rule,
        object: object.identity.clone(),
        table: object.table.clone(),
        message: text::lost(rule.id, &text::name(object)),
        detail: Some(text::object_lost(object)),
        bytes: object.bytes,
        visible: object.visible,
    })
}

fn goes_with_its_table(column: &Object, loss: &Loss) -> bool {
    loss.objects.iter().any(|o| {
        o.address.0 == column.address.0 && o.address.1 == column.address.1 && o.address.2 == 0
    })
}

/// DROP SCHEMA with contents, and DROP OWNED: one finding for the container.
fn containers(statement: &Statement, loss: &Loss) -> Vec<Finding> {
    let contents: Vec<&Object> =
        loss.noticed().filter(|o| o.via != Via::Named && o.kind != Kind::Index).collect();
    match &statement.body {
        Body::Drop { kind: ObjectKind::Schema, .. } if !contents.is_empty() => loss
            .noticed()
            .filter(|o| o.kind == Kind::Schema && o.via == Via::Named)
            .filter_map(|o| {
                let rule = rule("drop-schema")?;
                Some(Finding {
                    detail: Some(text::list(&contents)),
                    message: text::lost(rule.id, &o.identity),
                    bytes: contents.iter().map(|o| o.bytes).sum(),
                    object: o.identity.clone(),
                    table: None,
                    visible: true,
                    rule,
                })
            })
            .collect(),
        Body::DropOwned { roles, .. } if loss.noticed().next().is_some() => rule("drop-owned")
            .map(|rule| {
                let all: Vec<&Object> = loss.noticed().collect();
                Finding {
                    rule,
                    object: roles.join(", "),
                    table: None,
                    message: text::lost(rule.id, &roles.join(", ")),
                    detail: Some(text::list(&all)),
                    bytes: all.iter().map(|o| o.bytes).sum(),
                    visible: true,
                }
            })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// More goes than the named objects and their own parts.
fn cascade(statement: &Statement, loss: &Loss) -> Option<Finding> {
    let rule = rule("drop-cascade")?;
    let more: Vec<&Object> = loss.noticed().filter(|o| o.via == Via::Cascade).collect();
    let named = loss.objects.iter().find(|o| o.via == Via::Named);
    if more.is_empty() {
        return None;
    }
    let object = match (&statement.body, named) {
        (Body::DropOwned { roles, .. }, _) => roles.join(", "),
        (_, Some(named)) => named.identity.clone(),
        (_, None) => return None,
    };
    Some(Finding {
        rule,
        message: text::cascade(&object, more.len()),
        detail: Some(text::list(&more)),
        bytes: more.iter().map(|o| o.bytes).sum(),
        table: named.and_then(|n| n.table.clone()),
        visible: true,
        object,
    })
}
