//! Whoever sits between two systems before TLS begins may put in commands and replies: before STARTTLS, in the same packet, between it and
//! the handshake, and behind it. None is obeyed, by any protocol, on either side.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use iems_tests::address;
use iems_tests::iems::{HOST, Iems};
use iems_tests::pop3::{Pop3, wait_all};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use iems_tests::wire::Wire;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

const ANN: &str = "ann@example.test";
/// A whole message, as somebody in between would put it in.
const EVIL: &str = "MAIL FROM:<evil@far.example>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n";

/// A protocol of mail that comes in: its name, its greeting, and a login where one is needed.
const DOORS: [(&str, &str, bool); 3] =
    [("smtp", "EHLO", false), ("submission", "EHLO", true), ("lmtp", "LHLO", false)];

fn reply(wire: &mut Wire) -> String {
    loop {
        let line = String::from_utf8_lossy(&wire.line().expect("a reply")).into_owned();
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    }
}

/// Connects, and says hello in the clear.
fn hello(site: &Iems, protocol: &str, verb: &str) -> Wire {
    let mut wire = Wire::connect(site.at(protocol)).expect("a connection");
    assert!(reply(&mut wire).starts_with("220"), "{protocol}");
    wire.send(format!("{verb} client.example.test\r\n").as_bytes()).expect("sent");
    assert!(reply(&mut wire).starts_with("250"), "{protocol}");
    wire
}

/// What the server says until it hangs up.
fn rest(wire: &mut Wire) -> String {
    String::from_utf8_lossy(&wire.rest().unwrap_or_default()).into_owned()
}

#[test]
fn commands_put_in_around_starttls_are_not_obeyed() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let tls = site.certificates.client();
    for (protocol, verb, login) in DOORS {
        // Before: an open transaction does not live on under TLS, nor does the name.
        let mut wire = hello(&site, protocol, verb);
        wire.send(b"MAIL FROM:<evil@far.example>\r\nRCPT TO:<ann@example.test>\r\n").expect("sent");
        let (mail, _) = (reply(&mut wire), reply(&mut wire));
        assert_eq!(mail.starts_with("250"), !login, "{protocol}: {mail}");
        wire.send(b"STARTTLS\r\n").expect("sent");
        assert!(reply(&mut wire).starts_with("220"), "{protocol}");
        wire.start_tls(tls.clone(), HOST).expect("a handshake");
        for command in ["DATA", "RCPT TO:<ann@example.test>", "BDAT 0 LAST", "MAIL FROM:<evil@far.example>"] {
            wire.send(format!("{command}\r\n").as_bytes()).expect("sent");
            let said = reply(&mut wire);
            assert!(said.starts_with("503"), "{protocol}: {command}: {said}");
        }
        // In the same packet, whole or in part, with or without the end of the line in it: no TLS, no more words.
        for tail in [EVIL, "MAIL FR", "\r\n", "NOOP\r\n", "\n", "\0", "STARTTLS\r\n"] {
            let mut wire = hello(&site, protocol, verb);
            wire.send(format!("STARTTLS\r\n{tail}").as_bytes()).expect("sent");
            let said = rest(&mut wire);
            assert!(
                said.starts_with("503 5.5.1") && said.lines().count() == 1,
                "{protocol}: {tail:?}: {said}"
            );
        }
        // Between the reply and the handshake, and instead of it.
        for tail in [EVIL, "NOOP\r\n", "\x16\x03\x01\u{1}"] {
            let mut wire = hello(&site, protocol, verb);
            wire.send(b"STARTTLS\r\n").expect("sent");
            assert!(reply(&mut wire).starts_with("220"), "{protocol}");
            wire.send(tail.as_bytes()).expect("sent");
            wire.socket().shutdown(std::net::Shutdown::Write).expect("shut down");
            let said = rest(&mut wire);
            assert!(!said.contains("250") && !said.contains("354"), "{protocol}: {tail:?}: {said}");
        }
        // After: what is not of the TLS session ends it.
        let mut wire = hello(&site, protocol, verb);
        wire.send(b"STARTTLS\r\n").expect("sent");
        reply(&mut wire);
        wire.start_tls(tls.clone(), HOST).expect("a handshake");
        let mut socket = wire.socket();
        socket.write_all(format!("{verb} x\r\n{EVIL}").as_bytes()).expect("sent");
        assert!(wire.line().is_err(), "{protocol}: no word more");
    }
    // Under TLS from the start there is no STARTTLS, and what comes in the clear is none.
    let mut wire = Wire::connect(site.at("submissions")).expect("a connection");
    wire.send(format!("EHLO x\r\n{EVIL}").as_bytes()).expect("sent");
    assert!(!rest(&mut wire).contains("250"));
    let mut smtp = Smtp::connect_tls(site.at("submissions"), tls, HOST);
    assert_eq!(smtp.command("STARTTLS").expect("a reply").code, 503);

    deliver(site.at("smtp"), "ben@far.example", ANN, &letter("ben@far.example", ANN, "good"));
    let read = wait_all(site.at("pop3"), ANN, "secret", 1);
    assert!(String::from_utf8_lossy(&read[0]).contains("Subject: good"));
    assert_eq!(site.admin(&["queue", "list", "--json"]).good().json(), serde_json::json!([]));
}

#[test]
fn commands_put_in_around_stls_are_not_obeyed() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    deliver(site.at("smtp"), "ben@far.example", ANN, &letter("ben@far.example", ANN, "kept"));
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let tls = site.certificates.client();
    let evil = "USER ann@example.test\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n";
    let open = || Pop3::connect(site.at("pop3"));
    // Before: a name that was said is forgotten.
    let mut pop = open();
    pop.must("USER ann@example.test");
    pop.start_tls(tls.clone(), HOST);
    let said = pop.command("PASS secret").expect("a reply");
    assert!(said.starts_with("-ERR"), "{said}");
    // Whoever has logged in cannot begin TLS any more.
    let mut pop = wait_for("the mailbox to be free", secs(10), || {
        let mut pop = open();
        pop.must("USER ann@example.test");
        pop.command("PASS secret").expect("a reply").starts_with("+OK").then_some(pop)
    });
    assert!(pop.command("STLS").expect("a reply").starts_with("-ERR"));
    drop(pop);
    // In the same packet.
    for tail in [evil, "USER an", "\r\n", "CAPA\r\n", "\n", "STLS\r\n"] {
        let mut pop = open();
        pop.wire.send(format!("STLS\r\n{tail}").as_bytes()).expect("sent");
        let said = rest(&mut pop.wire);
        assert!(said.starts_with("-ERR") && said.lines().count() == 1, "{tail:?}: {said}");
    }
    // Between the reply and the handshake.
    for tail in [evil, "CAPA\r\n"] {
        let mut pop = open();
        pop.must("STLS");
        pop.wire.send(tail.as_bytes()).expect("sent");
        pop.wire.socket().shutdown(std::net::Shutdown::Write).expect("shut down");
        assert!(!rest(&mut pop.wire).contains("+OK"), "{tail:?}");
    }
    // After.
    let mut pop = open();
    pop.start_tls(tls, HOST);
    let mut socket = pop.wire.socket();
    socket.write_all(evil.as_bytes()).expect("sent");
    assert!(pop.wire.line().is_err(), "no word more");
    drop(pop);
    assert_eq!(wait_all(site.at("pop3"), ANN, "secret", 1).len(), 1);
}

/// A server whose replies somebody adds to, for one connection: what it read under TLS.
struct Tampered {
    at: SocketAddrV4,
    heard: JoinHandle<std::io::Result<String>>,
}

impl Tampered {
    /// `behind` is put in behind the reply to STARTTLS, in the same packet.
    fn start(ip: Ipv4Addr, site: &Iems, behind: &'static str) -> Self {
        let chain = CertificateDer::pem_file_iter(&site.certificates.certificate).expect("a file");
        let chain: Vec<_> = chain.collect::<Result<_, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&site.certificates.key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        let socket = TcpListener::bind((ip, 2525)).expect("a port");
        let heard = std::thread::spawn(move || {
            let (stream, _) = socket.accept()?;
            serve(stream, Arc::new(config), behind)
        });
        Self { at: SocketAddrV4::new(ip, 2525), heard }
    }
}

/// Offers more in the clear than under TLS, and takes one message.
fn serve(mut stream: TcpStream, config: Arc<ServerConfig>, behind: &str) -> std::io::Result<String> {
    stream.write_all(b"220 mx\r\n")?;
    let mut lines = BufReader::new(stream.try_clone()?);
    for answer in ["250-mx\r\n250-SIZE\r\n250 STARTTLS\r\n".to_owned(), format!("220 go\r\n{behind}")] {
        lines.read_line(&mut String::new())?;
        stream.write_all(answer.as_bytes())?;
    }
    let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = BufReader::new(StreamOwned::new(session, stream));
    let mut heard = String::new();
    loop {
        let mut line = String::new();
        if tls.read_line(&mut line)? == 0 {
            return Ok(heard);
        }
        heard.push_str(&line);
        let answer: &[u8] = match line.trim_end() {
            "." => b"250 2.0.0 really\r\n",
            "QUIT" => b"221 bye\r\n",
            "DATA" => b"354 go\r\n",
            text if ["EHLO", "MAIL", "RCPT"].iter().any(|verb| text.starts_with(verb)) => b"250 ok\r\n",
            _ => continue,
        };
        tls.get_mut().write_all(answer)?;
        if line.starts_with("QUIT") {
            let _ = tls.get_mut().read(&mut [0; 1]);
            return Ok(heard);
        }
    }
}

#[test]
fn replies_put_in_before_the_handshake_are_not_believed() {
    let mut site = Iems::new();
    for (name, behind) in [
        ("offers", "250-evil\r\n250-SIZE 1\r\n250-CHUNKING\r\n250-DSN\r\n250 PIPELINING\r\n"),
        ("yeses", "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 queued by nobody\r\n"),
        ("noes", "550 5.1.1 no such user\r\n550 5.1.1 no\r\n550 no\r\n"),
        ("half", "250-evil"),
    ] {
        let server = Tampered::start(address::fresh(), &site, behind);
        site.config.routes.clear();
        site.config.route("far.example", format!("smtp:{}", server.at));
        site.start();
        deliver(
            site.at("smtp"),
            "ben@near.example",
            "cid@far.example",
            &letter("ben@near.example", "cid@far.example", name),
        );
        wait_for(name, secs(30), || server.heard.is_finished().then_some(()));
        let heard = server.heard.join().expect("no panic").expect("a session");
        assert!(heard.contains(&format!("Subject: {name}")) && heard.starts_with("EHLO"), "{name}: {heard}");
        let mail = heard.lines().find(|line| line.starts_with("MAIL")).expect("a sender");
        assert_eq!(mail, "MAIL FROM:<ben@near.example>", "nothing of what was offered in the clear is used");
        assert!(!heard.contains("BDAT") && !heard.contains("NOTIFY"), "{name}: {heard}");
        wait_for("an empty queue", secs(30), || {
            (site.admin(&["queue", "list", "--json"]).good().json() == serde_json::json!([])).then_some(())
        });
        site.stop();
    }
}

#[test]
fn commands_put_in_around_starttls_of_imap_are_not_obeyed() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    deliver(site.at("smtp"), "ben@far.example", ANN, &letter("ben@far.example", ANN, "kept"));
    wait_all(site.at("pop3"), ANN, "secret", 1);
    let tls = site.certificates.client();
    let evil =
        "x LOGIN ann@example.test secret\r\ny SELECT INBOX\r\nz STORE 1 +FLAGS (\\Deleted)\r\nw EXPUNGE\r\n";
    let open = || {
        let mut wire = Wire::connect(site.at("imap")).expect("a connection");
        let greeting = String::from_utf8_lossy(&wire.line().expect("a greeting")).into_owned();
        assert!(greeting.starts_with("* OK"), "{greeting}");
        wire
    };
    let begin = |wire: &mut Wire| {
        wire.send(b"a STARTTLS\r\n").expect("sent");
        let said = String::from_utf8_lossy(&wire.line().expect("an answer")).into_owned();
        assert!(said.starts_with("a OK"), "{said}");
    };
    // In the same packet, whole or in part: no TLS, no more words.
    for tail in [evil, "x LOG", "\r\n", "x CAPABILITY\r\n", "\n", "b STARTTLS\r\n"] {
        let mut wire = open();
        wire.send(format!("a STARTTLS\r\n{tail}").as_bytes()).expect("sent");
        let said = rest(&mut wire);
        assert!(said.contains("a BAD") && !said.contains(" OK"), "{tail:?}: {said}");
    }
    // Between the answer and the handshake.
    for tail in [evil, "x CAPABILITY\r\n"] {
        let mut wire = open();
        begin(&mut wire);
        wire.send(tail.as_bytes()).expect("sent");
        wire.socket().shutdown(std::net::Shutdown::Write).expect("shut down");
        assert!(!rest(&mut wire).contains(" OK"), "{tail:?}");
    }
    // After: what is not of the TLS session ends it.
    let mut wire = open();
    begin(&mut wire);
    wire.start_tls(tls.clone(), HOST).expect("a handshake");
    let mut socket = wire.socket();
    socket.write_all(evil.as_bytes()).expect("sent");
    assert!(wire.line().is_err(), "no word more");
    // Before: whoever was logged in is not under TLS, where it may not begin any more.
    let mut wire = open();
    wire.send(b"x LOGIN ann@example.test secret\r\na STARTTLS\r\n").expect("sent");
    wire.socket().shutdown(std::net::Shutdown::Write).expect("shut down");
    let said = rest(&mut wire);
    assert!(said.contains("x OK") && !said.contains("a OK"), "{said}");
    // What is said under TLS is obeyed, and nothing was before.
    let mut wire = open();
    begin(&mut wire);
    wire.start_tls(tls, HOST).expect("a handshake");
    wire.send(b"x LOGIN ann@example.test secret\r\ny STATUS INBOX (MESSAGES)\r\nz LOGOUT\r\n").expect("sent");
    let said = rest(&mut wire);
    assert!(said.contains("MESSAGES 1") && said.contains("z OK"), "{said}");
}
