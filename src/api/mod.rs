//! Thin SQL functions: check the arguments, call a room.

pub mod snapshots;
