//! The triples of octets that a text is made of. Whatever has a needle in it has all triples of the needle.

use super::super::TELLING;

/// Triples that there can be.
const ALL: usize = 1 << 24;

/// Gathers the triples of some texts, each once. 2 MiB, to be used again and again.
pub(super) struct Grams {
    seen: Vec<u64>,
    found: Vec<u32>,
}

impl Grams {
    pub(super) fn new() -> Self {
        Self { seen: vec![0; ALL / 64], found: Vec::new() }
    }

    /// Adds those of `text`.
    pub(super) fn add(&mut self, text: &[u8]) {
        for gram in grams(text) {
            let (word, bit) = (gram as usize / 64, 1 << (gram % 64));
            if let Some(seen) = self.seen.get_mut(word).filter(|seen| **seen & bit == 0) {
                *seen |= bit;
                self.found.push(gram);
            }
        }
    }

    /// All that were added, each three octets, in no order; then there are none.
    pub(super) fn take(&mut self) -> Box<[u8]> {
        let mut all = Vec::with_capacity(self.found.len() * TELLING);
        for gram in self.found.drain(..) {
            all.extend_from_slice(&octets(gram));
            if let Some(seen) = self.seen.get_mut(gram as usize / 64) {
                *seen = 0;
            }
        }
        all.into()
    }
}

/// The triples of a text, in their order.
fn grams(text: &[u8]) -> impl Iterator<Item = u32> {
    text.windows(TELLING).map(|three| three.iter().fold(0, |gram, octet| gram << 8 | u32::from(*octet)))
}

/// The triples of a text, each once.
pub(super) fn distinct(text: &[u8]) -> Vec<[u8; TELLING]> {
    let mut all: Vec<u32> = grams(text).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(octets).collect()
}

fn octets(gram: u32) -> [u8; TELLING] {
    let [_, a, b, c] = gram.to_be_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triples_are_gathered_once() {
        let mut grams = Grams::new();
        for _ in 0..2 {
            grams.add(b"abab");
            grams.add(b"ab");
            grams.add(b"bab\xff\xff\xff\xff");
            let mut all: Vec<_> = grams.take().chunks(3).map(<[u8]>::to_vec).collect();
            all.sort();
            assert_eq!(all, [&b"aba"[..], b"ab\xff", b"bab", b"b\xff\xff", b"\xff\xff\xff"]);
        }
        assert!(grams.take().is_empty());
        assert_eq!(distinct(b"ababa"), [*b"aba", *b"bab"]);
        assert!(distinct(b"ab").is_empty());
    }
}
