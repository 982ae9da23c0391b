//! The different sets of keywords in a mailbox: a message holds the place of its set in two octets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use iems_store::mailbox::KeywordSet;

/// The place of sets that have none: those of messages beyond 65,535 different ones stand by themselves.
const APART: u16 = u16::MAX;
/// How many sets there are at least before those that no message has any more are looked for.
const LEAST: usize = 256;
/// What a set takes besides its keywords, in octets: in the list, in the table, and what is around it.
const ENTRY: usize = 120;

/// Sets, each once.
#[derive(Debug, Clone)]
pub(super) struct Sets {
    /// The first is empty.
    all: Vec<Arc<KeywordSet>>,
    places: HashMap<Arc<KeywordSet>, u16>,
    /// By UID.
    apart: BTreeMap<u32, KeywordSet>,
    /// Octets that the sets take themselves.
    content: usize,
    /// With so many, those that nobody has are dropped.
    full: usize,
}

impl Default for Sets {
    fn default() -> Self {
        let empty = Arc::<KeywordSet>::default();
        let (all, places, apart) = (vec![empty.clone()], [(empty, 0)].into(), BTreeMap::new());
        Self { all, places, apart, content: 0, full: LEAST }
    }
}

impl Sets {
    /// The set of a message with a UID, by its place.
    pub(super) fn of(&self, place: u16, uid: u32) -> &KeywordSet {
        static NONE: std::sync::LazyLock<KeywordSet> = std::sync::LazyLock::new(KeywordSet::default);
        match place {
            APART => self.apart.get(&uid).unwrap_or(&NONE),
            place => self.all.get(usize::from(place)).map_or(&NONE, |set| set),
        }
    }

    /// What they take, in octets, but for the few of most mailboxes.
    pub(super) fn octets(&self) -> usize {
        let entries = self.all.len().saturating_sub(LEAST) + self.apart.len();
        if entries == 0 { 0 } else { entries * ENTRY + self.content }
    }

    /// Whether a message with this place has a set that is its own.
    pub(super) const fn is_apart(place: u16) -> bool {
        place == APART
    }

    /// Whether sets that nobody has any more may be many: then [`Self::keep`].
    pub(super) fn is_full(&self) -> bool {
        self.all.len() >= self.full
    }

    /// The place of a set, for a message with a UID.
    pub(super) fn place(&mut self, uid: u32, set: &KeywordSet) -> u16 {
        self.forget(uid);
        if let Some(place) = self.places.get(set) {
            return *place;
        }
        match u16::try_from(self.all.len()) {
            Ok(place) if place != APART => {
                self.content += content(set);
                let set = Arc::new(set.clone());
                self.all.push(set.clone());
                self.places.insert(set, place);
                place
            }
            _ => {
                self.content += content(set);
                self.apart.insert(uid, set.clone());
                APART
            }
        }
    }

    /// A message is gone.
    pub(super) fn forget(&mut self, uid: u32) {
        if !self.apart.is_empty()
            && let Some(set) = self.apart.remove(&uid)
        {
            self.content -= content(&set);
        }
    }

    /// Keeps only the sets of some messages, whose UIDs are in order, and says where they are now.
    pub(super) fn keep(&mut self, messages: &mut dyn Iterator<Item = (u32, &mut u16)>) {
        let before = std::mem::take(self);
        for (uid, place) in messages {
            *place = self.place(uid, before.of(*place, uid));
        }
        self.full = (2 * self.all.len()).max(LEAST);
    }
}

/// Octets of the keywords of a set.
fn content(set: &KeywordSet) -> usize {
    2 * set.len()
}

#[cfg(test)]
mod tests {
    use iems_store::mailbox::Keyword;

    use super::*;

    fn set(n: u32) -> KeywordSet {
        (0..17).filter(|bit| n >> bit & 1 == 1).map(Keyword).collect()
    }

    #[test]
    fn more_sets_than_places_are_told_apart() {
        let mut sets = Sets::default();
        let mut messages: Vec<(u32, u16)> = (0..100_000).map(|n| (n, sets.place(n, &set(n)))).collect();
        let all = |sets: &Sets, messages: &[(u32, u16)]| {
            messages.iter().all(|(n, place)| *sets.of(*place, *n) == set(*n))
        };
        assert!(all(&sets, &messages));
        // One that stood apart finds a place.
        messages[99_999].1 = sets.place(99_999, &set(5));
        assert_eq!((messages[99_999].1, sets.apart.len()), (messages[5].1, 100_000 - 65_535 - 1));
        messages.truncate(99_999);
        // When some left, the others keep theirs, and there is room.
        messages.retain(|(n, _)| n % 3 == 1);
        sets.keep(&mut messages.iter_mut().map(|(n, place)| (*n, place)));
        assert!(all(&sets, &messages) && sets.apart.is_empty());
        assert_eq!(sets.all.len(), 33_334);
    }

    #[test]
    fn sets_that_nobody_has_go() {
        let mut sets = Sets::default();
        let mut place = 0;
        for n in 0..100_000 {
            if sets.is_full() {
                sets.keep(&mut [(1, &mut place)].into_iter());
            }
            place = sets.place(1, &set(n));
            assert!(*sets.of(place, 1) == set(n) && sets.all.len() <= LEAST);
        }
    }
}
