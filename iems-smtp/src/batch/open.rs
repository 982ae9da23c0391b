//! The message of a batch that is open, from its `MAIL` to its end.

use bytes::Bytes;
use iems_core::message::{Envelope, Reply};
use iems_core::receive::Transaction;

use super::processor::{Run, ok};
use crate::proto::Rcpt;

/// The most of a header section that goes into a report about a message that was refused as a whole, in octets.
const HEAD: usize = 64 * 1024;

/// What is open.
pub(super) enum Open {
    /// Nothing.
    Nothing,
    /// A message that was taken before.
    Known,
    /// One whose sender was refused, or that waits for another run.
    Refused(Reply),
    /// One on its way in.
    Taking(Box<Taking>),
}

/// A message on its way in.
pub(super) struct Taking {
    transaction: Transaction,
    envelope: Envelope,
    /// Those that were taken.
    recipients: Vec<Rcpt>,
    /// Those that were not.
    failed: Vec<(Rcpt, Reply)>,
    /// The beginning of the text, up to the end of its header section.
    head: Vec<u8>,
    headed: bool,
    /// Why the text is not written any more; its end tells.
    stopped: bool,
}

impl Open {
    pub(super) fn taking(transaction: Transaction, envelope: Envelope) -> Self {
        let (recipients, failed, head) = (Vec::new(), Vec::new(), Vec::new());
        let taking =
            Taking { transaction, envelope, recipients, failed, head, headed: false, stopped: false };
        Self::Taking(Box::new(taking))
    }

    pub(super) async fn write(&mut self, octets: Bytes) {
        let Self::Taking(taking) = self else { return };
        taking.note_head(&octets);
        if !taking.stopped {
            // The transaction knows why, and says it at the end.
            taking.stopped = taking.transaction.write(octets).await.is_err();
        }
    }
}

impl Taking {
    fn note_head(&mut self, octets: &[u8]) {
        if self.headed {
            return;
        }
        let room = HEAD.saturating_sub(self.head.len());
        let from = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(octets.get(..room.min(octets.len())).unwrap_or_default());
        let new = self.head.get(from..).unwrap_or_default();
        if let Some(at) = memchr::memmem::find(new, b"\r\n\r\n") {
            self.head.truncate(from + at + 2);
            self.headed = true;
        } else if self.head.len() >= HEAD {
            let end = memchr::memmem::rfind(&self.head, b"\r\n").map_or(0, |at| at + 2);
            self.head.truncate(end);
            self.headed = true;
        }
    }
}

impl Run<'_> {
    pub(super) async fn recipient(&mut self, open: &mut Open, rcpt: Rcpt) -> Reply {
        let taking = match open {
            Open::Nothing | Open::Known => return ok(1, 5, "recipient ok"),
            Open::Refused(reply) => return reply.clone(),
            Open::Taking(taking) => taking,
        };
        let asked = match self.job.terms.may_reach(&rcpt.path) {
            Ok(()) => {
                let (path, original) = (rcpt.path.clone(), rcpt.original.clone());
                taking.transaction.recipient(path, rcpt.notify, original).await
            }
            Err(reply) => Err(reply),
        };
        match asked {
            Ok(()) => {
                taking.recipients.push(rcpt);
                ok(1, 5, "recipient ok")
            }
            // The message waits as a whole: it has one name.
            Err(reply) if reply.is_temporary() && !self.job.last => {
                *open = Open::Refused(reply.clone());
                reply
            }
            Err(reply) => match fail(&mut taking.transaction, rcpt.clone(), &reply) {
                Ok(()) => {
                    taking.failed.push((rcpt, reply.clone()));
                    reply
                }
                Err(too_many) => {
                    *open = Open::Refused(too_many.clone());
                    too_many
                }
            },
        }
    }

    /// The message has ended.
    pub(super) async fn end(&mut self, open: Open) -> Reply {
        match open {
            Open::Nothing => ok(0, 0, "nothing to do"),
            Open::Known => {
                self.report.repeated += 1;
                ok(0, 0, "taken before; nothing was done again")
            }
            Open::Refused(reply) => self.not_taken(reply),
            Open::Taking(taking) => self.commit(*taking).await,
        }
    }

    fn not_taken(&mut self, reply: Reply) -> Reply {
        if reply.is_temporary() && !self.job.last {
            self.report.later += 1;
            self.report.why.get_or_insert_with(|| reply.clone());
        } else {
            self.report.refused += 1;
        }
        reply
    }

    async fn commit(&mut self, taking: Taking) -> Reply {
        let Taking { transaction, envelope, recipients, failed, head, .. } = taking;
        let id = transaction.id();
        match transaction.commit().await {
            Ok(receipt) if receipt.id == id => {
                self.report.failed += failed.len() as u64;
                self.report.accepted += u64::from(!recipients.is_empty());
                ok(0, 0, &format!("{id} accepted"))
            }
            Ok(receipt) => {
                self.report.repeated += 1;
                ok(0, 0, &format!("{} taken before; nothing was done again", receipt.id))
            }
            Err(reply) if reply.is_temporary() && !self.job.last => self.not_taken(reply),
            Err(reply) => match self.tell(envelope, (recipients, failed), &reply, head).await {
                Err(trouble) if trouble.is_temporary() && !self.job.last => self.not_taken(trouble),
                _ => self.not_taken(reply),
            },
        }
    }

    /// Tells the sender that nobody gets the message, unless it was the policy that refused: spam has no honest sender. The report
    /// has the header section, and the name of the message, so that it is sent once.
    async fn tell(
        &mut self,
        envelope: Envelope,
        (recipients, failed): (Vec<Rcpt>, Vec<(Rcpt, Reply)>),
        reply: &Reply,
        head: Vec<u8>,
    ) -> Result<(), Reply> {
        if reply.enhanced.subject() == 7 {
            return Ok(());
        }
        let mut transaction = self.session.begin(envelope, 0).await?;
        transaction.once(self.key(), self.job.terms.keep);
        let taken = recipients.into_iter().map(|rcpt| (rcpt, reply.clone()));
        for (rcpt, reply) in failed.into_iter().chain(taken) {
            fail(&mut transaction, rcpt, &reply)?;
        }
        // A message that went round too often would be refused again for its trace.
        let mut head = if reply.enhanced.subject() == 4 { without_trace(&head) } else { head };
        head.extend_from_slice(b"\r\n");
        transaction.write(head.into()).await?;
        transaction.commit().await.map(|_| ())
    }
}

fn fail(transaction: &mut Transaction, rcpt: Rcpt, reply: &Reply) -> Result<(), Reply> {
    transaction.fail(rcpt.path, rcpt.notify, rcpt.original, reply.clone())
}

/// The fields of a header section but `Received`.
fn without_trace(head: &[u8]) -> Vec<u8> {
    let (mut kept, mut keep) = (Vec::with_capacity(head.len()), true);
    for line in head.split_inclusive(|octet| *octet == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            keep = !line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"received:"));
        }
        if keep {
            kept.extend_from_slice(line);
        }
    }
    kept
}
