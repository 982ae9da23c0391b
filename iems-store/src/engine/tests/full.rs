//! A store that filled its disk: it refuses new bodies early enough that it can be emptied.

use std::sync::Arc;

use iems_core::storage::{Batch, BlobId, CommitError, Storage, StoreError};

use crate::engine::{Embedded, EmbeddedOptions, SimDisk};

const CAPACITY: u64 = 24 << 20;

fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 1 << 20,
        memtable_bytes: 256 << 10,
        pending_bytes: 64 << 10,
        background: false,
        ..EmbeddedOptions::default()
    }
}

async fn accept(storage: &Storage, seed: u32, size: usize) -> Result<BlobId, StoreError> {
    let mut writer = storage.blobs.create().await?;
    writer.write(seed.to_le_bytes().repeat(size / 4).into()).await?;
    let id = writer.finish().await?;
    let mut batch = Batch::new();
    batch.link(id);
    batch.put(seed.to_be_bytes().to_vec(), vec![1; 300]);
    match storage.store.commit(batch).await {
        Ok(_) => Ok(id),
        Err(CommitError::Store(e)) => Err(e),
        Err(e) => panic!("{e}"),
    }
}

#[tokio::test]
async fn a_full_store_refuses_bodies_and_can_be_emptied() {
    let disk = SimDisk::new();
    disk.set_capacity(CAPACITY);
    let engine = Embedded::open_on(Arc::new(disk.clone()), options()).unwrap();
    let storage = engine.storage();
    let empty = storage.blobs.room().await.unwrap().unwrap();
    assert!(empty.free > CAPACITY / 2 && empty.free < CAPACITY, "{empty:?}");
    let mut bodies = Vec::new();
    let refused = loop {
        let seed = bodies.len() as u32;
        let size = if seed.is_multiple_of(10) { 200_000 } else { 40_000 };
        match accept(&storage, seed, size).await {
            Ok(id) => bodies.push((seed, id)),
            Err(e) => break e,
        }
        if seed.is_multiple_of(50) {
            engine.checkpoint().unwrap();
        }
        assert!(bodies.len() < 2000, "the disk is never full");
    };
    assert!(matches!(refused, StoreError::NoSpace(_)), "{refused}");
    assert!(bodies.len() > 100, "only {} bodies fit", bodies.len());
    let full = storage.blobs.room().await.unwrap().unwrap();
    assert_eq!((full.free, full.total), (0, CAPACITY), "room is told that there is not");
    // Everything else goes on: reading, rows, checkpoints, deletions.
    for (seed, id) in &bodies {
        assert_eq!(storage.blobs.read(*id, 0..4).await.unwrap()[..], seed.to_le_bytes());
    }
    engine.checkpoint().unwrap();
    for (i, (seed, id)) in bodies.iter().enumerate() {
        let mut batch = Batch::new();
        batch.delete(&seed.to_be_bytes());
        batch.unlink(*id);
        storage.store.commit(batch).await.unwrap();
        if i.is_multiple_of(100) {
            engine.checkpoint().unwrap();
            storage.blobs.collect().await.unwrap();
        }
    }
    engine.checkpoint().unwrap();
    let before = storage.blobs.room().await.unwrap().unwrap();
    while storage.blobs.collect().await.unwrap() != Default::default() {}
    let emptied = storage.blobs.room().await.unwrap().unwrap();
    assert!(emptied.free > CAPACITY / 4 && emptied.dead <= before.dead, "{emptied:?}");
    for seed in 0..100 {
        accept(&storage, 10_000 + seed, 40_000).await.unwrap();
    }
}
