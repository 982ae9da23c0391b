//! What is in a file of the simulated disk: now, durably, and in between.

use iems_core::seam::{Random, SeededRandom};

/// What a device keeps whole when the power goes.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) now: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
    /// The write during which the power went: it may have reached the medium, and nobody can read it.
    pub(super) cut_off: Option<Change>,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Content {
    pub(super) fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::SetLen(len) => bytes.resize(*len, 0),
            Change::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }

    pub(super) fn after_crash(&self, random: &SeededRandom) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in self.unsynced.iter().chain(&self.cut_off) {
            match (random.next_u64() % 3, change) {
                (0, _) => {}
                (1, Change::Write(at, data)) => Self::tear(&mut bytes, *at, data, random),
                _ => Self::apply(&mut bytes, change),
            }
        }
        bytes
    }

    /// Writes only some of the sectors.
    fn tear(bytes: &mut Vec<u8>, at: usize, data: &[u8], random: &SeededRandom) {
        let mut from = at;
        while from < at + data.len() {
            let to = ((from / SECTOR + 1) * SECTOR).min(at + data.len());
            if random.next_u64().is_multiple_of(2) {
                Self::apply(bytes, &Change::Write(from, data[from - at..to - at].to_vec()));
            }
            from = to;
        }
    }
}
