//! The structure of a message: everything that listing, fetching and searching want to know without parsing it again.
//!
//! `Parser` is fed with a message in pieces of any size and gives a [`Structure`]: envelope, parts, and where the octets
//! of each are. It is made when a message is stored, kept beside it, and answers `ENVELOPE`, `BODY`, `BODYSTRUCTURE`,
//! sections and most header fields. Nothing here does I/O, and nothing fails: any octets are a message. RFC 5322, 2045
//! to 2047, 2231, 3501 and 9051; where a message breaks the rules, the reading is Dovecot's, which clients know.
//!
//! `parse/` octets to structure · `model` what is kept · `row` how · `section` what `BODY[...]` names ·
//! `decode/` and `text` what people read · `date` when it was sent.
//!
//! The readers are our own, not mail-parser's: that one decodes as it reads, so raw encoded words, parameters, groups,
//! line counts and the exact ends of parts, which IMAP tells as they stand, are gone from its answer; and it wants the
//! whole message in memory.

mod date;
mod decode;
mod fields;
mod model;
mod parse;
mod row;
mod section;
#[cfg(test)]
mod tests;
mod text;

use iems_core::message::Body;
use iems_core::storage::{Blobs, StoreError};

pub use date::{SentDate, sent_date};
pub use decode::{
    Decoder, Transfer, base_subject, decode_charset, decode_field, decode_parameter, plain_of_html,
};
pub use fields::{Fields, KeptName, Picked};
pub use model::{Address, Envelope, Kept, Kind, Media, Parameters, Part, Span, Structure};
pub use parse::{KEPT, Limits, Parser, is_kept};
pub(crate) use parse::{lines_of, name_of};
pub use row::{Addresses, Row};
pub(crate) use section::fields_of;
pub use section::{Text, header_fields, unfolded};
pub use text::{PREVIEW, read_range};

impl Structure {
    /// The structure of the message `octets`.
    pub fn of(octets: &[u8]) -> Self {
        let mut parser = Parser::new(Limits::default());
        parser.feed(octets);
        parser.finish()
    }

    /// The structure of the message `body`, which is read piece by piece.
    ///
    /// # Errors
    /// The blobs'.
    pub async fn read(body: &Body, blobs: &dyn Blobs) -> Result<Self, StoreError> {
        let mut parser = Parser::new(Limits::default());
        let mut reader = body.reader(blobs);
        while let Some(piece) = reader.next().await? {
            parser.feed(&piece);
        }
        Ok(parser.finish())
    }

    /// The structure with `octets` of other fields in front of the message's header. Fields with a name in [`KEPT`] must
    /// not be among them.
    #[must_use]
    pub fn behind(mut self, octets: u64) -> Self {
        self.size += octets;
        for (at, part) in self.parts.iter_mut().enumerate() {
            match at {
                0 => part.header.length += octets,
                _ => part.header.start += octets,
            }
            part.body.start += octets;
        }
        self
    }
}
