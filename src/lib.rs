//! migration_guard: magic, module list, and what happens when the library is loaded. No logic.

mod api;
mod approval;
mod error;
mod guard;
mod history;
mod pg;
mod policy;
mod settings;
mod snapshot;
mod status;

pgrx::pg_module_magic!(name, version);

#[pgrx::pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    settings::init();
    pg::init();
}
