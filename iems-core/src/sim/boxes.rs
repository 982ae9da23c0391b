//! A simulated delivery agent: each delivery is one numbered row, written in the queue's own commit, so that
//! whoever reads the rows afterwards knows what was delivered, how often and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Dice, Life, Seen, SimDirectory};
use crate::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Destination, Outcome, Submission};
use crate::message::{ChannelId, EnhancedStatus, Envelope, Mailbox, QueueId, Recipient, Reply};
use crate::storage::{Batch, BlobId, CommitError, Scan, Storage, StoreError, Template};

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The message that the engine delivered.
    pub id: QueueId,
    /// The mailbox.
    pub to: String,
    /// What it was.
    pub seen: Seen,
    /// Its body, to which the row holds a link.
    pub body: BlobId,
}

const ROWS: &[u8] = b"sim/row/";
const NUMBER: &[u8] = b"sim/number";

/// How mailboxes behave, for all agents of one simulation; each value is in thousandths.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct BoxManners {
    /// So many deliveries are put off.
    pub later: AtomicU64,
    /// So many deliveries into the mailboxes of recipients (`p…`, `t…`, `m…`) fail for good.
    pub never: AtomicU64,
    /// So many deliveries stand on a condition that another one may break.
    pub strict: AtomicU64,
}

/// The agent, called `boxes`.
pub struct SimBoxes {
    id: ChannelId,
    storage: Storage,
    life: Life,
    dice: Dice,
    manners: Arc<BoxManners>,
}

impl SimBoxes {
    /// The agent of the engine that keeps its mail in `storage`.
    pub fn new(storage: Storage, life: Life, dice: Dice, manners: Arc<BoxManners>) -> Self {
        Self { id: ChannelId::new("boxes"), storage, life, dice, manners }
    }

    /// The deliveries so far, in the order of their commits, and removes them with their bodies, as a reader does who
    /// keeps nothing. At most 1000 at a time.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn empty(storage: &Storage) -> Result<Vec<Delivered>, CommitError> {
        let rows = storage.store.scan(Scan::prefix(ROWS, 1000)).await?;
        let (mut batch, mut all) = (Batch::new(), Vec::new());
        for (key, row) in &rows {
            let row: Delivered = postcard::from_bytes(row).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            batch.delete(key);
            batch.unlink(row.body);
            all.push(row);
        }
        if !all.is_empty() {
            storage.store.commit(batch).await?;
        }
        Ok(all)
    }

    /// One recipient: its outcome, with what belongs to it added to `delivery`.
    async fn one(
        &self,
        attempt: &Attempt,
        to: &Destination,
        seen: &Seen,
        delivery: &mut Delivery,
    ) -> Outcome {
        let name = to.mailbox.to_string();
        let is_recipient = to.mailbox.local().as_str() != "postmaster"
            && to.mailbox.local().as_str().starts_with(['p', 't', 'm']);
        if self.dice.chance(self.manners.later.load(Ordering::SeqCst)) {
            return Outcome::deferred(2, 0, "not now");
        }
        if is_recipient && self.dice.chance(self.manners.never.load(Ordering::SeqCst)) {
            return Outcome::Failed(Reply::refuse(2, 1, "the mailbox is closed"));
        }
        if self.dice.chance(self.manners.strict.load(Ordering::SeqCst))
            && let Err(error) = self.stand_on_version(&name, delivery).await
        {
            return Outcome::deferred(3, 0, &error.to_string());
        }
        let row = Delivered { id: attempt.id, to: name, seen: seen.clone(), body: attempt.body.blob };
        let Ok(row) = postcard::to_stdvec(&row) else { return Outcome::deferred(3, 0, "no row") };
        let batch = &mut delivery.effects.batch;
        let number = batch.allocate(NUMBER, 1);
        batch.put(Template::from(ROWS.to_vec()).number(number, 0), row);
        batch.link(attempt.body.blob);
        let reply = Reply::new(250, EnhancedStatus::new(2, 1, 5), "delivered");
        if to.mailbox.local().as_str() != "list" {
            return Outcome::Done(Arrival::Delivered, reply);
        }
        delivery.effects.submissions.extend(copy(attempt));
        Outcome::Done(Arrival::Expanded, reply)
    }

    /// A condition that fails if another delivery of this kind into the same mailbox comes first.
    async fn stand_on_version(&self, name: &str, delivery: &mut Delivery) -> Result<(), StoreError> {
        let key = format!("sim/version/{name}").into_bytes();
        let version = self.storage.store.get(&key).await?;
        if self.dice.chance(300) {
            tokio::time::sleep(Duration::from_millis(self.dice.below(50))).await;
        }
        let batch = &mut delivery.effects.batch;
        match &version {
            Some(version) => batch.require_equals(&key, version),
            None => batch.require_absent(&key),
        }
        let next = version.map_or(0, |bytes| bytes.iter().fold(0, |n: u64, b| n << 8 | u64::from(*b))) + 1;
        batch.put(key, next.to_be_bytes().to_vec());
        Ok(())
    }
}

fn copy(attempt: &Attempt) -> Option<Submission> {
    let owner = "<owner@here.example>".parse().ok()?;
    let members = SimDirectory::MEMBERS.iter().filter_map(|member| member.parse::<Mailbox>().ok());
    let recipients = members.map(Recipient::new).collect();
    let body = attempt.body.with_prefix(b"List-Id: <list.here.example>\r\n");
    Some(Submission::new(Envelope::new(owner), recipients, body))
}

#[async_trait]
impl DeliveryAgent for SimBoxes {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, _: &Mailbox, _: u64) -> Result<(), Reply> {
        Ok(())
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        let octets = match self.life.is_over() {
            true => Err(Life::lost()),
            false => attempt.body.reader(&*attempt.blobs).rest().await,
        };
        let Ok(octets) = octets else {
            delivery.outcomes = vec![Outcome::deferred(3, 0, "unreadable"); attempt.destinations.len()];
            return delivery;
        };
        let seen = Seen::read(&octets);
        for destination in &attempt.destinations {
            let outcome = self.one(attempt, destination, &seen, &mut delivery).await;
            delivery.outcomes.push(outcome);
            delivery.decisions.push(None);
        }
        delivery
    }
}
