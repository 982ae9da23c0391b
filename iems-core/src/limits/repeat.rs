//! The same wrong secret again: a program with an old password tries it every few minutes, and guesses nothing by that.
//!
//! For each login from each address the last few wrong secrets are remembered, as hashes with a key that is made at the start and
//! never leaves. Bounded; what is forgotten counts again.

use std::hash::{BuildHasher, RandomState};

use smallvec::SmallVec;

use super::key::{Key, Who};
use super::table::Table;

/// The most logins from addresses that are remembered.
const MOST: usize = 20_000;
/// Wrong secrets of each.
const EACH: usize = 8;

pub(super) struct Repeats {
    hasher: RandomState,
    known: Table<(Key, Key), SmallVec<[u64; 2]>>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { hasher: RandomState::new(), known: Table::new(MOST) }
    }
}

impl Repeats {
    /// Whether it was wrong there before. It is remembered from now on.
    pub(super) fn seen(&mut self, who: &Who<'_>, secret: &str) -> bool {
        let (Some(address), Some(login)) = (who.address, who.login) else { return false };
        let mark = self.hasher.hash_one((login, secret));
        let known = self.known.entry(&(Key::address(address), Key::account(login)), |_| false);
        let before = known.iter().position(|old| *old == mark);
        match before {
            Some(at) => drop(known.remove(at)),
            None if known.len() >= EACH => drop(known.remove(0)),
            None => {}
        }
        known.push(mark);
        before.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_of_each_login_from_each_address_are_known() {
        let mut repeats = Repeats::default();
        let who = |address: &str, login| Who {
            address: address.parse().ok(),
            login: Some(login),
            ..Who::default()
        };
        let ann = who("192.0.2.1", "ann@example.org");
        assert!(!repeats.seen(&ann, "old"));
        for _ in 0..100 {
            assert!(repeats.seen(&ann, "old"));
        }
        assert!(!repeats.seen(&who("192.0.2.2", "ann@example.org"), "old"), "another address");
        assert!(!repeats.seen(&who("192.0.2.1", "ben@example.org"), "old"), "another login");
        for n in 0..EACH {
            assert!(!repeats.seen(&ann, &format!("guess {n}")));
        }
        assert!(!repeats.seen(&ann, "old"), "forgotten by then");
        assert!(!repeats.seen(&Who::default(), "old") && !repeats.seen(&Who::default(), "old"));
    }
}
