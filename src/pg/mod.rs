//! Everything that talks to Postgres in C: the only folder with `unsafe`.

pub mod armed;
pub mod catalog;
mod dml;
mod event_triggers;
mod hooks;
mod log;
pub mod nesting;
pub mod preload;
mod protect;
pub mod random;
mod reader;
#[cfg(any(test, feature = "pg_test"))]
mod reader_tests;
pub mod report;
pub mod rows;
#[cfg(any(test, feature = "pg_test"))]
mod scanner_tests;
mod server;
pub mod session;
pub mod snapshot_support;
pub mod token_setting;
pub mod version;
pub mod xact;

/// Installs hooks and callbacks. Called once, when the library is loaded.
pub fn init() {
    // A backtrace must never reach a client: the bridge would add one to the DETAIL of errors.
    // SAFETY: a backend has one thread.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    hooks::init();
    armed::init();
    xact::init();
}
