//! The answers that an authority fetches to see that a host is ours: `http-01` (RFC 8555 section 8.3). Serves nothing else.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Where the answers are.
const PLACE: &str = "/.well-known/acme-challenge/";
/// Connections at once: authorities look from a few places.
const CONNECTIONS: usize = 32;
/// The longest request head, in octets.
const LONGEST_HEAD: usize = 8 * 1024;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answers that are waited for, by token.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<HashMap<String, String>>>);

impl Answers {
    /// Has `answer` ready.
    pub(super) fn add(&self, token: &str, answer: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), answer.to_owned());
    }

    /// Nobody asks for these any more.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get(&self, token: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Answers until `shutdown`.
    pub(super) async fn serve(self, socket: std::net::TcpListener, shutdown: CancellationToken) {
        let listener = match socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket)) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the listener for ACME stopped"),
        };
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(seat) = room.clone().acquire_owned().await else { return };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let answers = self.clone();
                        tokio::spawn(async move {
                            let _seat = seat;
                            // Whoever hangs up, or is too slow, asks again.
                            let _ = tokio::time::timeout(PATIENCE, answers.talk(stream)).await;
                        });
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }
    }

    async fn talk(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::with_capacity(1024);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if head.len() >= LONGEST_HEAD || (&mut stream).take(1024).read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let (status, body) = self.of(&head);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }

    fn of(&self, head: &[u8]) -> (&'static str, String) {
        let line = head.split(|octet| *octet == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let token = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()?.strip_prefix(PLACE));
        match token.and_then(|token| self.get(token)) {
            Some(answer) => ("200 OK", answer),
            None => ("404 Not Found", "only answers to an authority, while it looks\n".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_what_is_waited_for_is_told() {
        let answers = Answers::default();
        answers.add("tok_en-1", "tok_en-1.print");
        for (line, known) in [
            ("GET /.well-known/acme-challenge/tok_en-1 HTTP/1.1\r\nHost: x\r\n\r\n", true),
            ("GET /.well-known/acme-challenge/other HTTP/1.1\r\n\r\n", false),
            ("GET /.well-known/acme-challenge/ HTTP/1.1\r\n\r\n", false),
            ("GET /.well-known/acme-challenge/../tok_en-1 HTTP/1.1\r\n\r\n", false),
            ("POST /.well-known/acme-challenge/tok_en-1 HTTP/1.1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n\r\n", false),
            ("\u{1}\r\n\r\n", false),
        ] {
            assert_eq!(answers.of(line.as_bytes()).0 == "200 OK", known, "{line}");
        }
        answers.clear();
        assert_eq!(
            answers.of(b"GET /.well-known/acme-challenge/tok_en-1 HTTP/1.1\r\n\r\n").0,
            "404 Not Found"
        );
    }
}
