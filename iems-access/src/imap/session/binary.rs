//! `BINARY` (RFC 9051 section 6.4.5.1, RFC 3516): parts without their transfer encoding, piece by piece.
//!
//! The length is told before the octets, so a part is decoded twice: to count, and to be sent.

use std::ops::Range;

use iems_core::storage::{Blobs, StoreError};
use iems_store::mailbox::MessageInfo;
use iems_store::structure::{Decoder, Structure, Text, Transfer};

use super::Trouble;
use super::body::Pieces;
use super::effort::Effort;
use crate::imap::types::{Code, FetchAttribute, Partial, Status};

/// A part and how it is encoded.
pub(super) struct Encoded {
    range: Range<u64>,
    transfer: Transfer,
}

/// What a part is when it is decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) octets: u64,
    /// Whether NUL is among them.
    pub(super) nul: bool,
}

/// The octets of a decoded part that are wanted.
struct Window {
    skip: u64,
    left: u64,
}

impl Window {
    fn new(partial: Option<Partial>) -> Self {
        partial.map_or(Self { skip: 0, left: u64::MAX }, |Partial { origin, octets }| Self {
            skip: origin,
            left: octets,
        })
    }

    fn cut<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let skipped = self.skip.min(octets.len() as u64);
        self.skip -= skipped;
        let rest = octets.get(skipped as usize..).unwrap_or_default();
        let taken = self.left.min(rest.len() as u64);
        self.left -= taken;
        rest.get(..taken as usize).unwrap_or_default()
    }
}

impl Encoded {
    /// The part with these numbers; `None` if there is none.
    ///
    /// # Errors
    /// Its encoding is unknown.
    pub(super) fn find(structure: &Structure<&[u8]>, part: &[u32]) -> Result<Option<Self>, Trouble> {
        let span = structure.section(part, Text::All);
        let found = structure.part(part).and_then(|at| structure.parts.get(at));
        let (Some(span), Some(found)) = (span, found) else { return Ok(None) };
        let transfer = match part.is_empty() {
            true => Some(Transfer::Identity),
            false => found.transfer(),
        };
        let Some(transfer) = transfer else {
            let why = Status::no("The encoding of a part is not known here; fetch it as it is");
            return Err(why.with(Code::UnknownCte).into());
        };
        Ok(Some(Self { range: span.range(), transfer }))
    }

    /// Decodes it to count.
    pub(super) async fn count(
        &self,
        partial: Option<Partial>,
        info: &MessageInfo,
        blobs: &dyn Blobs,
        effort: &Effort,
    ) -> Result<Counted, StoreError> {
        let mut counted = Counted::default();
        let mut decoding = self.decode(partial, info, blobs, effort);
        while let Some(octets) = decoding.next().await? {
            counted.octets += octets.len() as u64;
            counted.nul |= octets.contains(&0);
        }
        Ok(counted)
    }

    /// Decodes it.
    pub(super) fn decode<'a>(
        &self,
        partial: Option<Partial>,
        info: &'a MessageInfo,
        blobs: &'a dyn Blobs,
        effort: &'a Effort,
    ) -> Decoding<'a> {
        let pieces = Pieces::new(&info.body, blobs, None).within(self.range.clone());
        Decoding { pieces, decoder: Some(Decoder::new(self.transfer)), window: Window::new(partial), effort }
    }
}

/// A part that is being decoded.
pub(super) struct Decoding<'a> {
    pieces: Pieces<'a>,
    decoder: Option<Decoder>,
    window: Window,
    effort: &'a Effort,
}

impl Decoding<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        while self.window.left > 0 {
            let mut octets = Vec::new();
            match (self.pieces.next().await?, &mut self.decoder) {
                (Some(piece), Some(decoder)) => {
                    decoder.feed(&piece, &mut octets);
                    self.effort.work(piece.len() as u64).await;
                }
                (None, decoder) => match decoder.take() {
                    Some(decoder) => decoder.finish(&mut octets),
                    None => return Ok(None),
                },
                (Some(_), None) => return Ok(None),
            }
            let wanted = self.window.cut(&octets);
            if !wanted.is_empty() {
                return Ok(Some(wanted.to_vec()));
            }
        }
        Ok(None)
    }
}

/// Whether all parts that are asked for can be decoded.
pub(super) fn check(structure: &Structure<&[u8]>, attributes: &[FetchAttribute]) -> Result<(), Trouble> {
    for attribute in attributes {
        if let FetchAttribute::Binary { part, .. } | FetchAttribute::BinarySize { part } = attribute {
            Encoded::find(structure, part)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_goes_over_pieces() {
        let mut window = Window::new(Some(Partial { origin: 3, octets: 4 }));
        let cut: Vec<&[u8]> = [&b"ab"[..], b"cde", b"fghi", b"j"].map(|piece| window.cut(piece)).into();
        assert_eq!(cut.concat(), b"defg");
        assert_eq!(window.left, 0);
    }
}
