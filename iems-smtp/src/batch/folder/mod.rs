//! Batches in folders: files that other programs lay there, and files that they fetch.

mod input;
mod place;
mod spool;

pub use input::{FolderIn, FolderInSettings};
pub(super) use place::Place;
pub use spool::{AddError, Spool, SpoolSettings};
