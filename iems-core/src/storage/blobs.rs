//! Blobs: immutable bodies, named by what they hold.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// The name of a blob: a 32-byte hash of its content, chosen by the engine (BLAKE3 in ours).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobId {
    type Err = ();

    /// 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut id = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(());
        }
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| ())?;
        }
        Ok(Self(id))
    }
}

/// Numbers about one pass of garbage collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs removed because nobody owned them.
    pub blobs: u64,
    /// Bytes given back to the system.
    pub bytes: u64,
    /// Bytes moved so that others could be given back.
    pub moved: u64,
}

/// How much a storage can still take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Bytes of bodies that it would still take. What it keeps for itself, to record and to delete when it is full, is
    /// not in it. At most `total`; other users of the same medium may take it.
    pub free: u64,
    /// Bytes of the whole medium.
    pub total: u64,
    /// Bytes of bodies that nobody owns any more, and that collecting gives back in time.
    pub dead: u64,
}

/// Storage for bodies, kept apart from the store but bound to it: batches of the store
/// link and unlink blobs.
///
/// - **Role**: holds message bodies, once, whatever the number of owners.
/// - **Called when**: a body arrives (`create`), is delivered or read (`read`), and by
///   background tasks (`collect`, `room`).
/// - **Ordering**: reserve (`create`) → put (`write`, `finish`) → link (a batch of the store).
///   A blob is durable no later than the return of the first commit that links it.
/// - **Cancellation**: dropping a writer gives its bytes up. A finished blob that is never linked expires
///   some time after `finish` (an hour in ours).
/// - **Idempotency**: the same content gives the same id; writing it twice keeps it once.
/// - **Concurrency**: any number of writers and readers. `collect` never removes a blob that has an owner
///   or a reservation.
/// - **Errors**: see [`StoreError`]. A failed `write` or `finish` leaves nothing behind that counts.
/// - **Example**: [`super::MemoryStorage`].
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Reserves room for a body of unknown length.
    async fn create(&self) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// The bytes of a blob in `range`, cut at its end. A caller asks for pieces of a size it can hold.
    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// The length of a blob in bytes.
    async fn size(&self, id: BlobId) -> Result<u64, StoreError>;

    /// Holds a blob for who reads it in pieces: until what is returned is dropped, `read` finds it, also if its last owner leaves
    /// in between. A storage that cannot do that only looks whether it is there, as here, and its readers may meet
    /// [`StoreError::NoBlob`] in the midst.
    async fn hold(&self, id: BlobId) -> Result<Box<dyn Send + Sync>, StoreError> {
        self.size(id).await?;
        Ok(Box::new(()))
    }

    /// Removes what nobody owns any more and gives the room back. Bounded work per call;
    /// to be called again while it reports progress.
    async fn collect(&self) -> Result<Collected, StoreError>;

    /// The room for bodies; `None` where it cannot be told, which must not change while the storage is open. Cheap, and
    /// not exact: asked every second to ten seconds, so that messages are refused before the storage has to.
    async fn room(&self) -> Result<Option<Room>, StoreError> {
        Ok(None)
    }
}

/// A body on its way into the store.
///
/// Contract: see [`Blobs`]. Memory held per writer is bounded (256 KiB in ours), whatever is written.
#[async_trait]
pub trait BlobWriter: Send + Sync {
    /// Appends bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError>;

    /// Seals the body. It can be read and linked from now on; it is durable once linked.
    async fn finish(self: Box<Self>) -> Result<BlobId, StoreError>;
}
