//! Two engines in one process share nothing but what they are given: here, a bridge from one to the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Channel, Link, Outcome};
use iems_core::message::{ChannelId, EnhancedStatus, ForwardPath, NextHop, Reply};
use iems_core::preprocess::Policy;
use iems_core::receive::{Connection, Intake};
use iems_core::route::{RouteTable, Via};
use iems_core::storage::{MemoryStorage, Storage};
use iems_core::{Engine, Settings};
use iems_examples::{FixedDirectory, Shelf, send};

/// A way into another engine.
struct Bridge {
    id: ChannelId,
    to: Intake,
}

#[async_trait]
impl Channel for Bridge {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn open(&self, _: &NextHop) -> Result<Box<dyn Link>, Reply> {
        Ok(Box::new(Crossing { to: self.to.clone() }))
    }
}

struct Crossing {
    to: Intake,
}

impl Crossing {
    async fn carry(&self, attempt: &Attempt) -> Result<Reply, Reply> {
        let mut session = self.to.open(Connection::new(ChannelId::new("bridge"), None)).await?;
        session.hello("a.example").await?;
        let mut transaction = session.begin((*attempt.envelope).clone(), attempt.body.size()).await?;
        for destination in &attempt.destinations {
            let path = ForwardPath::Mailbox(destination.mailbox.clone());
            transaction.recipient(path, None, None).await?;
        }
        let unread =
            |e: iems_core::storage::StoreError| Reply::defer(3, 0, "not readable").because(e.to_string());
        let mut body = attempt.body.reader(&*attempt.blobs);
        while let Some(piece) = body.next().await.map_err(unread)? {
            transaction.write(piece).await?;
        }
        let receipt = transaction.commit().await?;
        Ok(Reply::new(250, EnhancedStatus::new(2, 0, 0), format!("there it is {}", receipt.id)))
    }
}

#[async_trait]
impl Link for Crossing {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let outcome = match self.carry(attempt).await {
            Ok(reply) | Err(reply) => Outcome::from_reply(Arrival::Relayed, reply),
        };
        vec![outcome; attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

fn engine(name: &str, to: Option<Intake>) -> (Engine, Storage) {
    let storage = MemoryStorage::new().storage();
    let postmaster = format!("postmaster@{name}").parse().unwrap();
    let directory = FixedDirectory::new().with(postmaster, "shelf", Policy::new());
    let mut builder =
        Engine::builder(name, storage.clone(), Arc::new(directory)).agent(Arc::new(Shelf::new("shelf")));
    if let Some(to) = to {
        let mut settings = Settings::default();
        let bridge = ChannelId::new("bridge");
        let via = Via::Channel { channel: bridge.clone(), hop: None };
        settings.routes = RouteTable::new().with("*".parse().unwrap(), via);
        builder = builder.output(Arc::new(Bridge { id: bridge, to })).settings(settings);
    }
    let engine = builder.build().unwrap();
    engine.start();
    (engine, storage)
}

async fn shelf(storage: &Storage, name: &str, least: usize) -> Vec<String> {
    let mailbox = format!("postmaster@{name}").parse().unwrap();
    for _ in 0..500 {
        let messages = Shelf::read(storage, &mailbox).await.unwrap();
        if messages.len() >= least {
            return messages;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{least} messages did not arrive at {name}");
}

const MESSAGE: &str = "Subject: hello\r\n\r\nFrom one to the other.\r\n";

#[tokio::test]
async fn two_engines_in_one_process_share_nothing() {
    let (b, b_storage) = engine("b.example", None);
    let (a, a_storage) = engine("a.example", Some(b.intake()));

    let both = ["postmaster@a.example", "postmaster@b.example"];
    send(&a.intake(), "test", "me@a.example", &both, MESSAGE).await.unwrap();
    assert!(send(&b.intake(), "test", "me@b.example", &["postmaster@a.example"], MESSAGE).await.is_err());

    let here = shelf(&a_storage, "a.example", 1).await;
    let there = shelf(&b_storage, "b.example", 1).await;
    assert_eq!(here[0].matches("Received:").count(), 1);
    assert_eq!(there[0].matches("Received:").count(), 2);
    assert!(
        there[0].ends_with(MESSAGE) && there[0].contains("by b.example") && there[0].contains("by a.example")
    );

    a.shutdown(Duration::from_secs(5)).await;
    let refused = send(&a.intake(), "test", "me@a.example", &["postmaster@a.example"], MESSAGE).await;
    assert_eq!(refused.unwrap_err().code, 421);
    send(&b.intake(), "test", "me@b.example", &["postmaster@b.example"], MESSAGE).await.unwrap();
    assert_eq!(shelf(&b_storage, "b.example", 2).await.len(), 2);
    assert_eq!(shelf(&a_storage, "a.example", 1).await.len(), 1);
    assert_eq!((a.metrics().accepted, b.metrics().accepted), (1, 2));
}
