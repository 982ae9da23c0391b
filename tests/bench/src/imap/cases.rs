//! What is measured: each function starts a server, does one thing to it, and says how fast it was.

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use iems_tests::smtp::Smtp;

use super::client::Imap;
use super::mail::{NEEDLE, message, renumber};
use super::servers::{Server, Who, user};
use crate::watch;

/// Whose sessions are idle.
const USERS: usize = 10;
/// The numbers of the messages of one client begin at a multiple of this.
const NUMBERS: usize = 1_000_000;
/// Messages in one APPEND while a mailbox is filled.
const TOGETHER: usize = 50;

/// A rate, and what each time cost the server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    /// Times a second.
    pub(super) rate: f64,
    /// Processor milliseconds of the server.
    pub(super) cpu_ms: f64,
}

/// Does `work` again and again in so many threads, each with what `begin` made of its number; only the work is counted.
fn rate<C>(
    server: &mut Server,
    clients: usize,
    time: Duration,
    begin: impl Fn(&Server, usize) -> io::Result<C> + Sync,
    work: impl Fn(&Server, usize, C, &dyn Fn() -> bool) -> io::Result<()> + Sync,
) -> Rate {
    let roots = server.roots();
    let (server, begin, work) = (&*server, &begin, &work);
    let done = AtomicUsize::new(0);
    let [ready, gate] = [(); 2].map(|()| Barrier::new(clients + 1));
    let (mut before, mut after, mut secs) = (watch::Cost::default(), watch::Cost::default(), 0.0);
    std::thread::scope(|scope| {
        for number in 0..clients {
            let (done, ready, gate) = (&done, &ready, &gate);
            scope.spawn(move || {
                let client = begin(server, number);
                ready.wait();
                gate.wait();
                let client = client.unwrap_or_else(|error| panic!("client {number}: {error}"));
                let stop = Instant::now() + time;
                // True while there is time; counts what was done since the last time it was asked.
                let begun = std::cell::Cell::new(false);
                let go_on = || {
                    done.fetch_add(usize::from(begun.replace(true)), Ordering::Relaxed);
                    Instant::now() < stop
                };
                work(server, number, client, &go_on)
                    .unwrap_or_else(|error| panic!("client {number}: {error}"));
            });
        }
        ready.wait();
        before = watch::cost(&roots);
        gate.wait();
        let start = Instant::now();
        std::thread::sleep(time);
        secs = start.elapsed().as_secs_f64();
        after = watch::cost(&roots);
    });
    let count = done.load(Ordering::Relaxed).max(1) as f64;
    Rate { rate: count / secs, cpu_ms: (after.cpu - before.cpu) * 1000.0 / count }
}

/// Connections that log in and out.
pub(super) fn logins(who: Who, clients: usize, time: Duration) -> Rate {
    let mut server = Server::open(who, clients);
    let begin = |_: &Server, _| Ok(());
    rate(&mut server, clients, time, begin, |server, number, (), go_on| {
        while go_on() {
            Imap::login(server.imap, None, &user(number))?.command("LOGOUT")?;
        }
        Ok(())
    })
}

/// Messages of 10 KiB appended one by one, each client to a mailbox of its own.
pub(super) fn appends(who: Who, clients: usize, time: Duration) -> Rate {
    let mut server = Server::open(who, clients);
    let begin = |server: &Server, number| Imap::login(server.imap, None, &user(number));
    rate(&mut server, clients, time, begin, |_, number, mut imap, go_on| {
        let (mut message, mut numbers) = (message(0, 2), number * NUMBERS..);
        while go_on() {
            renumber(&mut message, numbers.next().unwrap_or_default());
            imap.append("INBOX", std::slice::from_ref(&message))?;
        }
        imap.command("LOGOUT").map(drop)
    })
}

/// Flags set and taken one by one, each client in a mailbox of its own of so many messages, again and again.
pub(super) fn flags(who: Who, clients: usize, time: Duration) -> Rate {
    const MESSAGES: usize = 100;
    let mut server = Server::open(who, clients);
    let begin = |server: &Server, number| {
        let mut imap = Imap::login(server.imap, None, &user(number))?;
        let all: Vec<_> = (0..MESSAGES).map(|n| message(number * NUMBERS + n, 2)).collect();
        imap.append("INBOX", &all)?;
        imap.command("SELECT INBOX").map(|_| imap)
    };
    rate(&mut server, clients, time, begin, |_, _, mut imap, go_on| {
        let passes = ["+", "-"].into_iter().cycle();
        let mut steps = passes.flat_map(|sign| (1..=MESSAGES).map(move |n| (n, sign)));
        while go_on() {
            let Some((number, sign)) = steps.next() else { break };
            imap.command(&format!("STORE {number} {sign}FLAGS (\\Seen)"))?;
        }
        imap.command("LOGOUT").map(drop)
    })
}

/// Messages of 10 KiB delivered by LMTP to `mailboxes` users in turn.
pub(super) fn deliveries(who: Who, clients: usize, mailboxes: usize, time: Duration) -> Rate {
    let mut server = Server::open(who, mailboxes);
    let begin = |server: &Server, _| {
        let mut lmtp = Smtp::connect(server.lmtp);
        lmtp.command("LHLO bench.test").map(|_| lmtp)
    };
    rate(&mut server, clients, time, begin, |_, number, mut lmtp, go_on| {
        let (mut message, mut next) = (message(0, 2), number);
        message.push(b'.');
        while go_on() {
            lmtp.command("MAIL FROM:<p1@loader.example>")?;
            lmtp.command(&format!("RCPT TO:<{}>", user(next % mailboxes)))?;
            lmtp.command("DATA")?;
            renumber(&mut message, number * NUMBERS + next);
            let reply = lmtp.command(std::str::from_utf8(&message).map_err(io::Error::other)?)?;
            if reply.code != 250 {
                return Err(io::Error::other(reply.text()));
            }
            next += clients;
        }
        lmtp.command("QUIT").map(drop)
    })
}

/// How long things took with one large mailbox, by name.
pub(super) type Times = BTreeMap<&'static str, f64>;

/// What is fetched of every message, and what a first synchronisation is.
pub(super) const FETCHES: [(&str, &str); 5] = [
    ("flags and UIDs", "(UID FLAGS)"),
    ("envelopes, dates, sizes, flags", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
    ("five header fields", "(UID BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID)])"),
    ("body structures", "(UID BODYSTRUCTURE)"),
    ("whole messages", "(UID BODY.PEEK[])"),
];

/// What is done to [`FLAGS`] messages, each in a command of its own.
pub(super) const ONE_BY_ONE: &str = "a flag, 500 messages one by one";
/// As many commands that do nothing.
pub(super) const NOOPS: &str = "500 times NOOP";
/// How many messages get a flag one by one.
pub(super) const FLAGS: usize = 500;

/// As many syncs of a few octets into a file that was written before, on the disk of the servers, in seconds.
pub(super) fn syncs() -> io::Result<f64> {
    const OCTETS: usize = 300;
    let mut file = tempfile::tempfile()?;
    file.write_all(&vec![0; FLAGS * OCTETS])?;
    file.sync_all()?;
    file.rewind()?;
    let start = Instant::now();
    for _ in 0..FLAGS {
        file.write_all(&[1; OCTETS])?;
        file.sync_data()?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Searches.
pub(super) const SEARCHES: [(&str, &str); 5] = [
    ("UNSEEN", "UNSEEN"),
    ("SUBJECT, in 1 of 10 messages", "SUBJECT \"number 7\""),
    ("FROM, in 1 of 97", "FROM \"p5@loader\""),
    ("BODY, in the last message only", "BODY zebra-needle"),
    ("TEXT, in the last message only", "TEXT zebra-needle"),
];

/// Searches in texts with an index of them.
pub(super) const INDEXED: [(&str, &str); 3] = [
    ("an index of all texts, made", ""),
    ("BODY, in the last message only, indexed", "BODY zebra-needle"),
    ("TEXT, in the last message only, indexed", "TEXT zebra-needle"),
];

/// Does what reads again and again, six times or until it took three seconds; the median of all but the first time, as indexes are
/// built by then.
fn again(mut work: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 2 || (times.len() < 6 && begun.elapsed() < Duration::from_secs(3)) {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.remove(0);
    times.sort_unstable_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// A mailbox of so many messages: filled, read, changed and searched by one client, in seconds.
pub(super) fn large(who: Who, messages: usize) -> Times {
    let mut server = Server::open(who, 1);
    let mut times = Times::new();
    let mut imap = Imap::login(server.imap, None, &user(0)).expect("a login");
    let timed = |times: &mut Times, name, work: &mut dyn FnMut() -> io::Result<()>| {
        let start = Instant::now();
        work().unwrap_or_else(|error| panic!("{}: {name}: {error}", who.name()));
        times.insert(name, start.elapsed().as_secs_f64());
    };
    // What it takes to make them up is nobody's matter.
    let mut filling = Duration::ZERO;
    for first in (0..messages).step_by(TOGETHER) {
        let some: Vec<_> = (first..messages.min(first + TOGETHER)).map(|n| message(n, messages)).collect();
        let start = Instant::now();
        imap.append("INBOX", &some).unwrap_or_else(|error| panic!("{}: filled: {error}", who.name()));
        filling += start.elapsed();
    }
    times.insert("filled", filling.as_secs_f64());
    imap.command("LOGOUT").expect("a farewell");
    let mut imap = Imap::login(server.imap, None, &user(0)).expect("a login");
    timed(&mut times, "first synchronisation", &mut || {
        imap.command("SELECT INBOX")?;
        imap.command("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")?;
        let brought = imap.command("FETCH 1:* (UID BODY.PEEK[])")?;
        assert_eq!(brought.lines, messages, "messages");
        Ok(())
    });
    timed(&mut times, "SELECT", &mut || imap.command("SELECT INBOX").map(drop));
    let mut read = |name, work: &mut dyn FnMut() -> io::Result<()>| {
        let took = again(work).unwrap_or_else(|error| panic!("{}: {name}: {error}", who.name()));
        times.insert(name, took);
    };
    for (name, what) in FETCHES {
        read(name, &mut || {
            let brought = imap.command(&format!("FETCH 1:* {what}"))?;
            assert_eq!(brought.lines, messages, "{name}");
            Ok(())
        });
    }
    for (name, what) in SEARCHES {
        read(name, &mut || {
            let brought = imap.command(&format!("UID SEARCH {what}"))?;
            let found = brought.kept.first().map_or("", String::as_str);
            let right = !what.ends_with(NEEDLE) || found == format!("* SEARCH {messages}");
            assert!(right, "{name}: {found}");
            Ok(())
        });
    }
    timed(&mut times, NOOPS, &mut || (0..FLAGS).try_for_each(|_| imap.command("NOOP").map(drop)));
    timed(&mut times, "a flag of all messages", &mut || {
        imap.command("STORE 1:* +FLAGS.SILENT (\\Flagged)").map(drop)
    });
    timed(&mut times, ONE_BY_ONE, &mut || {
        (1..=FLAGS.min(messages))
            .try_for_each(|n| imap.command(&format!("STORE {n} +FLAGS (\\Seen)")).map(drop))
    });
    timed(&mut times, "new mail, 100 times", &mut || {
        let mut one = message(0, 2);
        (0..100).try_for_each(|n| {
            renumber(&mut one, NUMBERS + n);
            imap.append("INBOX", std::slice::from_ref(&one))
        })
    });
    drop(imap);
    indexed(&mut server, messages, &mut times);
    times
}

/// The searches in texts once more, where there is an index to be had; the last message but the new ones has the text.
fn indexed(server: &mut Server, messages: usize, times: &mut Times) {
    let start = Instant::now();
    let Some(octets) = server.index() else { return };
    times.insert(INDEXED[0].0, start.elapsed().as_secs_f64());
    println!("the index has {octets} octets");
    let mut imap = Imap::login(server.imap, None, &user(0)).expect("a login");
    imap.command("SELECT INBOX").expect("a mailbox");
    for (name, what) in &INDEXED[1..] {
        for _ in 0..2 {
            let start = Instant::now();
            let brought = imap.command(&format!("UID SEARCH {what}")).expect("a search");
            times.insert(name, start.elapsed().as_secs_f64());
            assert_eq!(
                brought.kept.first().map(String::as_str),
                Some(&*format!("* SEARCH {messages}")),
                "{name}"
            );
        }
    }
}

/// Memory of idle sessions with TLS: their number and KiB for each (PSS).
pub(super) fn idle(who: Who, count: usize) -> (usize, f64) {
    let mut server = Server::open(who, USERS);
    let roots = server.roots();
    let session = |number: usize| -> io::Result<Imap> {
        let tls = Some((&server.tls, iems_tests::iems::HOST));
        let mut imap = Imap::login(server.imaps, tls, &user(number % USERS))?;
        imap.command("SELECT INBOX")?;
        imap.idle()?;
        Ok(imap)
    };
    // The first login of each costs memory that is given back a little later.
    let first: Vec<_> = (0..USERS).map(session).collect();
    std::thread::sleep(Duration::from_secs(8));
    let before = watch::memory(&roots);
    let (start, mut held) = (Instant::now(), Vec::with_capacity(count));
    while held.len() < count && start.elapsed() < Duration::from_secs(60) {
        match session(held.len()) {
            Ok(imap) => held.push(imap),
            Err(error) => {
                println!("{}: session {}: {error}", who.name(), held.len());
                break;
            }
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    let after = watch::memory(&roots);
    drop(first);
    (held.len(), after.saturating_sub(before) as f64 / 1024.0 / held.len().max(1) as f64)
}

/// New mail announced to 100 idle sessions on one mailbox: milliseconds from the end of its delivery's data until each of
/// them knows, half of all and 99 of 100.
pub(super) fn announced(who: Who, rounds: usize) -> (f64, f64) {
    const SESSIONS: usize = 100;
    let server = Server::open(who, 1);
    let text = String::from_utf8(message(0, 2)).expect("ASCII");
    let gate = Barrier::new(SESSIONS + 1);
    let mut took: Vec<f64> = Vec::new();
    std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut imap = Imap::login(server.imap, None, &user(0)).expect("a login");
                    imap.command("SELECT INBOX").expect("an INBOX");
                    imap.idle().expect("IDLE");
                    let mut heard = Vec::with_capacity(rounds);
                    for _ in 0..rounds {
                        gate.wait();
                        imap.until(" EXISTS").expect("news");
                        heard.push(Instant::now());
                    }
                    heard
                })
            })
            .collect();
        let mut lmtp = Smtp::connect(server.lmtp);
        lmtp.command("LHLO bench.test").expect("a greeting");
        let mut sent = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            gate.wait();
            std::thread::sleep(Duration::from_millis(700));
            for line in ["MAIL FROM:<p1@loader.example>", &format!("RCPT TO:<{}>", user(0)), "DATA"] {
                lmtp.command(line).expect("an answer");
            }
            sent.push(Instant::now());
            assert_eq!(lmtp.command(&format!("{text}.")).expect("an answer").code, 250);
        }
        for session in sessions {
            let heard = session.join().expect("a session");
            took.extend(heard.iter().zip(&sent).map(|(heard, sent)| (*heard - *sent).as_secs_f64() * 1000.0));
        }
    });
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or(0.0);
    (at(50), at(99))
}
