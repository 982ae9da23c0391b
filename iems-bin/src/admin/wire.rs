//! The administration protocol: JSON lines, one request and one answer a connection.
//!
//! The client sends `{"version":1,"request":{…}}`, the server answers `{"ok":…}` or `{"failure":{…}}`. After the
//! `ok` of a submission the client sends pieces, each a length of four octets and as many octets, then a piece
//! of length 0, and gets a second answer. A connection that breaks off before that leaves nothing behind.

use std::io;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::request::Request;
use crate::exit::Failure;

/// The version of the protocol.
pub(super) const VERSION: u32 = 2;
/// The longest request, in octets.
pub(super) const LONGEST_REQUEST: usize = 1 << 20;
/// The longest answer, in octets: a listing of some ten thousand messages.
pub(super) const LONGEST_ANSWER: usize = 64 << 20;
/// The largest piece of a message, in octets.
const LARGEST_PIECE: u32 = 1 << 20;

/// What the client sends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// See [`VERSION`].
    pub(super) version: u32,
    /// The secret of the server, where the socket does not prove who is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
    /// The request.
    pub(super) request: Request,
}

/// What the server sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Response {
    /// Done.
    Ok(Value),
    /// Not done.
    Failure(Failure),
}

/// Writes one line.
pub(super) async fn send<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    to.flush().await
}

/// Reads one line of at most `longest` octets.
pub(super) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    longest: usize,
) -> io::Result<T> {
    let mut line = Vec::new();
    let mut limited = from.take(longest as u64 + 1);
    limited.read_until(b'\n', &mut line).await?;
    if line.len() > longest {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
    }
    if !line.ends_with(b"\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

/// Writes one piece of a message; an empty one ends it.
pub(super) async fn send_piece(to: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    for piece in octets.chunks(LARGEST_PIECE as usize) {
        to.write_all(&(piece.len() as u32).to_be_bytes()).await?;
        to.write_all(piece).await?;
    }
    if octets.is_empty() {
        to.write_all(&0u32.to_be_bytes()).await?;
        to.flush().await?;
    }
    Ok(())
}

/// Reads one piece; `None` at the end of the message.
pub(super) async fn receive_piece(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    match u32::from_be_bytes(length) {
        0 => Ok(None),
        length if length > LARGEST_PIECE => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the piece is too large"))
        }
        length => {
            let mut piece = vec![0; length as usize];
            from.read_exact(&mut piece).await?;
            Ok(Some(piece.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_and_pieces_are_bounded() {
        let mut long: &[u8] = b"\"0123456789\"\n";
        assert!(receive::<String>(&mut long, 5).await.is_err());
        let mut cut: &[u8] = b"\"012";
        assert_eq!(receive::<String>(&mut cut, 50).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut huge: &[u8] = &[0xFF; 8];
        assert!(receive_piece(&mut huge).await.is_err());
        let mut wire = Vec::new();
        send_piece(&mut wire, b"abc").await.unwrap();
        send_piece(&mut wire, b"").await.unwrap();
        let mut from: &[u8] = &wire;
        assert_eq!(receive_piece(&mut from).await.unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(receive_piece(&mut from).await.unwrap(), None);
    }
}
