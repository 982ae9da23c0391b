//! Checkpoints against a model: what the index says of bodies, their pieces and the segments follows from the rows of the bodies.

use std::collections::{BTreeMap, BTreeSet};

use iems_core::seam::{Random, SeededRandom};

use super::*;
use crate::engine::SimDisk;
use crate::engine::row::Extent;

/// A body with pieces in one or two of the segments, some of them in the same one.
fn row(random: &SeededRandom, segments: std::ops::Range<u64>) -> BlobRow {
    let among = segments.end - segments.start;
    let extents = (0..1 + random.next_u64() % 3).map(|_| Extent {
        segment: segments.start + random.next_u64() % among,
        at: 8 * (random.next_u64() % 10_000) as u32,
        len: 1 + (random.next_u64() % 3000) as u32,
    });
    BlobRow { owners: 1 + random.next_u64() % 2, size: 7, extents: extents.collect() }
}

fn compare(index: &Index, model: &BTreeMap<BlobId, BlobRow>) {
    let snapshot = index.snapshot().unwrap();
    let (mut live, mut pieces) = (BTreeMap::<u64, u64>::new(), BTreeMap::<u64, BTreeSet<BlobId>>::new());
    for (id, row) in model {
        assert_eq!(snapshot.blob(*id).unwrap().as_ref(), Some(row));
        for (segment, bytes) in BlobRow::by_segment(Some(row)) {
            *live.entry(segment).or_default() += bytes;
            pieces.entry(segment).or_default().insert(*id);
        }
    }
    assert_eq!(snapshot.live().unwrap(), live.into_iter().collect::<Vec<_>>());
    for segment in 0..40 {
        let there = pieces.remove(&segment).unwrap_or_default();
        let there: Vec<_> = there.into_iter().collect();
        assert_eq!(snapshot.pieces(segment, None, usize::MAX).unwrap(), there, "segment {segment}");
    }
}

#[test]
fn pieces_and_living_bytes_follow_from_the_bodies() {
    for seed in 0..4 {
        let (disk, random) = (SimDisk::new(), SeededRandom::new(seed));
        let index = Index::open(&disk, 1 << 20, &Arc::new(Counters::default())).unwrap();
        let mut model = BTreeMap::new();
        for checkpoint in 0..12u64 {
            let mut memtable = Memtable::default();
            // Few and many, in segments that are new and in those of the checkpoints before.
            for _ in 0..[3, 200, 40][(checkpoint % 3) as usize] {
                let id = BlobId([random.next_u64() as u8; 32]);
                let after = match random.next_u64() % 4 {
                    0 => None,
                    1 => Some(row(&random, checkpoint.saturating_sub(2)..checkpoint + 1)),
                    2 => {
                        model.get(&id).cloned().map(|row: BlobRow| BlobRow { owners: row.owners + 1, ..row })
                    }
                    _ => Some(row(&random, 2 * checkpoint..2 * checkpoint + 2)),
                };
                match after.clone() {
                    Some(row) => drop(model.insert(id, row)),
                    None => drop(model.remove(&id)),
                }
                memtable.blobs.insert(id, after);
            }
            index.apply(&memtable, Position { segment: checkpoint, at: 8 }).unwrap();
            compare(&index, &model);
            // What a replay applies once more changes nothing.
            index.apply(&memtable, Position { segment: checkpoint, at: 8 }).unwrap();
            compare(&index, &model);
        }
        assert!(model.len() > 30, "{}", model.len());
    }
}
