//! Batches through the door: folders in and out, and every false end of data.

mod collect;
mod endings;
mod folders;
mod support;
mod tunnel;
