//! Seams: what the engine is given instead of reaching for it.

mod clock;
mod random;

pub use clock::{Clock, SystemClock, Timestamp};
pub use random::{Random, SeededRandom};
