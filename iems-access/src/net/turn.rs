//! Turns of connections: who says very much at once, in small commands, is heard bit by bit.
//!
//! What takes no waiting gives nobody else a turn by itself: neither commands that were read already and are answered from memory,
//! nor a read that finds octets there. Tokio's own bound counts reads and writes only, each of which may be hundreds of commands.

/// How many commands, or reads, are one turn: a fraction of a millisecond, but for those that do more, which see to it themselves.
const TURN: u32 = 16;

/// Counts what one connection does.
#[derive(Debug, Default)]
pub(crate) struct Turn(u32);

impl Turn {
    /// To be called before each command, and each read. Now and then, it lets others have their turn.
    pub(crate) async fn count(&mut self) {
        self.0 += 1;
        if self.0 == TURN {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}
