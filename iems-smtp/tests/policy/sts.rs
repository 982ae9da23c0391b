//! A policy is found, kept as long as it holds, refreshed before it ends, and not lost to whoever hides it.

use std::sync::Arc;
use std::time::Duration;

use iems_core::deliver::Channel as _;
use iems_core::message::{ChannelId, NextHop};
use iems_core::seam::{ResolveError, SeededRandom};
use iems_core::storage::{MemoryStorage, Scan, Storage};
use iems_smtp::client::{ClientSettings, SmtpClient};
use iems_smtp::sts::{Found, Mode, Sts};
use iems_smtp::tlsrpt::FailureKind;
use rustls::RootCertStore;

use crate::support::*;

const RECORD: &str = "_mta-sts.d.example";
const HOST: &str = "mta-sts.d.example";

struct World {
    web: Arc<Web>,
    clock: Arc<SetClock>,
    storage: Storage,
    roots: RootCertStore,
}

impl World {
    /// `d.example` enforces a policy with the id 1 for two days.
    fn new() -> Self {
        let (web, roots) = Web::new(&[HOST, "mta-sts.f.example"]);
        let world = Self { web, clock: SetClock::new(), storage: MemoryStorage::new().storage(), roots };
        world.publish("1", "enforce");
        world
    }

    fn publish(&self, id: &str, mode: &str) {
        self.web.text(RECORD, Ok(&format!("v=STSv1; id={id};")));
        let policy = format!("version: STSv1\nmode: {mode}\nmx: mx.d.example\nmax_age: 172800\n");
        self.web.page("200 OK", "text/plain", &policy);
    }

    fn sts(&self) -> Sts {
        let way = Arc::new(Way(self.web.clone()));
        Sts::new(self.storage.store.clone(), self.clock.clone(), way.clone(), way, &self.roots).unwrap()
    }

    fn hide(&self) {
        self.web.text(RECORD, Err(ResolveError::Temporary("blocked".into())));
        self.web.page("503 Away", "text/plain", "");
    }

    fn fetches(&self) -> usize {
        self.web.asked().len()
    }

    async fn rows(&self) -> usize {
        self.storage.store.scan(Scan::prefix(b"Ts", 10)).await.unwrap().len()
    }
}

async fn id(sts: &Sts) -> String {
    match sts.find("D.example.").await {
        Found::Policy(known) => format!("{} {}", known.policy.mode.name(), known.id),
        Found::Nothing => "nothing".into(),
        Found::Broken(kind, _) => kind.to_string(),
    }
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_again_when_its_id_changes() {
    let world = World::new();
    let sts = world.sts();
    assert_eq!((id(&sts).await, id(&sts).await), ("enforce 1".into(), "enforce 1".into()));
    assert_eq!((world.fetches(), world.web.questions()), (1, 1));
    world.clock.pass(Duration::from_secs(301));
    assert_eq!(id(&sts).await, "enforce 1");
    assert_eq!((world.fetches(), world.web.questions()), (1, 2));
    world.publish("2", "testing");
    assert_eq!(id(&sts).await, "enforce 1", "the DNS is not asked for every message");
    world.clock.pass(Duration::from_secs(301));
    assert_eq!(id(&sts).await, "testing 2");
    let request = String::from_utf8(world.web.asked().pop().unwrap()).unwrap();
    assert!(
        request.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.d.example\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn what_is_known_holds_whoever_hides_it_until_it_ends() {
    let world = World::new();
    assert_eq!(id(&world.sts()).await, "enforce 1");
    world.hide();
    for _ in 0..4 {
        // Each time another process, with the same store.
        world.clock.pass(hours(11));
        assert_eq!(id(&world.sts()).await, "enforce 1");
    }
    world.web.text(RECORD, Ok("v=STSv1; id=9;"));
    let sts = world.sts();
    assert_eq!(id(&sts).await, "enforce 1", "a new one that cannot be had replaces none");
    world.clock.pass(hours(5));
    assert_eq!(id(&sts).await, "sts-policy-fetch-error", "it has ended");
    world.web.text(RECORD, Err(ResolveError::NoRecords));
    world.clock.pass(hours(1));
    assert_eq!(id(&sts).await, "nothing");
}

#[tokio::test]
async fn a_policy_is_refreshed_before_it_ends_and_forgotten_after() {
    let world = World::new();
    let sts = world.sts();
    assert_eq!(id(&sts).await, "enforce 1");
    sts.look_through().await;
    assert_eq!(world.fetches(), 1, "it is fresh");
    for day in 2..6 {
        world.clock.pass(hours(25));
        sts.look_through().await;
        assert_eq!(world.fetches(), day, "once a day");
        assert_eq!(id(&sts).await, "enforce 1");
    }
    world.hide();
    world.clock.pass(hours(25));
    sts.look_through().await;
    assert_eq!((id(&sts).await, world.rows().await), ("enforce 1".into(), 1));
    world.clock.pass(hours(25));
    sts.look_through().await;
    assert_eq!((id(&sts).await, world.rows().await), ("nothing".into(), 0));
}

#[tokio::test]
async fn what_cannot_be_had_is_named_and_not_asked_for_all_the_time() {
    let policy = "version: STSv1\nmode: enforce\nmx: mx.d.example\nmax_age: 60\n";
    for (status, kind, body, wanted) in [
        ("404 Not Found", "text/plain", policy, FailureKind::StsPolicyFetchError),
        ("302 Found", "text/plain", policy, FailureKind::StsPolicyFetchError),
        ("200 OK", "text/html", policy, FailureKind::StsPolicyInvalid),
        ("200 OK", "text/plain", "hello", FailureKind::StsPolicyInvalid),
        ("200 OK", "text/plain", &"x".repeat(70_000), FailureKind::StsPolicyFetchError),
    ] {
        let world = World::new();
        world.web.page(status, kind, body);
        let sts = world.sts();
        assert_eq!((id(&sts).await, id(&sts).await), (wanted.to_string(), wanted.to_string()));
        assert_eq!(world.fetches(), 1, "{status}");
    }
    let (web, roots) = Web::new(&["elsewhere.example"]);
    let world = World { web, roots, ..World::new() };
    world.publish("1", "enforce");
    assert_eq!(id(&world.sts()).await, "sts-webpki-invalid");
}

#[tokio::test]
async fn a_domain_that_publishes_nothing_is_not_asked_for_a_policy() {
    let world = World::new();
    world.web.text(RECORD, Err(ResolveError::NoName));
    assert_eq!((id(&world.sts()).await, world.fetches()), ("nothing".into(), 0));
    world.publish("3", "none");
    let Found::Policy(known) = world.sts().find("d.example").await else { panic!("a policy") };
    assert_eq!(known.policy.mode, Mode::None);
}

#[tokio::test]
async fn a_policy_against_hosts_that_others_use_holds_up_nobody_else() {
    let world = World::new();
    let mut settings = ClientSettings::smtp("us.example");
    settings.sts = Some(Arc::new(world.sts()));
    let way = Arc::new(Way(world.web.clone()));
    let random = Arc::new(SeededRandom::new(1));
    let client = SmtpClient::new(ChannelId::new("smtp"), settings, way.clone(), way, random).unwrap();
    let site = async |domain: &str| client.site(&NextHop::new(domain)).await.to_string();
    assert_eq!(site("e.example").await, "mx.shared.example", "no policy");
    assert_eq!(site("d.example").await, "d.example", "its policy names other hosts");
    world.web.text("_mta-sts.f.example", Ok("v=STSv1; id=1;"));
    world.web.page(
        "200 OK",
        "text/plain",
        "version: STSv1\nmode: enforce\nmx: *.shared.example\nmax_age: 60\n",
    );
    assert_eq!(site("f.example").await, "mx.shared.example (MTA-STS)", "as all that ask for it");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_says_nothing_takes_a_minute_once_and_holds_up_no_other_domain() {
    let world = World::new();
    world.web.silence();
    let sts = world.sts();
    let start = tokio::time::Instant::now();
    let (found, other) = tokio::join!(id(&sts), async {
        let found = matches!(sts.find("other.example").await, Found::Nothing);
        (found, start.elapsed() < Duration::from_secs(1))
    });
    assert_eq!((found, other), ("sts-policy-fetch-error".into(), (true, true)));
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(id(&sts).await, "sts-policy-fetch-error");
    assert_eq!(start.elapsed().as_secs(), 60, "not asked again at once");
}
