//! The engine: assembled by a builder, run by its tasks.

/// What all parts of one engine share.
pub(crate) struct Shared {}
