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
    /// To be called before each command, and each read. Now and then, it lets others have their turn. Who `waited` since the
    /// last time has let them already.
    pub(crate) async fn count(&mut self, waited: bool) {
        self.0 = if waited { 1 } else { self.0 + 1 };
        if self.0 == TURN {
            self.0 = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    /// How often a connection yields that does so much, and waits each so many times.
    fn yields(times: u32, waits_each: u32) -> u32 {
        let (mut turn, mut yields) = (Turn::default(), 0);
        for time in 0..times {
            let mut count = std::pin::pin!(turn.count(time % waits_each == 0));
            while count.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                yields += 1;
            }
        }
        yields
    }

    #[test]
    fn whoever_waits_by_itself_yields_no_more() {
        assert_eq!(yields(16 * TURN, u32::MAX), 16);
        assert_eq!(yields(16 * TURN, TURN - 1), 0);
        assert_eq!(yields(16 * TURN, 1), 0);
    }
}
