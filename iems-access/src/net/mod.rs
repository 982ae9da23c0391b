//! What the protocols of this crate share: how connections come in, and how peers prove who they are.
//!
//! `listener` and `server` let connections in, with `PROXY` headers, rules and limits; `wire` and `beneath` are the socket with
//! and without TLS and compression (`deflate`). `turn` is how many commands a connection carries out before others have their
//! turn. `auth`, `credentials` and `gate` are what all logins have in common. A protocol comes in as [`Protocol`].
//! Not here: any word of a protocol.

mod auth;
mod beneath;
mod credentials;
mod deflate;
mod gate;
mod listener;
mod memory;
mod protocol;
mod server;
mod turn;
mod wire;

pub use auth::{AuthOptions, Link, Nonce, Unoffered};
pub use beneath::Believed;
pub use credentials::{Answer, Question};
pub use listener::Listener;
pub use memory::{Budget, Loan, Memory, Spent};
pub use protocol::{Guest, Protocol, Settings, Shared};
pub use server::{Server, ServerError, TlsConfig};

pub(crate) use gate::Gate;
pub(crate) use turn::Turn;
pub(crate) use wire::{Wire, handshake};
