//! The client's side of the dialogue, without I/O: replies in, what to write next out.
//!
//! [`Hello`] is the part before any message, [`Transaction`] the part for one message.
//!
//! ```text
//! Hello:        greeting → EHLO (→ HELO) → [STARTTLS → handshake → EHLO] → [AUTH → 334…] → ready
//! Transaction:  [RSET] MAIL RCPT… → BDAT LAST + body            → one reply, or one per recipient (LMTP) → end
//!                                 → DATA → 354 → body + dot     →   "
//! ```
//!
//! A reply that makes no sense where it stands ends the session; nothing is guessed. Recipients whose fate is not
//! known then are deferred.

mod auth;
mod hello;
mod transaction;

pub(super) use auth::AuthError;
pub(super) use hello::{Hello, HelloError, HelloStep, Identity, Starttls};
pub(super) use transaction::{Manner, Step, Transaction};
