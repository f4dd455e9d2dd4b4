//! Every setting: name, who may set it, one line of documentation, typed getter.

use guard_core::decide::Mode;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::ffi::CString;

#[derive(PostgresGucEnum, Clone, Copy, PartialEq, Eq)]
enum GuardMode {
    #[name = c"enforce"]
    Enforce,
    #[name = c"warn"]
    Warn,
    #[name = c"observe"]
    Observe,
    #[name = c"off"]
    Off,
}

#[derive(PostgresGucEnum, Clone, Copy, PartialEq, Eq)]
enum TextKept {
    #[name = c"full"]
    Full,
    #[name = c"redacted"]
    Redacted,
    #[name = c"none"]
    None,
}

static MODE: GucSetting<GuardMode> = GucSetting::<GuardMode>::new(GuardMode::Enforce);
static STATEMENT_TEXT: GucSetting<TextKept> = GucSetting::<TextKept>::new(TextKept::Redacted);
static AUTO_SNAPSHOT: GucSetting<bool> = GucSetting::<bool>::new(true);
static MIGRATION: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static TICKET: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static ADMIN_ROLE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static SNAPSHOT_RETENTION: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"30 days"));
// Kilobytes, so that a size with a unit can be given and the range reaches 2 TB.
static SNAPSHOT_MAX_BYTES: GucSetting<i32> = GucSetting::<i32>::new(0);
static LARGE_TABLE_BYTES: GucSetting<i32> = GucSetting::<i32>::new(100 * 1024);
static MASS_DML_ROWS: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static MASS_DML_SHARE: GucSetting<f64> = GucSetting::<f64>::new(0.5);

/// Registers the settings.
pub fn init() {
    let none = GucFlags::default();
    GucRegistry::define_enum_guc(
        c"migration_guard.mode",
        c"What the guard does with its verdicts: enforce, warn, observe or off.",
        c"warn says as a WARNING what would have been stopped, observe only records it.",
        &MODE,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_enum_guc(
        c"migration_guard.statement_text",
        c"How much of a statement's text the history keeps: full, redacted or none.",
        c"Passwords and tokens are never kept.",
        &STATEMENT_TEXT,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_bool_guc(
        c"migration_guard.auto_snapshot",
        c"Keeps what an approved destructive statement would destroy.",
        c"",
        &AUTO_SNAPSHOT,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_string_guc(
        c"migration_guard.migration",
        c"Names the migration that the following statements belong to.",
        c"",
        &MIGRATION,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_string_guc(
        c"migration_guard.ticket",
        c"The ticket that the history notes for the following statements.",
        c"",
        &TICKET,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_string_guc(
        c"migration_guard.admin_role",
        c"Members of this role administer the guard as superusers do.",
        c"",
        &ADMIN_ROLE,
        GucContext::Suset,
        GucFlags::DISALLOW_IN_AUTO_FILE,
    );
    GucRegistry::define_string_guc(
        c"migration_guard.snapshot_retention",
        c"How long a snapshot is kept, as an interval.",
        c"",
        &SNAPSHOT_RETENTION,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_int_guc(
        c"migration_guard.snapshot_max_bytes",
        c"The largest table that a copy is made of; 0 for no limit.",
        c"",
        &SNAPSHOT_MAX_BYTES,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"migration_guard.large_table_bytes",
        c"A table counts as large from this size on, with its indexes and toast.",
        c"",
        &LARGE_TABLE_BYTES,
        0,
        i32::MAX,
        GucContext::Suset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"migration_guard.mass_dml_rows",
        c"DML that is estimated to touch more rows than this counts as mass DML.",
        c"",
        &MASS_DML_ROWS,
        0,
        i32::MAX,
        GucContext::Suset,
        none,
    );
    GucRegistry::define_float_guc(
        c"migration_guard.mass_dml_share",
        c"DML that is estimated to touch more than this share of a table counts as mass DML.",
        c"",
        &MASS_DML_SHARE,
        0.0,
        1.0,
        GucContext::Suset,
        none,
    );
    crate::pg::token_setting::init();
    crate::pg::token_setting::reserve_prefix();
}

pub fn mode() -> Mode {
    match MODE.get() {
        GuardMode::Enforce => Mode::Enforce,
        GuardMode::Warn => Mode::Warn,
        GuardMode::Observe => Mode::Observe,
        GuardMode::Off => Mode::Off,
    }
}

pub fn statement_text() -> guard_core::redact::StatementText {
    match STATEMENT_TEXT.get() {
        TextKept::Full => guard_core::redact::StatementText::Full,
        TextKept::Redacted => guard_core::redact::StatementText::Redacted,
        TextKept::None => guard_core::redact::StatementText::None,
    }
}

pub fn auto_snapshot() -> bool {
    AUTO_SNAPSHOT.get()
}

fn non_empty(setting: &GucSetting<Option<CString>>) -> Option<String> {
    setting.get().map(|v| v.to_string_lossy().into_owned()).filter(|v| !v.is_empty())
}

pub fn migration() -> Option<String> {
    non_empty(&MIGRATION)
}

pub fn ticket() -> Option<String> {
    non_empty(&TICKET)
}

pub fn admin_role() -> Option<String> {
    non_empty(&ADMIN_ROLE)
}

pub fn snapshot_retention() -> Option<String> {
    non_empty(&SNAPSHOT_RETENTION)
}

/// None for no limit.
pub fn snapshot_max_bytes() -> Option<i64> {
    Some(i64::from(SNAPSHOT_MAX_BYTES.get()) * 1024).filter(|limit| *limit > 0)
}

/// The tokens that the session presents, separated by commas.
pub fn tokens() -> Vec<String> {
    crate::pg::token_setting::value()
        .split(',')
        .map(|t| t.trim().to_string())
        .filter(|t| !t.is_empty())
        .collect()
}
