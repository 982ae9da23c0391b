//! Dice: every choice of a simulation, from one seed.

use std::time::Duration;

use crate::seam::{Random, SeededRandom};

/// A source of choices that repeats itself for a given seed. Also a [`Random`], for the engine.
#[derive(Debug)]
pub struct Dice {
    seed: u64,
    random: SeededRandom,
}

impl Dice {
    /// The dice that belong to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, random: SeededRandom::new(seed) }
    }

    /// Dice of their own for one part of the world: what is thrown there changes nothing elsewhere.
    #[must_use]
    pub fn apart(&self, name: &str) -> Self {
        let mixed = name.bytes().fold(self.seed ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
        Self::new(SeededRandom::new(mixed).next_u64())
    }

    /// A number below `bound`; zero for zero.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.random.next_u64() % bound }
    }

    /// `true` in so many of a thousand cases.
    pub fn chance(&self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// A span of at least `least` and less than `most`, in whole milliseconds.
    pub fn span(&self, least: Duration, most: Duration) -> Duration {
        let room = most.saturating_sub(least).as_millis() as u64;
        least + Duration::from_millis(self.below(room))
    }

    /// One of `all`, which must not be empty.
    pub fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

impl Random for Dice {
    fn next_u64(&self) -> u64 {
        self.random.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_world_have_dice_of_their_own() {
        let (one, two) = (Dice::new(7), Dice::new(7));
        two.below(10);
        assert_eq!(one.apart("peers").next_u64(), two.apart("peers").next_u64());
        assert_ne!(one.apart("peers").next_u64(), one.apart("boxes").next_u64());
    }
}
