//! `Intake`: open, begin, recipient, body, commit. Each step may refuse with a reply.

use std::sync::Arc;

use bytes::Bytes;

use super::Connection;
use crate::engine::Shared;
use crate::message::{Envelope, ForwardPath, Notify, OriginalRecipient, QueueId, Reply};

/// The door. Cheap to clone; every input channel gets one.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

/// A peer that was let in.
pub struct Session {
    shared: Arc<Shared>,
    connection: Connection,
}

/// One message on its way in. Dropping it before `commit` returned gives it up: nothing is kept.
pub struct Transaction {
    shared: Arc<Shared>,
}

/// The proof that a message is ours now: it survives a power cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its queue id.
    pub id: QueueId,
    /// For each recipient accepted by [`Transaction::recipient`], in order: `Err` if the policy refused the
    /// message for this one after the body was seen. LMTP tells each; SMTP only gets here if at least one is `Ok`.
    pub recipients: Vec<Result<(), Reply>>,
}

impl Intake {
    /// A peer connects. Refused with 421 or 554 where policy or overload demand it.
    pub async fn open(&self, connection: Connection) -> Result<Session, Reply> {
        let _ = &self.shared;
        unreachable!("{connection:?}")
    }
}

impl Session {
    /// What is known of the peer; the channel fills in `helo`, `protocol`, `tls` and `account` as they become known.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// What is known of the peer.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The peer said its name (EHLO, HELO, LHLO).
    pub async fn hello(&mut self, helo: &str) -> Result<(), Reply> {
        self.connection.helo = helo.to_owned();
        Ok(())
    }

    /// A reverse-path. `size` is the size the peer announced, in octets, 0 if it did not.
    pub async fn begin(&mut self, envelope: Envelope, size: u64) -> Result<Transaction, Reply> {
        let _ = &self.shared;
        unreachable!("{envelope:?}{size}")
    }
}

impl Transaction {
    /// A recipient. Routed now: unknown ones, full mailboxes and relaying that is not allowed are refused here.
    pub async fn recipient(
        &mut self,
        path: ForwardPath,
        notify: Option<Notify>,
        original: Option<OriginalRecipient>,
    ) -> Result<(), Reply> {
        let _ = &self.shared;
        unreachable!("{path:?}{notify:?}{original:?}")
    }

    /// Number of recipients accepted so far.
    pub fn recipients(&self) -> usize {
        0
    }

    /// The next octets of the body: an RFC 5322 message with CRLF line ends, dot-stuffing removed.
    /// After an error the transaction stays refused; the channel reads on to the end of the body and then sends the reply.
    pub async fn write(&mut self, octets: Bytes) -> Result<(), Reply> {
        unreachable!("{octets:?}")
    }

    /// The body is complete. Judges it, decides, and makes it durable; only then returns.
    pub async fn commit(self) -> Result<Receipt, Reply> {
        unreachable!()
    }
}
