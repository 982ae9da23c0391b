//! A delivery agent of one's own: a list that expands one message into copies for its members.
//!
//! Run it with `cargo run --bin custom_agent`. The copies and the counter of posts are effects of the delivery: they are
//! committed with it, so that each member gets exactly one copy, whatever crashes. The copies share the body that
//! arrived; only the fields in front are theirs.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::Engine;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Outcome, Submission};
use iems_core::message::{ChannelId, EnhancedStatus, Envelope, Mailbox, Recipient, Reply, ReversePath};
use iems_core::preprocess::Policy;
use iems_core::storage::{MemoryStorage, counter};
use iems_examples::{FixedDirectory, Shelf, send};

/// A list of people.
struct List {
    id: ChannelId,
    /// Where failures go; must not be the list itself.
    owner: Mailbox,
    members: Vec<Mailbox>,
}

impl List {
    /// One message to everybody but the list itself, with the owner as its sender.
    fn copies(&self, attempt: &Attempt, list: &Mailbox) -> Submission {
        let fields =
            format!("List-Id: <{}.{}>\r\nList-Post: <mailto:{list}>\r\n", list.local(), list.domain());
        let members = self.members.iter().filter(|member| *member != list);
        Submission::new(
            Envelope::new(ReversePath::Mailbox(self.owner.clone())),
            members.cloned().map(Recipient::new).collect(),
            attempt.body.with_prefix(fields.as_bytes()),
        )
    }
}

#[async_trait]
impl DeliveryAgent for List {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, _: &Mailbox, _: u64) -> Result<(), Reply> {
        Ok(())
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        for destination in &attempt.destinations {
            delivery.effects.submissions.push(self.copies(attempt, &destination.mailbox));
            delivery.effects.batch.add(b"list-posts", 1);
            let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), "sent to the members");
            delivery.outcomes.push(Outcome::Done(Arrival::Expanded, reply));
            delivery.decisions.push(None);
        }
        delivery
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ann, ben): (Mailbox, Mailbox) = ("ann@club.example".parse()?, "ben@club.example".parse()?);
    let list =
        List { id: ChannelId::new("list"), owner: ann.clone(), members: vec![ann.clone(), ben.clone()] };
    let directory = FixedDirectory::new()
        .with("team@club.example".parse()?, "list", Policy::new())
        .with(ann.clone(), "shelf", Policy::new())
        .with(ben.clone(), "shelf", Policy::new());
    let storage = MemoryStorage::new().storage();
    let engine = Engine::builder("club.example", storage.clone(), Arc::new(directory))
        .agent(Arc::new(list))
        .agent(Arc::new(Shelf::new("shelf")))
        .build()?;
    engine.start();

    let message = "Subject: picnic\r\n\r\nOn Sunday.\r\n";
    send(&engine.intake(), "program", "carl@club.example", &["team@club.example"], message).await?;

    for member in [ann, ben] {
        let mut copies = Shelf::read(&storage, &member).await?;
        for _ in 0..200 {
            if copies.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                copies = Shelf::read(&storage, &member).await?;
            }
        }
        println!("{} copy for {member}:\n{}", copies.len(), copies.concat());
    }
    println!("posts: {}", counter(storage.store.get(b"list-posts").await?.as_deref())?);
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
