//! POP3 (RFC 1939), with CAPA (RFC 2449), STLS (RFC 2595), SASL (RFC 5034) and response codes (RFC 3206).
//!
//! `command` and `reply` are the words, `session` is the dialogue without I/O, `retrieval` turns stored octets into what
//! is sent. `connection` carries the dialogue over a socket; `maildrops` opens mailboxes for it, one session at a time. How
//! connections come in is in [`crate::net`].
//!
//! APOP is not offered: it needs the password in the clear on the server.

mod command;
mod connection;
mod maildrops;
mod options;
mod reply;
mod retrieval;
pub mod session;
mod uidl;

pub use crate::net::{AuthOptions, Believed, Listener, ServerError, TlsConfig};
pub use command::{Command, CommandError};
pub use connection::Pop3;
pub use maildrops::Maildrops;
pub use options::{Limits, ServerOptions, Timeouts};
pub use retrieval::{Part, Retrieval};
pub use uidl::UidlFormat;

/// A POP3 server.
pub type Server = crate::net::Server<Pop3>;
