//! The sink: takes everything by SMTP and forgets it, and says how much it has taken.
//!
//! One process of its own with one thread for all connections, so that it takes as little as it can of the processors
//! it shares with the server. It offers what Postfix's own server offers, except for TLS. It writes the running count,
//! as a line, whenever it is asked by a line on its standard input.
//!
//! A *watchful* one listens on all addresses, keeps the time each message took ([`Watch`]; asked by the line `times`), and
//! is slow to answer messages on the addresses in [`SLOW_NET`].

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::times::{Watch, sent_at};

const HELLO: &[u8] =
    b"250-sink.bench.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-ENHANCEDSTATUSCODES\r\n\
    250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";
/// The end of a message.
const END: &[u8] = b"\r\n.\r\n";
/// How much is read at once, in octets.
const READ: usize = 256 * 1024;
/// The event of the listener; those of connections are their places.
const LISTENER: u64 = u64::MAX;

/// The second octet of the loopback addresses on which a watchful sink is slow.
pub(crate) const SLOW_NET: u8 = 122;
/// The part of a message in which its time is looked for, in octets.
const HEAD: usize = 4096;

/// What has been taken.
struct Taken {
    count: AtomicUsize,
    watch: Option<Watch>,
    /// How long a slow address takes to answer a message.
    slow: Duration,
}

/// Serves until standard input ends; watchful, if `slow` says how slow the slow addresses are.
pub(crate) fn sink(at: SocketAddr, slow: Option<Duration>) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let watch = slow.map(|_| Watch::default());
    let taken = Taken { count: AtomicUsize::new(0), watch, slow: slow.unwrap_or_default() };
    let taken = Arc::new(taken);
    let shared = Arc::clone(&taken);
    std::thread::spawn(move || serve(&listener, &shared).expect("the sink serves"));
    let mut out = io::stdout();
    for line in io::stdin().lines() {
        match (line?.as_str(), &taken.watch) {
            ("times", Some(watch)) => writeln!(out, "{}", watch.told())?,
            _ => writeln!(out, "{}", taken.count.load(Ordering::Relaxed))?,
        }
        out.flush()?;
    }
    Ok(())
}

fn serve(listener: &TcpListener, taken: &Taken) -> io::Result<()> {
    let queue = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&queue, listener.as_fd(), EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut space = vec![0; READ];
    let end = Finder::new(END);
    let mut events = vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 256];
    // Answers that wait, and on which place.
    let mut waiting: BTreeSet<(Instant, usize)> = BTreeSet::new();
    loop {
        let wait = waiting.first().map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let wait = wait.map(|wait| rustix::event::Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        });
        let ready = match epoll::wait(&queue, &mut events[..], wait.as_ref()) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        };
        while let Some((_, place)) = waiting.first().copied().filter(|(at, _)| *at <= Instant::now()) {
            waiting.pop_first();
            if let Some(open) = &mut connections[place] {
                open.until = None;
                if !open.turn(&mut space, &end, taken).unwrap_or(false) {
                    connections[place] = None;
                }
            }
        }
        for event in &events[..ready] {
            if event.data.u64() == LISTENER {
                let stream = listener.accept()?.0;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let at = EventData::new_u64(connections.len() as u64);
                epoll::add(&queue, stream.as_fd(), at, EventFlags::IN | EventFlags::OUT | EventFlags::ET)?;
                connections.push(Some(Connection::new(stream)));
                continue;
            }
            let place = event.data.u64() as usize;
            let slot = &mut connections[place];
            // A client that leaves early has nothing to tell us.
            if slot.as_mut().is_some_and(|open| !open.turn(&mut space, &end, taken).unwrap_or(false)) {
                *slot = None;
            }
            waiting.extend(slot.as_ref().and_then(|open| open.until).map(|until| (until, place)));
        }
    }
}

/// What the next octets are.
enum Inside {
    Commands,
    /// A message by `DATA`; this much of [`END`] may have come at the end of the last piece.
    Data(Vec<u8>),
    /// A message by `BDAT`: octets left, and whether it ends with them.
    Chunk(usize, bool),
}

struct Connection {
    stream: TcpStream,
    inside: Inside,
    /// A command that has not ended.
    line: Vec<u8>,
    out: Vec<u8>,
    leaving: bool,
    /// Whether it came in on a slow address.
    slow: bool,
    /// Nothing is said until then.
    until: Option<Instant>,
    /// The beginning of a message, where it is looked at.
    head: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let out = b"220 sink.bench.test ESMTP\r\n".to_vec();
        let slow = stream.local_addr().is_ok_and(|at| match at.ip() {
            IpAddr::V4(ip) => ip.octets()[1] == SLOW_NET,
            IpAddr::V6(_) => false,
        });
        let (inside, line, head) = (Inside::Commands, Vec::new(), Vec::new());
        Self { stream, inside, line, out, leaving: false, slow, until: None, head }
    }

    /// Reads what is there and answers it in one write; false at the end.
    fn turn(&mut self, space: &mut [u8], end: &Finder<'_>, taken: &Taken) -> io::Result<bool> {
        loop {
            self.push()?;
            if self.leaving {
                return Ok(!self.out.is_empty());
            }
            let read = match self.stream.read(space) {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(e) => return Err(e),
            };
            let mut octets = &space[..read];
            while !octets.is_empty() && !self.leaving {
                octets = self.take(octets, end, taken);
            }
            if read < space.len() {
                // There was no more; what comes now is another event.
                self.push()?;
                return Ok(!self.leaving || !self.out.is_empty());
            }
        }
    }

    /// Writes what the socket takes.
    fn push(&mut self) -> io::Result<()> {
        while !self.out.is_empty() && self.until.is_none() {
            match self.stream.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Takes a command, or a piece of a message, and gives back the rest.
    fn take<'a>(&mut self, octets: &'a [u8], end: &Finder<'_>, taken: &Taken) -> &'a [u8] {
        if taken.watch.is_some() && !matches!(self.inside, Inside::Commands) {
            let room = HEAD.saturating_sub(self.head.len());
            self.head.extend_from_slice(&octets[..octets.len().min(room)]);
        }
        match &mut self.inside {
            Inside::Commands => {
                let Some(at) = memchr::memchr(b'\n', octets) else {
                    self.line.extend_from_slice(octets);
                    return &[];
                };
                self.line.extend_from_slice(&octets[..at]);
                let line = std::mem::take(&mut self.line);
                self.command(&line, taken);
                &octets[at + 1..]
            }
            Inside::Data(before) => match find_end(before, octets, end) {
                Some(at) => {
                    self.taken(taken);
                    &octets[at..]
                }
                None => &[],
            },
            Inside::Chunk(left, last) => {
                let now = octets.len().min(*left);
                *left -= now;
                if *left == 0 {
                    let last = *last;
                    self.end_of_chunk(last, taken);
                }
                &octets[now..]
            }
        }
    }

    fn command(&mut self, line: &[u8], taken: &Taken) {
        match line.first().map(u8::to_ascii_uppercase) {
            Some(b'E') => self.out.extend_from_slice(HELLO),
            Some(b'D') => {
                self.out.extend_from_slice(b"354 go on\r\n");
                // An empty message ends with the first line.
                self.inside = Inside::Data(b"\r\n".to_vec());
            }
            Some(b'B') => {
                let text = String::from_utf8_lossy(line);
                let size = text.split_ascii_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                let last = text.to_ascii_uppercase().contains("LAST");
                self.inside = Inside::Chunk(size, last);
                if size == 0 {
                    self.end_of_chunk(last, taken);
                }
            }
            Some(b'Q') => {
                self.out.extend_from_slice(b"221 2.0.0 bye\r\n");
                self.leaving = true;
            }
            _ => self.out.extend_from_slice(b"250 2.0.0 ok\r\n"),
        }
    }

    fn end_of_chunk(&mut self, last: bool, taken: &Taken) {
        if last {
            return self.taken(taken);
        }
        self.inside = Inside::Commands;
        self.out.extend_from_slice(b"250 2.0.0 go on\r\n");
    }

    fn taken(&mut self, taken: &Taken) {
        self.inside = Inside::Commands;
        taken.count.fetch_add(1, Ordering::Relaxed);
        if let Some(watch) = &taken.watch {
            watch.arrived(self.slow, sent_at(&self.head));
            self.head.clear();
        }
        if self.slow && !taken.slow.is_zero() {
            self.until = Some(Instant::now() + taken.slow);
        }
        self.out.extend_from_slice(b"250 2.0.0 taken\r\n");
    }
}

/// Where the message ends in `octets`: behind the first octet of the rest. `before` is the end of what came before.
fn find_end(before: &mut Vec<u8>, octets: &[u8], end: &Finder<'_>) -> Option<usize> {
    let known = before.len();
    before.extend_from_slice(&octets[..octets.len().min(END.len() - 1)]);
    if let Some(at) = end.find(before) {
        return Some(at + END.len() - known);
    }
    if let Some(at) = end.find(octets) {
        return Some(at + END.len());
    }
    if octets.len() >= END.len() - 1 {
        before.clear();
        before.extend_from_slice(&octets[octets.len() - (END.len() - 1)..]);
    } else {
        let more = before.len().saturating_sub(END.len() - 1);
        before.drain(..more);
    }
    None
}
