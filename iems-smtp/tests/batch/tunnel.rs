//! The tunnel: what one end sends the other carries out, and nothing that anybody has changed, copied or made himself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::deliver::{Arrival, Attempt, Channel, Link, Outcome};
use iems_core::message::{ChannelId, EnhancedStatus, Envelope, Mailbox, NextHop, Reply};
use iems_core::preprocess::{Action, Matrix, Policy, Rule, Scope};
use iems_core::receive::Connection;
use iems_core::route::{RouteTable, Via};
use iems_core::seam::{Random, SeededRandom, SystemClock};
use iems_core::storage::MemoryStorage;
use iems_core::{Engine, Settings};
use iems_smtp::batch::{
    BatchChannel, Key, Spool, SpoolSettings, TunnelIn, TunnelInSettings, TunnelOut, TunnelOutSettings,
};
use tempfile::TempDir;

use crate::support::{Boxes, builder, wait};

const END: &str = "batch@here.example";
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Keeps what is sent to the world.
struct World {
    id: ChannelId,
    got: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Channel for World {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    async fn open(&self, _: &NextHop) -> Result<Box<dyn Link>, Reply> {
        Ok(Box::new(Way(self.got.clone())))
    }
}

struct Way(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Link for Way {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let text = attempt.body.reader(&*attempt.blobs).rest().await.unwrap();
        self.0.lock().unwrap().push(String::from_utf8(text).unwrap());
        let reply = Reply::new(250, EnhancedStatus::new(2, 0, 0), "taken");
        vec![Outcome::Done(Arrival::Relayed, reply); attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

fn via(channel: &str, hop: &str) -> Via {
    Via::Channel { channel: ChannelId::new(channel), hop: Some(NextHop::new(hop)) }
}

/// The far end: mail for `inner.example` goes through the tunnel, all other to the world.
struct Far {
    engine: Engine,
    got: Arc<Mutex<Vec<String>>>,
    _dir: TempDir,
}

impl Far {
    fn new(eight_bit: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let (clock, random): (_, Arc<dyn Random>) =
            (Arc::new(SystemClock), Arc::new(SeededRandom::unpredictable()));
        let mut spool = SpoolSettings::new("branch", dir.path().to_owned(), "mx.far.example");
        spool.age = Duration::from_millis(1);
        let spool = Arc::new(Spool::new(spool, clock.clone(), random.clone()));
        let from = "postmaster@far.example".parse().unwrap();
        let mut settings = TunnelOutSettings::new(END.parse().unwrap(), from, Key::new("k", SECRET).unwrap());
        settings.eight_bit = eight_bit;
        let tunnel = TunnelOut::new(settings, dir.path().to_owned(), spool, clock.clone(), random);
        let channel = Arc::new(BatchChannel::new(clock).with_tunnel_out("branch", Arc::new(tunnel)));
        let got = Arc::new(Mutex::new(Vec::new()));
        let world = World { id: ChannelId::new("smtp"), got: got.clone() };
        let mut routes = Settings::default();
        routes.routes = RouteTable::new()
            .with("inner.example".parse().unwrap(), via("batch", "branch"))
            .with("*".parse().unwrap(), via("smtp", "world"));
        let engine = Engine::builder("mx.far.example", MemoryStorage::new().storage(), Arc::new(Nobody))
            .input(channel.clone())
            .output(channel)
            .output(Arc::new(world))
            .settings(routes)
            .build()
            .unwrap();
        engine.start();
        Self { engine, got, _dir: dir }
    }

    /// The message in which mail for these recipients travels.
    async fn wrap(&self, to: &[&str], text: &str) -> String {
        let before = self.got.lock().unwrap().len();
        bring(&self.engine, "ben@here.example", to, text).await.unwrap();
        wait("the batch", || self.got.lock().unwrap().get(before).cloned()).await
    }
}

/// Every domain is foreign.
struct Nobody;

#[async_trait]
impl iems_core::seam::Directory for Nobody {
    async fn resolve(
        &self,
        _: &Mailbox,
    ) -> Result<iems_core::seam::Resolution, iems_core::seam::DirectoryError> {
        Ok(iems_core::seam::Resolution::Foreign)
    }

    async fn is_local(
        &self,
        _: &iems_core::message::Domain,
    ) -> Result<bool, iems_core::seam::DirectoryError> {
        Ok(false)
    }

    async fn may_send_as(
        &self,
        _: &iems_core::seam::Account,
        _: &Mailbox,
    ) -> Result<bool, iems_core::seam::DirectoryError> {
        Ok(true)
    }

    async fn check_password(
        &self,
        _: &str,
        _: &str,
    ) -> Result<Option<iems_core::seam::Account>, iems_core::seam::DirectoryError> {
        Ok(None)
    }

    async fn scram(
        &self,
        _: &str,
    ) -> Result<
        Option<(iems_core::seam::Account, iems_core::seam::ScramVerifier)>,
        iems_core::seam::DirectoryError,
    > {
        Ok(None)
    }

    async fn policy(&self, _: &Mailbox) -> Result<Policy, iems_core::seam::DirectoryError> {
        Ok(Policy::new())
    }
}

async fn bring(engine: &Engine, from: &str, to: &[&str], text: &str) -> Result<(), Reply> {
    let mut session = engine.intake().open(Connection::new(ChannelId::new("x"), None)).await?;
    let mut transaction = session.begin(Envelope::new(format!("<{from}>").parse().unwrap()), 0).await?;
    for to in to {
        transaction.recipient(format!("<{to}>").parse().unwrap(), None, None).await?;
    }
    transaction.write(text.to_owned().into()).await?;
    transaction.commit().await.map(|_| ())
}

/// The near end. With `careful`, what fails is refused at once.
fn near(boxes: &Arc<Boxes>, careful: bool, change: impl Fn(&mut TunnelInSettings)) -> Engine {
    let key = Key::new("k", SECRET).unwrap();
    let mut settings = TunnelInSettings::new("end", END.parse().unwrap(), vec![key]);
    settings.terms.domains = vec!["here.example".parse().unwrap()];
    change(&mut settings);
    let channel = BatchChannel::new(Arc::new(SystemClock)).with_tunnel_in(Arc::new(TunnelIn::new(settings)));
    let (judge, channel) = (Arc::new(channel.judge()), Arc::new(channel));
    let mut settings = Settings::default();
    if careful {
        let rule = Rule {
            check: "batch".into(),
            results: vec![iems_core::message::CheckResult::Fail],
            score: None,
            action: Action::Refuse,
        };
        settings.policy = Policy::new().rule(Scope::Site, rule);
    }
    let engine = builder(MemoryStorage::new().storage(), boxes)
        .input(channel.clone())
        .output(channel)
        .preprocessor(judge, Matrix::everywhere())
        .settings(settings)
        .build()
        .unwrap();
    engine.start();
    engine
}

async fn idle(engine: &Engine) {
    for _ in 0..1000 {
        if engine.queue().page(&Default::default(), None, 10).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the queue does not get empty");
}

/// The mail of the tunnel is for a domain of the near end.
fn readdressed(to: &str) -> Vec<String> {
    vec![format!("{to}@inner.example")]
}

#[tokio::test]
async fn a_batch_is_carried_out_once_however_often_it_comes() {
    for eight_bit in [false, true] {
        let (far, boxes) = (Far::new(eight_bit), Boxes::new());
        let engine = near(&boxes, true, |settings| settings.terms.domains = vec!["*".parse().unwrap()]);
        let outer = far.wrap(&["ann@inner.example"], "Subject: inside\r\n\r\n.text\r\n").await;
        assert!(outer.contains("Content-Type: application/batch-SMTP\r\n"), "{outer}");
        assert_eq!(outer.contains("RCPT TO:<ann@inner.example>"), eight_bit, "{outer}");
        // The domain is not one of the near end, and mail for it has no way there: the sender is told.
        bring(&engine, "x@far.example", &[END], &outer).await.unwrap();
        idle(&engine).await;
        assert_eq!(boxes.of("ben").len(), 1);
        assert!(boxes.of("ben")[0].contains("ann@inner.example"), "{}", boxes.of("ben")[0]);
        // Again: nothing happens, and that is no error.
        bring(&engine, "x@far.example", &[END], &outer).await.unwrap();
        idle(&engine).await;
        assert_eq!(boxes.of("ben").len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_signed_by_who_may_is_refused_at_once() {
    let (far, boxes) = (Far::new(true), Boxes::new());
    let outer = far
        .wrap(&readdressed("ann").iter().map(String::as_str).collect::<Vec<_>>(), "Subject: s\r\n\r\nx\r\n")
        .await;
    let field = outer.find("Batch-SMTP-Signature").unwrap();
    let end = outer[field..].find("\r\n\r\n").unwrap() + field + 2;
    let engine = near(&boxes, true, |_| {});
    let unsigned = format!("{}{}", &outer[..field], &outer[end..]);
    let changed = outer.replacen("ann@inner.example", "ben@inner.example", 1);
    let longer = format!("{outer}MAIL FROM:<>\r\n");
    let twice = format!("{}{}", &outer[field..end], outer);
    let extended = outer.replacen("batch-SMTP\r\n", "batch-SMTP; required-extensions=XYZZY\r\n", 1);
    for (text, told) in [
        (&unsigned, "550 5.7.1"),
        (&changed, "signature of the batch is wrong"),
        (&longer, "signature of the batch is wrong"),
        (&twice, "cannot be read"),
        (&extended, "XYZZY"),
        (&"Subject: hello\r\n\r\nx\r\n".to_owned(), "takes batches"),
    ] {
        let reply = bring(&engine, "x@far.example", &[END], text).await.unwrap_err().to_string();
        assert!(reply.starts_with("550 5.7.1") && reply.contains(told), "{told}: {reply}");
    }
    let other = near(&boxes, true, |settings| settings.keys = vec![Key::new("k", &[7; 40]).unwrap()]);
    let reply = bring(&other, "x@far.example", &[END], &outer).await.unwrap_err().to_string();
    assert!(reply.contains("is wrong"), "{reply}");
    let other = near(&boxes, true, |settings| settings.keys = vec![Key::new("l", SECRET).unwrap()]);
    let reply = bring(&other, "x@far.example", &[END], &outer).await.unwrap_err().to_string();
    assert!(reply.contains("unknown key"), "{reply}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let other = near(&boxes, true, |settings| settings.window = Duration::ZERO);
    let reply = bring(&other, "x@far.example", &[END], &outer).await.unwrap_err().to_string();
    assert!(reply.contains("too long ago"), "{reply}");
    assert!(boxes.of("ann").is_empty() && boxes.of("ben").is_empty());
}

#[tokio::test]
async fn the_end_itself_carries_out_nothing_that_slipped_through() {
    let (far, boxes) = (Far::new(true), Boxes::new());
    let outer = far.wrap(&["ann@inner.example"], "Subject: s\r\n\r\nx\r\n").await;
    let engine = near(&boxes, false, |settings| settings.terms.domains = vec!["*".parse().unwrap()]);
    let changed = outer.replacen("ann@inner.example", "ann@here.example", 1);
    bring(&engine, "ben@here.example", &[END], &changed).await.unwrap();
    idle(&engine).await;
    assert!(boxes.of("ann").is_empty());
    assert!(boxes.of("ben")[0].contains("Status: 5.7.7"), "{}", boxes.of("ben")[0]);
}

#[tokio::test]
async fn a_batch_goes_only_where_its_origin_may_send_and_never_into_a_batch() {
    let (far, boxes) = (Far::new(false), Boxes::new());
    let engine =
        near(&boxes, true, |settings| settings.terms.domains = vec!["here.example".parse().unwrap()]);
    let outer = far.wrap(&["z@inner.example"], "Subject: s\r\n\r\nx\r\n").await;
    bring(&engine, "x@far.example", &[END], &outer).await.unwrap();
    idle(&engine).await;
    let report = boxes.of("ben").remove(0);
    assert!(report.contains("z@inner.example") && report.contains("Status: 5.7.1"), "{report}");
    // The wrapped batch, sent on into the tunnel.
    bring(&far.engine, "c@far.example", &["y@inner.example"], &outer).await.unwrap();
    let report = wait("the report", || far.got.lock().unwrap().get(1).cloned()).await;
    assert!(report.contains("Status: 5.4.6") && report.contains("cannot travel in a batch"), "{report}");
}
