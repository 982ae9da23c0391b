//! Many connections at once: what each costs while it is idle, and while a message comes through it; and what an honest client
//! feels beside a crowd that is slow on purpose.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use iems_tests::smtp::Smtp;
use iems_tests::wire::Wire;

use super::doors::{DOMAIN, Door, Who};
use super::sessions::text;
use crate::watch;

/// Memory of connections.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// How many there were.
    pub(super) count: usize,
    /// KiB for each (PSS).
    pub(super) each: f64,
    /// MiB for all, with the server itself.
    pub(super) all: f64,
}

/// Idle connections behind their greeting.
pub(super) fn idle(who: Who) -> Memory {
    weigh(who, if who.forks() { 250 } else { 10_000 }, |_| ())
}

/// Connections with half a message of 100 KiB.
pub(super) fn busy(who: Who) -> Memory {
    let half = text(50 * 1024);
    weigh(who, if who.forks() { 250 } else { 1000 }, |smtp| {
        let user = format!("user1@{DOMAIN}");
        for line in ["EHLO bench.test", &format!("MAIL FROM:<{user}>"), &format!("RCPT TO:<{user}>"), "DATA"]
        {
            // What is refused is not busy; the count below tells.
            let _ = smtp.command(line);
        }
        let _ = smtp.wire.send(&half);
    })
}

fn weigh(who: Who, count: usize, prepare: impl Fn(&mut Smtp)) -> Memory {
    let mut door = Door::open(who, false);
    let roots = door.roots();
    // The first connections make what all share.
    drop(greeted(&door, Duration::from_secs(5)));
    std::thread::sleep(Duration::from_secs(1));
    let before = watch::memory(&roots);
    let mut held = Vec::with_capacity(count);
    let start = Instant::now();
    for _ in 0..count {
        // Some greet so slowly that they would not be done today.
        if start.elapsed() > Duration::from_secs(30) {
            break;
        }
        let Some(mut smtp) = greeted(&door, Duration::from_secs(5)) else { break };
        prepare(&mut smtp);
        held.push(smtp);
    }
    std::thread::sleep(Duration::from_secs(2));
    let after = watch::memory(&roots);
    let each = after.saturating_sub(before) as f64 / 1024.0 / held.len().max(1) as f64;
    Memory { count: held.len(), each, all: after as f64 / f64::from(1 << 20) }
}

fn greeted(door: &Door, patience: Duration) -> Option<Smtp> {
    let mut smtp = Smtp { wire: Wire::connect(door.at).ok()? };
    smtp.wire.patience(patience);
    (smtp.reply().ok()?.code == 220).then_some(smtp)
}

/// What an honest client feels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside {
    /// How many of the crowd were let in.
    pub(super) crowd: usize,
    /// Messages that were taken, of those that were tried.
    pub(super) served: (usize, usize),
    /// From connecting to the reply after the data, in milliseconds: half, 99 of 100.
    pub(super) half: f64,
    pub(super) p99: f64,
}

/// So many connections that send an octet every ten seconds, and one client after another that sends a message.
pub(super) fn hostile(who: Who, crowd: usize) -> Beside {
    let mut door = Door::open(who, true);
    let _ = door.roots();
    let (members, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..crowd {
            match TcpStream::connect_timeout(&door.at.into(), Duration::from_millis(100)) {
                Ok(stream) => members.lock().expect("no panic").push(stream),
                // The system takes no more for it.
                Err(_) => break,
            }
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let all = members.lock().expect("no panic");
                let rest = Duration::from_secs(10) / u32::try_from(all.len().max(1)).unwrap_or(1);
                for mut stream in all.iter() {
                    // One that was turned away is gone.
                    let _ = stream.write(b"N");
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    std::thread::sleep(rest);
                }
                drop(all);
            }
        });
        std::thread::sleep(Duration::from_secs(3));
        let let_in = members.lock().expect("no panic").len();
        let beside = honest(&door, let_in);
        stop.store(true, Ordering::Relaxed);
        beside
    })
}

/// One message after another, each on a connection of its own.
fn honest(door: &Door, crowd: usize) -> Beside {
    let (text, user) = (text(1024), format!("user1@{DOMAIN}"));
    let (mut took, mut tried, start) = (Vec::new(), 0, Instant::now());
    while tried < 300 && start.elapsed() < Duration::from_secs(20) {
        tried += 1;
        let begin = Instant::now();
        let sent = greeted(door, Duration::from_secs(5)).and_then(|mut smtp| {
            smtp.command("EHLO bench.test").ok()?;
            let reply = smtp.send(&user, &[&user], &text).ok()?;
            let _ = smtp.command("QUIT");
            (reply.code == 250).then_some(())
        });
        if sent.is_some() {
            took.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or(0.0);
    Beside { crowd, served: (took.len(), tried), half: at(50), p99: at(99) }
}
