//! The loader: many SMTP sessions from one thread, each sending message after message, counting final 250s.
//!
//! One process of its own, so that its processor time is not taken for the server's. Every message differs in
//! its header, so that a store which keeps equal bodies once gains nothing by it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use serde::{Deserialize, Serialize};

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The server.
    pub(crate) server: SocketAddr,
    /// Sessions side by side.
    pub(crate) sessions: usize,
    /// Octets of a message.
    pub(crate) size: usize,
    /// How long.
    pub(crate) time: Duration,
    /// Send no more than so many messages.
    pub(crate) most: usize,
    /// Recipients: `user1` to `user9` at this domain.
    pub(crate) domain: String,
    /// More than one: the recipients are spread over so many domains below it, `d0` and on.
    pub(crate) domains: usize,
    /// The senders' name before the `@`.
    pub(crate) sender: String,
    /// More than one: so many senders, their number behind the name.
    pub(crate) senders: usize,
    /// A rest before each message.
    pub(crate) gap: Duration,
}

impl Plan {
    /// Everything as fast as may be, from one sender to one domain.
    pub(crate) fn new(server: SocketAddr, sessions: usize, size: usize, domain: &str) -> Self {
        let (domain, sender) = (domain.to_owned(), "sender".to_owned());
        let (time, most, gap) = (Duration::from_secs(3600), usize::MAX, Duration::ZERO);
        Self { server, sessions, size, time, most, domain, domains: 1, sender, senders: 1, gap }
    }

    /// The sender of the message with this number.
    fn from(&self, number: usize) -> String {
        match self.senders {
            0 | 1 => format!("{}@loader.bench.test", self.sender),
            senders => format!("{}{}@loader.bench.test", self.sender, number % senders),
        }
    }

    /// Its recipient. The domain does not follow from the sender: every sender has mail for many domains.
    fn to(&self, number: usize) -> String {
        let user = 1 + number % 9;
        match self.domains {
            0 | 1 => format!("user{user}@{}", self.domain),
            _ => format!("user{user}@d{}.{}", self.place(number), self.domain),
        }
    }

    /// The number of its domain.
    pub(crate) fn place(&self, number: usize) -> usize {
        let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        (mixed % self.domains.max(1) as u64) as usize
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Messages with a final 250.
    pub(crate) accepted: usize,
    /// From the first command to the last 250.
    pub(crate) secs: f64,
    /// Time from the end of the data to its reply, in microseconds: half, 99 of 100, all.
    pub(crate) reply_us: [u64; 3],
    /// Other replies than wanted, and how often.
    pub(crate) errors: BTreeMap<String, usize>,
}

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Greeting,
    Hello,
    Mail,
    Rcpt,
    Data,
    End,
}

struct Session {
    stream: TcpStream,
    waits: Waits,
    arrived: Vec<u8>,
    out: Vec<u8>,
    /// Whether the rest of a message follows `out`: that of the body from here on.
    body: Option<usize>,
    sent: usize,
    end: Instant,
    /// The number of the message it is at.
    number: usize,
}

struct Loader {
    plan: Plan,
    body: Vec<u8>,
    next: usize,
    replies: Vec<u64>,
    load: Load,
    stop: Instant,
    last: Instant,
}

/// Loads a server.
pub(crate) fn load(plan: Plan) -> io::Result<Load> {
    let queue = epoll::create(CreateFlags::CLOEXEC)?;
    let mut sessions = Vec::new();
    for n in 0..plan.sessions {
        let stream = TcpStream::connect(plan.server)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&queue, stream.as_fd(), EventData::new_u64(n as u64), flags)?;
        let now = Instant::now();
        let waits = Waits::Greeting;
        sessions.push(Some(Session {
            stream,
            waits,
            arrived: Vec::new(),
            out: Vec::new(),
            body: None,
            sent: 0,
            end: now,
            number: 0,
        }));
    }
    let start = Instant::now();
    let mut loader = Loader {
        body: filling(plan.size),
        next: 0,
        replies: Vec::new(),
        load: Load::default(),
        stop: start + plan.time,
        last: start,
        plan,
    };
    let mut events = vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 256];
    while sessions.iter().any(Option::is_some) && start.elapsed() < loader.plan.time + Duration::from_secs(30)
    {
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let count = match epoll::wait(&queue, &mut events[..], Some(&timeout)) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        };
        for event in &events[..count] {
            let slot = &mut sessions[event.data.u64() as usize];
            let done = match slot {
                Some(session) => loader.turn(session).unwrap_or_else(|e| loader.failed(&e.to_string())),
                None => false,
            };
            if done {
                *slot = None;
            }
        }
    }
    Ok(loader.finish(start))
}

impl Loader {
    /// Reads and writes as long as something moves; true when the session is over.
    fn turn(&mut self, session: &mut Session) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        session.push(&self.body)?;
        loop {
            let read = match session.stream.read(&mut chunk) {
                Ok(0) => return Ok(self.failed("closed")),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            };
            session.arrived.extend_from_slice(&chunk[..read]);
            while let Some(code) = session.reply() {
                if self.step(session, code) {
                    return Ok(true);
                }
            }
            session.push(&self.body)?;
            // Less than there was room for: what comes now is another event.
            if read < chunk.len() {
                return Ok(false);
            }
        }
    }

    /// A whole reply has come; true when the session is over.
    fn step(&mut self, session: &mut Session, code: u16) -> bool {
        let wanted = match session.waits {
            Waits::Greeting => 220,
            Waits::Data => 354,
            _ => 250,
        };
        if code != wanted {
            return self.failed(&format!("{code} to {:?}", session.waits));
        }
        session.waits = match session.waits {
            Waits::Greeting => session.say("EHLO loader.bench.test\r\n", Waits::Hello),
            Waits::Hello => match self.begin(session) {
                Some(waits) => waits,
                None => return true,
            },
            Waits::Mail => {
                session.say(&format!("RCPT TO:<{}>\r\n", self.plan.to(session.number)), Waits::Rcpt)
            }
            Waits::Rcpt => session.say("DATA\r\n", Waits::Data),
            Waits::Data => self.message(session),
            Waits::End => {
                self.accepted(session.end);
                match self.begin(session) {
                    Some(waits) => waits,
                    None => return true,
                }
            }
        };
        false
    }

    /// Begins the next message, if there is to be one.
    fn begin(&mut self, session: &mut Session) -> Option<Waits> {
        if Instant::now() >= self.stop || self.next >= self.plan.most {
            return None;
        }
        std::thread::sleep(self.plan.gap);
        session.number = self.next;
        self.next += 1;
        Some(session.say(&format!("MAIL FROM:<{}>\r\n", self.plan.from(session.number)), Waits::Mail))
    }

    fn message(&mut self, session: &mut Session) -> Waits {
        let (n, pid, now) = (session.number, std::process::id(), unix_micros());
        let head = format!(
            "{SENT}{now:016}\r\nFrom: <sender@loader.bench.test>\r\nTo: <u@bench.test>\r\nSubject: message {n:09} of {pid:07}\r\n\
             Message-ID: <{n:09}.{pid:07}@loader.bench.test>\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n"
        );
        session.out.extend_from_slice(head.as_bytes());
        session.body = Some(head.len().min(self.body.len()));
        session.end = Instant::now();
        Waits::End
    }

    fn accepted(&mut self, end: Instant) {
        self.load.accepted += 1;
        self.last = Instant::now();
        self.replies.push(end.elapsed().as_micros() as u64);
    }

    fn failed(&mut self, why: &str) -> bool {
        *self.load.errors.entry(why.to_owned()).or_default() += 1;
        true
    }

    fn finish(mut self, start: Instant) -> Load {
        self.load.secs = (self.last - start).as_secs_f64();
        self.replies.sort_unstable();
        let at = |part: f64| {
            let place = (self.replies.len() as f64 * part) as usize;
            self.replies.get(place.min(self.replies.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        self.load.reply_us = [at(0.5), at(0.99), at(1.0)];
        self.load
    }
}

impl Session {
    fn say(&mut self, text: &str, then: Waits) -> Waits {
        self.out.extend_from_slice(text.as_bytes());
        then
    }

    /// Writes what the socket takes.
    fn push(&mut self, body: &[u8]) -> io::Result<()> {
        loop {
            let parts: [&[u8]; 3] = match self.body {
                Some(from) => [&self.out, &body[from..], b"\r\n.\r\n"],
                None => [&self.out, &[], &[]],
            };
            let mut skip = self.sent;
            let parts = parts.map(|part| {
                let now = skip.min(part.len());
                skip -= now;
                IoSlice::new(&part[now..])
            });
            if parts.iter().all(|part| part.is_empty()) {
                break;
            }
            match self.stream.write_vectored(&parts) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        self.out.clear();
        (self.body, self.sent) = (None, 0);
        Ok(())
    }

    /// The code of the next whole reply, if it has arrived.
    fn reply(&mut self) -> Option<u16> {
        let mut from = 0;
        loop {
            let end = from + self.arrived[from..].iter().position(|&octet| octet == b'\n')?;
            let line = &self.arrived[from..end];
            if line.get(3) != Some(&b'-') {
                let code = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok();
                self.arrived.drain(..=end);
                return code.or(Some(0));
            }
            from = end + 1;
        }
    }
}

/// The field that says when a message left the loader: microseconds of the epoch, 16 digits.
pub(crate) const SENT: &str = "X-Sent: ";

/// Microseconds of the epoch.
pub(crate) fn unix_micros() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Lines of text that do not compress, as many octets as a message shall have.
fn filling(size: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut letter = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(seed & 63) as usize]
    };
    (0..size)
        .map(|n| match n % 78 {
            76 => b'\r',
            77 => b'\n',
            _ => letter(),
        })
        .collect()
}
