//! Writing and reading bodies.
//!
//! A writer holds at most one piece in memory; small bodies stay there until the batch that links
//! them takes them along. A reader checks every piece it reads, whole.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use iems_core::storage::{BlobId, BlobWriter, Blobs, Collected, Room, StoreError};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::pending::Body;
use super::queue::{Spilled, Work};
use super::row::{BlobRow, Extent};
use super::segment::Segment;
use super::stats::add;
use super::{Embedded, Shared};

/// The length of a piece: what a writer holds in memory, and what a reader reads at once.
const PIECE: usize = 64 << 10;
/// From this length on, octets wait where they lie for what comes next, and are not copied to be joined with it.
const LARGE: usize = PIECE / 2;
/// How much longer than twice its content a buffer may be.
const SLACK: usize = 2048;
/// How often a body is looked up again because collection moved it in between.
const LOOKS: usize = 8;

#[async_trait]
impl Blobs for Embedded {
    async fn create(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        Ok(Box::new(Writer {
            shared: self.shared.clone(),
            hash: blake3::Hasher::new(),
            body: Body::default(),
            buffer: self.shared.recent().buffer(),
            held: Bytes::new(),
            broken: false,
        }))
    }

    async fn read(&self, id: BlobId, range: Range<u64>) -> Result<Bytes, StoreError> {
        if let Some(body) = self.shared.recent().get(id) {
            let range = range.start.min(body.len() as u64)..range.end.min(body.len() as u64);
            return Ok(cut(body, 0, &range));
        }
        let body = self.shared.locate(id)?;
        let range = range.start.min(body.size)..range.end.min(body.size);
        let mut parts: SmallVec<[Bytes; 1]> = SmallVec::new();
        let mut begin = 0;
        for extent in &body.extents {
            let end = begin + u64::from(extent.len);
            if begin < range.end && range.start < end {
                let piece = read_piece(&body, *extent).await.inspect_err(|e| self.shared.note_damage(e))?;
                parts.push(cut(&piece, begin, &range));
            }
            begin = end;
        }
        if !body.tail.is_empty() && begin < range.end {
            parts.push(cut(&body.tail, begin, &range));
        }
        if parts.len() == 1 { Ok(parts.remove(0)) } else { Ok(parts.concat().into()) }
    }

    async fn size(&self, id: BlobId) -> Result<u64, StoreError> {
        Ok(self.shared.locate(id)?.size)
    }

    async fn hold(&self, id: BlobId) -> Result<Box<dyn Send + Sync>, StoreError> {
        let body = self.shared.locate(id)?;
        Ok(Box::new(self.shared.held.hold(id, body)))
    }

    async fn collect(&self) -> Result<Collected, StoreError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || shared.collect()).await;
        done.unwrap_or_else(|e| Err(StoreError::Io(format!("collection ended early: {e}"))))
    }

    async fn room(&self) -> Result<Option<Room>, StoreError> {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || shared.room()).await;
        done.unwrap_or_else(|e| Err(StoreError::Io(format!("a measurement ended early: {e}"))))
    }
}

/// The part of a piece, beginning at `begin` of the body, that is in `range`.
fn cut(piece: &Bytes, begin: u64, range: &Range<u64>) -> Bytes {
    let length = piece.len() as u64;
    let from = range.start.saturating_sub(begin).min(length) as usize;
    let to = range.end.saturating_sub(begin).min(length) as usize;
    piece.slice(from..to.max(from))
}

/// Reads a piece; a device that has to be waited for is waited for elsewhere.
async fn read_piece(body: &Body, extent: Extent) -> Result<Bytes, StoreError> {
    let segment = body.pins.iter().find(|pin| pin.number == extent.segment).cloned();
    let Some(segment) = segment else { return Err(StoreError::Corrupt("a body without its segment".into())) };
    if let Some(piece) = segment.read_at_once(extent)? {
        return Ok(piece);
    }
    if tokio::runtime::Handle::try_current().is_err() {
        return segment.read(extent);
    }
    let read = tokio::task::spawn_blocking(move || segment.read(extent)).await;
    read.unwrap_or_else(|e| Err(StoreError::Io(format!("a read ended early: {e}"))))
}

impl Shared {
    /// Where a body is, with its segments held.
    fn locate(&self, id: BlobId) -> Result<Body, StoreError> {
        if let Some(body) = self.pending().get(id) {
            return Ok(body.clone());
        }
        for _ in 0..LOOKS {
            match self.owned(id)? {
                Some(Some(body)) => return Ok(body),
                Some(None) => {}
                None => return self.held.get(id).ok_or(StoreError::NoBlob(id)),
            }
        }
        Err(StoreError::Corrupt(format!("a segment of blob {id} is missing")))
    }

    /// A body with owners; the inner `None` if it is being moved.
    pub(super) fn owned(&self, id: BlobId) -> Result<Option<Option<Body>>, StoreError> {
        let (row, base) = {
            let state = self.state();
            (state.blob(id), state.base.clone())
        };
        let row = match &base {
            Some(base) => self.heed(row, base)?,
            None => row?,
        };
        Ok(self.pinned(row))
    }

    fn pinned(&self, row: Option<BlobRow>) -> Option<Option<Body>> {
        let row = row?;
        let pins = self.segments.pin(&row.extents);
        Some(pins.map(|pins| Body::stored(row, pins)))
    }

    pub(super) fn note_damage(&self, error: &StoreError) {
        if matches!(error, StoreError::Corrupt(_)) {
            self.counters.damaged.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "a body is damaged");
        }
    }

    /// Sends a piece to the log ahead of the batch that will link it.
    async fn spill(&self, bytes: Bytes) -> Result<(Extent, Arc<Segment>), StoreError> {
        let (reply, answer) = oneshot::channel();
        if !self.queue.push(Work::Spill { bytes, reply }) {
            return Err(StoreError::Closed);
        }
        let Spilled { extent, segment } = answer.await.unwrap_or_else(|_| Err(super::unanswered()))?;
        Ok((extent, segment))
    }
}

/// A body on its way.
struct Writer {
    shared: Arc<Shared>,
    hash: blake3::Hasher,
    body: Body,
    buffer: BytesMut,
    /// Octets that wait where they lie; then the buffer is empty.
    held: Bytes,
    /// A piece was lost: the rest is of no use.
    broken: bool,
}

impl Writer {
    /// The hash of the body, whose last octets are in the buffer. Hashing much at once takes a fraction of the time that it
    /// takes as it comes.
    fn digest(&mut self) -> blake3::Hash {
        match self.body.extents.is_empty() {
            true => blake3::hash(&self.buffer),
            false => self.hash.update(&self.buffer).finalize(),
        }
    }

    /// What is not in the log yet. A buffer that is much too large for it goes back, so that memory is what is counted.
    fn take_tail(&mut self) -> Bytes {
        let buffer = std::mem::take(&mut self.buffer);
        if buffer.capacity() <= 2 * buffer.len() + SLACK {
            return buffer.freeze();
        }
        let tail = Bytes::copy_from_slice(&buffer);
        self.shared.recent().give_back(buffer);
        tail
    }

    /// Sends what is held.
    async fn spill(&mut self) -> Result<(), StoreError> {
        let piece = self.buffer.split().freeze();
        self.send(piece).await
    }

    async fn send(&mut self, piece: Bytes) -> Result<(), StoreError> {
        self.broken = true;
        self.hash.update(&piece);
        let (extent, segment) = self.shared.spill(piece).await?;
        self.broken = false;
        self.body.extents.push(extent);
        if self.body.pins.last().is_none_or(|last| last.number != segment.number) {
            self.body.pins.push(segment);
        }
        Ok(())
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::Io("an earlier piece of this body was not written".into()));
        }
        self.body.size += bytes.len() as u64;
        let mut bytes = bytes;
        let held = std::mem::take(&mut self.held);
        match held.len() + bytes.len() > PIECE {
            true if !held.is_empty() => self.send(held).await?,
            _ => self.buffer.extend_from_slice(&held),
        }
        // What comes in large pieces is written from where it lies; what is in the buffer goes first.
        if bytes.len() > PIECE && !self.buffer.is_empty() {
            self.spill().await?;
        }
        while bytes.len() > PIECE {
            self.send(bytes.split_to(PIECE)).await?;
        }
        if self.buffer.is_empty() && bytes.len() >= LARGE {
            self.held = bytes;
            return Ok(());
        }
        let mut rest = &bytes[..];
        while self.buffer.len() + rest.len() > PIECE {
            let (head, tail) = rest.split_at(PIECE - self.buffer.len());
            self.buffer.extend_from_slice(head);
            rest = tail;
            self.spill().await?;
        }
        self.buffer.extend_from_slice(rest);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<BlobId, StoreError> {
        if self.broken {
            return Err(StoreError::Io("a piece of this body was not written".into()));
        }
        let shared = self.shared.clone();
        // The last octets stay in memory until the batch: as their own, not as a part of what else was read with them.
        let held = std::mem::take(&mut self.held);
        self.buffer.extend_from_slice(&held);
        drop(held);
        let id = BlobId(*self.digest().as_bytes());
        let full = shared.pending().bytes() + self.buffer.len() > shared.options.pending_bytes;
        if full && !self.buffer.is_empty() {
            self.spill().await?;
        }
        self.body.tail = self.take_tail();
        add(&shared.counters.blobs, 1);
        add(&shared.counters.blob_bytes, self.body.size);
        // The same content may have owners: then nothing of it is written again. The state comes before
        // what is pending, as everywhere; between the two, its last owner could leave.
        let state = shared.state();
        let mut pending = shared.pending();
        let body = match shared.pinned(state.blob(id)?) {
            Some(Some(known)) => known,
            _ => std::mem::take(&mut self.body),
        };
        pending.finish(id, body, shared.options.clock.now())?;
        Ok(id)
    }
}
