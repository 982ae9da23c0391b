//! From what the server says to octets (RFC 9051 section 7 and 9).
//!
//! Whatever is in the values, what comes out is what the grammar knows: text for people becomes printable ASCII, strings
//! are quoted or literals, NUL never stands in a literal that is none of `literal8`.

mod data;
mod fetch;
mod list;
mod status;
mod string;
mod thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use iems_store::told::Teller;

use crate::imap::types::Response;

pub use fetch::FetchEncoder;

/// Writes for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoder {
    /// Whether `IMAP4rev2` or `UTF8=ACCEPT` is enabled: mailbox names and quoted strings are UTF-8. Otherwise names are in
    /// modified UTF-7, and what is no ASCII stands in literals.
    pub utf8: bool,
}

impl Encoder {
    fn teller(self) -> Teller {
        Teller { utf8: self.utf8 }
    }

    /// Appends `response` to `out`, with its line end. Data with [`crate::imap::types::Content::Streamed`] goes through
    /// [`Encoder::fetch_begin`]; here, spaces stand for what is missing.
    pub fn response(self, response: &Response, out: &mut BytesMut) {
        match response {
            Response::Tagged { tag, status } => {
                out.extend_from_slice(tag.as_bytes());
                out.extend_from_slice(b" ");
                status::status(status, out);
            }
            Response::Status(status) => {
                out.extend_from_slice(b"* ");
                status::status(status, out);
            }
            Response::Data(data) => self.data(data, out),
            Response::Continue(text) => {
                out.extend_from_slice(b"+ ");
                status::text(text, out);
            }
            Response::Challenge(octets) => {
                out.extend_from_slice(b"+ ");
                out.extend_from_slice(STANDARD.encode(octets).as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}
