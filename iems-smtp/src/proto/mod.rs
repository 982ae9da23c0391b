//! The words of SMTP, submission and LMTP: types and codec for both sides of the wire.
//!
//! Bytes in, typed values out, and back. No state of a dialogue, no time, no socket.

mod attributes;
pub(crate) mod claim;
pub mod command;
pub mod data;
pub mod extension;
pub(crate) mod forward;
pub mod line;
mod params;
mod parse;
pub mod reply;
mod session_limits;
mod wishes;
pub mod xtext;

pub use claim::Claim;
pub use command::{Command, CommandError, Mail, Rcpt};
pub use data::{DataDecoder, DataEncoder, Piece};
pub use extension::Extensions;
pub use forward::Forward;
pub use line::{LineError, LineReader};
pub use reply::{Response, ResponseDecoder, ResponseError};
pub use session_limits::SessionLimits;
pub use wishes::{By, Hold};
