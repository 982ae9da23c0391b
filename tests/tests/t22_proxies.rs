//! Behind a proxy: the address in its header counts, before TLS too; a stranger's header is not obeyed; and whoever talks before the greeting is turned away.

use std::net::Ipv4Addr;

use iems_tests::iems::Iems;
use iems_tests::pop3::wait_all;
use iems_tests::smtp::{Smtp, letter};
use iems_tests::wait::secs;
use iems_tests::wire::Wire;

const ANN: &str = "ann@example.test";
const PROXY: Ipv4Addr = Ipv4Addr::new(127, 77, 2, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 77, 2, 2);

/// Version 2 with this command, for IPv4.
fn second(command: u8, source: [u8; 4]) -> Vec<u8> {
    let [a, b, c, d] = source;
    let addresses = [a, b, c, d, 127, 0, 0, 1, 0x30, 0x39, 0, 25, 4, 0, 1, 0];
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, 0x11, 0, 16], &addresses].concat()
}

/// A site whose every listener is behind `PROXY`, and a rule that turns one address away.
fn site() -> Iems {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[[access]]\nnetwork = \"203.0.113.66\"\naction = \"deny\"\ntext = \"not you; ask your postmaster\"\n".into();
    site.config.listener = format!("proxies = [\"{PROXY}\"]");
    site.start();
    site
}

fn first_line(site: &Iems, from: Ipv4Addr, protocol: &str, header: &[u8]) -> String {
    let mut wire = Wire::connect_from(from, site.at(protocol)).expect("a connection");
    wire.patience(secs(20));
    wire.send(header).expect("a header");
    String::from_utf8_lossy(&wire.line().unwrap_or_default()).into_owned()
}

#[test]
fn the_address_in_the_header_counts() {
    let site = site();
    let line = |source: &str| format!("PROXY TCP4 {source} 127.0.0.1 40000 25\r\n").into_bytes();
    for (protocol, good, bad) in
        [("smtp", "220", "554 5.7.1 not you"), ("pop3", "+OK", "-ERR [SYS/PERM] not you")]
    {
        for header in [
            line("203.0.113.7"),
            second(0x21, [203, 0, 113, 7]),
            second(0x20, [203, 0, 113, 66]),
            b"PROXY UNKNOWN\r\n".to_vec(),
        ] {
            let said = first_line(&site, PROXY, protocol, &header);
            assert!(said.starts_with(good), "{protocol} {header:?}: {said}");
        }
        for header in [line("203.0.113.66"), second(0x21, [203, 0, 113, 66])] {
            let said = first_line(&site, PROXY, protocol, &header);
            assert!(said.starts_with(bad), "{protocol} {header:?}: {said}");
        }
        for header in [
            &b"EHLO client.example\r\n"[..],
            b"PROXY TCP4 x y 1 2\r\n",
            b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2 3\r\n",
        ] {
            assert_eq!(first_line(&site, PROXY, protocol, header), "", "{protocol} {header:?}: hung up");
        }
        let said = first_line(&site, STRANGER, protocol, &line("203.0.113.66"));
        assert!(said.starts_with(good), "a stranger is who it is: {protocol}: {said}");
    }
}

#[test]
fn the_trace_has_the_address_in_the_header_and_tls_begins_behind_it() {
    let site = site();
    let mut wire = Wire::connect_from(PROXY, site.at("smtp")).expect("a connection");
    wire.send(b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 25\r\n").expect("a header");
    let mut smtp = Smtp::greeted(wire);
    smtp.must("EHLO client.example", 250);
    let sent =
        smtp.send("c@client.example", &[ANN], &letter("c@client.example", ANN, "by proxy")).expect("a reply");
    assert!(sent.text().contains("queued as"), "{}", sent.text());
    let got = String::from_utf8(wait_all(site.at("pop3"), ANN, "secret", 1).remove(0)).expect("text");
    assert!(got.contains("[203.0.113.7]") && !got.contains(&PROXY.to_string()), "{got}");
    for protocol in ["submissions", "pop3s"] {
        let mut wire = Wire::connect_from(PROXY, site.at(protocol)).expect("a connection");
        wire.send(&second(0x21, [203, 0, 113, 7])).expect("a header");
        wire.start_tls(site.certificates.client(), "mx.example.test").expect("TLS behind the header");
        let line = wire.line().expect("a greeting");
        assert!(line.starts_with(b"220") || line.starts_with(b"+OK"), "{line:?}");
    }
}

#[test]
fn whoever_talks_before_the_greeting_is_turned_away_and_then_banned() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[limits]\ngreeting_delay = \"2s\"\n[[limit]]\nof = \"breaches\"\nper = \"address\"\nmost = \"2/1h\"\nban = \"1h\"\nban_after = 1\nexcept = []\n".into();
    site.start();
    for _ in 0..2 {
        let said = first_line(&site, STRANGER, "smtp", b"EHLO client.example\r\n");
        assert!(said.starts_with("554 5.5.1 you talked before the greeting"), "{said}");
    }
    for _ in 0..3 {
        let said = first_line(&site, STRANGER, "smtp", b"EHLO client.example\r\n");
        assert!(said.starts_with("421 4.7.0"), "{said}");
    }
    assert!(first_line(&site, STRANGER, "pop3", b"").starts_with("-ERR"), "the ban is one for all");
    assert!(first_line(&site, PROXY, "smtp", b"").starts_with("220"), "who waits is greeted");
    let mut hasty = Wire::connect_from(PROXY, site.at("smtp")).expect("a connection");
    hasty.patience(secs(20));
    assert!(hasty.line().expect("a greeting").starts_with(b"220"));
    hasty.send(b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n").expect("commands");
    assert!(hasty.line().expect("a reply").starts_with(b"250"));
    assert!(site.admin(&["limits", "list"]).good().out.contains("breaches per address"));
}

#[test]
fn a_trusted_host_speaks_for_others_and_a_stranger_does_not() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more =
        "[[access]]\nnetwork = \"203.0.113.66\"\naction = \"deny\"\ntext = \"not you; ask your postmaster\"\n[[access]]\nhost = \"*.bad.example\"\naction = \"defer\"\n".into();
    site.config.listeners.retain(|protocol| !protocol.starts_with("pop3"));
    site.config.listener = format!("xclient = [\"{PROXY}\"]");
    site.start();
    let from = |address| Smtp::greeted(Wire::connect_from(address, site.at("smtp")).expect("a connection"));
    let mut trusted = from(PROXY);
    assert!(trusted.must("EHLO filter.example", 250).text().contains("XCLIENT NAME ADDR PORT"));
    trusted.must("XCLIENT ADDR=203.0.113.7 LOGIN=ann", 501);
    trusted.must("XCLIENT ADDR=203.0.113.7 NAME=client.example PORT=40000", 220);
    trusted.must("MAIL FROM:<c@client.example>", 503);
    trusted.must("EHLO hello.example", 250);
    trusted.must("MAIL FROM:<c@client.example>", 250);
    trusted.must("XCLIENT ADDR=203.0.113.8", 503);
    // Loopback may relay here; whom it speaks for may not.
    trusted.must("RCPT TO:<x@elsewhere.example>", 550);
    trusted.must("RSET", 250);
    let sent = trusted.send("c@client.example", &[ANN], &letter("c@client.example", ANN, "for another"));
    let sent = sent.expect("a reply").text();
    assert!(sent.contains("queued as"), "{sent}");
    trusted.must("XCLIENT ADDR=203.0.113.66", 554);
    let mut named = from(PROXY);
    named.must("XCLIENT ADDR=IPV6:2001:db8::1 NAME=x.bad.example", 421);
    let mut stranger = from(STRANGER);
    assert!(!stranger.must("EHLO stranger.example", 250).text().contains("XCLIENT"));
    stranger.must("XCLIENT ADDR=203.0.113.7", 550);
    let log = std::fs::read_to_string(site.log()).expect("the log");
    assert!(log.contains("speaks for somebody else"), "{log}");
    site.config.listeners.push("pop3".into());
    site.config.listener.clear();
    site.stop();
    site.start();
    let got = String::from_utf8(wait_all(site.at("pop3"), ANN, "secret", 1).remove(0)).expect("text");
    assert!(got.contains("client.example [203.0.113.7]") && got.contains("hello.example"), "{got}");
}
