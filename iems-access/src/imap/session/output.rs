//! Where a session's words go: collected, and handed over in few pieces.

use std::io;
use std::pin::Pin;

use bytes::BytesMut;

use crate::imap::codec::Encoder;
use crate::imap::types::{Data, Response, Status};

/// How much is collected before it is handed over, in octets.
pub(super) const ENOUGH: usize = 64 * 1024;

/// Takes what a session says.
pub trait Sink: Send {
    /// Takes all of it, in order.
    fn send(&mut self, octets: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Returns when the peer has heard nothing for so long that it is to be told that its command goes on; by that it is found
    /// out, too, whether it is still there. Never, unless the sink knows of time.
    fn patience(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

impl Sink for Vec<u8> {
    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.extend_from_slice(octets);
        Ok(())
    }
}

/// What a session says, on its way.
pub struct Output<'a, S> {
    sink: &'a mut S,
    pub(super) buffer: &'a mut BytesMut,
    pub(super) encoder: Encoder,
}

impl<'a, S: Sink> Output<'a, S> {
    /// Words go to `sink`, and what is not handed over yet stays in `buffer`.
    pub fn new(sink: &'a mut S, buffer: &'a mut BytesMut) -> Self {
        Self { sink, buffer, encoder: Encoder::default() }
    }

    pub(super) fn say(&mut self, response: &Response) {
        self.encoder.response(response, self.buffer);
    }

    pub(super) fn data(&mut self, data: Data) {
        self.say(&Response::Data(data));
    }

    pub(super) fn status(&mut self, status: Status) {
        self.say(&Response::Status(status));
    }

    /// Hands over what was collected, if it is much.
    pub(super) async fn pause(&mut self) -> io::Result<()> {
        match self.buffer.len() >= ENOUGH {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Waits for a search that may take long, and says now and then that it goes on. Who is gone by then is not worked for any more.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Some(done) = self.patiently(work.as_mut(), "Still searching").await? {
                return Ok(done);
            }
        }
    }

    /// The same for work that changes something: it is done to its end, also for who is gone.
    pub(super) async fn finish_off<T>(&mut self, work: impl Future<Output = T>) -> io::Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            match self.patiently(work.as_mut(), "Still at it").await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) => {
                    work.await;
                    return Err(error);
                }
            }
        }
    }

    /// Waits for work as long as the peer has patience, and then says that it goes on.
    async fn patiently<T>(
        &mut self,
        work: Pin<&mut impl Future<Output = T>>,
        said: &'static str,
    ) -> io::Result<Option<T>> {
        tokio::select! {
            biased;
            done = work => return Ok(Some(done)),
            () = self.sink.patience() => {}
        }
        self.status(Status::ok(said));
        self.flush().await.map(|()| None)
    }

    /// Hands over what was collected.
    ///
    /// # Errors
    /// The sink's.
    pub async fn flush(&mut self) -> io::Result<()> {
        let octets = self.buffer.split();
        self.sink.send(&octets).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loses patience at each turn; the peer goes after so many words.
    struct Impatient {
        left: usize,
        heard: Vec<u8>,
    }

    impl Sink for Impatient {
        async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
            self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            self.heard.extend_from_slice(octets);
            Ok(())
        }

        async fn patience(&mut self) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn whoever_waits_hears_that_it_goes_on_and_whoever_is_gone_is_not_worked_for() {
        for (left, turns) in [(100, 20), (3, usize::MAX)] {
            let (mut sink, mut buffer) = (Impatient { left, heard: Vec::new() }, BytesMut::new());
            let mut out = Output::new(&mut sink, &mut buffer);
            let done = std::cell::Cell::new(0);
            let work = async {
                while done.get() < turns {
                    done.set(done.get() + 1);
                    tokio::task::yield_now().await;
                }
                7
            };
            let ended = out.meanwhile(work).await;
            assert!(sink.heard.starts_with(b"* OK Still searching\r\n* OK Still"));
            match turns {
                20 => assert_eq!(ended.unwrap(), 7),
                _ => assert!(ended.is_err() && done.get() < 20),
            }
        }
    }

    #[tokio::test]
    async fn what_changes_something_is_done_to_its_end_for_who_waits_and_for_who_is_gone() {
        for left in [100, 3] {
            let (mut sink, mut buffer) = (Impatient { left, heard: Vec::new() }, BytesMut::new());
            let mut out = Output::new(&mut sink, &mut buffer);
            let done = std::cell::Cell::new(0);
            let work = async {
                while done.get() < 20 {
                    done.set(done.get() + 1);
                    tokio::task::yield_now().await;
                }
            };
            let ended = out.finish_off(work).await;
            assert!(sink.heard.starts_with(b"* OK Still at it\r\n* OK Still"));
            assert_eq!((ended.is_ok(), done.get()), (left == 100, 20));
        }
    }
}
