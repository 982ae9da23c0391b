//! The body as a handle: bytes in front, then a blob. Nothing here reads it whole.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::storage::{BlobId, Blobs, StoreError};

/// A message as it will be delivered: `prefix` followed by the blob.
///
/// The blob is what arrived, preceded by our `Received` field; the prefix holds fields that were
/// added for one group of recipients. So a body is written once and never copied to add a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Header fields in front, each ending with CRLF; often empty.
    pub prefix: Bytes,
    /// The stored octets: an RFC 5322 message with CRLF line ends.
    pub blob: BlobId,
    /// Length of the blob in octets.
    pub blob_size: u64,
    /// Where the header section of the blob ends: the offset just behind the empty line.
    pub header_size: u64,
}

/// How much is read from a blob at a time, in octets.
const PIECE: u64 = 64 * 1024;

impl Body {
    /// Length in octets of the whole message.
    pub fn size(&self) -> u64 {
        self.prefix.len() as u64 + self.blob_size
    }

    /// The same body with more header fields in front.
    #[must_use]
    pub fn with_prefix(&self, fields: &[u8]) -> Self {
        let mut prefix = fields.to_vec();
        prefix.extend_from_slice(&self.prefix);
        Self { prefix: prefix.into(), ..self.clone() }
    }

    /// Reads it piece by piece, from the start.
    pub fn reader<'a>(&self, blobs: &'a dyn Blobs) -> BodyReader<'a> {
        BodyReader {
            blobs,
            body: self.clone(),
            prefix_done: self.prefix.is_empty(),
            at: 0,
            end: self.blob_size,
        }
    }

    /// Reads the header section, with the empty line; at most `limit` octets of the blob.
    pub async fn header(&self, blobs: &dyn Blobs, limit: u64) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.reader(blobs);
        reader.end = self.header_size.min(limit);
        reader.rest().await
    }
}

/// Reads a [`Body`] piece by piece.
pub struct BodyReader<'a> {
    blobs: &'a dyn Blobs,
    body: Body,
    prefix_done: bool,
    at: u64,
    end: u64,
}

impl BodyReader<'_> {
    /// The next piece (at most 64 KiB of the blob), or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if !self.prefix_done {
            self.prefix_done = true;
            return Ok(Some(self.body.prefix.clone()));
        }
        if self.at >= self.end {
            return Ok(None);
        }
        let piece = self.blobs.read(self.body.blob, self.at..self.end.min(self.at + PIECE)).await?;
        if piece.is_empty() {
            return Err(StoreError::Corrupt(format!(
                "blob {} ends at {} of {}",
                self.body.blob, self.at, self.end
            )));
        }
        self.at += piece.len() as u64;
        Ok(Some(piece))
    }

    /// All that is left, in one piece. Only for bodies of a size that the caller knows and can hold.
    pub async fn rest(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl std::fmt::Debug for BodyReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BodyReader({} at {} of {})", self.body.blob, self.at, self.end)
    }
}
