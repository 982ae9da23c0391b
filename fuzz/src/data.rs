//! Mail data: one end, one message, in both directions (SMTP smuggling).

use bytes::BytesMut;
use iems_smtp::proto::data::LineEnds;
use iems_smtp::proto::{DataDecoder, DataEncoder, Piece};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"Subject: x\r\n\r\nbody\r\n.\r\n",
    b"..\r\n.\r\nMAIL FROM:<a@b>\r\n",
    b"a\n.\r\nb\r\n.\nc\r.\rd\r\n.\r\n",
    b"\r\n.\r\r\n.\r\n",
    b".\r\n",
];

/// What comes out of one reading.
#[derive(Debug, PartialEq)]
struct Read {
    message: Vec<u8>,
    rest: Option<Vec<u8>>,
    broken: bool,
}

/// Data from a peer: the end is the first CRLF.CRLF, in any pieces, and no message with a bare line end passes.
pub(crate) fn incoming(octets: &[u8]) {
    let whole = read(std::iter::once(octets));
    let parts = read(pieces(octets));
    assert_eq!((&whole.rest, whole.broken), (&parts.rest, parts.broken), "pieces make a difference");
    let framed = [b"\r\n", octets].concat();
    let end = framed.windows(5).position(|w| w == b"\r\n.\r\n");
    let expected = end.map(|at| framed[at + 5..].to_vec());
    assert_eq!(whole.rest, expected, "the end is elsewhere");
    if whole.rest.is_some() && !whole.broken {
        assert_eq!(whole.message, parts.message, "pieces make a difference");
        assert!(!has_bare_line_end(&whole.message), "a bare line end passed");
        let mut encoded = BytesMut::new();
        let mut encoder = DataEncoder::default();
        encoder.encode(&whole.message, &mut encoded);
        encoder.finish(&mut encoded);
        let (message, rest, broken) = (sent(&whole.message), Some(Vec::new()), false);
        assert_eq!(read(std::iter::once(&encoded[..])), Read { message, rest, broken });
    }
}

/// Data to a peer, whatever is in it: exactly one end, at the end, and nothing a peer could read as another one.
pub(crate) fn outgoing(octets: &[u8]) {
    let mut encoded = BytesMut::new();
    let mut encoder = DataEncoder::default();
    pieces(octets).for_each(|piece| encoder.encode(piece, &mut encoded));
    encoder.finish(&mut encoded);
    assert!(!has_bare_line_end(&encoded), "a bare line end went out");
    let read = read(std::iter::once(&encoded[..]));
    assert_eq!((read.rest, read.broken), (Some(Vec::new()), false));
    if !has_bare_line_end(octets) && (octets.is_empty() || octets.ends_with(b"\r\n")) {
        assert_eq!(read.message, sent(octets), "the message changed");
    }
}

/// A message as it is sent: without the NULs in front of a dot that begins a line.
fn sent(message: &[u8]) -> Vec<u8> {
    let line = |line: &[u8]| {
        let nuls = line.iter().take_while(|octet| **octet == 0).count();
        let from = if line.get(nuls) == Some(&b'.') { nuls } else { 0 };
        line[from..].to_vec()
    };
    message.split_inclusive(|octet| *octet == b'\n').flat_map(line).collect()
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let (mut decoder, mut input) = (DataDecoder::default(), BytesMut::new());
    let (mut message, mut ended) = (Vec::new(), false);
    for piece in pieces {
        input.extend_from_slice(piece);
        while !ended && let Some(found) = decoder.next(&mut input) {
            match found {
                Piece::Octets(octets) => message.extend_from_slice(&octets),
                Piece::End => ended = true,
            }
        }
    }
    Read { message, rest: ended.then(|| input.to_vec()), broken: decoder.is_broken() }
}

/// Asked of the watcher of `BDAT` chunks, and checked against the plainest way to say it.
fn has_bare_line_end(octets: &[u8]) -> bool {
    let mut ends = LineEnds::default();
    pieces(octets).for_each(|piece| ends.feed(piece));
    let text: String = octets.iter().map(|octet| char::from(*octet)).collect();
    let plain = text.replace("\r\n", "").contains(['\r', '\n']);
    assert_eq!(ends.is_broken(true), plain, "the watcher of line ends is wrong about {text:?}");
    plain
}
