//! The only place where an SQLSTATE, a DETAIL or a HINT is attached to a refusal.
//!
//! Rooms return `Result<_, GuardError>`; a SQL function turns it into an ERROR by returning it,
//! a hook by `pg::report::raise`. Sentences come from `guard_core::text`.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// What a user sees when the guard refuses something.
#[derive(Debug, Clone)]
pub struct GuardError {
    pub code: PgSqlErrorCode,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

pub type Result<T> = std::result::Result<T, GuardError>;

impl GuardError {
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None }
    }

    /// 42501: the caller may not do this.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message)
    }

    /// 22023: an argument is out of its range.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
    }

    /// 42704: the thing named does not exist.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, message)
    }

    /// 55000: not possible in the present state.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<GuardError> for ErrorReport {
    fn from(e: GuardError) -> Self {
        let mut report = ErrorReport::new(e.code, e.message, "migration_guard");
        if let Some(detail) = e.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = e.hint {
            report = report.set_hint(hint);
        }
        report
    }
}

/// An error of the SPI bridge is a defect of ours (a wrong type, a missing column), never a user's:
/// Postgres's own errors do not come this way, they pass through as they are.
impl From<spi::Error> for GuardError {
    fn from(e: spi::Error) -> Self {
        GuardError::new(PgSqlErrorCode::ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, e.to_string())
    }
}
