//! How IMAP tells strings, envelopes and structures (RFC 9051 sections 4.3 and 7.5.2).
//!
//! It is here, below the protocol, because the structure of a message never changes: it is kept as it is told, and whoever
//! asks for it gets octets of a row. No I/O. Whatever is in the values, what comes out is what the grammar knows.
//!
//! `types` what is told · `of` of what was stored · `message` as octets · `string` strings and numbers.

mod message;
mod of;
mod string;
mod types;

pub use of::{body_structure, envelope};
pub use string::{announce, list, literal, literal8, number, quoted, spaced};
pub use types::{Address, BodyExtension, BodyFields, BodyStructure, Disposition, Envelope, Parameters};

/// Tells things to one kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Teller {
    /// Quoted strings may be UTF-8. Otherwise what is no ASCII stands in literals.
    pub utf8: bool,
}
