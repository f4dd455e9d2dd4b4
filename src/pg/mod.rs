//! Everything that talks to Postgres in C: the only folder with `unsafe`.

pub mod nesting;
pub mod session;
pub mod snapshot_support;
