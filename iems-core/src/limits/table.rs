//! A map that does not grow without limit: at its bound it forgets entries that were not used for long.
//!
//! Second chance: keys stand in a row in the order of their coming; whoever is at its head and was used since goes to its
//! end, whoever was not is forgotten. Entries that must be kept stay, so their number must be bounded by somebody else.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(super) struct Table<K, V> {
    entries: HashMap<K, Slot<V>>,
    row: VecDeque<K>,
    most: usize,
}

struct Slot<V> {
    value: V,
    used: bool,
}

/// How many at the head are looked at before one that was used is forgotten all the same.
const LOOKS: usize = 8;

impl<K: Hash + Eq + Clone, V: Default> Table<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), row: VecDeque::new(), most: most.max(1) }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|slot| &slot.value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|slot| &mut slot.value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry, made if it is not there. For that another may go, of those for which `is_needed` says no.
    pub(super) fn entry(&mut self, key: &K, is_needed: impl Fn(&V) -> bool) -> &mut V {
        if !self.entries.contains_key(key) {
            self.make_room(is_needed);
            self.row.push_back(key.clone());
        }
        let slot =
            self.entries.entry(key.clone()).or_insert_with(|| Slot { value: V::default(), used: false });
        slot.used = true;
        &mut slot.value
    }

    fn make_room(&mut self, is_needed: impl Fn(&V) -> bool) {
        let mut looks = 0;
        while self.entries.len() >= self.most && looks < self.row.len().min(LOOKS * 2) {
            looks += 1;
            let Some(key) = self.row.pop_front() else { return };
            match self.entries.get_mut(&key) {
                Some(slot) if is_needed(&slot.value) || (slot.used && looks <= LOOKS) => {
                    slot.used = false;
                    self.row.push_back(key);
                }
                _ => {
                    self.entries.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_grow_and_keeps_what_is_used_or_needed() {
        let mut table: Table<u32, u32> = Table::new(1000);
        *table.entry(&1, |_| false) = 7;
        for n in 10..100_000 {
            table.entry(&n, |value| *value == 7);
            if n % 100 == 0 {
                *table.entry(&2, |value| *value == 7) += 1;
            }
        }
        assert_eq!(table.len(), 1000);
        assert_eq!((table.row.len(), table.get(&1)), (1000, Some(&7)));
        assert!(table.get(&2).is_some_and(|uses| *uses > 900), "{:?}", table.get(&2));
    }
}
