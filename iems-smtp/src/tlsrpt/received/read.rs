//! From a message to the report in it. Everything is bounded: the message, what is unpacked, and what is kept of it.

use bytes::Bytes;

use super::json;
use super::mime::{self, Found};
use super::model::ReceivedReport;
use crate::batch::{Decoder, Inflate, InflateError};

/// The largest message that is read, in octets.
pub(super) const MESSAGE: u64 = 4 << 20;
/// The largest report, unpacked, in octets.
const REPORT: u64 = 8 << 20;

/// Why a message is no report that can be read. The words are for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is larger than reports are.
    #[error("the message is larger than {MESSAGE} octets")]
    TooLarge,
    /// There is no part of the type.
    #[error("it has no part of the type application/tlsrpt+gzip or application/tlsrpt+json")]
    NoReport,
    /// The part is not what its transfer encoding says.
    #[error("the transfer encoding of the report is broken or unknown")]
    Encoding,
    /// It cannot be unpacked, or is too large then.
    #[error("the report cannot be unpacked: {0}")]
    Packed(String),
    /// It is not the JSON that RFC 8460 describes.
    #[error("the report is not as RFC 8460 has it: {0}")]
    Json(String),
}

/// Reads the report in a message with CRLF line ends. Costs at most some ten times its largest size of memory; pure.
///
/// # Errors
/// [`Unreadable`].
pub fn read(message: &[u8]) -> Result<ReceivedReport, Unreadable> {
    if message.len() as u64 > MESSAGE {
        return Err(Unreadable::TooLarge);
    }
    let found = mime::find(message).ok_or(Unreadable::NoReport)?;
    let octets = unpack(&decode(&found)?)?;
    json::parse(&octets).map_err(Unreadable::Json)
}

fn decode(found: &Found<'_>) -> Result<Bytes, Unreadable> {
    let mut decoder = Decoder::new(found.encoding.ok_or(Unreadable::Encoding)?);
    let first = decoder.push(&Bytes::copy_from_slice(found.octets)).map_err(|_| Unreadable::Encoding)?;
    let rest = decoder.finish().map_err(|_| Unreadable::Encoding)?;
    Ok(if rest.is_empty() { first } else { [first, rest].concat().into() })
}

/// Whether it is packed is seen by its first octets, whatever its type says.
fn unpack(octets: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let (mut inflate, mut all) = (Inflate::new(REPORT), Vec::new());
    let told = |error| {
        Unreadable::Packed(match error {
            InflateError::TooLarge(most) => format!("it is larger than {most} octets"),
            InflateError::Bomb => "it grows out of all proportion".into(),
            InflateError::Damaged(_) => "it is damaged".into(),
        })
    };
    inflate.push(octets, &mut |piece| all.extend_from_slice(&piece)).map_err(told)?;
    inflate.finish(&mut |piece| all.extend_from_slice(&piece)).map_err(told)?;
    Ok(all)
}
