//! Every sentence that a user reads, one module per room.

pub mod snapshot;
