//! Each row of the queue's state table, with storage that fails at every operation in turn, in four ways
//! (see `common::Fault`). Whatever happens: a message that was acknowledged is delivered or reported,
//! exactly once inside our own store and at least once outside; one that was not is there whole or not at all.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::*;
use iems_core::Settings;
use iems_core::deliver::Outcome;
use iems_core::message::{ChannelId, Envelope, NextHop, Release, Reply};
use iems_core::queue::{Extent, Filter, Order, Queue};
use iems_core::seam::Clock;
use iems_core::storage::{Blobs, MemoryStorage, Storage};

/// What is sent, what the far side does, and what must come of it.
struct Row {
    to: &'static [&'static str],
    far: &'static [(&'static str, Answers)],
    /// How often the agent puts local delivery off.
    put_off: u64,
    /// Mailboxes that get exactly one copy.
    local: &'static [&'static str],
    /// Far addresses that get at least one.
    remote: &'static [&'static str],
    /// Far addresses that get none.
    nothing: &'static [&'static str],
    /// Reports in the sender's mailbox (`c`), by a word in each.
    reports: &'static [&'static str],
    /// For how many seconds the far side takes no links at first.
    down: u64,
    /// How many seconds later its sender wants it to go.
    later: u64,
    /// What an administrator does after a while.
    admin: Option<Admin>,
}

/// What a far address answers, attempt by attempt.
type Answers = fn() -> Vec<Outcome>;

#[derive(Clone, Copy, PartialEq)]
enum Admin {
    Retry,
    Purge,
    Hold,
    Release,
    Redirect,
    Reroute,
    Bounce,
}

/// What an operator orders, one after the other.
fn orders(admin: Admin) -> Vec<Order> {
    match admin {
        Admin::Retry => vec![Order::Retry],
        Admin::Purge => vec![Order::Purge],
        Admin::Hold | Admin::Release => vec![Order::Hold, Order::Release],
        Admin::Redirect => vec![Order::Redirect("a@here.example".parse().unwrap())],
        Admin::Reroute => vec![Order::Via(ChannelId::new("smtp"), NextHop::new("other.example"))],
        Admin::Bounce => vec![Order::Bounce(Some("no longer wanted".into()))],
    }
}

const ROW: Row = Row {
    to: &[],
    far: &[],
    put_off: 0,
    local: &[],
    remote: &[],
    nothing: &[],
    reports: &[],
    down: 0,
    later: 0,
    admin: None,
};

/// Plays the row with a fault at every operation, in every way, until one run meets no fault.
async fn play(row: Row) {
    for fault in [Fault::Dies, Fault::Passes, Fault::Full, Fault::Unknown] {
        for at in 0.. {
            assert!(at < 500, "the story does not end");
            if once(&row, fault, at).await {
                break;
            }
        }
    }
}

/// A schedule with few attempts: every one is played with a fault at each of its operations.
fn quick() -> Settings {
    let mut settings = settings();
    let minutes = |n: u64| Duration::from_secs(6 * n); // ten times quicker than in life
    settings.peers.default.schedule.retry = vec![minutes(1), minutes(100), minutes(300)];
    settings.peers.default.schedule.warn = Some(minutes(150));
    settings.peers.default.schedule.expire = minutes(1200);
    settings
}

/// One run; `true` if the story was over before the fault.
async fn once(row: &Row, fault: Fault, at: u64) -> bool {
    let clock = PausedClock::new();
    let memory = MemoryStorage::with_clock(clock.clone());
    let faulty = Faulty::new(&memory.storage(), at, fault);
    let script: Vec<_> = row.far.iter().map(|(name, answers)| (*name, answers())).collect();
    let (far, boxes) = (Far::new(&script), Boxes::new());
    boxes.defer_first.store(row.put_off, Ordering::SeqCst);
    let mut engine =
        builder(faulty.storage(), clock.clone(), &far, &boxes).settings(quick()).build().unwrap();
    engine.start();
    if row.down > 0 {
        *far.down.lock().unwrap() = Some(Reply::defer(4, 1, "no route to host"));
        let (far, down) = (far.clone(), Duration::from_secs(row.down));
        tokio::spawn(async move {
            tokio::time::sleep(down).await;
            *far.down.lock().unwrap() = None;
        });
    }
    let mut envelope = Envelope::new("<c@here.example>".parse().unwrap());
    let later = |held| Release { at: clock.now().after(Duration::from_secs(held)), held: Some(held) };
    envelope.release = (row.later > 0).then(|| later(row.later));
    let receipt = send_envelope(&engine, envelope, row.to, TEXT).await;
    let bare = Queue::at_rest(memory.storage(), clock.clone());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let early = row.to.iter().map(|name| far.asked(name)).sum::<usize>();
    assert!(row.later <= 10 || early == 0, "sent before its time: {fault:?} at operation {at}");
    let mut administered = false;
    if let Some(admin) = row.admin {
        administered = true;
        for order in orders(admin) {
            let done = engine.queue().carry_out(&order, &Filter::default(), &Extent::default()).await;
            administered &= done.is_ok();
            if admin == Admin::Hold && order == Order::Hold {
                let before = far.asked("x@far.example");
                tokio::time::sleep(Duration::from_secs(120)).await;
                let tried = far.asked("x@far.example") - before;
                assert!(tried == 0 || !administered, "held, and yet tried: {fault:?} at operation {at}");
            }
        }
    }
    if fault == Fault::Dies {
        run_until(&bare, || faulty.operations() > at).await;
        drop(engine);
        tokio::time::sleep(Duration::from_secs(1)).await;
        engine = builder(memory.storage(), clock.clone(), &far, &boxes).settings(quick()).build().unwrap();
        engine.start();
    }
    let told = format!("{fault:?} at operation {at}, answer {receipt:?}");
    assert!(run_until(&bare, || false).await, "the queue does not empty: {told}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let sure = row.admin.is_none() || administered;
    check(row, receipt.is_ok(), fault, sure, &memory.storage(), &far, &told).await;
    engine.shutdown(Duration::from_secs(5)).await;
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    while memory.collect().await.unwrap().blobs > 0 {}
    assert_eq!(memory.blob_count(), 0, "a body outlives its owners: {told}");
    faulty.operations() <= at
}

/// Lets time pass until the queue is empty or `enough`; `false` after a day.
async fn run_until(queue: &Queue, enough: impl Fn() -> bool) -> bool {
    for _ in 0..6 * 24 {
        if enough() || queue.list(&Filter::default(), 1).await.unwrap().is_empty() {
            return true;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    false
}

async fn check(
    row: &Row,
    accepted: bool,
    fault: Fault,
    sure: bool,
    storage: &Storage,
    far: &Arc<Far>,
    told: &str,
) {
    let reports = mailbox(storage, "c").await;
    let whole = |text: &String| text.starts_with("Received: ") && text.ends_with(TEXT);
    let mut copies = Vec::new();
    for name in row.local {
        let got = mailbox(storage, name).await;
        assert!(got.iter().all(whole), "a partial message: {told}");
        copies.push(got.len());
    }
    assert!(
        far.arrived.lock().unwrap().iter().all(|(_, text)| whole(text)),
        "a partial message far away: {told}"
    );
    for name in row.nothing {
        assert_eq!(far.copies(name), 0, "{name}: {told}");
    }
    if !sure {
        return; // the administrator's command failed; what it was asked for may or may not have happened
    }
    if accepted || copies.iter().any(|n| *n > 0) {
        assert!(copies.iter().all(|n| *n == 1), "local copies {copies:?}: {told}");
        assert!(row.remote.iter().all(|name| far.copies(name) >= 1), "lost: {told}");
        assert_eq!(reports.len(), row.reports.len(), "reports {reports:?}: {told}");
        let all = |word: &&str| reports.iter().any(|report| report.contains(*word));
        assert!(row.reports.iter().all(all), "reports {reports:?}: {told}");
    } else if fault != Fault::Unknown {
        assert_eq!(
            (reports.len(), far.arrived.lock().unwrap().len()),
            (0, 0),
            "refused, and yet there: {told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn accept() {
    play(Row { to: &["x@far.example"], remote: &["x@far.example"], ..ROW }).await;
}

/// Nobody far away is asked before its time, and a mailbox here gets it once.
#[tokio::test(start_paused = true)]
async fn accept_for_later() {
    let to = &["x@far.example", "a@here.example"];
    play(Row { to, remote: &["x@far.example"], local: &["a"], later: 90, ..ROW }).await;
}

#[tokio::test(start_paused = true)]
async fn accept_delivered() {
    play(Row { to: &["team@here.example"], local: &["a", "b"], ..ROW }).await;
}

#[tokio::test(start_paused = true)]
async fn deliver() {
    play(Row {
        to: &["team@here.example", "out@here.example"],
        put_off: 2,
        local: &["a", "b"],
        remote: &["x@there.example"],
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn deliver_some() {
    play(Row {
        to: &["x@far.example", "y@far.example", "z@far.example"],
        far: &[("y@far.example", || vec![later(), ok()]), ("z@far.example", || vec![never()])],
        remote: &["x@far.example", "y@far.example"],
        nothing: &["z@far.example"],
        reports: &["z@far.example\r\nAction: failed"],
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn defer() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later(), ok()])],
        remote: &["x@far.example"],
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn warn() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || [vec![later(); 4], vec![ok()]].concat())],
        remote: &["x@far.example"],
        reports: &["Action: delayed"],
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fail() {
    play(Row {
        to: &["x@far.example", "a@here.example"],
        far: &[("x@far.example", || vec![later(), never()])],
        local: &["a"],
        nothing: &["x@far.example"],
        reports: &["Action: failed"],
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn expire() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later()])],
        nothing: &["x@far.example"],
        reports: &["Action: delayed", "Status: 5.4.7"],
        ..ROW
    })
    .await;
}

/// The time of what is deferred comes, and it becomes ready.
#[tokio::test(start_paused = true)]
async fn ripen() {
    fn full_once() -> Vec<Outcome> {
        vec![Outcome::deferred(2, 2, "the mailbox is full"), ok()]
    }
    play(Row {
        to: &["x@far.example", "y@other.example"],
        far: &[("x@far.example", full_once), ("y@other.example", full_once)],
        remote: &["x@far.example", "y@other.example"],
        ..ROW
    })
    .await;
}

/// What its sender wanted to go later goes on like everything else, also if it is put off then.
#[tokio::test(start_paused = true)]
async fn ripen_scheduled() {
    fn full_once() -> Vec<Outcome> {
        vec![Outcome::deferred(2, 2, "the mailbox is full"), ok()]
    }
    play(Row {
        to: &["x@far.example", "y@other.example"],
        far: &[("x@far.example", full_once)],
        remote: &["x@far.example", "y@other.example"],
        later: 30,
        ..ROW
    })
    .await;
}

/// A site that was down can be reached again.
#[tokio::test(start_paused = true)]
async fn wake() {
    let to = &["x@far.example", "y@far.example"];
    play(Row { to, remote: to, down: 60, ..ROW }).await;
}

#[tokio::test(start_paused = true)]
async fn retry() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later(), ok()])],
        remote: &["x@far.example"],
        admin: Some(Admin::Retry),
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn purge() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later()])],
        nothing: &["x@far.example"],
        admin: Some(Admin::Purge),
        ..ROW
    })
    .await;
}

/// What is held is not tried, though its time comes.
#[tokio::test(start_paused = true)]
async fn hold() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later(), ok()])],
        remote: &["x@far.example"],
        admin: Some(Admin::Hold),
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn release() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later(), ok()])],
        remote: &["x@far.example"],
        admin: Some(Admin::Release),
        ..ROW
    })
    .await;
}

/// The message goes elsewhere instead: once, and not to whom it was for.
#[tokio::test(start_paused = true)]
async fn redirect() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later()])],
        local: &["a"],
        nothing: &["x@far.example"],
        admin: Some(Admin::Redirect),
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn reroute() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later(), ok()])],
        remote: &["x@far.example"],
        admin: Some(Admin::Reroute),
        ..ROW
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn bounce() {
    play(Row {
        to: &["x@far.example"],
        far: &[("x@far.example", || vec![later()])],
        nothing: &["x@far.example"],
        reports: &["no longer wanted"],
        admin: Some(Admin::Bounce),
        ..ROW
    })
    .await;
}

/// The story goes, and only the story: mail that still waits keeps its record.
#[tokio::test(start_paused = true)]
async fn forget() {
    for at in 0.. {
        let clock = PausedClock::new();
        let memory = MemoryStorage::with_clock(clock.clone());
        let faulty = Faulty::new(&memory.storage(), at, Fault::Passes);
        let (far, boxes) = (Far::new(&[("slow@far.example", vec![later()])]), Boxes::new());
        let mut short = settings();
        short.history = Duration::from_secs(3600);
        let engine = builder(faulty.storage(), clock.clone(), &far, &boxes).settings(short).build().unwrap();
        engine.start();
        let receipts =
            [send(&engine, "", &["a@here.example"]).await, send(&engine, "", &["slow@far.example"]).await];
        tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        let bare = Queue::at_rest(memory.storage(), clock);
        if let Ok(gone) = &receipts[0] {
            assert!(bare.explain(gone.id).await.unwrap().is_none(), "at {at}");
        }
        if let Ok(waits) = &receipts[1] {
            assert_eq!(bare.explain(waits.id).await.unwrap().unwrap().waiting.len(), 1, "at {at}");
        }
        if at > 40 && receipts.iter().all(|receipt| receipt.is_ok()) {
            break;
        }
    }
}
