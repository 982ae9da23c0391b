//! What an operator sees of the queue and does to it: filters, pages, orders, pauses, and why something waits.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use iems_core::Engine;
use iems_core::message::Reply;
use iems_core::queue::{AddressPattern, Extent, Filter, HopOrder, Order, Queue, Rate, RateOf, State, Waits};
use iems_core::storage::MemoryStorage;

/// An engine that does not run, with messages to various people.
struct House {
    memory: Arc<MemoryStorage>,
    engine: Engine,
    far: Arc<Far>,
}

impl House {
    fn new(settings: iems_core::Settings, far: Arc<Far>) -> Self {
        let memory = MemoryStorage::new();
        let engine = builder(memory.storage(), PausedClock::new(), &far, &Boxes::new());
        let engine = engine.settings(settings).build().unwrap();
        Self { memory, engine, far }
    }

    fn queue(&self) -> Queue {
        self.engine.queue()
    }

    async fn send(&self, from: &str, to: &[&str]) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        send(&self.engine, from, to).await.unwrap();
    }

    async fn found(&self, filter: &Filter) -> Vec<String> {
        let found = self.queue().list(filter, 1000).await.unwrap();
        found.iter().map(|entry| format!("{}>{}", entry.sender, entry.recipients.join(","))).collect()
    }
}

fn by(set: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = Filter::default();
    set(&mut filter);
    filter
}

async fn four() -> House {
    let house = House::new(settings(), Far::new(&[]));
    house.send("a@here.example", &["x@far.example", "y@far.example", "z@other.example"]).await;
    house.send("B@here.example", &["x@far.example"]).await;
    house.send("", &["X@FAR.example"]).await;
    house
}

#[tokio::test(start_paused = true)]
async fn every_filter_finds_what_it_means_and_nothing_twice() {
    let house = four().await;
    let (first, third) = ("a@here.example>x@far.example,y@far.example", ">X@far.example");
    let found = house.found(&by(|f| f.domain = Some("far.example".parse().unwrap()))).await;
    assert_eq!(found.len(), 3, "a group with two recipients of the domain counts once: {found:?}");
    let found = house.found(&by(|f| f.recipient = Some("X@Far.Example".into()))).await;
    assert_eq!(found, [first, "B@here.example>x@far.example", third]);
    assert_eq!(house.found(&by(|f| f.sender = Some("b@HERE.example".into()))).await.len(), 1);
    assert_eq!(house.found(&by(|f| f.sender = Some(String::new()))).await, [third]);
    for hop in ["far.example", "smtp:far.example"] {
        assert_eq!(house.found(&by(|f| f.hop = Some(hop.into()))).await.len(), 3, "{hop}");
    }
    assert!(house.found(&by(|f| f.hop = Some("lmtp:far.example".into()))).await.is_empty());
    assert_eq!(house.found(&by(|f| f.state = Some(State::Waiting))).await.len(), 4);
    assert!(house.found(&by(|f| f.state = Some(State::Held))).await.is_empty());
    let both = by(|f| (f.sender, f.hop) = (Some("a@here.example".into()), Some("other.example".into())));
    assert_eq!(house.found(&both).await, ["a@here.example>z@other.example"]);
    assert!(house.found(&by(|f| f.reply = Some("busy".into()))).await.is_empty());
    assert!(house.found(&by(|f| f.tenant = Some("here.example".parse().unwrap()))).await.is_empty());
    assert!(house.found(&by(|f| f.spam_reports = true)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn ages_bound_what_is_found() {
    let house = four().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    house.send("c@here.example", &["x@far.example"]).await;
    let young = by(|f| f.younger_than = Some(Duration::from_secs(30)));
    assert_eq!(house.found(&young).await, ["c@here.example>x@far.example"]);
    let old = by(|f| f.older_than = Some(Duration::from_secs(30)));
    assert_eq!(house.found(&old).await.len(), 4);
    let old = by(|f| (f.older_than, f.hop) = (Some(Duration::from_secs(30)), Some("far.example".into())));
    assert_eq!(house.found(&old).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pages_put_together_are_the_whole_and_split_no_message() {
    let house = House::new(settings(), Far::new(&[]));
    for n in 0..30 {
        house.send("a@here.example", &[&format!("u{n}@far.example"), "z@other.example"]).await;
    }
    for filter in [
        Filter::default(),
        by(|f| f.sender = Some("a@here.example".into())),
        by(|f| f.domain = Some("far.example".parse().unwrap())),
        by(|f| f.hop = Some("far.example".into())),
        by(|f| f.state = Some(State::Waiting)),
    ] {
        let whole = house.queue().list(&filter, 1000).await.unwrap();
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = house.queue().page(&filter, after.as_ref(), 7).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.mark.to_string().parse().unwrap());
            pages.extend(page);
        }
        let ids = |all: &[iems_core::queue::Entry]| all.iter().map(|e| (e.id, e.group)).collect::<Vec<_>>();
        assert_eq!(ids(&pages), ids(&whole), "{filter:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn looking_and_removing_cost_what_is_found_and_not_what_waits() {
    let (far, clock) = (Far::new(&[]), PausedClock::new());
    let memory = MemoryStorage::new();
    let counting = Faulty::new(&memory.storage(), u64::MAX / 2, Fault::Passes);
    let engine = builder(counting.storage(), clock, &far, &Boxes::new()).build().unwrap();
    for n in 0..2000 {
        send(&engine, &format!("s{n}@here.example"), &[&format!("x@d{n}.example")]).await.unwrap();
    }
    send(&engine, "s7@here.example", &["y@else.example"]).await.unwrap();
    let cost = async |filter: Filter| {
        let before = counting.operations();
        let found = engine.queue().list(&filter, 1000).await.unwrap().len();
        (found, counting.operations() - before)
    };
    for (filter, wanted) in [
        (by(|f| f.sender = Some("s7@here.example".into())), 2),
        (by(|f| f.recipient = Some("x@d8.example".into())), 1),
        (by(|f| f.domain = Some("d9.example".parse().unwrap())), 1),
        (by(|f| f.hop = Some("d9.example".into())), 1),
        (by(|f| f.state = Some(State::Held)), 0),
    ] {
        let (found, operations) = cost(filter.clone()).await;
        assert!(found == wanted && operations <= 12, "{filter:?}: {found} for {operations} operations");
    }
    let before = counting.operations();
    let purged = engine.queue().purge(&by(|f| f.sender = Some("s7@here.example".into()))).await.unwrap();
    let operations = counting.operations() - before;
    assert!(purged == 2 && operations <= 8, "{purged} for {operations} operations");
    let (depth, _) = engine.queue().depth().await.unwrap();
    assert_eq!((depth.waiting, depth.all()), (1999, 1999));
}

#[tokio::test(start_paused = true)]
async fn a_trial_changes_nothing_and_says_what_would_be() {
    let house = four().await;
    let mut trial = Extent::default();
    (trial.trial, trial.show) = (true, 2);
    let done = house.queue().carry_out(&Order::Purge, &Filter::default(), &trial).await.unwrap();
    assert_eq!((done.changed, done.first.len()), (4, 2));
    assert_eq!(house.found(&Filter::default()).await.len(), 4);
    let held = house.queue().carry_out(&Order::Release, &Filter::default(), &trial).await.unwrap();
    assert_eq!((held.changed, held.unchanged), (0, 4), "nothing is held");
}

#[tokio::test(start_paused = true)]
async fn an_order_goes_on_where_it_stopped() {
    let house = House::new(settings(), Far::new(&[]));
    for n in 0..100 {
        house.send("a@here.example", &[&format!("u{n}@far.example")]).await;
    }
    let (mut extent, mut changed, mut rounds) = (Extent::default(), 0, 0);
    extent.most = 30;
    loop {
        let done = house.queue().carry_out(&Order::Hold, &Filter::default(), &extent).await.unwrap();
        (changed, rounds) = (changed + done.changed, rounds + 1);
        match done.next {
            Some(next) => extent.after = Some(next),
            None => break,
        }
    }
    assert_eq!((changed, rounds), (100, 4));
    let (depth, _) = house.queue().depth().await.unwrap();
    assert_eq!((depth.held, depth.waiting), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn a_group_under_way_is_neither_bounced_nor_redirected_but_can_be_held() {
    let house = House::new(settings(), Far::new(&[("x@far.example", vec![later(), ok()])]));
    house.engine.start();
    house.send("a@here.example", &["x@far.example"]).await;
    tokio::time::sleep(Duration::from_millis(10)).await; // the far side takes 20
    let order = async |order: Order| {
        house.queue().carry_out(&order, &Filter::default(), &Extent::default()).await.unwrap()
    };
    let bounced = order(Order::Bounce(None)).await;
    assert_eq!((bounced.changed, bounced.under_way), (0, 1));
    assert_eq!(order(Order::Redirect("b@here.example".parse().unwrap())).await.under_way, 1);
    assert_eq!(order(Order::Hold).await.changed, 1);
    tokio::time::sleep(Duration::from_secs(7200)).await;
    let left = house.queue().list(&Filter::default(), 9).await.unwrap();
    assert_eq!((left[0].state, left[0].attempts), (State::Held, 1), "what is deferred stays held");
    assert_eq!(order(Order::Release).await.changed, 1);
    assert!(drained(&house.engine).await);
    assert_eq!(house.far.copies("x@far.example"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_bare_store_cannot_do_it_says() {
    let house = four().await;
    let bare = Queue::at_rest(house.memory.storage(), PausedClock::new());
    let every = Filter::default();
    let refused = bare.carry_out(&Order::Bounce(None), &every, &Extent::default()).await.unwrap_err();
    assert!(refused.to_string().contains("engine"), "{refused}");
    assert_eq!(bare.carry_out(&Order::Hold, &every, &Extent::default()).await.unwrap().changed, 4);
    let nowhere =
        Order::Via(iems_core::message::ChannelId::new("uucp"), iems_core::message::NextHop::new("x"));
    let refused = house.queue().carry_out(&nowhere, &every, &Extent::default()).await.unwrap_err();
    assert!(refused.to_string().contains("uucp") && refused.to_string().contains("smtp"), "{refused}");
}

async fn why(house: &House, filter: &Filter) -> Vec<Waits> {
    let first = house.queue().list(filter, 1).await.unwrap().remove(0);
    house.queue().explain(first.id).await.unwrap().unwrap().waits.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_paused_hop_waits_across_a_restart_and_goes_on() {
    let house = House::new(settings(), Far::new(&[]));
    let hop = "smtp:far.example".parse().unwrap();
    house.queue().pause(Some(&hop), "they asked us to").await.unwrap();
    house.engine.start();
    house.send("a@here.example", &["x@far.example"]).await;
    house.send("a@here.example", &["x@other.example"]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((house.far.copies("x@far.example"), house.far.copies("x@other.example")), (0, 1));
    let waits = why(&house, &Filter::default()).await;
    assert!(
        matches!(&waits[0], Waits::Paused { all: false, reason, .. } if reason == "they asked us to"),
        "{waits:?}"
    );
    house.engine.shutdown(Duration::from_secs(1)).await;
    let far = Far::new(&[]);
    let again = builder(house.memory.storage(), PausedClock::new(), &far, &Boxes::new()).build().unwrap();
    again.start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(far.copies("x@far.example"), 0, "a restart does not lift it");
    let shown = again.queue().overview(HopOrder::Depth, 10).await.unwrap();
    assert_eq!((shown.hops, shown.first[0].state(), shown.first[0].depth.waiting), (1, "paused", 1));
    assert!(again.queue().resume(Some(&hop)).await.unwrap());
    assert!(!again.queue().resume(None).await.unwrap(), "all hops were not stopped");
    assert!(drained(&again).await);
    again.queue().pause(None, "").await.unwrap();
    send(&again, "a@here.example", &["x@far.example"]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(far.copies("x@far.example"), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_is_told_which_limit_holds_a_message_and_where_it_stands() {
    let mut settings = settings();
    let slow = Some(Rate::new(1, Duration::from_secs(3600)));
    let mut peer = settings.peers.default.clone();
    (peer.rate, peer.origin) = (slow, "iems.toml:12 [[peer]] far.example".into());
    settings.peers = settings.peers.with("far.example".parse().unwrap(), peer);
    let sender: AddressPattern = "b@here.example".parse().unwrap();
    settings.sources = settings.sources.with_sender_rate(&sender, slow).decided_at("iems.toml:20");
    let house = House::new(settings, Far::new(&[("x@late.example", vec![later()])]));
    house.engine.start();
    for (from, to) in [
        ("a@here.example", "x@far.example"),
        ("a@here.example", "y@far.example"),
        ("b@here.example", "x@one.example"),
        ("b@here.example", "x@two.example"),
        ("a@here.example", "x@late.example"),
    ] {
        house.send(from, &[to]).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waits = why(&house, &by(|f| f.hop = Some("far.example".into()))).await;
    let Waits::Rate { of, rate, origin, .. } = &waits[0] else { panic!("{waits:?}") };
    assert_eq!((*of, rate.as_str()), (RateOf::Site, "1/1h"));
    assert!(origin.contains("iems.toml:12"), "{origin}");
    let waits = why(&house, &by(|f| f.hop = Some("two.example".into()))).await;
    let Waits::Rate { of: RateOf::Sender, name, origin, .. } = &waits[0] else { panic!("{waits:?}") };
    assert_eq!((name.as_str(), origin.as_str()), ("b@here.example", "iems.toml:20"));
    let waits = why(&house, &by(|f| f.hop = Some("late.example".into()))).await;
    assert!(matches!(&waits[0], Waits::NotDue { attempts: 1, .. }), "{waits:?}");
    *house.far.down.lock().unwrap() = Some(Reply::defer(4, 1, "no route to host"));
    house.send("a@here.example", &["x@gone.example"]).await;
    house.send("a@here.example", &["y@gone.example"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waits = why(&house, &by(|f| f.recipient = Some("y@gone.example".into()))).await;
    let Waits::SiteDown { reply, probes: 1, .. } = &waits[0] else { panic!("{waits:?}") };
    assert!(reply.contains("no route to host"));
    let first = house.queue().list(&by(|f| f.hop = Some("gone.example".into())), 1).await.unwrap().remove(0);
    let told = house.queue().explain(first.id).await.unwrap().unwrap().to_string();
    assert!(told.contains("cannot be reached since"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn links_that_are_taken_and_turns_are_named() {
    let mut settings = settings();
    settings.peers.default.concurrency = 1;
    settings.peers.default.origin = "iems.toml:3 queue.per_hop".into();
    let house = House::new(settings, Far::new(&[]));
    for n in 0..5 {
        house.send("a@here.example", &[&format!("u{n}@far.example")]).await;
    }
    house.engine.start();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let last =
        house.queue().list(&by(|f| f.recipient = Some("u4@far.example".into())), 1).await.unwrap().remove(0);
    let waits = house.queue().explain(last.id).await.unwrap().unwrap().waits.remove(0);
    let Waits::Links { taken: 1, allowed: 1, most: 1, origin, .. } = &waits[0] else { panic!("{waits:?}") };
    assert_eq!(origin, "iems.toml:3 queue.per_hop");
    let first = house.queue().list(&Filter::default(), 1).await.unwrap().remove(0);
    assert_eq!(house.queue().explain(first.id).await.unwrap().unwrap().waits[0], [Waits::UnderWay]);
    assert!(drained(&house.engine).await);
}

#[tokio::test(start_paused = true)]
async fn engines_on_one_store_heed_each_others_pauses_and_leave_each_others_attempts_alone() {
    let memory = MemoryStorage::new();
    let (far, clock) = (Far::new(&[("x@far.example", vec![later()])]), PausedClock::new());
    let engine = |name: &str| {
        let builder = builder(memory.storage(), clock.clone(), &far, &Boxes::new());
        builder.shared(name).build().unwrap()
    };
    let (one, two) = (engine("one"), engine("two"));
    one.start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    send(&one, "a@here.example", &["x@far.example"]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    two.start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let bounced =
        two.queue().carry_out(&Order::Bounce(None), &Filter::default(), &Extent::default()).await.unwrap();
    assert_eq!((bounced.changed, bounced.under_way), (0, 1), "the hop is the other's");
    let first = two.queue().list(&Filter::default(), 1).await.unwrap().remove(0);
    assert!(
        first.waits.iter().any(|why| matches!(why, Waits::Elsewhere { node } if node == "one")),
        "{first:?}"
    );
    two.queue().pause(None, "").await.unwrap();
    let asked = far.asked("x@far.example");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(far.asked("x@far.example"), asked, "what one pauses the other does not try");
    one.queue().resume(None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(far.asked("x@far.example") > asked);
    let bounced =
        one.queue().carry_out(&Order::Bounce(None), &Filter::default(), &Extent::default()).await.unwrap();
    assert_eq!(bounced.changed, 1);
}
