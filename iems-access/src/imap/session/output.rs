//! Where a session's words go: collected, and handed over in few pieces.

use std::io;

use bytes::BytesMut;

use crate::imap::codec::Encoder;
use crate::imap::types::{Data, Response, Status};

/// How much is collected before it is handed over, in octets.
pub(super) const ENOUGH: usize = 64 * 1024;

/// Takes what a session says.
pub trait Sink: Send {
    /// Takes all of it, in order.
    fn send(&mut self, octets: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
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

    /// Hands over what was collected.
    ///
    /// # Errors
    /// The sink's.
    pub async fn flush(&mut self) -> io::Result<()> {
        let octets = self.buffer.split();
        self.sink.send(&octets).await
    }
}
