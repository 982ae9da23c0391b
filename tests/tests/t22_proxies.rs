//! Behind a proxy: the address in its header counts, before TLS too; a stranger's header is not obeyed; and whoever talks before the greeting is turned away.

use std::net::{Ipv4Addr, SocketAddrV4};

use iems_tests::iems::Iems;
use iems_tests::peers::haproxy::Haproxy;
use iems_tests::peers::postfix::Postfix;
use iems_tests::pop3::{field, wait_all};
use iems_tests::smtp::{Smtp, letter};
use iems_tests::wait::{secs, wait_for};
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
    site.config.listeners.retain(|protocol| !protocol.starts_with("pop3") && !protocol.starts_with("imap"));
    site.config.listener = format!("xclient = [\"{PROXY}\"]");
    site.start();
    let from = |address| Smtp::greeted(Wire::connect_from(address, site.at("smtp")).expect("a connection"));
    let mut trusted = from(PROXY);
    assert!(trusted.must("EHLO filter.example", 250).text().contains("XCLIENT NAME ADDR PORT"));
    trusted.must("XCLIENT ADDR=203.0.113.7 WHO=ann", 501);
    trusted.must("XCLIENT ADDR=203.0.113.7 LOGIN=nobody@example.test", 550);
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
    // It may say all that the other has said to it; then the other is an account here.
    let all = "XCLIENT ADDR=203.0.113.9 HELO=said.example PROTO=ESMTP LOGIN=ann@example.test DESTADDR=192.0.2.1 DESTPORT=25";
    trusted.must(all, 220);
    trusted.must("MAIL FROM:<ben@example.test>", 553);
    trusted.must("MAIL FROM:<ann@example.test>", 250);
    trusted.must("RCPT TO:<x@elsewhere.example>", 250);
    trusted.must("RSET", 250);
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

/// Sends from an address of this machine.
fn send_from(from: Ipv4Addr, to: SocketAddrV4, helo: &str, recipient: &str, subject: &str) -> String {
    let mut smtp = Smtp::greeted(Wire::connect_from(from, to).expect("a connection"));
    smtp.must(&format!("EHLO {helo}"), 250);
    let sent = smtp.send("c@client.example", &[recipient], &letter("c@client.example", recipient, subject));
    let sent = sent.expect("a reply");
    assert_eq!(sent.code, 250, "{sent:?}");
    sent.text()
}

#[test]
fn haproxy_says_whose_a_connection_is() {
    let site = site();
    let (smtp, pop3, tls) = (site.at("smtp"), site.at("pop3"), site.at("submissions"));
    let ways = [
        (smtp, "send-proxy"),
        (smtp, "send-proxy-v2"),
        (pop3, "send-proxy-v2"),
        (tls, "send-proxy-v2"),
        (smtp, ""),
    ];
    let proxy = Haproxy::start(PROXY, &ways);
    for (way, subject) in [(0, "one"), (1, "two")] {
        send_from(STRANGER, proxy.at[way], "client.example", ANN, subject);
    }
    let mut read = Vec::new();
    wait_for("both messages", secs(15), || {
        read = iems_tests::pop3::read_all(proxy.at[2], ANN, "secret");
        (read.len() == 2).then_some(())
    });
    for message in &read {
        let received = field(message, "Received").expect("a Received field");
        assert!(
            received.contains(&format!("[{STRANGER}]")) && !received.contains(&PROXY.to_string()),
            "{received}"
        );
    }
    let mut wire = Wire::connect_from(STRANGER, proxy.at[3]).expect("a connection");
    wire.start_tls(site.certificates.client(), "mx.example.test").expect("TLS through the proxy");
    assert!(wire.line().expect("a greeting").starts_with(b"220"));
    // One that does not say is hung up on.
    let mut silent = Wire::connect_from(STRANGER, proxy.at[4]).expect("a connection");
    silent.patience(secs(20));
    silent.send(b"EHLO client.example\r\n").expect("sent");
    assert!(silent.line().is_err());
    let log = std::fs::read_to_string(site.log()).expect("the log");
    assert!(log.contains("hung up on a proxy"), "{log}");
}

#[test]
fn postfix_tells_us_where_mail_came_in_and_we_tell_it() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.listener = "xforward = [\"127.0.0.0/8\"]".into();
    site.config.listeners.retain(|protocol| protocol == "smtp");
    site.start();
    let smtp = site.at("smtp");
    let filter = Postfix::start(&format!(
        "transport_maps = inline:{{ {{ example.test = smtp:[{}]:{} }} }}\nsmtp_send_xforward_command = yes\n",
        smtp.ip(),
        smtp.port()
    ));
    send_from(STRANGER, filter.at, "first.example", ANN, "by way of Postfix");
    let id = wait_for("the message", secs(15), || {
        let log = std::fs::read_to_string(site.log()).ok()?;
        let line = log.lines().find(|line| line.contains("accepted id="))?;
        line.split("accepted id=").nth(1)?.split_whitespace().next().map(str::to_owned)
    });
    let story = site.admin(&["explain", &id]).good().out;
    let told = story.lines().find(|line| line.contains("passed on for")).unwrap_or_else(|| panic!("{story}"));
    for part in [&format!("[{STRANGER}]:"), "as first.example", "by ESMTP", "known there as "] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // The other way, twice over one connection.
    let far = Postfix::start("smtpd_authorized_xforward_hosts = 127.0.0.0/8\n");
    site.stop();
    site.config.listener.clear();
    site.config.route("example.org", format!("smtp:{}", far.at));
    site.config.more =
        "[[peer]]\ndomain = \"*\"\nxforward = true\nconcurrency = 1\ninitial_concurrency = 1\n".into();
    site.start();
    for user in ["user1@example.org", "user2@example.org"] {
        send_from(STRANGER, site.at("smtp"), "second.example", user, "to Postfix");
    }
    wait_for("both messages at Postfix", secs(15), || {
        ["user1", "user2"].iter().all(|user| far.messages(user).len() == 1).then_some(())
    });
    let log = far.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("orig_client=")).collect();
    assert_eq!(told.len(), 2, "{log}");
    assert!(told.iter().all(|line| line.contains(&format!("[{STRANGER}]"))), "{told:?}");
    let ids = ["user1", "user2"].map(|user| {
        let text = String::from_utf8_lossy(&far.messages(user)[0]).into_owned();
        let ours =
            text.split(" with ESMTP id ").nth(2).or_else(|| text.split(" id ").nth(2)).unwrap_or_default();
        ours.split_whitespace().next().unwrap_or_default().trim_end_matches(';').to_owned()
    });
    assert!(ids.iter().all(|id| log.contains(&format!("orig_queue_id={id}"))), "{ids:?} {log}");
}

#[test]
fn what_is_said_of_a_message_gives_no_right() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.listener = format!("xclient = [\"{PROXY}\"]\nxforward = [\"{PROXY}\"]");
    site.config.listeners.retain(|protocol| protocol == "smtp");
    site.start();
    let from = |address| Smtp::greeted(Wire::connect_from(address, site.at("smtp")).expect("a connection"));
    let mut inside = from(PROXY);
    assert!(
        inside
            .must("EHLO filter.example", 250)
            .text()
            .contains("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")
    );
    // For somebody who may not relay; that its mail first came from loopback changes nothing.
    inside.must("XCLIENT ADDR=203.0.113.7", 220);
    inside.must("EHLO client.example", 250);
    inside.must("XFORWARD ADDR=127.0.0.1 SOURCE=LOCAL NAME=[UNAVAILABLE] HELO=a+20b", 501);
    inside.must("XFORWARD ADDR=127.0.0.1 SOURCE=LOCAL NAME=[UNAVAILABLE] IDENT=x+2By", 250);
    inside.must("MAIL FROM:<c@client.example>", 250);
    inside.must("XFORWARD ADDR=127.0.0.1", 503);
    inside.must("RCPT TO:<x@elsewhere.example>", 550);
    inside.must("RSET", 250);
    let mut stranger = from(STRANGER);
    assert!(!stranger.must("EHLO stranger.example", 250).text().contains("XFORWARD"));
    stranger.must("XFORWARD ADDR=203.0.113.7", 550);
}
