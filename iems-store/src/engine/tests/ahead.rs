//! Blocks of the log that are filled before they are needed.

use std::sync::Arc;

use iems_core::storage::{Batch, Scan, Storage};

use crate::engine::{Disk, Embedded, EmbeddedOptions, Fault, SimDisk};

fn quiet() -> EmbeddedOptions {
    EmbeddedOptions { segment_bytes: 1 << 20, background: false, ..EmbeddedOptions::default() }
}

fn open(disk: &SimDisk) -> Arc<Embedded> {
    Embedded::open_on(Arc::new(disk.clone()), quiet()).unwrap()
}

async fn put(storage: &Storage, number: u32, length: usize) {
    let mut batch = Batch::new();
    batch.put(&number.to_be_bytes(), vec![7; length]);
    storage.store.commit(batch).await.unwrap();
}

async fn rows(engine: &Arc<Embedded>) -> usize {
    engine.storage().store.scan(Scan::prefix(b"", usize::MAX)).await.unwrap().len()
}

#[tokio::test]
async fn small_groups_go_into_blocks_that_were_filled_ahead() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let storage = engine.storage();
    let mut before = Vec::new();
    for number in 0..200 {
        put(&storage, number, 300).await;
        before.push(engine.stats().bytes_filled);
    }
    let stats = engine.stats();
    assert_eq!((stats.syncs, stats.segments_created), (200, 1), "no sync more, and no file: {stats:?}");
    assert_eq!(before[7], 0, "the first ones do not tell what follows");
    assert!(before[8] > 0);
    let fills = before.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((3..=6).contains(&fills), "{fills} times: {before:?}");
    assert!(stats.bytes_filled < 2 * stats.log_bytes, "{stats:?}");
    disk.fail_after(0, u64::MAX, Fault::PowerCut);
    drop((storage, engine));
    disk.crash(3);
    assert_eq!(rows(&open(&disk)).await, 200);
}

#[tokio::test]
async fn where_much_is_written_with_each_sync_nothing_is_filled() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let storage = engine.storage();
    for number in 0..40 {
        put(&storage, 2 * number, 20_000).await;
        put(&storage, 2 * number + 1, 300).await;
    }
    assert_eq!(engine.stats().bytes_filled, 0);
}

#[tokio::test]
async fn a_device_that_does_not_fill_is_written_all_the_same() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let storage = engine.storage();
    for number in 0..8 {
        put(&storage, number, 300).await;
    }
    disk.fail_after(0, 1, Fault::Io);
    put(&storage, 8, 300).await;
    assert_eq!((engine.stats().bytes_filled, engine.stats().segments_created), (0, 1));
    for number in 9..30 {
        put(&storage, number, 300).await;
    }
    assert!(engine.stats().bytes_filled > 0, "it is tried again");
    disk.fail_after(0, u64::MAX, Fault::PowerCut);
    drop((storage, engine));
    disk.crash(5);
    assert_eq!(rows(&open(&disk)).await, 30);
}

#[tokio::test]
async fn what_is_left_of_it_goes_back_at_the_end() {
    let disk = SimDisk::new();
    let engine = open(&disk);
    for number in 0..20 {
        put(&engine.storage(), number, 300).await;
    }
    engine.close().unwrap();
    let log = disk.files()["log/00000001.seg"] as u64;
    assert_eq!(log, engine.stats().log_bytes, "{:?}", disk.files());
}

#[tokio::test]
async fn what_an_earlier_version_made_ahead_goes_away() {
    let disk = SimDisk::new();
    drop(open(&disk));
    disk.create("log/5.new").unwrap();
    drop(open(&disk));
    assert!(!disk.files().contains_key("log/5.new"), "{:?}", disk.files());
}
