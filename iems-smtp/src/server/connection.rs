//! One connection from its greeting to its end: the socket, the dialogue, and the clock between them.
//!
//! Replies to pipelined commands leave in one write. Every wait has its deadline (the table in `session::state`).
//! What the engine and the directory are asked stands in `engine`.

mod engine;
mod entrance;
mod turn;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use iems_core::message::{EnhancedStatus, Reply};
use iems_core::receive::Intake;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use self::engine::{Flow, Talk};
use super::listener::Security;
use super::serve::Shared;
use super::session::Waiting;
use super::trace::TraceId;
use super::wire::{Secured, Wire};
use super::{Limits, Timeouts};

/// Octets read at once while a command is waited for, and at first while a message is.
const COMMAND: usize = 2 * 1024;
const MESSAGE: usize = 16 * 1024;
/// The most octets read at once, for a message that keeps the buffer full.
const LARGEST: usize = 128 * 1024;
/// How long a peer that is cut off may go on sending, so that it gets to read why.
const LINGER: Duration = Duration::from_secs(2);
/// An output buffer over this size is given up once it is sent.
const OUTPUT: usize = 1024;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// `None` for a Unix socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) security: Security,
    pub(super) trace: TraceId,
    /// Whether it may say for whom it speaks.
    pub(super) trusted: bool,
    /// Whether it may say where a message first came in.
    pub(super) inside: bool,
}

impl Peer {
    /// Whether it is on this machine.
    fn is_local(&self) -> bool {
        self.address.is_none_or(|a| a.ip().to_canonical().is_loopback())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("local"),
        }
    }
}

/// Serves a peer until one side has enough.
pub(super) async fn run(
    shared: &Shared,
    intake: Intake,
    wire: Wire,
    peer: Peer,
    shutdown: CancellationToken,
) {
    match serve(shared, intake, wire, peer, &shutdown).await {
        Ok(()) => tracing::debug!("closed"),
        Err(error) => tracing::debug!(%error, "broken off"),
    }
}

async fn serve(
    shared: &Shared,
    intake: Intake,
    wire: Wire,
    peer: Peer,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    let (wire, tls) = match peer.security {
        Security::Upgrade => (wire, None),
        Security::Implicit => {
            let (wire, facts) = Box::pin(secure(shared, wire)).await?;
            (wire, Some(facts))
        }
    };
    let mut clock = pin!(sleep_until(Instant::now() + shared.options.timeouts.command));
    let mut stop = pin!(shutdown.cancelled());
    // What is not needed while the peer is idle is boxed, so that an idle connection is small.
    let mut talk = Box::pin(Talk::open(shared, intake, wire, peer, (tls, None))).await;
    let mut pace = Pace::new(Instant::now());
    loop {
        match Box::pin(talk.advance(shutdown)).await? {
            Flow::More => {}
            Flow::Secure => {
                talk.send().await?;
                talk = Box::pin(talk.secure()).await?;
            }
            Flow::Claim(claim) => {
                talk.send().await?;
                talk = Box::pin(talk.claim(*claim)).await;
            }
            Flow::Turn(collection) => {
                talk.send().await?;
                Box::pin(turn::turn(shared, talk.into_wire(), peer, &collection, shutdown)).await;
                return Ok(());
            }
            Flow::Close => {
                talk.send().await?;
                let unread = !talk.session.has_quit();
                let _ = timeout(LINGER, talk.wire.close(unread)).await;
                return Ok(());
            }
        }
        let replied = talk.send().await?;
        let now = Instant::now();
        pace.turn(now, talk.session.waiting(), replied);
        let deadline = pace.deadline(now, &shared.options.timeouts, &shared.options.limits);
        if talk.session.is_idle() && shutdown.is_cancelled() {
            talk.session.abandon(&going_down());
            continue;
        }
        let stop = talk.session.is_idle().then_some(stop.as_mut());
        match fill(&mut talk.wire, clock.as_mut(), stop, deadline, pace.size).await? {
            Filled::Octets(0) => return Ok(()),
            Filled::Octets(octets) => pace.took(octets),
            Filled::Late => talk.session.abandon(&Reply::new(
                421,
                EnhancedStatus::new(4, 4, 2),
                "waited too long for you; connect again",
            )),
            Filled::Stop => talk.session.abandon(&going_down()),
        }
    }
}

async fn secure(shared: &Shared, wire: Wire) -> io::Result<(Wire, Secured)> {
    let Some(tls) = &shared.tls else { return Err(io::Error::other("there is no certificate")) };
    timeout(
        shared.options.timeouts.handshake,
        wire.secure(&tls.load_full(), &shared.watches, shared.options.auth.believed.as_ref()),
    )
    .await
    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn going_down() -> Reply {
    Reply::new(421, EnhancedStatus::new(4, 3, 2), "the server goes down; try again later")
}

/// How a read ended.
enum Filled {
    Octets(usize),
    Late,
    Stop,
}

/// Reads once, until `deadline`, or until `stop`. The timer is armed lazily: it may stand
/// earlier than the deadline, and is put right when it fires, so that most reads do not touch it.
async fn fill(
    wire: &mut Wire,
    mut clock: Pin<&mut Sleep>,
    mut stop: Option<Pin<&mut WaitForCancellationFuture<'_>>>,
    deadline: Instant,
    size: usize,
) -> io::Result<Filled> {
    if clock.deadline() > deadline {
        clock.as_mut().reset(deadline);
    }
    poll_fn(|cx| {
        if let Poll::Ready(read) = wire.poll_fill(cx, size) {
            return Poll::Ready(read.map(Filled::Octets));
        }
        if stop.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Ok(Filled::Stop));
        }
        while clock.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Ok(Filled::Late));
            }
            clock.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await
}

/// How long a peer may take, and how much is read at once.
struct Pace {
    waiting: Waiting,
    /// When the wait for this command line, or for this message, began.
    since: Instant,
    /// What came of the message.
    octets: u64,
    size: usize,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { waiting: Waiting::Command, since: now, octets: 0, size: COMMAND }
    }

    /// What was read is worked off. `replied`: a reply went out, so a new line is waited for.
    fn turn(&mut self, now: Instant, waiting: Waiting, replied: bool) {
        let changed = self.waiting != waiting;
        if changed || (replied && waiting == Waiting::Command) {
            self.since = now;
        }
        if changed {
            self.waiting = waiting;
            self.octets = 0;
            self.size = if waiting == Waiting::Octets { MESSAGE } else { COMMAND };
        }
    }

    fn took(&mut self, octets: usize) {
        self.octets += octets as u64;
        if self.waiting == Waiting::Octets && octets >= self.size {
            self.size = (self.size * 2).min(LARGEST);
        }
    }

    /// A command line has its time as a whole; a message must go on, and come fast enough on the whole.
    fn deadline(&self, now: Instant, timeouts: &Timeouts, limits: &Limits) -> Instant {
        match self.waiting {
            Waiting::Command => self.since + timeouts.command,
            Waiting::Octets => {
                let earned = Duration::from_secs(self.octets / u64::from(limits.min_rate.max(1)));
                (now + timeouts.data).min(self.since + timeouts.rate_grace + earned)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What a future takes that a function gives.
    fn size<'a, F>(_: impl Fn(&'a Shared, Intake, Wire, Peer, CancellationToken) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let octets = size(run);
        assert!(
            octets < 3 * 1024,
            "{octets} octets: is something not boxed that idle connections do not need?"
        );
    }

    #[test]
    fn single_octets_do_not_hold_a_message_open() {
        let (timeouts, limits, start) = (Timeouts::default(), Limits::default(), Instant::now());
        let mut pace = Pace::new(start);
        pace.turn(start, Waiting::Octets, true);
        let mut now = start;
        while now < pace.deadline(now, &timeouts, &limits) && now < start + 1000 * SECOND {
            now += SECOND;
            pace.took(1);
        }
        assert_eq!(now - start, timeouts.rate_grace);
        pace.took(64 * 1000);
        assert_eq!(pace.deadline(now, &timeouts, &limits), now + timeouts.data, "a fast one is let be");
    }

    #[test]
    fn single_octets_do_not_hold_a_line_open() {
        let (timeouts, limits, start) = (Timeouts::default(), Limits::default(), Instant::now());
        let mut pace = Pace::new(start);
        let later = start + 100 * SECOND;
        pace.took(1);
        pace.turn(later, Waiting::Command, false);
        assert_eq!(pace.deadline(later, &timeouts, &limits), start + timeouts.command);
        pace.turn(later, Waiting::Command, true);
        assert_eq!(pace.deadline(later, &timeouts, &limits), later + timeouts.command);
    }
}
