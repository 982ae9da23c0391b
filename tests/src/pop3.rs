//! A raw POP3 client for stories.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::wait::{secs, wait_for};
use crate::wire::Wire;

/// A connection to a POP3 server.
pub struct Pop3 {
    /// The connection below.
    pub wire: Wire,
}

impl Pop3 {
    /// Connects and reads the greeting.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn connect(to: SocketAddrV4) -> Self {
        let mut pop = Self { wire: Wire::connect(to).unwrap_or_else(|e| panic!("{to}: {e}")) };
        let greeting = pop.line().expect("a greeting");
        assert!(greeting.starts_with("+OK"), "{greeting}");
        pop
    }

    /// STLS, and TLS behind it.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    pub fn start_tls(&mut self, tls: Arc<ClientConfig>, name: &str) {
        self.must("STLS");
        self.wire.start_tls(tls, name).expect("a TLS handshake");
    }

    fn line(&mut self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.wire.line()?).into_owned())
    }

    /// Sends a command and reads the first line of its answer.
    ///
    /// # Errors
    /// As the connection says.
    pub fn command(&mut self, command: &str) -> io::Result<String> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        self.line()
    }

    /// A command that must be answered with +OK; the text behind it.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn must(&mut self, command: &str) -> String {
        let line = self.command(command).unwrap_or_else(|e| panic!("{command}: {e}"));
        line.strip_prefix("+OK").unwrap_or_else(|| panic!("{command}: {line}")).trim().to_owned()
    }

    /// The lines behind a +OK, with dots taken off.
    ///
    /// # Panics
    /// If the connection breaks.
    #[track_caller]
    pub fn lines(&mut self) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        loop {
            let line = self.wire.line().expect("a line of the answer");
            if line == b"." {
                return lines;
            }
            lines.push(line.strip_prefix(b".").map_or(line.clone(), <[u8]>::to_vec));
        }
    }

    /// USER and PASS.
    ///
    /// # Panics
    /// If they are refused.
    #[track_caller]
    pub fn login(&mut self, user: &str, password: &str) {
        self.must(&format!("USER {user}"));
        self.must(&format!("PASS {password}"));
    }

    /// The number of messages.
    ///
    /// # Panics
    /// If STAT is refused.
    #[track_caller]
    pub fn count(&mut self) -> usize {
        let text = self.must("STAT");
        text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("STAT: {text}"))
    }

    /// A whole message.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    pub fn message(&mut self, number: usize) -> Vec<u8> {
        self.must(&format!("RETR {number}"));
        self.lines()
            .into_iter()
            .flat_map(|mut line| {
                line.extend_from_slice(b"\r\n");
                line
            })
            .collect()
    }

    /// The unique ids, in order.
    ///
    /// # Panics
    /// If UIDL is refused.
    #[track_caller]
    pub fn ids(&mut self) -> Vec<String> {
        self.must("UIDL");
        let text = |line: Vec<u8>| String::from_utf8(line).expect("a UIDL line is ASCII");
        self.lines().into_iter().map(text).map(|l| l.split(' ').nth(1).expect("an id").to_owned()).collect()
    }
}

/// All messages in a mailbox, left there.
///
/// # Panics
/// If they cannot be read.
#[track_caller]
pub fn read_all(server: SocketAddrV4, user: &str, password: &str) -> Vec<Vec<u8>> {
    let mut pop = Pop3::connect(server);
    pop.login(user, password);
    let all = (1..=pop.count()).map(|n| pop.message(n)).collect();
    pop.must("QUIT");
    all
}

/// Waits until a mailbox has `count` messages and reads them all; more are a failure.
///
/// # Panics
/// If they do not come within 20 seconds, or too many do.
#[track_caller]
pub fn wait_all(server: SocketAddrV4, user: &str, password: &str, count: usize) -> Vec<Vec<u8>> {
    let found = wait_for(&format!("{count} messages for {user}"), secs(20), || {
        let all = read_all(server, user, password);
        (all.len() >= count).then_some(all)
    });
    assert_eq!(found.len(), count, "more messages for {user} than were sent");
    found
}

/// The value of the first field called `name` in a message, unfolded.
pub fn field(message: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message).into_owned();
    let header = text.split("\r\n\r\n").next()?.replace("\r\n\t", " ").replace("\r\n ", " ");
    let prefix = format!("{}:", name.to_ascii_lowercase());
    let line = header.lines().find(|line| line.to_ascii_lowercase().starts_with(&prefix))?;
    Some(line[prefix.len()..].trim().to_owned())
}
