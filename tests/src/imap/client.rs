//! A raw IMAP client that reads whole responses, with their literals.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::words::{Word, words};
use crate::wire::Wire;

/// A response without its tag.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `*`, `+`, or the tag of a command.
    pub tag: String,
    /// Its octets, with literals.
    pub octets: Vec<u8>,
}

impl Answer {
    /// Its words.
    pub fn words(&self) -> Vec<Word> {
        words(&self.octets)
    }
}

/// A connection.
pub struct Client {
    wire: Wire,
    tag: u32,
}

impl Client {
    /// Connects and reads the greeting.
    ///
    /// # Panics
    /// If that does not go.
    pub fn connect(at: SocketAddrV4) -> Self {
        let wire = Wire::connect(at).expect("a connection");
        let mut client = Self { wire, tag: 0 };
        assert!(client.read().octets.starts_with(b"OK"), "a greeting");
        client
    }

    /// The same, and logs in with the password `secret`.
    ///
    /// # Panics
    /// If that does not go.
    pub fn login(at: SocketAddrV4, user: &str) -> Self {
        let mut client = Self::connect(at);
        client.must(&format!("LOGIN {user} secret"));
        client
    }

    /// How long a read waits.
    pub fn patience(&self, limit: Duration) {
        self.wire.patience(limit);
    }

    /// Sends a command; its tag. What is between « and » is sent as a literal.
    ///
    /// # Panics
    /// If the connection is gone.
    pub fn send(&mut self, command: &str) -> String {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let mut octets = format!("{tag} ").into_bytes();
        let mut rest = command;
        while let Some((before, behind)) = rest.split_once('«') {
            let (literal, behind) = behind.split_once('»').expect("the end of a literal");
            let literal = crate::dialogue::octets(literal);
            octets.extend_from_slice(format!("{before}{{{}+}}\r\n", literal.len()).as_bytes());
            octets.extend_from_slice(&literal);
            rest = behind;
        }
        octets.extend_from_slice(rest.as_bytes());
        octets.extend_from_slice(b"\r\n");
        self.say(&octets);
        tag
    }

    /// Sends octets as they are.
    ///
    /// # Panics
    /// If the connection is gone.
    pub fn say(&mut self, octets: &[u8]) {
        self.wire.send(octets).expect("octets sent");
    }

    /// The next response.
    ///
    /// # Panics
    /// If none comes.
    pub fn read(&mut self) -> Answer {
        self.hear().expect("a response")
    }

    /// The next response, if one comes in time.
    ///
    /// # Errors
    /// As the system says.
    pub fn hear(&mut self) -> std::io::Result<Answer> {
        let line = self.wire.line()?;
        let space = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
        let tag = String::from_utf8_lossy(&line[..space]).into_owned();
        let mut octets = line.get(space + 1..).unwrap_or_default().to_vec();
        while let Some(length) = announced(&octets) {
            octets.extend_from_slice(b"\r\n");
            octets.extend(self.wire.octets(length)?);
            octets.extend(self.wire.line()?);
        }
        Ok(Answer { tag, octets })
    }

    /// Everything up to the end of a command: what was untagged, and how it ended.
    ///
    /// # Panics
    /// If the connection ends before.
    pub fn finish(&mut self, tag: &str) -> (Vec<Answer>, Answer) {
        let mut untagged = Vec::new();
        loop {
            let answer = self.read();
            if answer.tag == tag {
                return (untagged, answer);
            }
            untagged.push(answer);
        }
    }

    /// Sends a command, which has to end with OK.
    ///
    /// # Panics
    /// If it does not.
    pub fn must(&mut self, command: &str) -> Vec<Answer> {
        let tag = self.send(command);
        let (untagged, end) = self.finish(&tag);
        let said = String::from_utf8_lossy(&end.octets).into_owned();
        assert!(said.starts_with("OK"), "{command}: {said}");
        untagged
    }
}

/// The length of the literal that is announced at the end.
fn announced(octets: &[u8]) -> Option<usize> {
    let inner = octets.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&inner[at + 1..]).ok()?.parse().ok()
}
