//! Whole sessions and handshakes: how many a second, and what each costs the server.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use iems_tests::smtp::Smtp;
use iems_tests::wire::Wire;
use rustls::ClientConfig;
use rustls::client::Resumption;

use super::doors::{DOMAIN, Door, Who};
use crate::watch;

/// Clients side by side.
const CLIENTS: usize = 10;

/// What a client does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Message after message of 10 KiB over one connection.
    Stream { tls: bool },
    /// A connection for each message of 1 KiB.
    Single { tls: bool, login: bool },
    /// A connection, STARTTLS, EHLO, QUIT.
    Handshake { resumed: bool },
    /// A connection, the greeting, QUIT.
    Greeting,
}

impl Manner {
    pub(super) const ALL: [Self; 8] = [
        Self::Stream { tls: false },
        Self::Stream { tls: true },
        Self::Single { tls: false, login: false },
        Self::Single { tls: true, login: false },
        Self::Single { tls: true, login: true },
        Self::Handshake { resumed: false },
        Self::Handshake { resumed: true },
        Self::Greeting,
    ];

    /// For tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stream { tls: false } => "messages of 10 KiB over open sessions, in the clear",
            Self::Stream { tls: true } => "messages of 10 KiB over open sessions, STARTTLS",
            Self::Single { tls: false, .. } => "sessions with one message of 1 KiB, in the clear",
            Self::Single { login: false, .. } => "sessions with one message of 1 KiB, STARTTLS",
            Self::Single { login: true, .. } => "sessions with one message of 1 KiB, STARTTLS and AUTH PLAIN",
            Self::Handshake { resumed: false } => "handshakes without resumption",
            Self::Handshake { resumed: true } => "handshakes with resumption",
            Self::Greeting => "connections that are greeted and leave",
        }
    }

    fn tls(self) -> bool {
        matches!(self, Self::Stream { tls: true } | Self::Single { tls: true, .. } | Self::Handshake { .. })
    }
}

/// What came out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Times a second.
    pub(super) rate: f64,
    /// Processor milliseconds of the server each time.
    pub(super) cpu_ms: f64,
    /// Part of the handshakes that were resumed.
    pub(super) resumed: f64,
    /// Clients that gave up.
    pub(super) failed: usize,
}

/// Measures one server; `None` where it cannot.
pub(super) fn measure(who: Who, manner: Manner, time: Duration) -> Option<Figures> {
    if manner.tls() && !who.speaks_tls() {
        return None;
    }
    let mut door = Door::open(who, false);
    let roots = door.roots();
    let (done, resumed, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let gate = Barrier::new(CLIENTS + 1);
    let (mut before, mut after, mut secs) = Default::default();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (door, done, resumed, failed, gate) = (&door, &done, &resumed, &failed, &gate);
            scope.spawn(move || {
                gate.wait();
                let stop = Instant::now() + time;
                let client = Client { door, manner, number, config: config(door, manner), done, resumed };
                if client.run(stop).is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        before = watch::cost(&roots);
        gate.wait();
        let start = Instant::now();
        std::thread::sleep(time);
        secs = start.elapsed().as_secs_f64();
        after = watch::cost(&roots);
    });
    let count = done.load(Ordering::Relaxed).max(1) as f64;
    let (before, after): (watch::Cost, watch::Cost) = (before, after);
    Some(Figures {
        rate: count / secs,
        cpu_ms: (after.cpu - before.cpu) * 1000.0 / count,
        resumed: resumed.load(Ordering::Relaxed) as f64 / count,
        failed: failed.load(Ordering::Relaxed),
    })
}

/// One for each client, so that resumption is its own.
fn config(door: &Door, manner: Manner) -> Option<Arc<ClientConfig>> {
    let mut config = ClientConfig::clone(door.tls.as_ref()?);
    config.resumption = match manner {
        Manner::Handshake { resumed: true } => Resumption::in_memory_sessions(16),
        _ => Resumption::disabled(),
    };
    Some(Arc::new(config))
}

struct Client<'a> {
    door: &'a Door,
    manner: Manner,
    number: usize,
    config: Option<Arc<ClientConfig>>,
    done: &'a AtomicUsize,
    resumed: &'a AtomicUsize,
}

impl Client<'_> {
    fn run(&self, stop: Instant) -> io::Result<()> {
        match self.manner {
            Manner::Stream { .. } => {
                let (mut smtp, text) = (self.session()?, text(10_240));
                while Instant::now() < stop {
                    self.message(&mut smtp, &text)?;
                    self.done.fetch_add(1, Ordering::Relaxed);
                }
                smtp.command("QUIT").map(|_| ())
            }
            Manner::Single { login, .. } => {
                let text = text(1024);
                while Instant::now() < stop {
                    let mut smtp = self.session()?;
                    if login {
                        wanted(smtp.auth_plain(&self.user(), "secret")?.code, 235)?;
                    }
                    self.message(&mut smtp, &text)?;
                    smtp.command("QUIT")?;
                    self.done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
            Manner::Handshake { .. } | Manner::Greeting => {
                while Instant::now() < stop {
                    let mut smtp = self.session()?;
                    smtp.command("QUIT")?;
                    self.resumed.fetch_add(usize::from(smtp.wire.is_resumed()), Ordering::Relaxed);
                    self.done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }

    fn user(&self) -> String {
        format!("user{}@{DOMAIN}", 1 + self.number % 9)
    }

    /// Connected, greeted, and under TLS where that is wanted.
    fn session(&self) -> io::Result<Smtp> {
        let to = match self.manner {
            Manner::Single { login: true, .. } => self.door.submission,
            _ => self.door.at,
        };
        let mut smtp = Smtp { wire: Wire::connect(to)? };
        wanted(smtp.reply()?.code, 220)?;
        if self.manner == Manner::Greeting {
            return Ok(smtp);
        }
        wanted(smtp.command("EHLO bench.test")?.code, 250)?;
        if let Some(config) = self.config.clone().filter(|_| self.manner.tls()) {
            wanted(smtp.command("STARTTLS")?.code, 220)?;
            smtp.wire.start_tls(config, self.door.name)?;
            wanted(smtp.command("EHLO bench.test")?.code, 250)?;
        }
        Ok(smtp)
    }

    fn message(&self, smtp: &mut Smtp, text: &[u8]) -> io::Result<()> {
        wanted(smtp.send(&self.user(), &[&self.user()], text)?.code, 250)
    }
}

fn wanted(code: u16, wanted: u16) -> io::Result<()> {
    if code == wanted { Ok(()) } else { Err(io::Error::other(format!("{code}, not {wanted}"))) }
}

/// A message of so many octets.
pub(super) fn text(size: usize) -> Vec<u8> {
    let mut text = b"From: <user1@example.org>\r\nSubject: bench\r\n\r\n".to_vec();
    while text.len() < size {
        text.extend_from_slice(b"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghijklmn\r\n");
    }
    text
}
