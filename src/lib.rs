//! migration_guard: magic and module list. No logic.

mod api;
mod error;
mod pg;
mod snapshot;

pgrx::pg_module_magic!(name, version);
