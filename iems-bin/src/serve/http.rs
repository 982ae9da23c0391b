//! The metrics listener: HTTP/1.1 with two resources, `/metrics` and `/healthz`, one request a connection.
//!
//! Bounded: connections, request size and time. It reads nothing but the request line.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::metrics::Numbers;

/// Connections at once: a few scrapers.
const CONNECTIONS: usize = 16;
/// The longest request head, in octets.
const LONGEST_HEAD: usize = 8 * 1024;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers until `shutdown`.
pub(super) async fn serve(socket: std::net::TcpListener, numbers: Numbers, shutdown: CancellationToken) {
    let listener = match socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the metrics listener stopped"),
    };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = room.clone().acquire_owned().await else { return };
        tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let numbers = numbers.clone();
                    tokio::spawn(async move {
                        let _seat = seat;
                        // A scraper that hangs up, or is too slow, asks again.
                        let _ = tokio::time::timeout(PATIENCE, talk(stream, &numbers)).await;
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

async fn talk(mut stream: TcpStream, numbers: &Numbers) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            return respond(&mut stream, "431 Request Header Fields Too Large", "too long\n", true).await;
        }
        if (&mut stream).take(1024).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let with_body = method != "HEAD";
    if !matches!(method, "GET" | "HEAD") {
        return respond(&mut stream, "405 Method Not Allowed", "only GET and HEAD\n", with_body).await;
    }
    match target.split('?').next().unwrap_or_default() {
        "/metrics" => match numbers.text().await {
            Ok(text) => respond(&mut stream, "200 OK", &text, with_body).await,
            Err(_) => respond(&mut stream, "500 Internal Server Error", "no numbers\n", with_body).await,
        },
        "/healthz" => match numbers.healthy().await {
            Ok(()) => respond(&mut stream, "200 OK", "ok\n", with_body).await,
            Err(why) => respond(&mut stream, "503 Service Unavailable", &why, with_body).await,
        },
        _ => respond(&mut stream, "404 Not Found", "only /metrics and /healthz\n", with_body).await,
    }
}

async fn respond(stream: &mut TcpStream, status: &str, body: &str, with_body: bool) -> io::Result<()> {
    let kind = if body.starts_with('#') {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; charset=utf-8"
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if with_body {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}
