//! How deep in nested statements this backend is, and which level the guard itself works at.
//!
//! A *level* is entered by every utility statement, executor run and planner call. What the guard
//! runs is internal only at the level at which it was issued: a trigger or a function that such a
//! statement reaches runs one level deeper and is gated as ever.
//!
//! An error skips [`leave`]. The abort callbacks of the transaction put the level back to where it
//! was when the aborted (sub)transaction began ([`mark`], [`back_to`]).

use std::cell::Cell;

/// A point to go back to. Plain data without a destructor, so that it may stand in a C frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Level {
    depth: u32,
    /// The depth at which the guard itself works, or `NOWHERE`.
    internal_at: u32,
    /// Is the innermost statement that runs the guard's own?
    in_internal: bool,
}

const NOWHERE: u32 = u32::MAX;

/// Between statements of the client.
pub const OUTERMOST: Level = Level { depth: 0, internal_at: NOWHERE, in_internal: false };

thread_local! {
    static LEVEL: Cell<Level> = const { Cell::new(OUTERMOST) };
}

/// The present depth; statements of the client are at 0.
pub fn depth() -> u32 {
    LEVEL.get().depth
}

/// Would a statement that starts now be the guard's own?
pub fn starts_internal() -> bool {
    let level = LEVEL.get();
    level.internal_at == level.depth
}

/// Is the innermost statement that runs now the guard's own? For triggers and event triggers.
pub fn in_internal() -> bool {
    LEVEL.get().in_internal
}

/// Enters a level; the result is for [`leave`].
pub fn enter() -> Level {
    let before = LEVEL.get();
    LEVEL.set(Level { depth: before.depth + 1, in_internal: starts_internal(), ..before });
    before
}

/// Goes back to the level that [`enter`] returned.
pub fn leave(before: Level) {
    LEVEL.set(before);
}

/// Where an abort should go back to.
pub fn mark() -> Level {
    LEVEL.get()
}

/// After an error: back to `level`.
pub fn back_to(level: Level) {
    LEVEL.set(level);
}

/// Runs `work`; the statements that it issues itself are the guard's own.
pub fn internal<R>(work: impl FnOnce() -> R) -> R {
    struct Reset(Level);
    impl Drop for Reset {
        fn drop(&mut self) {
            LEVEL.set(self.0);
        }
    }
    let before = LEVEL.get();
    let _reset = Reset(before);
    LEVEL.set(Level { internal_at: before.depth, ..before });
    work()
}
