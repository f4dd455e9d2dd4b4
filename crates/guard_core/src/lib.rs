//! The decisions of migration_guard, free of Postgres.
#![forbid(unsafe_code)]

/// SHA-256 as hexadecimal text.
pub mod digest;
/// The identity of a statement, whatever its white space, comments and letter case.
pub mod fingerprint;
/// The tokens of a statement, as Postgres's scanner reads them.
pub mod lexer;
/// Statement text that may be kept: without passwords, tokens and, by default, data.
pub mod redact;
/// The statements of a script.
pub mod script;
