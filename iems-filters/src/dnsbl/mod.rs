//! The DNS-list judge: asks lists in the DNS about a peer (RFC 5782).
//!
//! On the path: `preprocess`, at the reverse-path, when the peer's address, its name, the sender and
//! any account are known. It asks nothing but the [`Resolver`](iems_core::seam::Resolver), which caches
//! by the lists' own TTL. Each list gives one verdict, `dnsbl/ZONE`; trouble is `temperror`, never `fail`.
//!
//! What a listing means for a message is a [`Policy`](iems_core::preprocess::Policy)'s: a site, a domain, a user
//! and a channel may each have a rule for `dnsbl/*`, or one for each list.

mod answer;
mod judge;
mod pattern;
mod query;
mod settings;
#[cfg(test)]
mod tests;

pub use judge::Dnsbl;
pub use pattern::{Pattern, PatternError};
pub use settings::{About, Code, List, Settings, SettingsError};
