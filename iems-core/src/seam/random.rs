//! Randomness as an argument.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers for ids and jitter. Not for secrets.
///
/// - **Role**: makes ids unlike and retries spread out.
/// - **Called when**: an id or a jitter is needed.
/// - **Ordering**, **Cancellation**, **Idempotency**: none.
/// - **Concurrency**: any number of callers; each call gives a new number.
/// - **Errors**: none.
/// - **Example**: [`SeededRandom`], which repeats itself for a given seed.
pub trait Random: Send + Sync + 'static {
    /// The next number, uniform over all of `u64`.
    fn next_u64(&self) -> u64;
}

/// SplitMix64: small, fast, reproducible from its seed.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// The sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A sequence of which nothing is known beforehand (seeded by the operating system).
    pub fn unpredictable() -> Self {
        Self::new(RandomState::new().build_hasher().finish())
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
