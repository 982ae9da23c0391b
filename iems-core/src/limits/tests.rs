use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use std::sync::Arc;
use std::time::Duration;

use crate::seam::{Clock, Timestamp};
use crate::storage::MemoryStorage;

/// A clock that stands until it is moved.
struct Standing(AtomicU64);

#[async_trait::async_trait]
impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millis(), Ordering::Relaxed);
    }
}

struct World {
    clock: Arc<Standing>,
    limits: Arc<Limits>,
}

impl World {
    fn new(limits: Vec<Limit>) -> Self {
        let clock = Arc::new(Standing(AtomicU64::new(1_790_000_000_000)));
        let world = Self { limits: Limits::with_room(clock.clone(), 1000), clock };
        world.limits.set("", limits);
        world
    }

    fn pass(&self, secs: u64) {
        self.clock.0.fetch_add(secs * 1000, Ordering::Relaxed);
    }
}

fn from(address: &str) -> Who<'_> {
    Who { address: Some(address.parse().unwrap()), ..Who::default() }
}

fn at_once(count: u64, per: Per) -> Limit {
    Limit::new(format!("{per:?}"), Act::Connection, per, Bound::AtOnce(count))
}

#[test]
fn connections_at_once_are_bounded_and_given_back() {
    let world = World::new(vec![at_once(3, Per::All), at_once(2, Per::Address)]);
    let enter = |address: &str| world.limits.enter(Act::Connection, &from(address));
    let first = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
    let hit = enter("2001:db8::3").unwrap_err();
    assert_eq!((&*hit.limit, hit.key.to_string()), ("Address", "2001:db8::/64".into()));
    assert_eq!(
        (hit.reply().code, &*hit.cause()),
        (421, "Address (default): 2001:db8::/64 hit 2 at once connections")
    );
    let home = enter("127.0.0.1").unwrap();
    assert_eq!(&*enter("::ffff:127.0.0.1").unwrap_err().limit, "All", "loopback counts with all");
    assert_eq!(world.limits.open(""), 3);
    drop(first);
    let homes = (enter("127.0.0.1").unwrap(), enter("::ffff:127.0.0.1").unwrap());
    drop((home, homes));
    assert_eq!(world.limits.open(""), 0);
    world.limits.set("", vec![at_once(1, Per::All)]);
    let _last = enter("192.0.2.1").unwrap();
    assert!(enter("192.0.2.2").is_err(), "other bounds");
}

#[test]
fn scopes_count_for_themselves_and_all_together() {
    let world = World::new(vec![at_once(3, Per::All)]);
    world.limits.set("a", vec![at_once(1, Per::Address)]);
    let enter = |scope| world.limits.enter(Act::Connection, &Who { scope, ..from("192.0.2.1") });
    let open = (enter("a").unwrap(), enter("b").unwrap(), enter("b").unwrap());
    assert_eq!(&*enter("a").unwrap_err().limit, "All");
    drop(open.1);
    assert_eq!(&*enter("a").unwrap_err().limit, "Address");
    assert_eq!((world.limits.open("a"), world.limits.open("b")), (1, 1));
}

#[test]
fn it_slows_down_then_refuses_then_bans_and_forgets() {
    let terms = Terms { after: 2, span: Duration::from_secs(600) };
    let budget = Bound::Budget(Budget::per_minute(10));
    let limit = Limit::new("limits.messages", Act::Message, Per::Address, budget);
    let world = World::new(vec![limit.slowing(Duration::from_secs(4)).banning(terms).at("iems.toml:7")]);
    let who = from("192.0.2.1");
    let take = || world.limits.take(Act::Message, &who, 1);
    let waits: Vec<u128> = (0..10).map(|_| take().unwrap().as_millis()).collect();
    assert_eq!(waits, [0, 0, 0, 0, 0, 800, 1600, 2400, 3200, 4000]);
    for banned in [false, false, true] {
        let hit = take().unwrap_err();
        assert_eq!((hit.banned, &*hit.origin, hit.reply().code), (banned, "iems.toml:7", 450));
    }
    let hit = world.limits.enter(Act::Connection, &who).unwrap_err();
    assert_eq!((hit.reply().code, hit.wait), (421, Some(Duration::from_secs(600))), "{}", hit.text());
    assert!(hit.text().contains("in 10 minutes"), "{}", hit.text());
    assert!(world.limits.take(Act::Message, &from("192.0.2.2"), 1).is_ok(), "others go on");
    let bans = world.limits.bans();
    assert_eq!(
        (&*bans[0].rule, bans[0].key.to_string(), bans[0].count),
        ("limits.messages", "192.0.2.1".into(), 1)
    );
    assert_eq!(world.limits.totals(), [("limits.messages".into(), 4)]);
    assert_eq!(world.limits.hits().iter().map(|hit| hit.count).sum::<u64>(), 4);
    world.pass(601);
    assert!(take().is_ok() && world.limits.bans().is_empty());
}

#[test]
fn whoever_guesses_is_locked_out_and_not_whose_login_it_is() {
    let guesses = Bound::Budget(Budget::per_hour(3));
    let span = Duration::from_secs(3600);
    let limit = Limit::new("guesses", Act::Failure, Per::Login, guesses).banning(Terms { after: 0, span });
    let world = World::new(vec![limit]);
    let guesser = Who { login: Some("Ann@example.org"), ..from("192.0.2.66") };
    let neighbour = Who { login: Some("ann@Example.org"), ..from("192.0.2.67") };
    let owner = Who { login: Some("ann@example.org"), ..from("198.51.100.7") };
    let other = Who { login: Some("bob@example.org"), ..from("192.0.2.66") };
    for _ in 0..3 {
        world.limits.check(Act::Failure, &guesser).unwrap();
        world.limits.take(Act::Failure, &guesser, 1).unwrap();
    }
    assert!(world.limits.check(Act::Failure, &guesser).unwrap_err().banned);
    assert!(world.limits.check(Act::Failure, &neighbour).is_err(), "a network guesses together");
    assert!(world.limits.check(Act::Failure, &owner).is_ok());
    assert!(world.limits.check(Act::Failure, &other).is_ok());
    let key = world.limits.bans()[0].key.clone();
    assert!(world.limits.clear(&key) && !world.limits.clear(&key));
    assert!(world.limits.check(Act::Failure, &guesser).is_ok());
    world.limits.take(Act::Failure, &guesser, 3).unwrap();
    world.limits.forgive(Act::Failure, &guesser);
    assert!(world.limits.check(Act::Failure, &guesser).is_ok());
}

#[test]
fn a_refusal_spends_nothing_of_other_limits() {
    let network = Limit::new("network", Act::Message, Per::Network, Bound::Budget(Budget::per_hour(5)));
    let address = Limit::new("address", Act::Message, Per::Address, Bound::Budget(Budget::per_hour(1)));
    let world = World::new(vec![network, address]);
    let take = |address: &str| world.limits.take(Act::Message, &from(address), 1);
    assert!(take("192.0.2.1").is_ok());
    for _ in 0..10 {
        assert_eq!(&*take("192.0.2.1").unwrap_err().limit, "address");
    }
    for n in 2..=5 {
        assert!(take(&format!("192.0.2.{n}")).is_ok());
    }
    assert_eq!(&*take("192.0.2.6").unwrap_err().limit, "network");
}

#[test]
fn millions_of_addresses_take_no_more_room() {
    let span = Duration::from_secs(3600);
    let limit = Limit::new("rate", Act::Connection, Per::Address, Bound::Budget(Budget::per_minute(0)));
    let world = World::new(vec![limit.banning(Terms { after: 0, span }), at_once(1, Per::Network)]);
    for n in 0..30_000_u32 {
        let address = Some(IpAddr::V4(Ipv4Addr::from_bits(0x0B00_0000 + n)));
        assert!(world.limits.take(Act::Connection, &Who { address, ..Who::default() }, 1).is_err());
    }
    assert_eq!(world.limits.bans().len(), MOST_BANS);
    assert!(format!("{:?}", world.limits).contains("keys: 1000"), "{:?}", world.limits);
    assert!(world.limits.hits().len() <= 200);
    let first = world.limits.bans()[0].key.to_string();
    assert_eq!(
        first,
        Key::address(Ipv4Addr::from_bits(0x0B00_0000 + 20_000).into()).to_string(),
        "oldest out"
    );
}

#[test]
fn an_administrator_bans_networks_of_any_size() {
    let world = World::new(vec![]);
    let key: Key = "198.51.96.0/20".parse().unwrap();
    world.limits.ban("by hand", "", key.clone(), Duration::from_secs(60));
    assert!(world.limits.banned(&from("198.51.100.7")).is_some());
    assert!(world.limits.banned(&from("::ffff:198.51.100.7")).is_some());
    assert!(
        world.limits.banned(&from("198.51.112.1")).is_none()
            && world.limits.banned(&Who::default()).is_none()
    );
    world.limits.ban("by hand", "", key.clone(), Duration::from_secs(30));
    world.pass(59);
    assert!(world.limits.banned(&from("198.51.100.7")).is_some(), "the longer one holds");
    assert_eq!(world.limits.bans()[0].count, 2);
    assert!(world.limits.clear(&key) && world.limits.banned(&from("198.51.100.7")).is_none());
}

#[tokio::test(start_paused = true)]
async fn bans_outlive_the_process_until_they_are_over() {
    let store = MemoryStorage::new().storage().store;
    for round in 0..3 {
        let world = World::new(vec![]);
        world.pass(round * 100);
        let shutdown = tokio_util::sync::CancellationToken::new();
        let task =
            tokio::spawn(Keeper::open(world.limits.clone(), store.clone()).await.run(shutdown.clone()));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.limits.bans().len(), usize::from(round == 1), "round {round}");
        if round == 0 {
            world.limits.ban("x", "y", "192.0.2.0/24".parse().unwrap(), Duration::from_secs(150));
            world.limits.ban("x", "y", "192.0.2.0/25".parse().unwrap(), Duration::from_secs(50));
        }
        shutdown.cancel();
        task.await.unwrap();
    }
    assert!(store.scan(crate::storage::Scan::prefix(b"lb", 10)).await.unwrap().is_empty(), "nothing is left");
}
