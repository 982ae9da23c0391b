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
//! | [`iprev`] | has the peer's address a name that leads back to it? |
//! | [`helo`] | is what the peer calls itself a name it may have? |
//! | [`spf`] | may this address send for this domain? |
//! | [`sender`] | can the sender's domain take mail, is it one of ours, does its site answer, does the address exist? |
//! | [`greylist`] | is the peer known, or does it come back? |
//! | [`forward`] | would the next hop take the recipient? |
//! | [`authres`] | none: it tells mail programs what the others found |
//! | [`skeleton`] | a small judge to copy: has the message exactly one author field? |
//!
//! A judge never decides and never talks to the peer. It opens no socket: names come from the `Resolver`,
//! time from the `Clock`, bodies from the `Blobs` it is given, answers of other systems from the `Prober`.

pub mod authres;
mod common;
pub mod dnsbl;
pub mod forward;
pub mod greylist;
pub mod helo;
pub mod iprev;
mod notes;
pub mod probe;
pub mod sender;
pub mod skeleton;
pub mod spf;
#[cfg(test)]
mod testing;
