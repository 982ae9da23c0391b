//! Small programs that embed and extend IEMS; see the files beside this folder.
//!
//! This crate exists so that they are compiled, and run as tests, with everything else. The text in the
//! README and in `docs/embedding.md` is compiled here too.

mod directory;
mod send;
mod shelf;

pub use directory::FixedDirectory;
pub use send::send;
pub use shelf::Shelf;

/// The text of `docs/embedding.md`, so that its code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

/// The text of the README, so that its code is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
