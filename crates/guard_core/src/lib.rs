//! The decisions of migration_guard, free of Postgres: a statement and facts about the database go
//! in, findings and a verdict come out. Tested in seconds, without a server.
#![forbid(unsafe_code)]

pub mod approval;
pub mod decide;
pub mod digest;
pub mod fingerprint;
pub mod history;
pub mod lexer;
pub mod loss;
pub mod policy;
pub mod redact;
pub mod rules;
pub mod script;
pub mod statement;
pub mod text;
