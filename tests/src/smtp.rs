//! A raw SMTP and LMTP client for stories: one command, one reply, nothing clever.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::ClientConfig;

use crate::wire::Wire;

/// A reply: its code and the text of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The text behind the code, line by line.
    pub lines: Vec<String>,
}

impl Reply {
    /// All lines as one text.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// Whether an EHLO reply offers `keyword`.
    pub fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().any(|line| line.split(' ').next().is_some_and(|k| k.eq_ignore_ascii_case(keyword)))
    }
}

/// A connection to an SMTP or LMTP server.
pub struct Smtp {
    /// The connection below, for what is not SMTP.
    pub wire: Wire,
}

impl Smtp {
    /// Connects and reads the greeting.
    ///
    /// # Panics
    /// If there is none, or it is not 220.
    #[track_caller]
    pub fn connect(to: SocketAddrV4) -> Self {
        Self::greeted(Wire::connect(to).unwrap_or_else(|e| panic!("{to}: {e}")))
    }

    /// Connects and reads the greeting, which may be a refusal.
    ///
    /// # Panics
    /// If nobody answers.
    #[track_caller]
    pub fn knock(to: SocketAddrV4) -> Result<Self, Reply> {
        let mut smtp = Self { wire: Wire::connect(to).unwrap_or_else(|e| panic!("{to}: {e}")) };
        let greeting = smtp.reply().expect("a greeting");
        if greeting.code == 220 { Ok(smtp) } else { Err(greeting) }
    }

    /// Connects under TLS from the first octet.
    ///
    /// # Panics
    /// If the handshake or the greeting fails.
    #[track_caller]
    pub fn connect_tls(to: SocketAddrV4, tls: Arc<ClientConfig>, name: &str) -> Self {
        Self::greeted(Wire::connect_tls(to, tls, name).expect("a TLS connection"))
    }

    /// Reads the greeting on a connection.
    ///
    /// # Panics
    /// If there is none, or it is not 220.
    #[track_caller]
    pub fn greeted(wire: Wire) -> Self {
        let mut smtp = Self { wire };
        let greeting = smtp.reply().expect("a greeting");
        assert_eq!(greeting.code, 220, "{greeting:?}");
        smtp
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// As the connection says, or `InvalidData` if it is not a reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.wire.line()?).into_owned();
            let bad = || io::Error::new(io::ErrorKind::InvalidData, line.clone());
            let code: u16 = line.get(..3).and_then(|c| c.parse().ok()).ok_or_else(bad)?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            match line.as_bytes().get(3) {
                Some(b'-') => {}
                None | Some(b' ') => return Ok(Reply { code, lines }),
                Some(_) => return Err(bad()),
            }
        }
    }

    /// Sends a command line and reads its reply.
    ///
    /// # Errors
    /// As the connection says.
    pub fn command(&mut self, command: &str) -> io::Result<Reply> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        self.reply()
    }

    /// Sends a command that must be answered with `code`.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn must(&mut self, command: &str, code: u16) -> Reply {
        let reply = self.command(command).unwrap_or_else(|e| panic!("{command}: {e}"));
        assert_eq!(reply.code, code, "{command}: {reply:?}");
        reply
    }

    /// EHLO, STARTTLS, EHLO.
    ///
    /// # Panics
    /// If any of it is refused.
    #[track_caller]
    pub fn start_tls(&mut self, tls: Arc<ClientConfig>, name: &str) -> Reply {
        assert!(self.must("EHLO client.example.test", 250).offers("STARTTLS"));
        self.must("STARTTLS", 220);
        self.wire.start_tls(tls, name).expect("a TLS handshake");
        self.must("EHLO client.example.test", 250)
    }

    /// AUTH PLAIN with an initial response.
    ///
    /// # Errors
    /// As the connection says.
    pub fn auth_plain(&mut self, user: &str, password: &str) -> io::Result<Reply> {
        let token = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {token}"))
    }

    /// One message to one or more recipients, EHLO excluded; the reply to the end of data, or the first
    /// refusal (after which the transaction is reset).
    ///
    /// # Errors
    /// As the connection says.
    pub fn send(&mut self, from: &str, to: &[&str], message: &[u8]) -> io::Result<Reply> {
        let mut steps = vec![(format!("MAIL FROM:<{from}>"), 250)];
        steps.extend(to.iter().map(|to| (format!("RCPT TO:<{to}>"), 250)));
        steps.push(("DATA".to_owned(), 354));
        for (command, code) in steps {
            let reply = self.command(&command)?;
            if reply.code != code {
                self.command("RSET")?;
                return Ok(reply);
            }
        }
        self.wire.send(&stuffed(message))?;
        self.reply()
    }
}

/// A message as DATA wants it: dots doubled at line starts, CRLF.CRLF at the end.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut start = true;
    for &octet in message {
        if start && octet == b'.' {
            out.push(b'.');
        }
        start = octet == b'\n';
        out.push(octet);
    }
    if !message.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// Sends one message on a connection of its own; it must be accepted. Gives the reply's text.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn deliver(server: SocketAddrV4, from: &str, to: &str, message: &[u8]) -> String {
    let mut smtp = Smtp::connect(server);
    smtp.must("EHLO client.example.test", 250);
    let reply = smtp.send(from, &[to], message).expect("a reply");
    assert_eq!(reply.code, 250, "{reply:?}");
    reply.text()
}

/// A small message with a subject to know it by.
pub fn letter(from: &str, to: &str, subject: &str) -> Vec<u8> {
    let text = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n\
         Message-ID: <{subject}@client.example.test>\r\n\r\nDear reader,\r\n\r\n. a dot\r\n.. two\r\nEnd.\r\n"
    );
    text.into_bytes()
}

/// Sends one message on a connection of its own, with the arguments of MAIL and RCPT as they stand; it must be accepted.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn deliver_with(server: SocketAddrV4, mail: &str, rcpt: &[&str], message: &[u8]) {
    let mut smtp = Smtp::connect(server);
    smtp.must("EHLO client.example.test", 250);
    smtp.must(&format!("MAIL FROM:{mail}"), 250);
    for rcpt in rcpt {
        smtp.must(&format!("RCPT TO:{rcpt}"), 250);
    }
    smtp.must("DATA", 354);
    smtp.wire.send(&stuffed(message)).expect("sent");
    let reply = smtp.reply().expect("a reply");
    assert_eq!(reply.code, 250, "{reply:?}");
    // OpenSMTPD wants to be left in order.
    smtp.must("QUIT", 221);
}
