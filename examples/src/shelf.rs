//! An agent of one's own: a numbered shelf for each address, straight in the store.
//!
//! On the path at `deliver`. The number, the row and the ownership of the body are one batch, which the engine
//! commits with the queue's own step: a message is on the shelf exactly once, whatever crashes.

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Outcome};
use iems_core::message::{Body, ChannelId, EnhancedStatus, Mailbox, Reply};
use iems_core::storage::{Scan, Storage, StoreError, Template};

/// Delivers to shelves.
#[derive(Debug)]
pub struct Shelf {
    id: ChannelId,
}

impl Shelf {
    /// The agent called `name`.
    pub fn new(name: &str) -> Self {
        Self { id: ChannelId::new(name) }
    }

    /// The messages on the shelf of `mailbox`, first one first; at most 100.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn read(storage: &Storage, mailbox: &Mailbox) -> Result<Vec<String>, StoreError> {
        let mut messages = Vec::new();
        for (_, row) in storage.store.scan(Scan::prefix(&shelf(mailbox), 100)).await? {
            let body: Body = postcard::from_bytes(&row).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            let octets = body.reader(&*storage.blobs).rest().await?;
            messages.push(String::from_utf8_lossy(&octets).into_owned());
        }
        Ok(messages)
    }
}

/// What the keys of a shelf begin with.
fn shelf(mailbox: &Mailbox) -> Vec<u8> {
    format!("shelf/{}/", mailbox.folded()).into_bytes()
}

#[async_trait]
impl DeliveryAgent for Shelf {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, _: &Mailbox, _: u64) -> Result<(), Reply> {
        Ok(())
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        for destination in &attempt.destinations {
            let batch = &mut delivery.effects.batch;
            let outcome = match postcard::to_stdvec(&attempt.body) {
                Ok(row) => {
                    let last = format!("shelf-last/{}", destination.mailbox.folded());
                    let number = batch.allocate(last.as_bytes(), 1);
                    batch.put(Template::from(shelf(&destination.mailbox)).number(number, 0), row);
                    batch.link(attempt.body.blob);
                    let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), "on the shelf");
                    Outcome::Done(Arrival::Delivered, reply)
                }
                Err(_) => Outcome::deferred(3, 0, "the row cannot be written"),
            };
            delivery.outcomes.push(outcome);
            delivery.decisions.push(None);
        }
        delivery
    }
}
