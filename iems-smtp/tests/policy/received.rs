//! Reports that others write: kept once, whoever else gets the mail; told by the counts; gone when their time is over.

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::Engine;
use iems_core::deliver::DeliveryAgent;
use iems_core::message::{
    ChannelId, CheckResult, Domain, Envelope, ForwardPath, Mailbox, Reply, ReversePath, Verdict,
};
use iems_core::preprocess::{
    Action, Cell, Findings, Matrix, Policy, Preprocessor, Rule, Scope, Stage, Subject,
};
use iems_core::receive::Connection;
use iems_core::seam::{Account, Clock as _, Directory, DirectoryError, Resolution, ScramVerifier, Target};
use iems_core::storage::{MemoryStorage, Scan, Storage};
use iems_smtp::tlsrpt::received::{
    AGENT, COPIES, Receiver, ReceiverSettings, ReportAgent, ReportJudge, Selection, SpfSeen,
};

use crate::support::*;

/// `tls@b.example` belongs to nobody; what goes to `ann@b.example` is hers, and here read by the other agent only.
struct Two;

#[async_trait]
impl Directory for Two {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        let agent = ChannelId::new(if mailbox.local().as_str() == "tls" { AGENT } else { COPIES });
        Ok(Resolution::Targets(vec![Target::Agent { agent, mailbox: mailbox.clone(), detail: None }]))
    }

    async fn is_local(&self, _: &Domain) -> Result<bool, DirectoryError> {
        Ok(true)
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

/// Vouches for the domain of whoever sends.
struct Vouches;

#[async_trait]
impl Preprocessor for Vouches {
    fn id(&self) -> &str {
        "spf"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let Some(sender) = subject.envelope.and_then(|envelope| envelope.sender.mailbox()) else {
            return Findings::default();
        };
        let evidence = format!("pass for {sender}: it matches +all");
        let verdict = Verdict { check: "spf/mail".into(), result: CheckResult::Pass, score: 0.0, evidence };
        Findings { verdicts: vec![verdict], edits: Vec::new() }
    }
}

struct World {
    clock: Arc<SetClock>,
    storage: Storage,
    receiver: Arc<Receiver>,
    engine: Engine,
}

impl World {
    fn new() -> Self {
        let (clock, storage) = (SetClock::new(), MemoryStorage::new().storage());
        let settings = ReceiverSettings::default();
        let receiver = Arc::new(Receiver::new(storage.store.clone(), clock.clone(), settings));
        let agent = |id| Arc::new(ReportAgent::new(id, receiver.clone())) as Arc<dyn DeliveryAgent>;
        let matrix = Matrix::everywhere().cell("*", "*", Cell::Skip).cell("*", AGENT, Cell::Run);
        let fail = vec![CheckResult::Fail];
        let rule = Rule { check: AGENT.into(), results: fail, score: None, action: Action::Refuse };
        let mut settings = iems_core::Settings::default();
        settings.policy = Policy::new().rule(Scope::Site, rule);
        let engine = Engine::builder("mx.b.example", storage.clone(), Arc::new(Two))
            .clock(clock.clone())
            .settings(settings)
            .agent(agent(AGENT))
            .agent(agent(COPIES))
            .preprocessor(Arc::new(Vouches), Matrix::everywhere())
            .preprocessor(Arc::new(ReportJudge::new(receiver.clone())), matrix)
            .build()
            .unwrap();
        Self { clock, storage, receiver, engine }
    }

    async fn mail(&self, from: &str, to: &[&str], message: String) -> Result<(), Reply> {
        let mut session = self.engine.intake().open(Connection::new(ChannelId::new("smtp"), None)).await?;
        session.hello("mx.a.example").await?;
        let sender = from.parse().map_or(ReversePath::Null, ReversePath::Mailbox);
        let mut transaction = session.begin(Envelope::new(sender), message.len() as u64).await?;
        for to in to {
            transaction.recipient(ForwardPath::Mailbox(to.parse().unwrap()), None, None).await?;
        }
        transaction.write(message.into_bytes().into()).await?;
        transaction.commit().await.map(drop)
    }

    async fn kept(&self, domain: Option<&str>) -> Vec<String> {
        let domain = domain.map(|domain| domain.parse().unwrap());
        let wanted = Selection { domain, since: None, failed: false, most: 1000 };
        let all = self.receiver.list(&wanted).await.unwrap();
        all.into_iter().map(|taken| taken.report.id).collect()
    }

    async fn rows(&self) -> usize {
        let rows = |prefix: &'static [u8]| self.storage.store.scan(Scan::prefix(prefix, 9999));
        rows(b"Ti").await.unwrap().len() + rows(b"Td").await.unwrap().len()
    }

    fn sessions(&self, result: &str) -> u64 {
        self.receiver.counts().sessions.iter().find(|(name, _)| *name == result).unwrap().1
    }
}

fn report(id: &str, domain: &str) -> String {
    format!(
        "From: <r@a.example>\r\nContent-Type: application/tlsrpt+json\r\n\r\n{{\"organization-name\":\"A\",\"report-id\":\"{id}\",\
         \"date-range\":{{\"start-datetime\":\"2026-10-03T00:00:00Z\",\"end-datetime\":\"2026-10-03T23:59:59Z\"}},\
         \"policies\":[{{\"policy\":{{\"policy-type\":\"sts\",\"policy-domain\":\"{domain}\"}},\
         \"summary\":{{\"total-successful-session-count\":7,\"total-failure-session-count\":5}},\
         \"failure-details\":[{{\"result-type\":\"certificate-expired\",\"failed-session-count\":3}},\
         {{\"result-type\":\"unheard-of\",\"failed-session-count\":1}}]}}]}}\r\n"
    )
}

#[tokio::test]
async fn a_report_is_kept_once_by_whoever_is_vouched_for() {
    let world = World::new();
    world.mail("r@a.example", &["tls@b.example"], report("1", "b.example")).await.unwrap();
    world.mail("r@a.example", &["tls@b.example", "ann@b.example"], report("1", "b.example")).await.unwrap();
    assert_eq!(world.kept(None).await, ["1"]);
    // Somebody else who uses the name keeps the other away as little as the other way round.
    world.mail("x@evil.example", &["ann@b.example"], report("1", "b.example")).await.unwrap();
    world.clock.pass(hours(1));
    world.mail("", &["ann@b.example"], report("2", "c.example")).await.unwrap();
    assert_eq!(world.kept(None).await, ["2", "1", "1"], "the latest first");
    assert_eq!(world.kept(Some("c.example")).await, ["2"]);
    let wanted = Selection { domain: None, since: None, failed: false, most: 9 };
    let all = world.receiver.list(&wanted).await.unwrap();
    let spf = |domain: &str| Some(SpfSeen { result: "pass".into(), domain: domain.into() });
    let vouched: Vec<_> = all.iter().map(|taken| taken.spf.clone()).collect();
    assert!(
        vouched.contains(&spf("a.example")) && vouched.contains(&spf("evil.example")) && vouched[0].is_none()
    );
    assert_eq!((all[0].sender.as_str(), all[0].report.sessions()), ("", (7, 5)));
    let counts = world.receiver.counts();
    assert_eq!((counts.kept, counts.unreadable), (3, 0));
    assert!(counts.repeated >= 1, "{counts:?}");
    assert_eq!(world.sessions("successful"), 21);
    assert_eq!((world.sessions("certificate-expired"), world.sessions("other")), (9, 6));
}

#[tokio::test]
async fn two_addresses_in_one_message_keep_one_report() {
    let world = World::new();
    world
        .mail("", &["tls@b.example", "ann@c.example", "tls@c.example"], report("1", "b.example"))
        .await
        .unwrap();
    assert_eq!((world.kept(None).await.len(), world.rows().await), (1, 2));
}

#[tokio::test]
async fn what_is_no_report_is_refused_where_nobody_else_gets_it() {
    let world = World::new();
    let text = || "Subject: hello\r\n\r\nAre you there?\r\n".to_owned();
    let refused = world.mail("x@a.example", &["tls@b.example"], text()).await.unwrap_err();
    assert_eq!((refused.code, refused.enhanced.to_string()), (550, "5.6.1".into()));
    assert!(refused.text.contains("application/tlsrpt+gzip"), "{refused}");
    world.mail("x@a.example", &["ann@b.example"], text()).await.unwrap();
    world.mail("x@a.example", &["ann@b.example", "tls@b.example"], text()).await.unwrap();
    assert!(world.receiver.counts().unreadable >= 3);
    assert_eq!(world.rows().await, 0);
}

#[tokio::test]
async fn reports_go_when_their_time_is_over() {
    let world = World::new();
    for id in 0..300 {
        world.mail("", &["tls@b.example"], report(&id.to_string(), "b.example")).await.unwrap();
    }
    world.clock.pass(hours(24 * 30));
    world.mail("", &["tls@b.example"], report("new", "b.example")).await.unwrap();
    world.clock.pass(hours(24 * 61));
    assert_eq!(world.kept(None).await, ["new"], "those before are not shown any more");
    assert_eq!(world.rows().await, 602);
    world.receiver.prune().await.unwrap();
    assert_eq!((world.kept(None).await.len(), world.rows().await), (1, 2));
    let since = Some(world.clock.now());
    let none = world.receiver.list(&Selection { domain: None, since, failed: false, most: 9 }).await.unwrap();
    assert!(none.is_empty());
}
