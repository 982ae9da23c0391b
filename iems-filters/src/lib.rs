//! The judges: modules that inspect a message and record what they find.
//!
//! They stand on the path at `preprocess`, one folder per judge, all of the same inner shape:
//!
//! - `settings`: what an administrator may choose, each default with its reason;
//! - `query`, `answer` or the like: the judge's knowledge, as pure functions;
//! - `judge`: the [`Preprocessor`](iems_core::preprocess::Preprocessor) itself, the only file that waits.
//!
//! | module | its question |
//! |---|---|
//! | [`dnsbl`] | do lists in the DNS know the peer, its name or the sender's domain? |
//! | [`skeleton`] | a small judge to copy: has the message exactly one author field? |
//!
//! A judge never decides and never talks to the peer. It opens no socket: names come from the `Resolver`,
//! time from the `Clock`, bodies from the `Blobs` it is given.

pub mod dnsbl;
pub mod skeleton;
