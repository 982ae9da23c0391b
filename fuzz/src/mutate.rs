//! Mutations: from seeds to octets that nobody thought of. The same number gives the same octets.

use iems_core::seam::{Random, SeededRandom};

/// What grammars hang on.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\0",
    b" ",
    b"\t",
    b"<",
    b">",
    b"@",
    b":",
    b"=",
    b"+",
    b"\"",
    b"\\",
    b"[",
    b"]",
    b"-",
    b"250 ",
    b"250-",
    b"4.",
    b"FROM:",
    b"SIZE=",
    b"LAST",
    b"\xff",
    "\u{43f}".as_bytes(),
    b"%s",
    b"99999999999999999999",
    b"Received: ",
];

/// Longest octets made.
const MOST: usize = 4096;

/// Makes octets.
pub struct Mutator {
    random: SeededRandom,
}

impl Mutator {
    /// The octets that belong to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed) }
    }

    /// One of `seeds` after one to eight mutations.
    pub fn next(&self, seeds: &[&[u8]]) -> Vec<u8> {
        let mut octets = self.one_of(seeds).to_vec();
        for _ in 0..=self.below(8) {
            self.mutate(&mut octets, seeds);
        }
        octets.truncate(MOST);
        octets
    }

    fn mutate(&self, octets: &mut Vec<u8>, seeds: &[&[u8]]) {
        let at = self.below(octets.len() + 1);
        let end = at + self.below(octets.len() - at + 1);
        match self.below(7) {
            0 => drop(octets.splice(at..at, self.one_of(WORDS).iter().copied())),
            1 => drop(octets.splice(at..end, self.one_of(WORDS).iter().copied())),
            2 => drop(octets.drain(at..end)),
            3 => drop(octets.splice(at..at, octets[at..end].to_vec())),
            4 => drop(octets.splice(at.., self.one_of(seeds).iter().copied())),
            5 => drop(octets.splice(at..at, std::iter::repeat_n(self.next_u64() as u8, self.below(600)))),
            _ => octets.iter_mut().skip(at).take(1).for_each(|octet| *octet = self.next_u64() as u8),
        }
    }

    fn one_of<'a>(&self, all: &[&'a [u8]]) -> &'a [u8] {
        all.get(self.below(all.len().max(1))).copied().unwrap_or_default()
    }

    fn below(&self, bound: usize) -> usize {
        (self.next_u64() % bound.max(1) as u64) as usize
    }

    fn next_u64(&self) -> u64 {
        self.random.next_u64()
    }
}
