//! Servers that are slow, in each way there is: our time and memory are bounded, and nothing is lost.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::deliver::{Channel, Link};
use iems_core::message::{ChannelId, NextHop, Reply};
use iems_core::seam::{Dialer, Endpoint, SeededRandom, Stream};
use iems_smtp::client::{ClientSettings, SmtpClient, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);
const HOP: &str = "[192.0.2.1]:25";

/// How a server is slow.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It greets without end, an octet a second.
    Greets,
    /// It answers EHLO the same way.
    Offers,
    /// It takes no octet after 354.
    Stalls,
    /// It takes one octet a second after 354.
    Sips,
    /// It takes much, but seldom.
    Gulps,
    /// It takes everything and says nothing after the dot.
    Broods,
    /// It takes everything and cuts the connection after the dot.
    Cuts,
    /// It takes one recipient at a time, and nine minutes for a message.
    Plods,
}

struct Slow(Manner);

#[async_trait]
impl Dialer for Slow {
    async fn dial(&self, _: &Endpoint, _: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let (ours, theirs) = duplex(64 * 1024);
        let manner = self.0;
        tokio::spawn(async move {
            // The client gives up at some time.
            let _ = serve(theirs, manner).await;
        });
        Ok(Box::new(ours))
    }
}

async fn drip(stream: &mut DuplexStream) -> io::Result<()> {
    loop {
        for octet in b"250-a\r\n" {
            sleep(SECOND).await;
            stream.write_all(&[*octet]).await?;
        }
    }
}

async fn line(stream: &mut DuplexStream) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

async fn serve(mut stream: DuplexStream, manner: Manner) -> io::Result<()> {
    if let Manner::Greets = manner {
        return drip(&mut stream).await;
    }
    stream.write_all(b"220 slow\r\n").await?;
    loop {
        match line(&mut stream).await?.get(..4) {
            Some("EHLO") if matches!(manner, Manner::Offers) => return drip(&mut stream).await,
            Some("EHLO") if matches!(manner, Manner::Plods) => {
                stream.write_all(b"250-slow\r\n250 LIMITS RCPTMAX=1\r\n").await?;
            }
            Some("DATA") if matches!(manner, Manner::Plods) => {
                stream.write_all(b"354 go\r\n").await?;
                while line(&mut stream).await? != ".\r\n" {}
                sleep(9 * 60 * SECOND).await;
                stream.write_all(b"250 ok\r\n").await?;
            }
            Some("DATA") => break,
            _ => stream.write_all(b"250 ok\r\n").await?,
        }
    }
    stream.write_all(b"354 go\r\n").await?;
    let mut gulp = vec![0; 64 * 1024];
    match manner {
        Manner::Stalls => std::future::pending().await,
        Manner::Sips => loop {
            sleep(SECOND).await;
            stream.read_u8().await?;
        },
        Manner::Gulps => loop {
            sleep(170 * SECOND).await;
            stream.read_exact(&mut gulp).await?;
        },
        _ => {
            let mut end = Vec::new();
            while !end.ends_with(b"\r\n.\r\n") {
                let octets = stream.read(&mut gulp).await?;
                end.extend_from_slice(&gulp[..octets]);
                end.drain(..end.len().saturating_sub(5));
            }
            if let Manner::Broods = manner { std::future::pending().await } else { Ok(()) }
        }
    }
}

fn client(manner: Manner, settings: ClientSettings) -> SmtpClient {
    let (names, random) = (Arc::new(World::new()), Arc::new(SeededRandom::new(1)));
    SmtpClient::new(ChannelId::new("out"), settings, names, Arc::new(Slow(manner)), random).unwrap()
}

async fn link(manner: Manner) -> Result<Box<dyn Link>, Reply> {
    client(manner, smtp()).open(&NextHop::new(HOP)).await
}

#[tokio::test(start_paused = true)]
async fn a_reply_has_its_time_as_a_whole() {
    let limits = Timeouts::default();
    for (manner, limit) in [(Manner::Greets, limits.greeting), (Manner::Offers, limits.hello)] {
        let start = Instant::now();
        let reply = link(manner).await.err().unwrap();
        assert_eq!((reply.code, reply.enhanced.to_string()), (451, "4.4.2".into()), "{manner:?}");
        assert!(start.elapsed() <= limit + SECOND, "{manner:?}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_has_its_time_as_a_whole() {
    let limits = Timeouts::default();
    let size = 10_u64 << 20;
    let body = [b"Subject: x\r\n\r\n".as_slice(), &b"0123456789abcd\r\n".repeat(size as usize / 16)].concat();
    let attempt = message(&body, &["a@d.example"]).await;
    let least = Duration::from_secs(size / u64::from(smtp().min_rate) + 1);
    for (manner, limit) in [
        (Manner::Stalls, limits.block),
        (Manner::Sips, limits.block * 2),
        (Manner::Gulps, limits.block + least),
        (Manner::Broods, limits.end),
        (Manner::Cuts, SECOND),
    ] {
        let mut link = link(manner).await.unwrap();
        let start = Instant::now();
        let outcomes = short(&link.transmit(&attempt).await);
        let (took, limit) = (start.elapsed(), limit + 20 * SECOND);
        assert_eq!(outcomes, ["deferred 451 4.4.2"], "{manner:?}");
        assert!(took <= limit, "{manner:?}: {took:?}, at most {limit:?}");
        assert!(!link.is_reusable(), "{manner:?}: what became of the message nobody knows, so it goes again");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_the_message_is_told_before_the_attempt_is_over() {
    let attempt =
        message(b"Subject: x\r\n\r\n", &["a@d.example", "b@d.example", "c@d.example", "d@d.example"]).await;
    let mut link = link(Manner::Plods).await.unwrap();
    let outcomes = short(&link.transmit(&attempt).await);
    assert_eq!(outcomes[..3], ["done 250 2.0.0"; 3]);
    assert_eq!(outcomes[3], "deferred 451 4.5.3");
    assert!(link.is_reusable(), "the rest may go over the same connection");
}
