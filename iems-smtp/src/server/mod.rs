//! The server: takes messages by SMTP, submission and LMTP, and hands them to the engine's `Intake`.
//!
//! `session` is the dialogue without I/O, time or directory: octets in, events and replies out. `connection` carries it
//! over a socket, asks the engine, and knows tokio and rustls; `serve` accepts connections within the limits.

mod beneath;
mod connection;
mod listener;
mod options;
mod reverse;
mod secrets;
mod serve;
pub mod session;
mod trace;
mod wire;
mod wishes;

pub use beneath::Believed;
pub use listener::{Listener, Security};
pub use options::{AuthOptions, Limits, Mode, ServerOptions, Timeouts, Verify};
pub use secrets::SharedSecrets;
pub use serve::{Server, ServerError, TlsConfig};
