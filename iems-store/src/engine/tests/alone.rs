//! Callers who write by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use iems_core::storage::{Batch, Scan, Storage};

use crate::engine::{Embedded, EmbeddedOptions, Fault, SimDisk};

async fn put(storage: &Storage, number: u32) {
    let mut batch = Batch::new();
    batch.put(&number.to_be_bytes(), &[7; 100]);
    storage.store.commit(batch).await.unwrap();
}

/// The thread that writes gets to where it waits for work.
async fn rest() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn rows(engine: &Arc<Embedded>) -> usize {
    engine.storage().store.scan(Scan::prefix(b"", usize::MAX)).await.unwrap().len()
}

fn quiet() -> EmbeddedOptions {
    EmbeddedOptions { background: false, quick: Duration::from_secs(10), ..EmbeddedOptions::default() }
}

#[tokio::test]
async fn who_is_alone_writes_by_himself_and_it_is_as_durable() {
    let disk = SimDisk::new();
    let engine = Embedded::open_on(Arc::new(disk.clone()), quiet()).unwrap();
    let storage = engine.storage();
    let mut count = 0;
    while engine.stats().groups_alone < 10 {
        put(&storage, count).await;
        count += 1;
        assert!(count < 10_000, "{:?}", engine.stats());
        rest().await;
    }
    let stats = engine.stats();
    let each = u64::from(count);
    assert_eq!((stats.commits, stats.groups, stats.syncs), (each, each, each));
    disk.fail_after(0, u64::MAX, Fault::PowerCut);
    drop((engine, storage));
    disk.crash(1);
    let engine = Embedded::open_on(Arc::new(disk), quiet()).unwrap();
    assert_eq!(rows(&engine).await, count as usize);
}

#[tokio::test]
async fn on_a_slow_device_nobody_writes_by_himself() {
    let disk = SimDisk::new();
    disk.slow_syncs(Duration::from_millis(2));
    let options = EmbeddedOptions { quick: Duration::from_millis(1), ..quiet() };
    let engine = Embedded::open_on(Arc::new(disk), options).unwrap();
    let storage = engine.storage();
    for number in 0..30 {
        put(&storage, number).await;
    }
    assert_eq!(engine.stats().groups_alone, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_answer_keeps_nobody_else_waiting() {
    let disk = SimDisk::new();
    let engine = Embedded::open_on(Arc::new(disk.clone()), quiet()).unwrap();
    let storage = engine.storage();
    let mut number = 0;
    while engine.stats().groups_alone == 0 {
        put(&storage, number).await;
        number += 1;
        assert!(number < 10_000, "{:?}", engine.stats());
        rest().await;
    }
    let before = engine.stats().groups_alone;
    tokio::time::sleep(Duration::from_millis(50)).await;
    disk.slow_syncs(Duration::from_secs(3));
    let ticks = Arc::new(AtomicU32::new(0));
    let counting = ticks.clone();
    let clock = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            counting.fetch_add(1, Ordering::Relaxed);
        }
    });
    let ticking = ticks.clone();
    let committed = tokio::spawn(async move {
        put(&storage, 1000).await;
        ticking.load(Ordering::Relaxed)
    });
    let seen = committed.await.unwrap();
    clock.abort();
    disk.slow_syncs(Duration::ZERO);
    assert_eq!(engine.stats().groups_alone, before + 1);
    assert!(seen >= 10, "the clock ticked {seen} times while the device was waited for");
}
