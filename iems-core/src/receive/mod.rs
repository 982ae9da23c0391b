//! Receive: the one door through which every message comes in.
//!
//! `open → begin → recipient… → write… → commit`, each of which may refuse. SMTP, LMTP, `sendmail`, lists and
//! connectors all use it, so a rule holds for all of them.

mod accept;
mod collect;
mod connection;
mod decide;
mod expanded;
mod intake;
mod judge;
mod limits;
mod looped;
mod once;
mod proxied;
mod relay;
mod senders;
mod transaction;
mod upstream;
mod written;

pub use collect::Collectors;
pub use connection::Connection;
pub use intake::{Intake, Session};
pub use limits::Limits;
pub use once::OnceKey;
pub(crate) use once::forget_names;
pub use proxied::{BadPreamble, Preamble, Step};
pub use relay::{Network, NetworkError, Relay};
pub use senders::{AuthorMatch, SenderMatch};
pub use transaction::{Receipt, Transaction};
pub use upstream::Upstream;
