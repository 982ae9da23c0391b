//! Limits: whoever does too much is slowed, refused and banned, by every listener alike; the server says which limit it was, and forgets in time.

use std::net::Ipv4Addr;
use std::time::Instant;

use iems_tests::iems::Iems;
use iems_tests::smtp::Smtp;
use iems_tests::wait::{secs, wait_for};
use iems_tests::wire::Wire;
use rustix::process::Signal;

const ANN: &str = "ann@example.test";
const GUEST: Ipv4Addr = Ipv4Addr::new(127, 77, 1, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 78, 1, 7);

/// The first line that a listener says to somebody.
fn greeting(site: &Iems, from: Ipv4Addr, protocol: &str) -> String {
    let mut wire = Wire::connect_from(from, site.at(protocol)).expect("a connection");
    String::from_utf8_lossy(&wire.line().unwrap_or_default()).into_owned()
}

fn listed(site: &Iems, what: &str) -> bool {
    site.admin(&["limits", "list", "--json"]).good().out.contains(what)
}

#[test]
fn too_many_messages_end_in_a_ban_at_every_listener() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[[limit]]\nof = \"messages\"\nper = \"address\"\nmost = \"4/1h\"\nslow = \"1s\"\nban = \"1h\"\nban_after = 2\nexcept = []\n".into();
    site.start();
    let mut guest = Smtp::greeted(Wire::connect_from(GUEST, site.at("smtp")).expect("a connection"));
    guest.must("EHLO guest.example", 250);
    let start = Instant::now();
    for _ in 0..4 {
        guest.must("MAIL FROM:<a@guest.example>", 250);
        guest.must("RSET", 250);
    }
    assert!(start.elapsed() >= std::time::Duration::from_millis(1400), "it was slowed down");
    for _ in 0..2 {
        let reply = guest.must("MAIL FROM:<a@guest.example>", 450).text();
        assert!(reply.contains("4.7.1") && reply.contains("too many messages by your address"), "{reply}");
    }
    guest.must("MAIL FROM:<a@guest.example>", 450);
    guest.must("MAIL FROM:<a@guest.example>", 421);
    let turned_away = greeting(&site, GUEST, "smtp");
    assert!(turned_away.starts_with("421 4.7.0 your address did too much"), "{turned_away}");
    assert!(greeting(&site, GUEST, "submission").starts_with("421 4.7.0"));
    assert!(greeting(&site, GUEST, "pop3").starts_with("-ERR [SYS/TEMP] your address"));
    assert!(greeting(&site, OTHER, "smtp").starts_with("220"), "others come in");
    let told = site.admin(&["limits", "list"]).good().out;
    for wanted in ["messages per address, 4/1h", "127.77.1.7", "iems.toml:", "limits.connections_per_address"]
    {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    drop(guest);
    site.stop();
    site.start();
    assert!(greeting(&site, GUEST, "smtp").starts_with("421 4.7.0"), "a restart forgets no ban");
    site.admin(&["limits", "clear", "127.77.1.7"]).good();
    assert!(greeting(&site, GUEST, "smtp").starts_with("220"), "until it is lifted");
    site.admin(&["limits", "ban", "127.77.0.0/16", "--for", "1h", "--reason", "for a test"]).good();
    assert!(greeting(&site, GUEST, "pop3").starts_with("-ERR"));
    site.stop();
    assert!(listed(&site, "for a test"), "bans are known while no server runs");
    site.admin(&["limits", "clear", "--all"]).good();
    assert!(!listed(&site, "for a test"));
    site.start();
    assert!(greeting(&site, GUEST, "smtp").starts_with("220"));
}

#[test]
fn rules_decide_who_comes_in_and_change_while_it_runs() {
    let mut site = Iems::with_accounts(&[ANN]);
    let rules = "[[access]]\nnetwork = \"127.77.1.7\"\naction = \"allow\"\n\
        [[access]]\nnetwork = \"127.77.0.0/16\"\naction = \"deny\"\ntext = \"not from there\"\n\
        [[access]]\nnetwork = \"127.78.0.0/16\"\naction = \"defer\"\non = \"smtp\"\n\
        [[access]]\nnetwork = \"127.79.0.0/16\"\naction = \"slow\"\ndelay = \"2s\"\n";
    site.config.more = rules.into();
    site.start();
    assert!(greeting(&site, GUEST, "smtp").starts_with("220"), "the first rule decides");
    let denied = greeting(&site, Ipv4Addr::new(127, 77, 1, 8), "smtp");
    assert!(denied.starts_with("554 5.7.1 not from there"), "{denied}");
    assert!(
        greeting(&site, Ipv4Addr::new(127, 77, 1, 8), "pop3").starts_with("-ERR [SYS/PERM] not from there")
    );
    assert!(greeting(&site, OTHER, "smtp").starts_with("421 4.7.1"));
    assert!(greeting(&site, OTHER, "submission").starts_with("220"), "only at smtp");
    let start = Instant::now();
    assert!(greeting(&site, Ipv4Addr::new(127, 79, 1, 1), "smtp").starts_with("220"));
    assert!(start.elapsed() >= secs(2), "a slow greeting");
    assert!(listed(&site, "[[access]]"), "whom rules turn away is listed");
    site.config.more.clear();
    site.write();
    site.daemon().signal(Signal::HUP);
    wait_for("the rules to be gone", secs(10), || {
        greeting(&site, OTHER, "smtp").starts_with("220").then_some(())
    });
}

#[test]
fn whoever_guesses_is_locked_out_and_not_the_owner() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[[limit]]\nof = \"failures\"\nper = \"login\"\nmost = \"3/1h\"\nexcept = []\n".into();
    site.start();
    let session = |from: Ipv4Addr| {
        let mut smtp = Smtp::greeted(Wire::connect_from(from, site.at("submission")).expect("a connection"));
        smtp.must("EHLO guest.example", 250);
        smtp
    };
    // A program with an old password tries it again and again, and locks nobody out.
    for guess in ["old", "old", "old", "old", "a", "old", "b"] {
        let refused = session(GUEST).auth_plain(ANN, guess).expect("a reply");
        assert_eq!(refused.code, 535, "{refused:?}");
    }
    // Even the right password opens nothing to a guesser, who could tell it by that; nor by another protocol.
    let locked = session(GUEST).auth_plain(ANN, "secret").expect("a reply");
    assert!(locked.code == 454 && locked.text().contains("too many failed logins"), "{locked:?}");
    let mut pop3 = Wire::connect_from(GUEST, site.at("pop3")).expect("a connection");
    for (command, answer) in
        [("", "+OK"), ("USER ann@example.test\r\n", "+OK"), ("PASS a guess\r\n", "-ERR [SYS/TEMP] too")]
    {
        pop3.send(command.as_bytes()).expect("sent");
        let line = String::from_utf8_lossy(&pop3.line().unwrap_or_default()).into_owned();
        assert!(line.starts_with(answer), "{command:?}: {line}");
    }
    let owner = session(OTHER).auth_plain(ANN, "secret").expect("a reply");
    assert_eq!(owner.code, 235, "{owner:?}");
    assert!(site.admin(&["limits", "list"]).good().out.contains("failures per login"));
}

#[test]
fn who_is_here_is_said_to_whom_the_administrator_wants() {
    let mut site = Iems::with_accounts(&[ANN]);
    for (vrfy, stranger, known) in [("off", 252, 252), ("authenticated", 252, 250), ("local", 250, 250)] {
        site.config.more = format!("[limits]\nvrfy = \"{vrfy}\"\n");
        site.start();
        let mut smtp = Smtp::connect(site.at("smtp"));
        smtp.must("EHLO client.example", 250);
        smtp.must(&format!("VRFY {ANN}"), stranger);
        smtp.must("VRFY nobody@example.test", if stranger == 250 { 550 } else { 252 });
        let mut user = Smtp::connect(site.at("submission"));
        user.must("EHLO client.example", 250);
        assert_eq!(user.auth_plain(ANN, "secret").expect("an answer").code, 235);
        user.must(&format!("VRFY <{ANN}>"), known);
        user.must("VRFY nobody@example.test", if known == 250 { 550 } else { 252 });
        site.stop();
    }
}
