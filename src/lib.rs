//! migration_guard: magic and module list. No logic.

mod error;
mod pg;

pgrx::pg_module_magic!(name, version);
