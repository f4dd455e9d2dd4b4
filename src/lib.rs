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

/// What `cargo pgrx test` asks of the crate that it tests.
#[cfg(test)]
pub mod pg_test {
    pub fn setup(_options: Vec<&str>) {}

    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec!["shared_preload_libraries = 'migration_guard'"]
    }
}
