//! The decisions of migration_guard, free of Postgres.
#![forbid(unsafe_code)]

pub mod text;
