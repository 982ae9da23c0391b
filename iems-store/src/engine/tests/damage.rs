//! Octets of the index go bad while the engine runs: some is answered with an error, nobody is left without an answer,
//! and what is acknowledged stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iems_core::seam::{Random, SeededRandom};
use iems_core::storage::{Batch, Scan, Storage};

use super::world::small;
use crate::engine::{Embedded, Fault, SimDisk};

const INDEX: &str = "index.redb";
const ROWS: u64 = 600;

fn key(number: u64) -> Vec<u8> {
    format!("k{number:011}").into_bytes()
}

async fn put(storage: &Storage, rows: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> bool {
    let mut batch = Batch::new();
    rows.for_each(|(key, value)| batch.put(key, value));
    let done = tokio::time::timeout(Duration::from_secs(60), storage.store.commit(batch));
    done.await.expect("an answer").is_ok()
}

/// Spoils some octets: one here and there, or whole pages.
fn spoil(disk: &SimDisk, random: &SeededRandom) {
    let length = disk.length(INDEX) as u64;
    let page = |random: &SeededRandom| (random.next_u64() % (length / 4096) * 4096) as usize;
    match random.next_u64() % 4 {
        0 => (0..40).for_each(|_| {
            disk.damage(INDEX, (random.next_u64() % length) as usize, &[random.next_u64() as u8]);
        }),
        // Where a page says what it is and how much is in it.
        1 => (0..8).for_each(|_| {
            disk.damage(INDEX, page(random) + (random.next_u64() % 24) as usize, &[random.next_u64() as u8]);
        }),
        2 => (0..3).for_each(|_| disk.damage(INDEX, page(random), &[0; 4096])),
        _ => {
            let noise: Vec<u8> = (0..4096).map(|_| random.next_u64() as u8).collect();
            (0..2).for_each(|_| disk.damage(INDEX, page(random), &noise));
        }
    }
}

async fn survive(seed: u64) {
    let random = SeededRandom::new(seed);
    let disk = SimDisk::new();
    let options = || {
        let mut options = small();
        options.index_cache_bytes = 0;
        options
    };
    let engine = Embedded::open_on(Arc::new(disk.clone()), options()).unwrap();
    let storage = engine.storage();
    for some in 0..6 {
        let rows =
            (some * ROWS / 6..(some + 1) * ROWS / 6).map(|n| (key(n), vec![n as u8; (n % 300) as usize]));
        assert!(put(&storage, rows).await);
        engine.checkpoint().unwrap();
    }
    let mut since: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for round in 0..30u64 {
        if round % 10 == 0 {
            spoil(&disk, &random);
        }
        let number = random.next_u64() % ROWS;
        let new = (key(ROWS + round), random.next_u64().to_le_bytes().to_vec());
        let old = (key(number), random.next_u64().to_le_bytes().to_vec());
        if put(&storage, [new.clone(), old.clone()].into_iter()).await {
            since.extend([new, old]);
        }
        // Several at once go another way.
        let more = [1, 2, 3].map(|n| (key(ROWS + 100 * n + round), vec![n as u8; 400]));
        let [one, two, three] = more.clone().map(|row| put(&storage, std::iter::once(row)));
        let done = tokio::join!(one, two, three);
        since.extend(
            more.into_iter().zip([done.0, done.1, done.2]).filter(|(_, done)| *done).map(|(row, _)| row),
        );
        let _ = storage.store.get(&key(random.next_u64() % ROWS)).await;
        let _ = storage.store.scan(Scan::prefix(b"k", 50).starting_at(&key(number))).await;
        let more = Scan::prefix(b"k", 50).starting_at(&key(number));
        let _ = storage.store.visit(more, &mut |_, value| value.len() < 250).await;
        let _ = storage.blobs.collect().await;
        for (key, value) in &since {
            match storage.store.get(key).await {
                Ok(found) => assert_eq!(found.as_ref(), Some(&value.clone().into()), "seed {seed}"),
                Err(error) => drop(error),
            }
        }
        if random.next_u64().is_multiple_of(7) && engine.checkpoint().is_ok() {
            // It is in the index now, which may be spoilt.
            since.clear();
        }
    }
    let _ = engine.close();
    drop((engine, storage));
    if let Ok(engine) = Embedded::open_on(Arc::new(disk.clone()), options()) {
        let _ = engine.storage().store.scan(Scan::prefix(b"k", 1000)).await;
    }
}

#[test]
fn an_index_that_goes_bad_takes_nobody_along() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for seed in 0..150 {
        runtime.block_on(survive(seed));
    }
}

#[tokio::test]
async fn a_read_that_fails_costs_others_no_more_than_a_moment() {
    let disk = SimDisk::new();
    let mut options = small();
    options.index_cache_bytes = 0;
    let engine = Embedded::open_on(Arc::new(disk.clone()), options).unwrap();
    let storage = engine.storage();
    assert!(put(&storage, (0..ROWS).map(|n| (key(n), vec![n as u8; 100]))).await);
    engine.checkpoint().unwrap();
    for number in 0..20 {
        disk.fail_after(number % 3, 1, Fault::Io);
        let reads = [storage.store.get(&key(17 * number)).await, storage.store.get(&key(3)).await];
        assert!(reads.iter().any(Result::is_err) || number % 3 > 0, "nothing failed");
        disk.heal();
        // Nobody asked for a checkpoint.
        let found = storage.store.get(&key(number)).await.expect("it answers again");
        assert_eq!(found, Some(vec![number as u8; 100].into()));
        assert!(put(&storage, std::iter::once((key(number), vec![number as u8; 100]))).await);
        engine.checkpoint().unwrap();
    }
}
