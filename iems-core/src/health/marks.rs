//! The marks: where trouble begins.

use std::time::Duration;

use crate::seam::Memory;
use crate::storage::Room;

/// Room under which it is low, if nothing is set: this, or a share of the whole where that is less.
const LOW: u64 = 256 << 20;
/// That share: one part in so many.
const LOW_SHARE: u64 = 20;

/// Where trouble begins. Trouble ends a margin away from its mark, so that it does not come and go at the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marks {
    /// Messages from outside are refused while there is less room for bodies than this, in bytes; zero: never.
    /// Ends a quarter above. Default `None`: 256 MiB, which holds what is under way on a busy server (five messages of
    /// the largest size, or a second at 250 MB/s) and stops before the storage itself has to refuse; but at
    /// most 5 % of the whole, so that small disks are used.
    pub disk_low: Option<u64>,
    /// Connections and messages from outside are refused while the process holds more memory than this, in bytes;
    /// zero: never. Ends a tenth below. Default `None`: 80 % of what the process may hold. A healthy engine never
    /// comes near; beyond it the system may soon end the process, and with it every session.
    pub memory_high: Option<u64>,
    /// A commit that takes longer is slow. One that is under way for longer, or three that returned late in a row, make
    /// the engine refuse messages from outside, until probes take half of this at most. Default 5 s: a
    /// thousand times what a commit takes, far below the ten minutes for which a peer waits for its reply (RFC 5321
    /// section 4.5.3.2.6).
    pub commit_slow: Duration,
}

impl Default for Marks {
    fn default() -> Self {
        Self { disk_low: None, memory_high: None, commit_slow: Duration::from_secs(5) }
    }
}

impl Marks {
    /// The mark under which `room` is low, in bytes.
    pub fn low(&self, room: Room) -> u64 {
        self.disk_low.unwrap_or_else(|| LOW.min(room.total / LOW_SHARE))
    }

    /// The mark over which `memory` is short, in bytes.
    pub fn high(&self, memory: Memory) -> u64 {
        match self.memory_high {
            Some(0) => u64::MAX,
            Some(mark) => mark,
            None => memory.most / 5 * 4,
        }
    }
}
