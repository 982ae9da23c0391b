//! A storage engine of one's own: a map in memory, a journal on disk, a file for each body.
//!
//! Run it with `cargo run --bin custom_store`. It puts itself through the conformance suite, and then shows
//! that what was committed is there after the engine was closed.
//!
//! Fit for a few thousand messages. Every commit is one append and one sync: it does not group them.

mod bodies;
mod journal;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use iems_core::storage::{Batch, Storage, StoreError, conformance};

use bodies::Bodies;
use journal::Journal;

/// Opens the storage in `folder`, which is made if it does not exist.
fn open(folder: &Path) -> Result<Storage, StoreError> {
    let journal = Arc::new(Journal::open(folder)?);
    let bodies = Bodies::open(folder, journal.clone())?;
    Ok(Storage { store: journal, blobs: Arc::new(bodies) })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut number = 0;
    for rule in conformance::rules() {
        number += 1;
        let storage = open(&folder.path().join(format!("rule-{number}")))?;
        rule.check(storage).await.map_err(|broken| format!("{rule:?}: {broken}"))?;
    }
    println!("all {number} rules hold");

    let kept = folder.path().join("kept");
    let storage = open(&kept)?;
    let mut writer = storage.blobs.create().await?;
    writer.write("Subject: kept\r\n\r\n".into()).await?;
    let body = writer.finish().await?;
    let mut batch = Batch::new();
    batch.put(b"message/1", body.0.to_vec());
    batch.link(body);
    storage.store.commit(batch).await?;
    drop(storage);

    let storage = open(&kept)?;
    let name = storage.store.get(b"message/1").await?.ok_or("the row is gone")?;
    let octets = storage.blobs.read(body, 0..u64::MAX).await?;
    println!("after a restart: {} octets under a name of {} bytes", octets.len(), name.len());
    Ok(())
}
