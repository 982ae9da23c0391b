//! Who answers requests: this process, which has the store open, or the server behind its socket.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::answer::Submitted;
use super::request::{Letter, Request};
use crate::exit::Failure;

/// Answers requests.
#[async_trait]
pub(crate) trait Office: Send + Sync {
    /// Does what is asked, all of it or nothing.
    async fn answer(&self, request: Request) -> Result<Value, Failure>;

    /// Opens a submission. Every recipient is taken, or the submission is refused.
    async fn submit(&self, letter: Letter) -> Result<Box<dyn Submission>, Failure>;

    /// Leaves things as they should be found: everything durable, the folder free.
    async fn close(self: Box<Self>);
}

/// A message on its way in. Dropped before `commit`, it leaves nothing behind.
#[async_trait]
pub(crate) trait Submission: Send {
    /// The next octets, with CRLF line ends.
    async fn write(&mut self, octets: Bytes) -> Result<(), Failure>;

    /// The message is complete: returns when it is durable.
    async fn commit(self: Box<Self>) -> Result<Submitted, Failure>;
}
