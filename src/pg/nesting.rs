//! How deep in nested statements this backend is, and which level the guard itself works at.
//!
//! A *level* is entered by every utility statement, executor run and planner call. What the guard
//! runs is internal only at the level at which it was issued: a trigger or a function that such a
//! statement reaches runs one level deeper and is gated as ever.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static INTERNAL: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The present level; statements of the client are at 0.
pub fn depth() -> u32 {
    DEPTH.get()
}

/// Enters a level and returns the one to go back to with [`leave`]. An error skips `leave`; the
/// abort callbacks of the transaction reset the level instead.
pub fn enter() -> u32 {
    let before = DEPTH.get();
    DEPTH.set(before + 1);
    before
}

/// Goes back to the level that [`enter`] returned.
pub fn leave(before: u32) {
    DEPTH.set(before);
}

/// Would a statement that starts now be the guard's own?
pub fn starts_internal() -> bool {
    INTERNAL.get() == Some(DEPTH.get())
}

/// Runs `work`; the statements that it issues itself are the guard's own.
pub fn internal<R>(work: impl FnOnce() -> R) -> R {
    struct Reset(Option<u32>);
    impl Drop for Reset {
        fn drop(&mut self) {
            INTERNAL.set(self.0);
        }
    }
    let _reset = Reset(INTERNAL.replace(Some(DEPTH.get())));
    work()
}

/// After an error: back to the level at which the aborted (sub)transaction was started.
pub fn reset_to(depth: u32) {
    if DEPTH.get() > depth {
        DEPTH.set(depth);
    }
    if depth == 0 {
        INTERNAL.set(None);
    }
}
