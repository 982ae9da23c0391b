//! What things cost, in writes and syncs, and what is given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::seam::{Clock, Timestamp};
use iems_core::storage::{Batch, BlobId, Scan, Storage, StoreError};

use super::world::small;
use crate::engine::{Embedded, EmbeddedOptions, SimDisk};

struct Setting {
    disk: SimDisk,
    engine: Arc<Embedded>,
    storage: Storage,
}

fn setting(options: EmbeddedOptions) -> Setting {
    let disk = SimDisk::new();
    let engine = Embedded::open_on(Arc::new(disk.clone()), options).unwrap();
    Setting { disk, storage: engine.storage(), engine }
}

async fn write(storage: &Storage, seed: u8, size: usize) -> BlobId {
    let mut writer = storage.blobs.create().await.unwrap();
    for _ in 0..size / 1000 {
        writer.write(vec![seed; 1000].into()).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn commit(storage: &Storage, build: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    build(&mut batch);
    storage.store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_body_and_its_batch_are_one_write_and_one_sync() {
    let s = setting(EmbeddedOptions { background: false, ..EmbeddedOptions::default() });
    commit(&s.storage, |b| b.put(b"first", b"")).await;
    let (operations, syncs, written) = (s.disk.operations(), s.disk.syncs(), s.disk.written());
    let body = write(&s.storage, 1, 10_000).await;
    commit(&s.storage, |b| {
        b.put(b"queue/1", vec![0; 300]);
        b.link(body);
    })
    .await;
    assert_eq!(s.disk.syncs() - syncs, 1);
    assert_eq!(s.disk.operations() - operations, 2, "one write, one sync");
    let written = s.disk.written() - written;
    assert!(written < 10_600, "{written} bytes were written for a body of 10,000");
}

#[tokio::test]
async fn whoever_reads_very_many_rows_lets_others_have_their_turn() {
    let s = setting(EmbeddedOptions { background: false, ..EmbeddedOptions::default() });
    for thousand in 0..10u32 {
        let key = |n: u32| (1000 * thousand + n).to_be_bytes();
        commit(&s.storage, |b| (0..1000).for_each(|n| b.put(&key(n), b"row"))).await;
    }
    let turns = std::cell::Cell::new(0);
    let others = async {
        loop {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        for _ in 0..10 {
            let rows = s.storage.store.scan(Scan::prefix(b"", 10_000)).await.unwrap();
            assert_eq!(rows.len(), 10_000);
            let mut seen = 0;
            let mut each = |_: &[u8], _: &[u8]| {
                seen += 1;
                true
            };
            s.storage.store.visit(Scan::prefix(b"", 10_000), &mut each).await.unwrap();
            assert_eq!(seen, 10_000);
        }
    };
    tokio::select! {
        biased;
        () = reading => {}
        () = others => {}
    }
    assert!(turns.get() > 15, "{}", turns.get());
}

#[tokio::test]
async fn a_body_that_was_just_written_is_read_from_memory_until_its_owner_leaves() {
    let s =
        setting(EmbeddedOptions { background: false, recent_bytes: 25_000, ..EmbeddedOptions::default() });
    let bodies = [write(&s.storage, 1, 10_000).await, write(&s.storage, 2, 10_000).await];
    for body in bodies {
        commit(&s.storage, |b| b.link(body)).await;
    }
    let kept = || bodies.map(|body| s.engine.shared.recent().get(body).is_some());
    assert_eq!(kept(), [true, true]);
    assert_eq!(s.storage.blobs.read(bodies[0], 9_990..20_000).await.unwrap(), vec![1; 10]);
    let third = write(&s.storage, 3, 10_000).await;
    commit(&s.storage, |b| b.link(third)).await;
    assert_eq!(kept(), [false, true], "the oldest makes room");
    assert_eq!(s.storage.blobs.read(bodies[0], 0..5).await.unwrap(), vec![1; 5], "and is read from the log");
    commit(&s.storage, |b| b.unlink(bodies[1])).await;
    assert_eq!(kept(), [false, false]);
    assert!(matches!(s.storage.blobs.read(bodies[1], 0..1).await, Err(StoreError::NoBlob(_))));
    let large = write(&s.storage, 4, 100_000).await;
    commit(&s.storage, |b| b.link(large)).await;
    assert!(s.engine.shared.recent().get(large).is_none(), "only what is in memory whole");
    s.engine.shared.collect().unwrap();
    assert!(s.engine.shared.recent().get(third).is_none(), "collection lets go of all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_share_their_sync() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let tasks: Vec<_> = (0..64u64)
        .map(|task| {
            let storage = engine.storage();
            tokio::spawn(async move {
                for round in 0..10u64 {
                    commit(&storage, |b| b.put([task.to_be_bytes(), round.to_be_bytes()].concat(), b""))
                        .await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let stats = engine.stats();
    assert_eq!(stats.commits, 640);
    assert!(stats.syncs < 320, "640 concurrent commits took {} syncs", stats.syncs);
}

#[tokio::test]
async fn a_body_is_the_same_in_whatever_pieces_it_comes() {
    let s = setting(EmbeddedOptions { background: false, ..EmbeddedOptions::default() });
    let body: Vec<u8> = (0..700_000_u32).map(|n| (n.wrapping_mul(7919) >> 8) as u8).collect();
    let mut ids = Vec::new();
    for sizes in [
        &[700_000_usize][..],
        &[128 << 10],
        &[64 << 10],
        &[(64 << 10) + 1],
        &[40_000],
        &[32 << 10, 1, 100_000, 10],
        &[999],
    ] {
        let (mut writer, mut rest) = (s.storage.blobs.create().await.unwrap(), &body[..]);
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            writer.write(now.to_vec().into()).await.unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let id = writer.finish().await.unwrap();
        let read = s.storage.blobs.read(id, 0..u64::MAX).await.unwrap();
        assert!(read == body, "{sizes:?}");
        // It goes again, so that the next one is written anew.
        commit(&s.storage, |b| b.link(id)).await;
        let read = s.storage.blobs.read(id, 65_000..200_000).await.unwrap();
        assert!(read == body[65_000..200_000], "{sizes:?}");
        commit(&s.storage, |b| b.unlink(id)).await;
        ids.push(id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn rows_that_come_and_go_never_reach_the_index() {
    let s = setting(EmbeddedOptions { background: false, ..EmbeddedOptions::default() });
    commit(&s.storage, |b| b.put(b"stays", b"")).await;
    s.engine.checkpoint().unwrap();
    let before = s.engine.stats().index_bytes;
    for round in 0..200u8 {
        let body = write(&s.storage, round, 5_000).await;
        commit(&s.storage, |b| {
            b.put(vec![round], vec![0; 1000]);
            b.link(body);
        })
        .await;
        commit(&s.storage, |b| {
            b.delete(&[round]);
            b.unlink(body);
        })
        .await;
    }
    s.engine.checkpoint().unwrap();
    let written = s.engine.stats().index_bytes - before;
    assert!(written < 64 << 10, "{written} bytes went to the index for nothing");
}

/// Rows of a kind, in pieces, between rows of other kinds, as mail that comes into several mailboxes makes them.
#[tokio::test]
async fn runs_of_rows_fill_the_pages_of_the_index() {
    let s = setting(EmbeddedOptions { background: false, ..EmbeddedOptions::default() });
    let key = |kind: u8, n: u64| [&[kind][..], &n.to_be_bytes()].concat();
    let value = |kind: u8, n: u64| vec![kind ^ n as u8; 500];
    let mut rows = std::collections::BTreeMap::new();
    for piece in 0..10u64 {
        commit(&s.storage, |b| {
            for kind in [b'a', b'c', b'b'] {
                // Some are there before, and stand between those that are new.
                for n in (300 * piece).saturating_sub(40) + 1..300 * (piece + 1) {
                    let n = if n % 7 == 0 { n + 20 } else { n };
                    b.put(key(kind, n), value(kind, n + piece));
                    rows.insert(key(kind, n), value(kind, n + piece));
                }
            }
        })
        .await;
        s.engine.checkpoint().unwrap();
    }
    let found = s.storage.store.scan(Scan::prefix(b"", usize::MAX)).await.unwrap();
    assert!(found.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).eq(rows.clone()));
    let octets: usize = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
    let pages = s.engine.shared.state().base().unwrap().pages();
    assert!(4096 * pages < octets * 13 / 10, "{octets} octets of rows take {pages} pages");
}

#[tokio::test]
async fn dead_segments_are_written_over_before_new_ones_are_made() {
    let s = setting(small());
    for round in 0..60u8 {
        let body = write(&s.storage, round, 20_000).await;
        commit(&s.storage, |b| b.link(body)).await;
        commit(&s.storage, |b| b.unlink(body)).await;
        s.engine.checkpoint().unwrap();
    }
    let stats = s.engine.stats();
    assert!(stats.segments_created <= 3 && stats.segments_recycled >= 5, "{stats:?}");
    let room: usize =
        s.disk.files().iter().filter(|(name, _)| name.starts_with("log/")).map(|(_, len)| len).sum();
    assert!(room <= 4 * (128 << 10), "{room} bytes of log are kept for nothing");
}

#[tokio::test]
async fn sparse_segments_are_emptied() {
    let s = setting(small());
    let mut bodies = Vec::new();
    for round in 0..60u8 {
        bodies.push(write(&s.storage, round, 20_000).await);
        commit(&s.storage, |b| b.link(bodies[usize::from(round)])).await;
    }
    commit(&s.storage, |b| {
        bodies.iter().enumerate().filter(|(i, _)| i % 6 != 0).for_each(|(_, id)| b.unlink(*id))
    })
    .await;
    commit(&s.storage, |b| b.put(b"next", vec![0; 100_000])).await;
    s.engine.checkpoint().unwrap();
    let before: usize = s.disk.files().values().sum();
    while s.storage.blobs.collect().await.unwrap() != Default::default() {}
    let after: usize = s.disk.files().values().sum();
    assert!(before - after > 500_000, "{before} bytes became {after}");
    for (i, body) in bodies.iter().enumerate() {
        let read = s.storage.blobs.read(*body, 0..u64::MAX).await;
        match i % 6 {
            0 => assert!(read.unwrap() == vec![i as u8; 20_000]),
            _ => assert!(matches!(read, Err(StoreError::NoBlob(_)))),
        }
    }
}

#[tokio::test]
async fn memory_for_unlinked_bodies_is_bounded() {
    let s =
        setting(EmbeddedOptions { background: false, pending_bytes: 100_000, ..EmbeddedOptions::default() });
    let mut bodies = Vec::new();
    for round in 0..50u8 {
        bodies.push(write(&s.storage, round, 10_000).await);
    }
    let held = s.engine.shared.pending().bytes();
    assert!(held <= 100_000, "{held} bytes are held");
    commit(&s.storage, |b| bodies.iter().for_each(|id| b.link(*id))).await;
    assert_eq!(s.engine.shared.pending().bytes(), 0);
    for (round, body) in bodies.iter().enumerate() {
        assert!(s.storage.blobs.read(*body, 0..20_000).await.unwrap() == vec![round as u8; 10_000]);
    }
}

struct ManualClock(AtomicU64);

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, _at: Timestamp) {}
}

#[tokio::test]
async fn reservations_expire_after_an_hour() {
    let clock = Arc::new(ManualClock(AtomicU64::new(1_000_000)));
    let s = setting(EmbeddedOptions { clock: clock.clone(), ..small() });
    let body = write(&s.storage, 1, 3000).await;
    clock.0.fetch_add(Duration::from_secs(3599).as_millis() as u64, Ordering::SeqCst);
    s.storage.blobs.collect().await.unwrap();
    assert_eq!(s.storage.blobs.size(body).await.unwrap(), 3000);
    clock.0.fetch_add(2000, Ordering::SeqCst);
    assert_eq!(s.storage.blobs.collect().await.unwrap().blobs, 1);
    assert!(matches!(s.storage.blobs.size(body).await, Err(StoreError::NoBlob(_))));
}

#[tokio::test]
async fn a_body_that_is_held_can_be_read_to_the_end_when_its_owner_leaves() {
    let s = setting(EmbeddedOptions {
        segment_bytes: 256 << 10,
        background: false,
        ..EmbeddedOptions::default()
    });
    let body = write(&s.storage, 1, 200_000).await;
    commit(&s.storage, |b| b.link(body)).await;
    let (held, again) =
        (s.storage.blobs.hold(body).await.unwrap(), s.storage.blobs.hold(body).await.unwrap());
    commit(&s.storage, |b| b.unlink(body)).await;
    // Its place would be written over by now.
    for seed in 2..12 {
        let other = write(&s.storage, seed, 200_000).await;
        commit(&s.storage, |b| b.link(other)).await;
        commit(&s.storage, |b| b.unlink(other)).await;
        s.engine.checkpoint().unwrap();
        s.storage.blobs.collect().await.unwrap();
    }
    drop(again);
    assert_eq!(s.storage.blobs.read(body, 100_000..200_000).await.unwrap(), vec![1; 100_000]);
    drop(held);
    assert!(matches!(s.storage.blobs.read(body, 0..1).await, Err(StoreError::NoBlob(_))));
}
