//! kill -9 in a loop under load: what got its 250 arrives exactly once here and at least once elsewhere,
//! what did not arrives at most once here, and nothing arrives in part.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::pop3::{Pop3, field};
use iems_tests::process::need;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::Smtp;
use iems_tests::wait::{secs, wait_for};
use iems_tests::wire::Wire;

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.net";
/// How often the server is killed.
const ROUNDS: usize = 8;

/// What the senders know: for each message, whether it got its 250.
#[derive(Default)]
struct Ledger {
    tried: Mutex<HashMap<usize, bool>>,
    next: AtomicUsize,
    stop: AtomicBool,
}

/// The recipients of a message: here, there, or both.
fn recipients(id: usize) -> &'static [&'static str] {
    [&[ANN] as &[&str], &[BOB], &[ANN, BOB]][id % 3]
}

/// A message that shows whether it is whole: everything in it follows from its number.
fn message(id: usize) -> Vec<u8> {
    let lines = [1, 3, 40, 700, 9000][id % 5];
    let body: String = (0..lines).map(|n| format!("{id} line {n}\r\n")).collect();
    format!("Subject: m{id}\r\n\r\n{body}end of {id}\r\n").into_bytes()
}

/// The number of a message that is whole.
fn whole(got: &[u8]) -> usize {
    let name = field(got, "Subject").expect("a subject");
    let id = name[1..].parse().expect("a number");
    assert!(got.ends_with(&message(id)), "{name} is not whole: {} octets", got.len());
    id
}

/// Sends until told to stop, on connections that the kills break.
fn sender(server: SocketAddrV4, ledger: &Ledger) {
    while !ledger.stop.load(Ordering::Relaxed) {
        // Between a kill and the next start nobody listens.
        if talk(server, ledger).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn talk(server: SocketAddrV4, ledger: &Ledger) -> io::Result<()> {
    let mut smtp = Smtp { wire: Wire::connect(server)? };
    smtp.reply()?;
    smtp.command("EHLO client.example.test")?;
    while !ledger.stop.load(Ordering::Relaxed) {
        let id = ledger.next.fetch_add(1, Ordering::Relaxed);
        ledger.tried.lock().expect("no panic").insert(id, false);
        let reply = smtp.send("c@example.com", recipients(id), &message(id))?;
        assert!(reply.code == 250 || reply.code / 100 == 4, "{reply:?}");
        if reply.code == 250 {
            ledger.tried.lock().expect("no panic").insert(id, true);
        }
    }
    Ok(())
}

/// How often each message is there; every one of them whole.
fn count<'a>(messages: impl Iterator<Item = &'a [u8]>) -> HashMap<usize, usize> {
    let mut counted = HashMap::new();
    messages.for_each(|message| *counted.entry(whole(message)).or_default() += 1);
    counted
}

fn mailbox(site: &Iems) -> Vec<Vec<u8>> {
    let mut pop = Pop3::connect(site.at("pop3"));
    pop.login(ANN, "secret");
    (1..=pop.count()).map(|n| pop.message(n)).collect()
}

fn empty(site: &Iems) -> bool {
    site.admin(&["queue", "list", "--json"]).good().json().as_array().is_some_and(Vec::is_empty)
}

#[test]
fn the_queue_survives_kills_under_load() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    site.start();
    let ledger = Arc::new(Ledger::default());
    let server = site.at("smtp");
    let senders = [(); 6].map(|()| {
        let ledger = Arc::clone(&ledger);
        std::thread::spawn(move || sender(server, &ledger))
    });
    for round in 0..ROUNDS {
        // Kills at different distances from the start, so that recovery itself is hit too.
        std::thread::sleep(Duration::from_millis([700, 150, 900, 40, 400, 1100, 10, 600][round % 8]));
        site.kill();
        site.launch();
        if round % 3 != 2 {
            site.wait_ready();
        }
    }
    site.wait_ready();
    std::thread::sleep(Duration::from_millis(300));
    ledger.stop.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().expect("a sender that saw no wrong answer"));
    wait_for("the queue to run empty", secs(40), || empty(&site).then_some(()));
    judge(&site, &sink, &ledger, 50);
}

/// Sends one message after the other until the server is gone.
fn until_it_dies(site: &mut Iems, ledger: &Ledger) {
    let server = site.at("smtp");
    let start = Instant::now();
    while site.daemon().ended().is_none() && start.elapsed() < secs(10) {
        // The connection breaks with the server.
        let _ = talk(server, ledger);
    }
    site.kill();
}

#[test]
fn a_kill_at_each_of_the_first_syncs_loses_nothing() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    site.config.listeners = vec!["smtp".to_owned(), "pop3".to_owned()];
    let ledger = Ledger::default();
    need("strace", "strace");
    for sync in 1..=12 {
        let fault = format!("inject=fsync,fdatasync:signal=KILL:when={sync}");
        site.under(&[
            "strace",
            "-D",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            &fault,
        ]);
        site.launch();
        until_it_dies(&mut site, &ledger);
    }
    site.under(&[]);
    site.start();
    wait_for("the queue to run empty", secs(40), || empty(&site).then_some(()));
    judge(&site, &sink, &ledger, 12);
}

fn judge(site: &Iems, sink: &Sink, ledger: &Ledger, least: usize) {
    let (mailbox, arrived) = (mailbox(site), sink.arrived());
    let here = count(mailbox.iter().map(Vec::as_slice));
    let there = count(arrived.iter().map(|a| a.body.as_slice()));
    let tried = ledger.tried.lock().expect("no panic");
    let accepted = tried.iter().filter(|(_, got)| **got).count();
    assert!(accepted > least, "only {accepted} messages were accepted: no load");
    for (&id, &accepted) in tried.iter() {
        let (here, there) = (here.get(&id).copied().unwrap_or(0), there.get(&id).copied().unwrap_or(0));
        let (wants_here, wants_there) = (recipients(id).contains(&ANN), recipients(id).contains(&BOB));
        assert!(here <= usize::from(wants_here), "m{id} is {here} times in the mailbox");
        assert!(wants_there || there == 0, "m{id} was sent where nobody wanted it");
        assert!(!accepted || !wants_here || here == 1, "m{id} got its 250 and is not in the mailbox");
        assert!(!accepted || !wants_there || there >= 1, "m{id} got its 250 and was not relayed");
        // All recipients of a message are taken in one commit, or none is.
        assert!(
            !(wants_here && wants_there) || (here == 1) == (there >= 1),
            "m{id}: {here} here, {there} there"
        );
    }
}
