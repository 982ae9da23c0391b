//! Between octets and words: what clients send becomes commands ([`Decoder`]), what the server says becomes octets
//! ([`Encoder`]). No I/O.
//!
//! `decoder` frames lines and literals and keeps the limits, `gather` puts commands together; `cursor` and `names` read the small productions of the
//! grammar, `parse` the commands. `encoder` writes; `mutf7` is for both.

mod cursor;
mod decoder;
mod encoder;
mod error;
mod gather;
mod limits;
mod mutf7;
mod names;
mod parse;
mod skip;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Event};
pub use encoder::{Encoder, FetchEncoder};
pub use error::Refusal;
pub use limits::Limits;

use super::types::Section;

/// The section that a text is, as it stands in `BODY[...]` or in a URL (RFC 5092): `1.2.HEADER`.
pub fn section(text: &str) -> Option<Section> {
    parse::bare_section(text)
}
