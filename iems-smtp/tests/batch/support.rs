//! An engine with one domain of ours, `here.example`: `ann` and `ben` have boxes, `full` has no room for now,
//! and `batch` is the near end of a tunnel.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Delivery, DeliveryAgent, Outcome};
use iems_core::message::{ChannelId, Domain, EnhancedStatus, Mailbox, NextHop, Reply};
use iems_core::preprocess::Policy;
use iems_core::seam::{Account, Directory, DirectoryError, Resolution, ScramVerifier, Target};
use iems_core::storage::Storage;
use iems_core::{Builder, Engine};

pub(crate) struct Names;

#[async_trait]
impl Directory for Names {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        if mailbox.domain().as_str() != "here.example" {
            return Ok(Resolution::Foreign);
        }
        let (agent, detail) = (ChannelId::new("box"), None);
        Ok(match mailbox.local().as_str() {
            "ann" | "ben" | "full" | "postmaster" => {
                Resolution::Targets(vec![Target::Agent { agent, mailbox: mailbox.clone(), detail }])
            }
            "batch" => Resolution::Targets(vec![Target::Channel {
                channel: ChannelId::new("batch"),
                hop: NextHop::new("end"),
                mailbox: mailbox.clone(),
            }]),
            _ => Resolution::Unknown,
        })
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        Ok(domain.as_str() == "here.example")
    }

    async fn may_send_as(&self, _: &Account, _: &Mailbox) -> Result<bool, DirectoryError> {
        Ok(true)
    }

    async fn check_password(&self, _: &str, _: &str) -> Result<Option<Account>, DirectoryError> {
        Ok(None)
    }

    async fn scram(&self, _: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        Ok(None)
    }

    async fn policy(&self, _: &Mailbox) -> Result<Policy, DirectoryError> {
        Ok(Policy::new())
    }
}

/// Keeps what is delivered.
pub(crate) struct Boxes {
    id: ChannelId,
    pub(crate) full: AtomicBool,
    kept: Mutex<Vec<(String, String)>>,
}

impl Boxes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { id: ChannelId::new("box"), full: AtomicBool::new(true), kept: Mutex::default() })
    }

    /// The messages of `name`.
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.iter().filter(|(to, _)| to == name).map(|(_, text)| text.clone()).collect()
    }
}

#[async_trait]
impl DeliveryAgent for Boxes {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn accepts(&self, mailbox: &Mailbox, _: u64) -> Result<(), Reply> {
        match mailbox.local().as_str() == "full" && self.full.load(Ordering::SeqCst) {
            true => {
                Err(Reply::new(452, EnhancedStatus::new(4, 2, 2), "the mailbox is full; try again later"))
            }
            false => Ok(()),
        }
    }

    async fn deliver(&self, attempt: &Attempt) -> Delivery {
        let mut delivery = Delivery::default();
        let text = attempt.body.reader(&*attempt.blobs).rest().await.unwrap();
        for destination in &attempt.destinations {
            let to = destination.mailbox.local().to_string();
            self.kept.lock().unwrap().push((to, String::from_utf8_lossy(&text).into_owned()));
            let reply = Reply::new(250, EnhancedStatus::new(2, 1, 5), "delivered");
            delivery.outcomes.push(Outcome::Done(Arrival::Delivered, reply));
            delivery.decisions.push(None);
        }
        delivery
    }
}

/// An engine on `storage`, to be built.
pub(crate) fn builder(storage: Storage, boxes: &Arc<Boxes>) -> Builder {
    Engine::builder("mx.here.example", storage, Arc::new(Names))
        .agent(boxes.clone())
        .postmaster_domain("here.example".parse().unwrap())
}

/// One message of a batch.
pub(crate) fn message(from: &str, to: &[&str], subject: &str) -> String {
    let to: String = to.iter().map(|to| format!("RCPT TO:<{to}>\r\n")).collect();
    format!("MAIL FROM:<{from}>\r\n{to}DATA\r\nSubject: {subject}\r\n\r\n..text\r\n.\r\n")
}

/// Waits for something of another task.
pub(crate) async fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}
