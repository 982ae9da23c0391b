//! Replies of servers: bounded, the same in any pieces, and written so that they read back.

use bytes::BytesMut;
use iems_smtp::proto::{Extensions, Response, ResponseDecoder, ResponseError, reply};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"220 mx.example ESMTP\r\n",
    b"250-mx.example\r\n250-SIZE 10240000\r\n250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n250 CHUNKING\r\n",
    b"550-5.1.1 no such user\r\n550 5.1.1 here\r\n",
    b"354\r\n451-4.3.0 a\r\n451 4.3.0 b\r\n",
];

pub(crate) fn run(octets: &[u8]) {
    let whole = read(std::iter::once(octets));
    let parts = read(pieces(octets));
    assert_eq!(whole.0, parts.0, "pieces make a difference");
    for response in whole.0 {
        assert!((200..600).contains(&response.code) && !response.lines.is_empty());
        assert!(response.lines.len() <= ResponseDecoder::LINES);
        if !response.is_intermediate() {
            write_and_read(&response);
        }
        let extensions = Extensions::read(response.lines.iter().map(String::as_str));
        let lines: Vec<_> = extensions.lines().collect();
        assert_eq!(Extensions::read(lines.iter().map(AsRef::as_ref)), extensions);
    }
}

/// What we tell of another server's reply is one reply, with its code.
fn write_and_read(response: &Response) {
    let (told, mut out) = (response.to_reply(), BytesMut::new());
    reply::write(&mut out, &told);
    assert!(out.is_ascii() && out.ends_with(b"\r\n"));
    let (again, error) = read(std::iter::once(&out[..]));
    assert!(error.is_none() && again.len() == 1, "{told:?} became {again:?} {error:?}");
    assert_eq!((again[0].code, again[0].enhanced), (response.code, Some(told.enhanced)));
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Response>, Option<ResponseError>) {
    let (mut decoder, mut input, mut responses) = (ResponseDecoder::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match decoder.next(&mut input) {
                Ok(Some(response)) => responses.push(response),
                Ok(None) => break,
                Err(error) => return (responses, Some(error)),
            }
        }
    }
    (responses, None)
}
