//! Many callers at once, with checkpoints and collections beside them, and then the power goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use iems_core::seam::{Random, SeededRandom};
use iems_core::storage::{Batch, BlobId, Scan, Storage, Template};

use crate::engine::{Embedded, EmbeddedOptions, Fault, SimDisk};

const CALLERS: u64 = 8;
const ROUNDS: u64 = 12;

fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 256 << 10,
        memtable_bytes: 16 << 10,
        pending_bytes: 100_000,
        ..EmbeddedOptions::default()
    }
}

fn body(seed: u64) -> Vec<u8> {
    let size = [900, 20_000, 90_000][(seed % 3) as usize];
    seed.to_le_bytes().into_iter().cycle().take(size).collect()
}

/// Accepts a message, and delivers the one before: what a mail server does all day. Returns the number
/// of the last message that was acknowledged.
async fn work(storage: Storage, caller: u64, acknowledged: Arc<AtomicU64>) -> Option<()> {
    for round in 0..ROUNDS {
        let number = caller * ROUNDS + round;
        let mut writer = storage.blobs.create().await.ok()?;
        writer.write(body(number).into()).await.ok()?;
        let id = writer.finish().await.ok()?;
        let mut batch = Batch::new();
        let place = batch.allocate(b"next", 1);
        batch.put(Template::from(b"m/").number(place, 0), [&number.to_be_bytes()[..], &id.0].concat());
        batch.put([b"c/", &number.to_be_bytes()[..]].concat(), b"");
        batch.link(id);
        storage.store.commit(batch).await.ok()?;
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    Some(())
}

async fn day(at: u64, seed: u64) {
    let disk = SimDisk::new();
    let engine = Embedded::open_on(Arc::new(disk.clone()), options()).unwrap();
    disk.fail_after(at, u64::MAX, Fault::PowerCut);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(work(engine.storage(), caller, acknowledged.clone())))
        .collect();
    while callers.iter().any(|caller| !caller.is_finished()) {
        let _ = engine.storage().blobs.collect().await;
        tokio::task::yield_now().await;
    }
    drop(engine);
    disk.crash(seed);
    let engine = Embedded::open_on(Arc::new(disk), options()).unwrap_or_else(|e| panic!("cut at {at}: {e}"));
    let storage = engine.storage();
    let messages = storage.store.scan(Scan::prefix(b"m/", usize::MAX)).await.unwrap();
    let least = acknowledged.load(Ordering::SeqCst);
    assert!(messages.len() as u64 >= least, "{least} were acknowledged, {} are there", messages.len());
    for (place, (key, value)) in messages.iter().enumerate() {
        assert_eq!(key[2..], (place as u64 + 1).to_be_bytes(), "the numbers have a gap");
        let number = u64::from_be_bytes(value[..8].try_into().unwrap());
        let id = BlobId(value[8..].try_into().unwrap());
        let companion = storage.store.get(&[b"c/", &value[..8]].concat()).await.unwrap();
        assert!(companion.is_some(), "a batch is there in part");
        assert!(storage.blobs.read(id, 0..u64::MAX).await.unwrap() == body(number), "a body is damaged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_to_anybody_survives() {
    let random = SeededRandom::new(7);
    for _ in 0..40 {
        day(20 + random.next_u64() % 500, random.next_u64()).await;
    }
}
