//! The watch: measures room and memory, and probes while there is trouble. The one file of health that waits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::machine::Probed;
use super::probe;
use crate::engine::Shared;
use crate::health::Gate;
use crate::seam::{Clock, Memory, Random, Timestamp};
use crate::storage::{Room, StoreError};

/// How often is measured: near a mark, and far from it. Messages taken meanwhile bring the next time nearer.
const MEASURE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How long storage may take to tell its room.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a probe may take; four times the mark of a slow commit, if that is more.
const PROBE: Duration = Duration::from_secs(30);

/// Watches until shutdown. A probe under way is given up then; what it leaves, the next start takes away.
pub(crate) async fn watch(shared: Arc<Shared>) {
    tokio::select! {
        biased;
        () = shared.shutdown.cancelled() => {}
        () = look(&shared) => {}
    }
}

async fn look(shared: &Shared) {
    let gate = &shared.health;
    if let Err(error) = probe::tidy(&gate.storage, false).await {
        tracing::debug!(%error, "what an earlier probe may have left stays until the next one");
    }
    loop {
        let measured = gate.measure().await;
        let now = gate.clock.now();
        if gate.machine().probe_due(now).is_some_and(|due| due <= now) {
            gate.probe(&*shared.random).await;
        }
        let next = gate.next_look(measured);
        tokio::select! {
            biased;
            () = gate.bell.notified() => {}
            () = sleep(&*gate.clock, next) => {}
        }
    }
}

async fn sleep(clock: &dyn Clock, until: Option<Timestamp>) {
    match until {
        // A clock that is set meanwhile makes it look early, never late by more than this.
        Some(until) => clock.sleep(until.since(clock.now()).min(Duration::from_secs(60))).await,
        None => std::future::pending().await,
    }
}

impl Gate {
    async fn measure(&self) -> (Option<Room>, Option<Memory>) {
        // Room that cannot be told is no reason to refuse: if there is none, a write will say so.
        let room = match self.within(PATIENCE, self.storage.blobs.room()).await {
            Some(Ok(room)) => room,
            Some(Err(error)) => {
                tracing::debug!(%error, "room could not be measured");
                None
            }
            None => None,
        };
        let memory = self.gauge.as_ref().and_then(|gauge| gauge.read());
        self.measured(room, memory);
        (room, memory)
    }

    async fn probe(&self, random: &dyn Random) {
        let begun = self.machine().begin_probe();
        let slow = self.marks().commit_slow;
        let patience = PROBE.max(slow * 4);
        let probed = self.within(patience, probe::probe(&self.storage, &*self.clock, random)).await;
        let probed = probed.unwrap_or_else(|| {
            let error = StoreError::Io(format!("a probe had no answer within {patience:?}"));
            Some(Probed { rows: Err(error.clone()), body: Err(error) })
        });
        let Some(probed) = probed else {
            let now = self.clock.now();
            return self.change(|machine| machine.probe_again(now));
        };
        if let Err(error) = &probed.body {
            tracing::debug!(%error, "a probe failed");
        }
        let (now, hanging) = (self.clock.now(), self.is_hanging());
        self.change(|machine| machine.probed(now, begun, &probed, slow, hanging));
    }

    async fn within<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep(patience) => None,
        }
    }

    /// When to look again; `None` if there is nothing to look at until the bell rings.
    fn next_look(&self, (room, memory): (Option<Room>, Option<Memory>)) -> Option<Timestamp> {
        let (now, marks) = (self.clock.now(), self.marks());
        let near = room.is_some_and(|room| room.free / 2 < marks.low(room))
            || memory.is_some_and(|memory| memory.used > marks.high(memory) / 2);
        let nothing = room.is_none() && memory.is_none();
        let measure = (!nothing).then(|| now.after(if near { MEASURE.0 } else { MEASURE.1 }));
        let probe = self.machine().probe_due(now);
        measure.into_iter().chain(probe).min()
    }
}
