//! Judge once, decide where it belongs: one verdict about one message, and four recipients for whom it means
//! four different things.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Capabilities, Channel, Link, Outcome};
use iems_core::message::{ChannelId, EnhancedStatus, Envelope, NextHop, QueueId, Reply};
use iems_core::preprocess::{Action, Matrix, Policy, Rule, Scope};
use iems_core::receive::Connection;
use iems_core::route::{RouteTable, Via};
use iems_core::seam::{Answer, Mx, ResolveError, Resolver, SystemClock};
use iems_core::storage::MemoryStorage;
use iems_core::{Engine, Settings};
use iems_filters::dnsbl::{self, About, Dnsbl, List};
use iems_store::agent::LocalAgent;
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
use iems_store::mailbox::Uid;

/// A DNS in which one list knows one peer.
struct OneListing;

#[async_trait]
impl Resolver for OneListing {
    async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
        Err(ResolveError::NoRecords)
    }

    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError> {
        match host {
            "7.2.0.192.zen.example" => {
                let records = vec!["127.0.0.2".parse().expect("an address")];
                Ok(Answer { records, secure: false, ttl: Duration::from_secs(60) })
            }
            _ => Err(ResolveError::NoName),
        }
    }

    async fn txt(&self, _: &str) -> Result<Answer<String>, ResolveError> {
        Err(ResolveError::NoRecords)
    }

    async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
        Err(ResolveError::NoRecords)
    }
}

/// A channel that keeps what it carries.
struct Kept {
    id: ChannelId,
    decides: bool,
    messages: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Channel for Kept {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        match self.decides {
            true => Capabilities::default().deciding(),
            false => Capabilities::default(),
        }
    }

    async fn open(&self, _: &NextHop) -> Result<Box<dyn Link>, Reply> {
        Ok(Box::new(Keeping(self.messages.clone())))
    }
}

struct Keeping(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Link for Keeping {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let octets = attempt.body.reader(&*attempt.blobs).rest().await.unwrap();
        self.0.lock().unwrap().push(String::from_utf8(octets).unwrap());
        let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), "kept");
        vec![Outcome::Done(Arrival::Delivered, reply); attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

fn listed(action: Action) -> Rule {
    Rule { check: "dnsbl/*".into(), results: vec![], score: None, action }
}

struct World {
    engine: Engine,
    directory: Arc<StoreDirectory>,
    notes: Arc<Mutex<Vec<String>>>,
    ccmail: Arc<Mutex<Vec<String>>>,
}

/// The site marks what a list knows. Ann wants that in her junk folder, Ben in his inbox; the system behind `notes` decides
/// for itself, the one behind `ccmail` cannot, and the administrator's default there is to drop it.
async fn world() -> World {
    let storage = MemoryStorage::new().storage();
    let clock = Arc::new(SystemClock);
    let directory =
        Arc::new(StoreDirectory::new(storage.clone(), clock.clone(), DirectoryOptions::default()));
    directory.add_domain(&"here.example".parse().unwrap(), Default::default()).await.unwrap();
    for (name, action) in [("ann@here.example", Action::Junk), ("ben@here.example", Action::Accept)] {
        let mailbox = name.parse().unwrap();
        directory.add_account(NewAccount::new(name.parse().unwrap())).await.unwrap();
        directory.update_account(&mailbox, |settings| settings.rules = vec![listed(action)]).await.unwrap();
    }

    let mut lists = dnsbl::Settings::default();
    lists.lists = vec![List::new("zen.example".parse().unwrap(), About::Address).unwrap().score(5.0)];
    let judge = Dnsbl::new(lists, Arc::new(OneListing), clock);

    let mut settings = Settings::default();
    settings.policy = Policy::new().rule(Scope::Site, listed(Action::Tag));
    let (notes, ccmail) = (ChannelId::new("notes"), ChannelId::new("ccmail"));
    let default = Policy::new().rule(Scope::Channel, listed(Action::Discard));
    settings.channel_policies =
        [(notes.clone(), default.clone()), (ccmail.clone(), default)].into_iter().collect();
    settings.routes = RouteTable::new();
    for channel in [&notes, &ccmail] {
        let pattern = format!("{channel}.example").parse().unwrap();
        settings.routes = settings.routes.with(pattern, Via::Channel { channel: channel.clone(), hop: None });
        settings.relay.domains.push(format!("{channel}.example").parse().unwrap());
    }

    let (kept_notes, kept_ccmail) = (Arc::default(), Arc::default());
    let output = |id, decides, messages: &Arc<Mutex<Vec<String>>>| {
        Arc::new(Kept { id, decides, messages: messages.clone() })
    };
    let engine = Engine::builder("mx.here.example", storage, directory.clone())
        .agent(Arc::new(LocalAgent::new(directory.clone())))
        .output(output(notes, true, &kept_notes))
        .output(output(ccmail, false, &kept_ccmail))
        .preprocessor(Arc::new(judge), Matrix::everywhere())
        .settings(settings)
        .build()
        .unwrap();
    engine.start();
    World { engine, directory, notes: kept_notes, ccmail: kept_ccmail }
}

impl World {
    async fn send_from_a_listed_peer(&self) -> Result<QueueId, Reply> {
        let peer = "192.0.2.7:4711".parse().unwrap();
        let intake = self.engine.intake();
        let mut session = intake.open(Connection::new(ChannelId::new("smtp"), Some(peer))).await?;
        session.hello("bulk.example").await?;
        let envelope = Envelope::new("<offers@bulk.example>".parse().unwrap());
        let mut transaction = session.begin(envelope, 0).await?;
        for name in ["ann@here.example", "ben@here.example", "carla@notes.example", "dora@ccmail.example"] {
            transaction.recipient(format!("<{name}>").parse().unwrap(), None, None).await?;
        }
        transaction.write("Subject: offers\r\n\r\nBuy.\r\n".into()).await?;
        Ok(transaction.commit().await?.id)
    }

    async fn folder(&self, name: &str, folder: &str) -> Vec<String> {
        let account = self.directory.account(&name.parse().unwrap()).await.unwrap().unwrap();
        let mailboxes = self.directory.mailboxes();
        let mut texts = Vec::new();
        if let Some(id) = mailboxes.find(account.id, folder).await.unwrap() {
            for message in mailboxes.messages(account.id, id, Uid(0), 10).await.unwrap() {
                let octets = message.body.reader(mailboxes.blobs()).rest().await.unwrap();
                texts.push(String::from_utf8(octets).unwrap());
            }
        }
        texts
    }

    async fn story(&self, id: QueueId) -> String {
        for _ in 0..500 {
            let story = self.engine.queue().explain(id).await.unwrap().unwrap().to_string();
            if story.contains("nothing waits any more") {
                return story;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the message still waits");
    }
}

#[tokio::test]
async fn one_verdict_means_what_each_recipient_makes_of_it() {
    let world = world().await;
    let id = world.send_from_a_listed_peer().await.unwrap();
    let story = world.story(id).await;

    let verdict = "verdict dnsbl/zen.example=fail score 5: 127.0.0.2 from zen.example for 192.0.2.7";
    assert_eq!(story.matches(verdict).count(), 1, "judged once:\n{story}");

    // Ann is stricter than the site: her copy is in the junk folder.
    assert_eq!(world.folder("ann@here.example", "INBOX").await.len(), 0);
    let junk = world.folder("ann@here.example", "Junk").await;
    assert!(junk.len() == 1 && junk[0].contains("X-IEMS-Verdict: junk; user;"), "{junk:?}");
    assert!(story.contains("<ann@here.example> decided junk by the user rule"), "{story}");

    // Ben would accept; the site's floor marks his copy all the same.
    let inbox = world.folder("ben@here.example", "INBOX").await;
    assert!(inbox.len() == 1 && inbox[0].contains("X-IEMS-Verdict: tag; site;"), "{inbox:?}");
    assert!(story.contains("<ben@here.example> decided accept by the user rule"), "{story}");

    // Behind `notes` somebody can decide, so the copy goes there with the mark; `ccmail` gets the default.
    let notes = world.notes.lock().unwrap().clone();
    assert!(notes.len() == 1 && notes[0].starts_with("X-IEMS-Verdict: tag; site;"), "{notes:?}");
    assert!(world.ccmail.lock().unwrap().is_empty());
    assert!(story.contains("<dora@ccmail.example> discarded by the channel rule"), "{story}");
    world.engine.shutdown(Duration::from_secs(5)).await;
}
