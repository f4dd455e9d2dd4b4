//! migration_guard
pgrx::pg_module_magic!(name, version);
