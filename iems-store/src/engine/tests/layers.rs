//! Reads over all three layers: rows in memory, rows that a failed checkpoint left, and the index.

use std::collections::BTreeMap;
use std::sync::Arc;

use iems_core::seam::{Random, SeededRandom};
use iems_core::storage::{Batch, Scan, Storage};

use super::world::small;
use crate::engine::{Embedded, Fault, SimDisk};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Puts some of 40 keys and removes others.
async fn change(storage: &Storage, rows: &mut Rows, random: &SeededRandom) {
    let mut batch = Batch::new();
    for _ in 0..20 {
        let key = vec![b'k', (random.next_u64() % 40) as u8];
        if random.next_u64().is_multiple_of(2) {
            let value = random.next_u64().to_le_bytes().to_vec();
            batch.put(key.clone(), value.clone());
            rows.insert(key, value);
        } else {
            batch.delete(&key);
            rows.remove(&key);
        }
    }
    storage.store.commit(batch).await.unwrap();
}

async fn compare(storage: &Storage, rows: &Rows) {
    for (from, to) in [(0, 40), (7, 33), (20, 21), (39, 255)] {
        for limit in [1, 2, 5, 100] {
            let scan = Scan::prefix(b"k", limit).starting_at(&[b'k', from]).ending_before(&[b'k', to]);
            let range = || rows.range(vec![b'k', from]..vec![b'k', to]).map(|(k, v)| (k.clone(), v.clone()));
            let forwards: Vec<_> = range().take(limit).collect();
            let backwards: Vec<_> = range().rev().take(limit).collect();
            for (scan, expected) in [(scan.clone(), forwards), (scan.backwards(), backwards)] {
                let found = storage.store.scan(scan.clone()).await.unwrap();
                let found: Vec<_> = found.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                assert_eq!(found, expected, "{scan:?}");
                for wanted in [1, 3, 100] {
                    let mut shown = Vec::new();
                    let mut each = |key: &[u8], value: &[u8]| {
                        shown.push((key.to_vec(), value.to_vec()));
                        shown.len() < wanted
                    };
                    storage.store.visit(scan.clone(), &mut each).await.unwrap();
                    assert_eq!(shown, expected[..expected.len().min(wanted)], "{scan:?}, {wanted} wanted");
                }
            }
        }
    }
    for key in 0..40 {
        let found = storage.store.get(&[b'k', key]).await.unwrap();
        assert_eq!(found.as_deref(), rows.get(&vec![b'k', key]).map(Vec::as_slice));
    }
}

#[tokio::test]
async fn three_layers_read_as_one() {
    for seed in 0..12 {
        let random = SeededRandom::new(seed);
        let disk = SimDisk::new();
        let engine = Embedded::open_on(Arc::new(disk.clone()), small()).unwrap();
        let (storage, mut rows) = (engine.storage(), Rows::new());
        change(&storage, &mut rows, &random).await;
        engine.checkpoint().unwrap();
        change(&storage, &mut rows, &random).await;
        disk.fail_after(3, 1, Fault::Io);
        assert!(engine.checkpoint().is_err(), "the checkpoint did not meet the fault");
        disk.heal();
        assert!(engine.shared.state().frozen.is_some(), "the failed checkpoint left nothing");
        change(&storage, &mut rows, &random).await;
        change(&storage, &mut rows, &random).await;
        compare(&storage, &rows).await;
        engine.checkpoint().unwrap();
        compare(&storage, &rows).await;
    }
}
