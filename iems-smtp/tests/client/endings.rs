//! What our client sends of a message with a false end of data in it: one message, for the most careless of servers too.
//!
//! How such a message could have come into the queue does not matter here: the door refuses a bare CR or LF.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use iems_core::deliver::Channel;
use iems_core::message::{ChannelId, NextHop};
use iems_core::seam::{Dialer, Endpoint, SeededRandom, Stream};
use iems_smtp::client::SmtpClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::support::{World, lmtp, message, short, smtp};

/// Its messages, and the commands it heard.
type Heard = (Vec<Vec<u8>>, Vec<String>);

/// A server that ends lines at CR, LF and CRLF, drops NULs, and takes whatever looks like a command.
struct Careless {
    offers: &'static str,
    room: usize,
    heard: Arc<Mutex<Heard>>,
}

#[async_trait]
impl Dialer for Careless {
    async fn dial(&self, _: &Endpoint, _: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let (ours, theirs) = duplex(self.room);
        let (offers, heard) = (self.offers, self.heard.clone());
        tokio::spawn(async move {
            // The client may go at any moment.
            let _ = serve(theirs, offers, &heard).await;
        });
        Ok(Box::new(ours))
    }
}

/// Its lines.
struct Lines {
    stream: DuplexStream,
    after_cr: bool,
}

impl Lines {
    async fn octet(&mut self) -> io::Result<u8> {
        loop {
            match self.stream.read_u8().await? {
                0 => {}
                b'\n' if std::mem::take(&mut self.after_cr) => {}
                octet => {
                    self.after_cr = octet == b'\r';
                    return Ok(octet);
                }
            }
        }
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            match self.octet().await? {
                b'\r' | b'\n' => return Ok(line),
                octet => line.push(octet),
            }
        }
    }

    /// What is counted is read as it is; the LF of the command line first.
    async fn counted(&mut self, size: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; size + usize::from(std::mem::take(&mut self.after_cr))];
        self.stream.read_exact(&mut octets).await?;
        Ok(octets.split_off(octets.len() - size))
    }
}

async fn serve(stream: DuplexStream, offers: &str, heard: &Mutex<Heard>) -> io::Result<()> {
    let mut lines = Lines { stream, after_cr: false };
    lines.stream.write_all(b"220 careless\r\n").await?;
    loop {
        let line = String::from_utf8_lossy(&lines.line().await?).into_owned();
        heard.lock().unwrap().1.push(line.clone());
        let reply = match line.get(..4).unwrap_or_default() {
            "EHLO" | "LHLO" => format!("250-careless\r\n{offers}\r\n"),
            "DATA" => {
                lines.stream.write_all(b"354 go\r\n").await?;
                let mut message = Vec::new();
                loop {
                    let line = lines.line().await?;
                    if line == b"." {
                        break;
                    }
                    message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                    message.push(b'\n');
                }
                heard.lock().unwrap().0.push(message);
                "250 taken\r\n".into()
            }
            "BDAT" => {
                let size = line.split(' ').nth(1).and_then(|size| size.parse().ok()).unwrap_or_default();
                let octets = lines.counted(size).await?;
                heard.lock().unwrap().0.push(octets);
                "250 taken\r\n".into()
            }
            "QUIT" => return lines.stream.write_all(b"221 bye\r\n").await,
            _ => "250 ok\r\n".into(),
        };
        lines.stream.write_all(reply.as_bytes()).await?;
    }
}

/// The lines of a message that are not empty, without their ends and without NULs.
fn lines(octets: &[u8]) -> Vec<Vec<u8>> {
    let text: Vec<u8> = octets.iter().copied().filter(|octet| *octet != 0).collect();
    let mut lines = vec![Vec::new()];
    let mut octets = text.into_iter().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'\r' | b'\n' => {
                if octet == b'\r' {
                    octets.next_if_eq(&b'\n');
                }
                lines.push(Vec::new());
            }
            octet => lines.last_mut().unwrap().push(octet),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// As in the session's tests.
fn spellings() -> impl Iterator<Item = Vec<u8>> {
    include_str!("../endings.txt").lines().filter(|line| !line.starts_with('#')).map(unescape)
}

fn unescape(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = line.bytes();
    while let Some(octet) = octets.next() {
        let escaped = if octet == b'\\' { octets.next() } else { None };
        out.push(match escaped {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'x') => {
                let digits: String = octets.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            Some(other) => other,
            None => octet,
        });
    }
    out
}

#[tokio::test]
async fn one_message_goes_out_whatever_is_in_it() {
    const HIDDEN: &[u8] =
        b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<hidden@c>\r\nDATA\r\nSubject: hidden\r\n\r\nhidden\r\n";
    let mut sent = 0;
    for spelling in spellings() {
        let body = [b"Subject: outer\r\n\r\nbody", &spelling[..], HIDDEN].concat();
        let attempt = message(&body, &["a@d.example"]).await;
        for (settings, offers, room) in [
            (smtp(), "250 8BITMIME", 1),
            (smtp(), "250 HELP", 1 << 16),
            (smtp(), "250-8BITMIME\r\n250 PIPELINING", 7),
            (smtp(), "250-8BITMIME\r\n250-PIPELINING\r\n250 CHUNKING", 1 << 16),
            (lmtp(), "250-8BITMIME\r\n250 PIPELINING", 3),
        ] {
            let how = format!("{} to {offers:?}", spelling.escape_ascii());
            let heard = Arc::new(Mutex::default());
            let server = Arc::new(Careless { offers, room, heard: Arc::clone(&heard) });
            let (names, random) = (Arc::new(World::new()), Arc::new(SeededRandom::new(1)));
            let client = SmtpClient::new(ChannelId::new("out"), settings, names, server, random).unwrap();
            let mut link = client.open(&NextHop::new("[192.0.2.1]:25")).await.unwrap();
            let outcomes = short(&link.transmit(&attempt).await);
            link.close().await;
            assert_eq!(outcomes, ["done 250 2.0.0"], "{how}");
            let (messages, commands) = heard.lock().unwrap().clone();
            assert_eq!(messages.len(), 1, "{how}: {commands:?}");
            assert!(commands.iter().all(|line| !line.contains("evil") && !line.contains("hidden")), "{how}");
            assert_eq!(commands.last().map(String::as_str), Some("QUIT"), "{how}: {commands:?}");
            if offers.contains("8BITMIME") {
                assert_eq!(lines(&messages[0]), lines(&body), "{how}");
            }
            sent += 1;
        }
    }
    assert!(sent > 300, "{sent}");
}
