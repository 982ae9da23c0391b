//! The connection as the client's driver sees it: replies in, octets out, each with a time limit.
//!
//! While it writes it also reads, so that a peer that talks before it has heard everything cannot block
//! both sides; what it keeps of that is bounded. Dropping a future of this file leaves the
//! connection in an unknown state: drop the wire too.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use iems_core::seam::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use crate::proto::{Response, ResponseDecoder, ResponseError};

/// The most octets of replies that wait to be read: 100 recipients' worth, and more.
const UNREAD: usize = 64 * 1024;
/// How much is read at a time.
const READ: usize = 4096;
/// The most pieces handed to the system in one write.
const SLICES: usize = 64;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The peer closed the connection.
    #[error("connection closed")]
    Closed,
    /// The peer took too long.
    #[error("timeout")]
    Timeout,
    /// The system reports an error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is no reply.
    #[error(transparent)]
    Garbled(#[from] ResponseError),
}

/// A connection.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    decoder: ResponseDecoder,
    ended: bool,
    /// Octets received until now, and until the last reply that was read, and until [`Wire::mark`].
    received: u64,
    read: u64,
    marked: u64,
}

impl Wire {
    /// A connection on which nothing was said yet.
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        let (input, decoder) = (BytesMut::new(), ResponseDecoder::default());
        Self { stream, input, decoder, ended: false, received: 0, read: 0, marked: 0 }
    }

    /// The stream. What was received and not read is lost, on purpose: nothing said in the clear counts after
    /// STARTTLS (RFC 3207 section 4.2).
    pub(super) fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// The next reply.
    pub(super) async fn read(&mut self, limit: Duration) -> Result<Response, WireError> {
        if let Some(response) = self.next()? {
            return Ok(response);
        }
        timeout(limit, self.read_more()).await.map_err(|_| WireError::Timeout)?
    }

    async fn read_more(&mut self) -> Result<Response, WireError> {
        loop {
            let more = std::future::poll_fn(|cx| self.poll_fill(cx)).await?;
            if let Some(response) = self.next()? {
                return Ok(response);
            }
            if !more {
                return Err(WireError::Closed);
            }
        }
    }

    fn next(&mut self) -> Result<Option<Response>, ResponseError> {
        let response = self.decoder.next(&mut self.input)?;
        self.read = self.received - self.input.len() as u64;
        Ok(response)
    }

    /// What has come until now cannot be an answer to what is written from now on. With `look`, what the system has received
    /// counts too; otherwise only what is here already.
    pub(super) fn mark(&mut self, look: bool) {
        if look {
            self.listen(&mut Context::from_waker(Waker::noop()));
        }
        self.marked = self.received;
    }

    /// Whether the reply that was read last had come whole before [`Wire::mark`].
    pub(super) fn was_early(&self) -> bool {
        self.read <= self.marked
    }

    /// Writes all pieces, in as few calls as the system allows.
    pub(super) async fn write(
        &mut self,
        mut pieces: VecDeque<Bytes>,
        limit: Duration,
    ) -> Result<(), WireError> {
        let work = std::future::poll_fn(|cx| self.poll_write_all(cx, &mut pieces));
        timeout(limit, work).await.map_err(|_| WireError::Timeout)?
    }

    /// Whether nothing came that nobody asked for: no words, no end. Asked before a connection is used again.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.input.is_empty() && self.poll_fill(&mut cx).is_pending()
    }

    /// Whether there is more to read than was asked for.
    pub(super) fn has_unread(&self) -> bool {
        !self.input.is_empty()
    }

    /// Reads once; false at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        self.input.extend_from_slice(buffer.filled());
        self.received += buffer.filled().len() as u64;
        self.ended = buffer.filled().is_empty();
        Poll::Ready(Ok(!self.ended))
    }

    /// Takes in what the peer says meanwhile. An error is seen again by whoever reads next.
    fn listen(&mut self, cx: &mut Context<'_>) {
        while !self.ended && self.input.len() < UNREAD {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false) | Err(_)) => self.ended = true,
                Poll::Pending => return,
            }
        }
    }

    fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), WireError>> {
        loop {
            while pieces.front().is_some_and(Bytes::is_empty) {
                pieces.pop_front();
            }
            let step = match pieces.is_empty() {
                true => Pin::new(&mut self.stream).poll_flush(cx).map_ok(|()| None),
                false => {
                    let slices: Vec<IoSlice<'_>> =
                        pieces.iter().take(SLICES).map(|p| IoSlice::new(p)).collect();
                    Pin::new(&mut self.stream).poll_write_vectored(cx, &slices).map_ok(Some)
                }
            };
            match step {
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(Some(0))) => return Poll::Ready(Err(WireError::Closed)),
                Poll::Ready(Ok(Some(written))) => advance(pieces, written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    self.listen(cx);
                    return Poll::Pending;
                }
            }
        }
    }
}

fn advance(pieces: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(front) = pieces.front_mut() {
        if front.len() > written {
            front.advance(written);
            return;
        }
        written -= front.len();
        pieces.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_peer_that_talks_while_we_write_blocks_nobody() {
        let (ours, mut theirs) = duplex(64);
        let mut wire = Wire::new(Box::new(ours));
        let peer = tokio::spawn(async move {
            theirs.write_all("250 ok\r\n".repeat(100).as_bytes()).await.unwrap();
            let mut all = vec![0; 10_000];
            theirs.read_exact(&mut all).await.unwrap();
            all
        });
        let pieces = [Bytes::new(), vec![1; 4000].into(), vec![2; 6000].into(), Bytes::new()];
        wire.write(pieces.into(), SOON).await.unwrap();
        for _ in 0..100 {
            assert_eq!(wire.read(SOON).await.unwrap().code, 250);
        }
        let all = peer.await.unwrap();
        assert!(all[..4000].iter().all(|b| *b == 1) && all[4000..].iter().all(|b| *b == 2));
    }

    #[tokio::test]
    async fn replies_come_in_pieces_and_end_with_the_stream() {
        let (ours, mut theirs) = duplex(1);
        let mut wire = Wire::new(Box::new(ours));
        let peer = tokio::spawn(async move {
            theirs.write_all(b"250-a\r\n250 b\r\n550 ").await.unwrap();
        });
        assert_eq!(wire.read(SOON).await.unwrap().lines, ["a", "b"]);
        assert!(matches!(wire.read(SOON).await, Err(WireError::Closed)));
        peer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_too() {
        let (ours, _theirs) = duplex(64);
        let mut wire = Wire::new(Box::new(ours));
        assert!(matches!(wire.read(SOON).await, Err(WireError::Timeout)));
        assert!(matches!(wire.write([vec![0; 100].into()].into(), SOON).await, Err(WireError::Timeout)));
    }

    #[tokio::test]
    async fn what_came_before_a_question_is_no_answer_to_it() {
        let (ours, mut theirs) = duplex(64);
        let mut wire = Wire::new(Box::new(ours));
        theirs.write_all(b"250 a\r\n250 b\r\n250 ").await.unwrap();
        assert_eq!(wire.read(SOON).await.unwrap().lines, ["a"]);
        wire.mark(false);
        theirs.write_all(b"c\r\n").await.unwrap();
        for (text, early) in [("b", true), ("c", false)] {
            assert_eq!(wire.read(SOON).await.unwrap().lines, [text]);
            assert_eq!(wire.was_early(), early, "{text}");
        }
        theirs.write_all(b"250 d\r\n").await.unwrap();
        wire.mark(true);
        assert_eq!(wire.read(SOON).await.unwrap().lines, ["d"]);
        assert!(wire.was_early(), "it was there, though not read");
    }

    #[tokio::test]
    async fn quiet_is_neither_words_nor_the_end() {
        let (ours, mut theirs) = duplex(64);
        let mut wire = Wire::new(Box::new(ours));
        assert!(wire.is_quiet());
        theirs.write_all(b"421 bye\r\n").await.unwrap();
        assert!(!wire.is_quiet() && wire.has_unread());
        let (ours, theirs) = duplex(64);
        drop(theirs);
        assert!(!Wire::new(Box::new(ours)).is_quiet());
    }

    /// Counts what the system is asked to write.
    #[derive(Default)]
    struct Counting(std::sync::Arc<std::sync::Mutex<Vec<usize>>>);

    impl AsyncRead for Counting {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().push(octets.len());
            Poll::Ready(Ok(octets.len()))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let total = slices.iter().map(|slice| slice.len()).sum();
            self.0.lock().unwrap().push(total);
            Poll::Ready(Ok(total))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn commands_and_body_are_one_write() {
        let counting = Counting::default();
        let writes = counting.0.clone();
        let pieces =
            [Bytes::from_static(b"MAIL\r\n"), Bytes::from(vec![0; 60_000]), Bytes::from(vec![0; 4000])];
        Wire::new(Box::new(counting)).write(pieces.into(), SOON).await.unwrap();
        assert_eq!(*writes.lock().unwrap(), [64_006]);
    }
}
