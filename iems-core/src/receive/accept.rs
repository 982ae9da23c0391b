//! Commit: the body is complete. Judge it, decide, deliver what can be delivered at once, and make all
//! of it durable in one batch; only then is the message ours.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::decide::AUTHORS;
use super::transaction::{Receipt, Transaction};
use super::written::Written;
use super::{AuthorMatch, judge, senders};
use crate::deliver::{Arrival, Outcome};
use crate::message::{
    Body, BodyType, ChannelId, CheckResult, EnhancedStatus, Mailbox, Reply, Secrecy, Verdict,
};
use crate::preprocess::{self, Edit};
use crate::queue::Queued;
use crate::storage::CommitError;

/// How often delivery inside the commit is tried before the message waits in the queue instead.
const TRIES: u32 = 3;

impl Transaction {
    /// The body is complete. Judges it, decides, and makes it durable; only then returns.
    /// Dropping the future gives the message up, unless its commit was under way: then it is there whole or not at all.
    pub async fn commit(mut self) -> Result<Receipt, Reply> {
        let outcome = self.accept().await;
        let counter = match &outcome {
            Ok(_) => &self.shared.metrics.accepted,
            Err(_) => &self.shared.metrics.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    async fn accept(&mut self) -> Result<Receipt, Reply> {
        if self.recipients.is_empty() && self.failed.is_empty() {
            return Err(Reply::new(
                554,
                EnhancedStatus::new(5, 5, 1),
                "no valid recipients; correct them and send it again",
            ));
        }
        if let Some(trouble) = self.shared.health.under_way() {
            return Err(trouble);
        }
        if let Some(receipt) = self.taken_before().await? {
            return Ok(receipt);
        }
        let body = self.seal().await?;
        let copies = self.copies(body).await?;
        let mut refused = BTreeMap::new();
        let parts = self.decide(&copies, &mut refused)?;
        for attempt in 1..=TRIES + 1 {
            let written = self.write_down(&copies, &parts, &refused, attempt <= TRIES).await?;
            let Written { batch, queued, refused, delivered, told, .. } = written;
            match self.shared.storage.store.commit(batch).await {
                Ok(_) => {
                    self.shared.metrics.told(told);
                    return Ok(self.accepted(queued, refused, &delivered));
                }
                Err(CommitError::Conflict) if attempt <= TRIES => {
                    if let Some(receipt) = self.taken_before().await? {
                        return Ok(receipt);
                    }
                }
                Err(error) => {
                    self.shared.runner.queued(queued); // if it took effect all the same, it is found
                    return Err(self.shared.health.commit(error));
                }
            }
        }
        Err(self.shared.health.commit(CommitError::Conflict))
    }

    /// What became of the message, if one of its name was taken before.
    async fn taken_before(&self) -> Result<Option<Receipt>, Reply> {
        let Some(once) = &self.once else { return Ok(None) };
        let known = once.look(&self.shared).await.map_err(|e| self.shared.health.failed(e))?;
        Ok(known.map(|known| {
            let id = known.id.unwrap_or(self.id);
            tracing::info!(%id, channel = %self.connection.channel, "brought again: it was taken before");
            Receipt { id, recipients: vec![Ok(()); self.recipients.len()] }
        }))
    }

    fn accepted(
        &self,
        queued: Vec<Queued>,
        mut refused: BTreeMap<usize, Reply>,
        delivered: &[(ChannelId, Mailbox, Reply)],
    ) -> Receipt {
        self.shared.metrics.delivered.fetch_add(delivered.len() as u64, Ordering::Relaxed);
        self.shared.runner.queued(queued);
        self.shared.health.took(self.spool.size);
        let recipients =
            (0..self.recipients.len()).map(|at| refused.remove(&at).map_or(Ok(()), Err)).collect();
        let (id, sender, size) = (self.id, &self.envelope.sender, self.spool.size);
        let (recipients_in, at_once) = (self.recipients.len(), delivered.len());
        tracing::info!(%id, %sender, size, recipients = recipients_in, delivered = at_once, channel = %self.connection.channel, "accepted");
        let age = self.shared.clock.now().since(id.arrived());
        for (channel, to, reply) in delivered {
            let outcome = Outcome::Done(Arrival::Delivered, reply.clone());
            self.shared.metrics.traffic.count(channel, None, (&[outcome], 1), (age, age));
            tracing::info!(%id, %to, %channel, attempt = 1, age = age.as_secs(), %reply, "delivered");
        }
        Receipt { id, recipients }
    }

    /// Ends the spool: loops are refused, foreign verdict fields and return paths removed, missing fields of submissions added.
    async fn seal(&mut self) -> Result<Body, Reply> {
        if let Some(trouble) = &self.spool.trouble {
            return Err(trouble.clone());
        }
        self.look_at_line_ends(b"", true)?;
        if self.spool.writer.is_none() {
            self.open_spool().await?;
        }
        if !self.spool.ended && self.envelope.body != BodyType::BinaryMime {
            self.write(Bytes::from_static(b"\r\n")).await?; // a last line that BDAT left open
        }
        self.spool.scan.finish(&self.shared.hostname);
        // RFC 8689 section 4.1: where protection is required by the envelope, the header does not count.
        if self.envelope.secrecy == Secrecy::Usual && self.spool.scan.waives_protection() {
            self.envelope.secrecy = Secrecy::Waived;
        }
        self.look_for_loops()?;
        self.look_at_authors().await?;
        let spool = &mut self.spool;
        if spool.scan.is_overrun() {
            let text = "the message has too many header fields Return-Path or X-IEMS-; remove them";
            return Err(Reply::new(554, EnhancedStatus::new(5, 6, 0), text));
        }
        let Some(writer) = spool.writer.take() else {
            return Err(Reply::defer(3, 0, "the message could not be stored; try again later"));
        };
        let blob = writer.finish().await.map_err(|e| self.shared.health.failed(e))?;
        let (blob_size, header_size) = (spool.front + spool.size, spool.scan.header_size());
        let body = Body { prefix: Default::default(), blob, blob_size, header_size };
        // What is text would be taken for header behind our own fields.
        let text = spool.scan.headless().map(|at| (at..at, Bytes::from_static(b"\r\n")));
        let forged = spool.scan.foreign().iter().map(|range| (range.clone(), Bytes::new()));
        let edits = text.into_iter().chain(forged);
        let edits: Vec<_> = edits.map(|(range, with)| Edit::Splice { range, with }).collect();
        let body = match edits.is_empty() {
            true => body,
            false => self.edit(&body, &edits).await?.0,
        };
        Ok(self.with_missing_fields(body))
    }

    /// Whether whoever has logged in is who the message says has written it.
    async fn look_at_authors(&mut self) -> Result<(), Reply> {
        let (Some(account), true) = (&self.connection.account, self.connection.authors != AuthorMatch::Off)
        else {
            return Ok(());
        };
        let Some(why) = senders::stranger(&self.shared, account, &self.spool.scan).await? else {
            return Ok(());
        };
        if self.connection.authors == AuthorMatch::Refuse {
            return Err(senders::refused(&why));
        }
        let verdict = Verdict { check: AUTHORS.into(), result: CheckResult::Fail, score: 4.0, evidence: why };
        self.found.push((judge::DOOR, verdict));
        Ok(())
    }

    pub(super) async fn edit(&self, body: &Body, edits: &[Edit]) -> Result<(Body, Vec<String>), Reply> {
        let edited = preprocess::apply(body, edits, &*self.shared.storage.blobs).await;
        edited.map_err(|e| self.shared.health.failed(e))
    }

    /// RFC 6409 section 8: a submission server may add `Date` and `Message-ID`.
    fn with_missing_fields(&self, body: Body) -> Body {
        if !self.connection.submission {
            return body;
        }
        let mut fields = String::new();
        if !self.spool.scan.has_date() {
            fields.push_str(&format!("Date: {}\r\n", self.id.arrived().to_rfc5322()));
        }
        if !self.spool.scan.has_message_id() {
            fields.push_str(&format!("Message-ID: <{}@{}>\r\n", self.id, self.shared.hostname));
        }
        if fields.is_empty() { body } else { body.with_prefix(fields.as_bytes()) }
    }
}
