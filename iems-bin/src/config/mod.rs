//! Configuration: found, read as written, resolved, and only then used.
//!
//! Each section has a file of its own, with its keys and what they mean. `written` declares the whole file, `resolved` what
//! the program works with; `resolve` goes from one to the other and collects every problem on the way. `docs/config.md` is
//! the manual.

mod batch;
mod certificates;
mod checks;
mod client;
mod dns;
mod dnsbl;
mod files;
mod imap;
mod leaf;
mod limit;
mod limits;
mod listener;
mod load;
mod mailbox;
mod odmr;
mod peer;
mod peer_tls;
mod policy;
mod problem;
mod proofs;
mod protocol;
mod queue;
mod quota;
mod read;
mod reports;
mod resolve;
mod resolved;
mod route;
mod search;
mod senders;
mod source;
mod submit;
mod tunnel;
mod via;
mod written;

#[cfg(test)]
mod manual;

#[cfg(feature = "acme")]
pub(crate) use certificates::Acme;
pub(crate) use certificates::NamedCertificate;
pub(crate) use dnsbl::About;
pub(crate) use files::{Certificate, ClientCertificates, OAuth};
pub(crate) use leaf::{duration, size};
pub(crate) use listener::Listener;
pub(crate) use load::{Loaded, examine, load, load_for_service};
pub(crate) use odmr::CHANNEL as ODMR;
pub(crate) use protocol::Protocol;
pub(crate) use resolved::Config;
pub(crate) use via::way;
pub(crate) use written::LogFormat;

/// The same for files that are relative to a folder.
#[cfg(test)]
pub(crate) fn at(text: &str, folder: &std::path::Path) -> Result<Config, String> {
    let look = files::Look::AWAY;
    load::understand(text, "test.toml".as_ref(), folder, look).map_err(|problems| problems.to_string())
}

/// The configuration of a text; files that it names are not looked at.
#[cfg(test)]
pub(crate) fn of(text: &str) -> Result<Config, String> {
    let look = files::Look::AWAY;
    load::understand(text, "test.toml".as_ref(), "/".as_ref(), look).map_err(|problems| problems.to_string())
}
