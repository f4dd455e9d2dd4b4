use crate::error::{GuardError, Result};
pgrx::extension_sql_file!("../../sql/bootstrap.sql", name = "bootstrap", bootstrap);
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)]
pub enum Cause { DropTable, Truncate, Delete, Update, DropColumn, Manual }
#[allow(dead_code)]
pub struct KeepRequest { pub relation: pgrx::pg_sys::Oid, pub cause: Cause, pub columns: Option<Vec<String>>, pub label: Option<String>, pub migration_id: Option<i64>, pub statement_id: Option<i64>, pub retention: Option<String>, pub max_bytes: Option<i64> }
pub struct Kept { pub id: i64 }
pub fn keep(_: &KeepRequest) -> Result<Kept> { Err(GuardError::state("unmerged")) }
