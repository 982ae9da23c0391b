//! The judges of the reverse-path: can its domain take mail, does a stranger use one of ours, is anybody there, and does
//! the address exist?
//!
//! | judge | when | its question |
//! |---|---|---|
//! | [`SenderDomain`] | reverse-path | does the domain exist and take mail? |
//! | [`SenderOwn`] | reverse-path | does a stranger send as one of our domains? |
//! | [`SenderSite`] | reverse-path | does one of its mail exchangers answer? |
//! | [`SenderCallback`] | body | do they take a report for the address? |
//!
//! The first two ask names and the directory only. The others ask the sender's systems, through a
//! [`Prober`](iems_core::seam::Prober), keep the answers in the store, and bound how often ([`crate::probe`]).

mod callback;
mod domain;
mod exchange;
mod header;
mod own;
mod site;

pub use callback::{CallbackSettings, SenderCallback};
pub use domain::{DomainSettings, SenderDomain};
pub use own::SenderOwn;
pub use site::SenderSite;
