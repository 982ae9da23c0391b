//! The sink: takes everything by SMTP and forgets it, and says how much it has taken.
//!
//! One process of its own with one thread for all connections, so that it takes as little as it can of the processors
//! it shares with the server. It offers what Postfix's own server offers, except for TLS. It writes the running count,
//! as a line, whenever it is asked by a line on its standard input.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memchr::memmem::Finder;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

const HELLO: &[u8] =
    b"250-sink.bench.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-ENHANCEDSTATUSCODES\r\n\
    250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n";
/// The end of a message.
const END: &[u8] = b"\r\n.\r\n";
/// How much is read at once, in octets.
const READ: usize = 256 * 1024;
/// The event of the listener; those of connections are their places.
const LISTENER: u64 = u64::MAX;

/// Serves until standard input ends.
pub(crate) fn sink(at: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let count = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&count);
    std::thread::spawn(move || serve(&listener, &shared).expect("the sink serves"));
    let mut out = io::stdout();
    for line in io::stdin().lines() {
        line?;
        writeln!(out, "{}", count.load(Ordering::Relaxed))?;
        out.flush()?;
    }
    Ok(())
}

fn serve(listener: &TcpListener, count: &AtomicUsize) -> io::Result<()> {
    let queue = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&queue, listener.as_fd(), EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut space = vec![0; READ];
    let end = Finder::new(END);
    let mut events = vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 256];
    loop {
        let ready = match epoll::wait(&queue, &mut events[..], None) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        };
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
            let slot = &mut connections[event.data.u64() as usize];
            // A client that leaves early has nothing to tell us.
            if slot.as_mut().is_some_and(|open| !open.turn(&mut space, &end, count).unwrap_or(false)) {
                *slot = None;
            }
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
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let out = b"220 sink.bench.test ESMTP\r\n".to_vec();
        Self { stream, inside: Inside::Commands, line: Vec::new(), out, leaving: false }
    }

    /// Reads what is there and answers it in one write; false at the end.
    fn turn(&mut self, space: &mut [u8], end: &Finder<'_>, count: &AtomicUsize) -> io::Result<bool> {
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
                octets = self.take(octets, end, count);
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
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Takes a command, or a piece of a message, and gives back the rest.
    fn take<'a>(&mut self, octets: &'a [u8], end: &Finder<'_>, count: &AtomicUsize) -> &'a [u8] {
        match &mut self.inside {
            Inside::Commands => {
                let Some(at) = memchr::memchr(b'\n', octets) else {
                    self.line.extend_from_slice(octets);
                    return &[];
                };
                self.line.extend_from_slice(&octets[..at]);
                let line = std::mem::take(&mut self.line);
                self.command(&line, count);
                &octets[at + 1..]
            }
            Inside::Data(before) => match find_end(before, octets, end) {
                Some(at) => {
                    self.taken(count);
                    &octets[at..]
                }
                None => &[],
            },
            Inside::Chunk(left, last) => {
                let now = octets.len().min(*left);
                *left -= now;
                if *left == 0 {
                    let last = *last;
                    self.end_of_chunk(last, count);
                }
                &octets[now..]
            }
        }
    }

    fn command(&mut self, line: &[u8], count: &AtomicUsize) {
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
                    self.end_of_chunk(last, count);
                }
            }
            Some(b'Q') => {
                self.out.extend_from_slice(b"221 2.0.0 bye\r\n");
                self.leaving = true;
            }
            _ => self.out.extend_from_slice(b"250 2.0.0 ok\r\n"),
        }
    }

    fn end_of_chunk(&mut self, last: bool, count: &AtomicUsize) {
        if last {
            return self.taken(count);
        }
        self.inside = Inside::Commands;
        self.out.extend_from_slice(b"250 2.0.0 go on\r\n");
    }

    fn taken(&mut self, count: &AtomicUsize) {
        self.inside = Inside::Commands;
        count.fetch_add(1, Ordering::Relaxed);
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
