//! The probe: a small commit of our own that shows whether storage works, so that no message has to.
//!
//! First a row alone, which is what recording an outcome takes; then a body with a link, which is what a message
//! takes; then both are taken away. A crash in between leaves one row and its body, which the next
//! probe, or the next start, takes away. Through the bare storage: probes are not among the commits that are watched.

use std::time::Duration;

use bytes::Bytes;

use super::machine::Probed;
use crate::seam::{Clock, Random};
use crate::storage::{Batch, BlobId, CommitError, Storage, StoreError};

/// The row of the probe. Its value is the body it owns, or empty.
const KEY: &[u8] = b"hp";
/// Octets of the body.
const SIZE: usize = 512;

/// Tries storage. `None` if another engine on the same storage probed in between, so that nothing is shown.
pub(super) async fn probe(storage: &Storage, clock: &dyn Clock, random: &dyn Random) -> Option<Probed> {
    let began = clock.now();
    match tidy(storage, true).await {
        Ok(()) => {
            let took = clock.now().since(began);
            let body = known(take_a_body(storage, random).await)?;
            Some(Probed { rows: Ok(took), body })
        }
        Err(error) => {
            let rows = known(Err(error))?;
            Some(Probed { rows: rows.clone().map(|()| Duration::ZERO), body: rows })
        }
    }
}

/// Takes away what an earlier probe left. With `write`, leaves an empty row instead, whether there was one or not.
pub(super) async fn tidy(storage: &Storage, write: bool) -> Result<(), CommitError> {
    let row = storage.store.get(KEY).await?;
    if row.is_none() && !write {
        return Ok(());
    }
    let body = row.as_deref().and_then(owned);
    match storage.store.commit(leaving(row.as_ref(), body, write)).await {
        // Whatever became of the body, the row must not stand in the way for ever.
        Err(CommitError::Store(StoreError::NoBlob(_))) => {
            storage.store.commit(leaving(row.as_ref(), None, write)).await.map(drop)
        }
        done => done.map(drop),
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

async fn take_a_body(storage: &Storage, random: &dyn Random) -> Result<(), CommitError> {
    // No two alike: a body that is known is not written again.
    let octets: Vec<u8> = (0..SIZE / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    let mut writer = storage.blobs.create().await?;
    writer.write(octets.into()).await?;
    let body = writer.finish().await?;
    let mut batch = Batch::new();
    require(&mut batch, Some(&Bytes::new()));
    batch.link(body);
    batch.put(KEY, body.0.to_vec());
    storage.store.commit(batch).await?;
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

fn known(done: Result<(), CommitError>) -> Option<Result<(), StoreError>> {
    match done {
        Ok(()) => Some(Ok(())),
        Err(CommitError::Store(error)) => Some(Err(error)),
        Err(CommitError::Conflict) => None,
    }
}
