//! IMAP4rev2 (RFC 9051) and IMAP4rev1 (RFC 3501), with the extensions listed in `docs/specifications.md`.
//!
//! `types` are the words, `codec` is between them and octets, `search` finds and sorts messages, `session` is what one peer is
//! shown, over the mailboxes of the store and without sockets. `connection` carries it over a socket; how connections come in is
//! in [`crate::net`].

mod accounts;
pub mod codec;
mod connection;
mod options;
mod recent;
pub mod search;
pub mod session;
pub mod types;

pub use crate::net::{AuthOptions, Believed, Listener, ServerError, TlsConfig};
pub use accounts::Accounts;
pub use connection::Imap;
pub use options::{Limits, ServerOptions, Timeouts};

/// An IMAP server.
pub type Server = crate::net::Server<Imap>;
