//! From octets on the wire to what people read: transfer encodings, character sets, encoded words, plain text of HTML.
//!
//! Nothing fails: what cannot be decoded is shown as it is, or as U+FFFD.

mod charset;
mod html;
mod subject;
mod transfer;
mod words;

pub use charset::decode_charset;
pub(super) use charset::keeps_ascii;
pub use html::plain_of_html;
pub use subject::base_subject;
pub use transfer::{Decoder, Transfer};
pub use words::{decode_field, decode_parameter};
