//! The probe: a small commit of our own that shows whether storage works, so that no message has to.
//!
//! First a row alone, which is what recording an outcome takes; then a body with a link, which is what a message
//! takes; then both are taken away. A crash in between leaves one row and its body, which the next
//! probe, or the next start, takes away. Through the bare storage: probes are not among the commits that are watched.

use bytes::Bytes;

use super::machine::Probed;
use crate::seam::{Clock, Random};
use crate::storage::{Batch, BlobId, CommitError, Storage, StoreError};

/// The row of the probe. Its value is the body it owns, or empty.
const KEY: &[u8] = b"hp";
/// Octets of the body.
const SIZE: usize = 512;

/// Tries storage.
pub(super) async fn probe(storage: &Storage, clock: &dyn Clock, random: &dyn Random) -> Probed {
    let began = clock.now();
    match tidy(storage, true).await {
        Ok(()) => {
            let took = clock.now().since(began);
            Probed { rows: Ok(took), body: take_a_body(storage, random).await }
        }
        Err(error) => Probed { rows: Err(error.clone()), body: Err(error) },
    }
}

/// Takes away what an earlier probe left. With `write`, leaves an empty row instead, whether there was one or not.
pub(super) async fn tidy(storage: &Storage, write: bool) -> Result<(), StoreError> {
    let row = storage.store.get(KEY).await?;
    if row.is_none() && !write {
        return Ok(());
    }
    let body = row.as_deref().and_then(owned);
    match done(storage.store.commit(leaving(row.as_ref(), body, write)).await.map(drop)) {
        // Whatever became of the body, the row must not stand in the way for ever.
        Err(StoreError::NoBlob(_)) => {
            done(storage.store.commit(leaving(row.as_ref(), None, write)).await.map(drop))
        }
        done => done,
    }
}

/// The batch that gives `body` up and leaves an empty row, or none.
fn leaving(row: Option<&Bytes>, body: Option<BlobId>, write: bool) -> Batch {
    let mut batch = Batch::new();
    require(&mut batch, row);
    if let Some(body) = body {
        batch.unlink(body);
    }
    match write {
        true => batch.put(KEY, Vec::new()),
        false => batch.delete(KEY),
    }
    batch
}

async fn take_a_body(storage: &Storage, random: &dyn Random) -> Result<(), StoreError> {
    // No two alike: a body that is known is not written again.
    let octets: Vec<u8> = (0..SIZE / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    let mut writer = storage.blobs.create().await?;
    writer.write(octets.into()).await?;
    let body = writer.finish().await?;
    let mut batch = Batch::new();
    require(&mut batch, Some(&Bytes::new()));
    batch.link(body);
    batch.put(KEY, body.0.to_vec());
    done(storage.store.commit(batch).await.map(drop))?;
    tidy(storage, false).await
}

fn owned(value: &[u8]) -> Option<BlobId> {
    value.try_into().ok().map(BlobId)
}

fn require(batch: &mut Batch, row: Option<&Bytes>) {
    match row {
        Some(value) => batch.require_equals(KEY, value),
        None => batch.require_absent(KEY),
    }
}

/// A condition that did not hold means that another probe was quicker: nothing is shown by this one.
fn done(committed: Result<(), CommitError>) -> Result<(), StoreError> {
    committed.map_err(|error| match error {
        CommitError::Store(error) => error,
        CommitError::Conflict => StoreError::Io("another engine probes the same storage".into()),
    })
}
