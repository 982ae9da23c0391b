//! POP3 (RFC 1939), with CAPA (RFC 2449), STLS (RFC 2595), SASL (RFC 5034) and response codes (RFC 3206).
//!
//! `command` and `reply` are the words, `session` is the dialogue without I/O, `retrieval` turns stored octets into what
//! is sent. `connection` and `server` carry the dialogue over sockets and know tokio and rustls; `maildrops` opens
//! mailboxes for them, one session at a time.
//!
//! APOP is not offered: it needs the password in the clear on the server.

mod beneath;
mod command;
mod connection;
mod listener;
mod maildrops;
mod options;
mod reply;
mod retrieval;
mod server;
pub mod session;
mod wire;

pub use beneath::Believed;
pub use command::{Command, CommandError};
pub use listener::Listener;
pub use maildrops::Maildrops;
pub use options::{AuthOptions, Limits, ServerOptions, Timeouts};
pub use retrieval::{Part, Retrieval};
pub use server::{Server, ServerError, TlsConfig};
