//! Bad input: each kind gets the reply that the RFC names, costs a bounded amount, and harms nobody else.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use iems_tests::address;
use iems_tests::dialogue::play;
use iems_tests::iems::Iems;
use iems_tests::pop3::{read_all, wait_all};
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use iems_tests::wire::Wire;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const ANN: &str = "ann@example.test";

/// The server still does its work.
fn alive(site: &Iems) {
    deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "alive"));
}

/// Resident memory of the server, in MiB.
fn memory(site: &mut Iems) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.daemon().id())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

#[test]
fn every_dialogue_goes_as_written() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("dialogues").map(|e| e.expect("one").path()).collect();
    files.sort();
    assert!(files.len() > 10);
    let failures: Vec<String> = files.iter().filter_map(|file| play(file, &site).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    alive(&site);
    assert!(!std::fs::read_to_string(site.log()).expect("the log").contains("panicked"));
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_harm_nobody() {
    const IDLE: usize = 10_000;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .expect("as many files as allowed");
    assert!(limit.maximum.is_none_or(|n| n > IDLE as u64 + 500), "raise the limit of open files above 10500");
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[limits]\nconnections = 12000\n".to_owned();
    site.start();
    let before = memory(&mut site);
    let server = site.at("smtp");
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| TcpStream::connect(server).expect("a connection")).collect();
    // The last greeting says that all were let in.
    let mut last = [0; 3];
    let stream = idle.last().expect("the last one");
    stream.set_read_timeout(Some(secs(20))).expect("a timeout");
    std::io::Read::read_exact(&mut &*stream, &mut last).expect("a greeting");
    assert_eq!(&last, b"220");
    let start = Instant::now();
    alive(&site);
    wait_all(site.at("pop3"), ANN, "secret", 1);
    assert!(start.elapsed() < secs(10), "{:?} for one message", start.elapsed());
    let each = memory(&mut site).saturating_sub(before) * 1024 / IDLE as u64;
    assert!(each < 64, "{each} KiB for each idle connection");
    drop(idle);
    alive(&site);
}

#[test]
fn too_many_connections_are_told_so() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[limits]\nconnections = 5\n".to_owned();
    site.start();
    let server = site.at("smtp");
    let held: Vec<Smtp> = wait_for("five places", secs(10), || {
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut smtp = Smtp { wire: Wire::connect(server).ok()? };
            (smtp.reply().ok()?.code == 220).then(|| held.push(smtp))?;
        }
        Some(held)
    });
    let mut sixth = Smtp { wire: Wire::connect(server).expect("a connection") };
    match sixth.reply() {
        Ok(reply) => assert_eq!(reply.code, 421, "{reply:?}"),
        // One that is not even accepted waits until there is a place.
        Err(e) => panic!("no word: {e}"),
    }
    drop(held);
    wait_for("a place", secs(10), || {
        let mut smtp = Smtp { wire: Wire::connect(server).ok()? };
        (smtp.reply().ok()?.code == 220).then_some(())
    });
}

/// Sends all of it whether it is wanted or not, until the server closes; how much the server said.
fn swamp(to: std::net::SocketAddrV4, garbage: &[u8]) -> usize {
    let mut wire = Wire::connect(to).expect("a connection");
    let writer = wire.socket().try_clone().expect("a second handle");
    let garbage = garbage.to_vec();
    // The server may close at any moment: what is left unsaid does not matter.
    let thread = std::thread::spawn(move || (&writer).write_all(&garbage).is_ok());
    let said = wire.rest().expect("the server closes");
    thread.join().expect("no panic");
    said.len()
}

#[test]
fn garbage_in_any_amount_is_cut_off() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    alive(&site);
    let before = memory(&mut site);
    let mut seed = 1_u64;
    let garbage: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    })
    .take(4 << 20)
    .collect();
    std::thread::scope(|scope| {
        for protocol in ["smtp", "submission", "submissions", "lmtp", "pop3", "pop3s", "metrics"] {
            let (to, garbage) = (site.at(protocol), &garbage);
            scope.spawn(move || {
                let start = Instant::now();
                let said = swamp(to, garbage);
                assert!(said < 1 << 20, "{protocol}: {said} octets of answers");
                assert!(start.elapsed() < secs(15), "{protocol}: {:?}", start.elapsed());
            });
        }
    });
    let grown = memory(&mut site).saturating_sub(before);
    assert!(grown < 32, "{grown} MiB more after garbage");
    alive(&site);
}

#[test]
fn a_line_without_end_in_the_data_needs_no_memory() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    alive(&site);
    let before = memory(&mut site);
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    smtp.must("MAIL FROM:<c@example.com>", 250);
    smtp.must(&format!("RCPT TO:<{ANN}>"), 250);
    smtp.must("DATA", 354);
    let chunk = vec![b'x'; 1 << 20];
    // 80 MiB, more than a message may have; a server that has seen enough may close.
    let sent = (0..80).take_while(|_| smtp.wire.send(&chunk).is_ok()).count();
    let grown = memory(&mut site).saturating_sub(before);
    assert!(grown < 48, "{grown} MiB more for one line of {sent} MiB");
    let _ = smtp.wire.send(b"\r\n.\r\n");
    if let Ok(reply) = smtp.reply() {
        assert!(reply.code / 100 == 5, "{reply:?}");
    }
    alive(&site);
}

#[test]
fn the_silent_and_the_slow_are_asked_to_leave() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[limits]\nidle = \"2s\"\n".to_owned();
    site.start();
    let silent = std::thread::spawn({
        let server = site.at("smtp");
        move || {
            let mut smtp = Smtp::connect(server);
            let reply = smtp.reply().expect("a word before the end");
            (reply.code, smtp.wire.rest().is_ok())
        }
    });
    // A command that comes octet by octet, slower than anybody types, does not stay for ever.
    let mut slow = Smtp::connect(site.at("smtp"));
    let start = Instant::now();
    while start.elapsed() < secs(12) {
        if slow.wire.send(b"N").is_err() {
            break;
        }
        alive(&site);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(start.elapsed() < secs(12), "a slow command is waited for without end");
    assert_eq!(silent.join().expect("no panic"), (421, true));
}

/// Ends of data that are none, each behind a body and before a second transaction.
const FALSE_ENDS: &[&[u8]] = &[
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\n\n.\r\n",
    b"\r\r\n.\r\r\n",
    b"\n.\r\r\n",
    b"\r\n\x0b.\r\n",
    b"\r\n. \r\n",
    b"\r\n.\t\r\n",
    b"\r\n.\x1a\r\n",
    b"\r\n..\r\n",
    b"\x85.\x85",
    b"\r\n.\r\0\n",
    b"\0\r\n.\n",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
];

const HIDDEN: &[u8] = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\nSubject: hidden\r\n\r\nhidden\r\n";

/// Sends a body with a false end in it; whether it was taken.
fn smuggle(site: &Iems, listener: &str, hello: &str, to: &str, end: &[u8]) -> bool {
    let mut smtp = Smtp::connect(site.at(listener));
    smtp.must(hello, 250);
    smtp.must("MAIL FROM:<c@example.com>", 250);
    smtp.must(&format!("RCPT TO:<{to}>"), 250);
    smtp.must("DATA", 354);
    let text = [b"Subject: outer\r\n\r\nbody".as_slice(), end, HIDDEN, b"\r\n.\r\nQUIT\r\n"].concat();
    smtp.wire.send(&text).expect("sent");
    let reply = smtp.reply().expect("an answer to the data");
    let rest = String::from_utf8_lossy(&smtp.wire.rest().expect("the end")).into_owned();
    assert!(!rest.contains("354"), "{end:?} opened a second message: {rest}");
    assert!(rest.is_empty() || rest.starts_with("221") || rest.starts_with("421"), "{end:?}: {rest}");
    assert!(reply.code == 250 || reply.code / 100 == 5, "{end:?}: {reply:?}");
    reply.code == 250
}

#[test]
fn one_end_of_data_makes_one_message_whatever_the_spelling() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("*", sink.via());
    site.start();
    let (mut here, mut there) = (0, 0);
    for end in FALSE_ENDS {
        here += usize::from(smuggle(&site, "smtp", "EHLO client.example.test", ANN, end));
        here += usize::from(smuggle(&site, "lmtp", "LHLO client.example.test", ANN, end));
        there += usize::from(smuggle(&site, "smtp", "EHLO client.example.test", "b@far.example", end));
    }
    assert!(there > 0, "even dot-stuffed lines were refused");
    let read = wait_all(site.at("pop3"), ANN, "secret", here);
    let arrived = sink.wait(there, secs(15));
    let bodies = read.iter().chain(arrived.iter().map(|a| &a.body));
    for body in bodies {
        let text = String::from_utf8_lossy(body).into_owned();
        assert!(text.contains("Subject: outer") && text.contains("Subject: hidden"), "cut in two: {text}");
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(sink.arrived().len(), there);
    assert_eq!(read_all(site.at("pop3"), ANN, "secret").len(), here);
}

#[test]
fn a_peer_that_cuts_the_connection_leaves_nothing_behind() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    for cut in [
        "MAIL FROM:<c@example.com>\r\n",
        "MAIL FROM:<c@example.com>\r\nRCPT TO:<ann@example.test>\r\n",
        "MAIL FROM:<c@example.com>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\nSubject: cut\r\n\r\nhalf a mess",
        "MAIL FROM:<c@example.com>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\nSubject: cut\r\n\r\nhalf\r\n.\r",
        "MAIL FROM:<c@example.com>\r\nRCPT TO:<ann@example.test>\r\nBDAT 1000 LAST\r\nSubject: cut\r\n",
    ] {
        let mut smtp = Smtp::connect(site.at("smtp"));
        smtp.must("EHLO client.example.test", 250);
        smtp.wire.send(cut.as_bytes()).expect("sent");
        smtp.wire.socket().shutdown(std::net::Shutdown::Both).expect("cut");
    }
    alive(&site);
    let only = wait_all(site.at("pop3"), ANN, "secret", 1);
    assert!(String::from_utf8_lossy(&only[0]).contains("Subject: alive"));
    assert!(site.admin(&["queue", "list", "--json"]).good().json().as_array().is_some_and(Vec::is_empty));
}
