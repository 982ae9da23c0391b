//! Times that senders set (RFC 2852), towards servers that know them and others.

use std::sync::Arc;
use std::time::Duration;

use iems_core::deliver::{Arrival, Attempt, Outcome};
use iems_core::message::{DeliverBy, Late, Notify};
use iems_core::seam::Timestamp;

use crate::support::*;

const BODY: &[u8] = b"Subject: x\r\n\r\nbody\r\n";
const AT: &str = "192.0.2.1:25";
const HOP: &str = "[192.0.2.1]";

/// A message with so many seconds left, less than none if it is late.
async fn timed(left: i64, late: Late, trace: bool) -> Attempt {
    let mut attempt = message(BODY, &["a@d.example", "b@d.example", "c@d.example"]).await;
    attempt.now = Timestamp::from_millis(1_790_000_000_000);
    let span = Duration::from_secs(left.unsigned_abs());
    let at = match left < 0 {
        true => Timestamp::from_millis(attempt.now.as_millis() - span.as_millis() as u64),
        false => attempt.now.after(span),
    };
    let mut envelope = (*attempt.envelope).clone();
    envelope.by = Some(DeliverBy { at, late, trace });
    attempt.envelope = Arc::new(envelope);
    attempt.destinations[1].recipient.notify = Some(Notify { success: true, failure: false, delay: false });
    attempt.destinations[2].recipient.notify = Some(Notify::NEVER);
    attempt
}

/// What a server that offers this hears in `MAIL`, and in each `RCPT`.
fn script(offers: &str, mail: &str, rcpts: [&str; 3]) -> String {
    let [a, b, c] = rcpts;
    format!(
        "S: 220 mx
        C: EHLO us.example
        S: 250-mx\\n{offers}
        C: MAIL FROM:<s@us.example>{mail}
        S: 250 ok
        C: RCPT TO:<a@d.example>{a}
        S: 250 ok
        C: RCPT TO:<b@d.example>{b}
        S: 250 ok
        C: RCPT TO:<c@d.example>{c}
        S: 250 ok
        C: DATA
        S: 354 go
        TEXT: Subject: x\\n\\nbody\\n
        S: 250 ok
        C: QUIT\nS: 221 bye"
    )
}

async fn sent(script: &str, attempt: &Attempt) -> Vec<Outcome> {
    let world = Arc::new(World::new().server(AT, script));
    let outcomes = send(&world, smtp(), HOP, attempt).await;
    world.settle().await;
    outcomes
}

fn all(outcomes: &[Outcome], arrival: Arrival) -> bool {
    outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(how, _) if *how == arrival))
}

/// RFC 2852 section 4.1.4.1: not to servers that do not keep the time, or cannot in what is left of it.
#[tokio::test]
async fn what_is_to_be_returned_in_time_goes_only_where_that_is_kept() {
    let turned_away =
        |offers: &str| format!("S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n{offers}\nC: QUIT\nS: 221 bye");
    for (offers, left, wanted) in [
        ("250 HELP", 100, "failed 550 5.3.3"),
        ("250 DELIVERBY 101", 100, "failed 550 5.4.7"),
        ("250 DELIVERBY", 0, "failed 550 5.4.7"),
        ("250 DELIVERBY", -5, "failed 550 5.4.7"),
    ] {
        let outcomes = sent(&turned_away(offers), &timed(left, Late::Return, false).await).await;
        assert_eq!(short(&outcomes), [wanted; 3], "{offers} {left}");
    }
    let offers = "250 DELIVERBY 100";
    let outcomes =
        sent(&script(offers, " BY=100;R", ["", "", ""]), &timed(100, Late::Return, false).await).await;
    assert!(all(&outcomes, Arrival::RelayedWithoutDsn), "{outcomes:?}");
}

/// RFC 2852 section 4.1.4: what is left of the time goes on, also less than nothing; each system that passes it on tells, where that is
/// wished.
#[tokio::test]
async fn what_is_left_of_the_time_goes_on() {
    for (left, trace, mail, arrival) in [
        (60, false, " BY=60;N", Arrival::Relayed),
        (-7, false, " BY=-7;N", Arrival::Relayed),
        (60, true, " BY=60;NT", Arrival::RelayedAndTold),
    ] {
        let rcpts = [
            " ORCPT=rfc822;a@d.example",
            " NOTIFY=SUCCESS ORCPT=rfc822;b@d.example",
            " NOTIFY=NEVER ORCPT=rfc822;c@d.example",
        ];
        let script = script("250-DSN\\n250 DELIVERBY", mail, rcpts);
        let outcomes = sent(&script, &timed(left, Late::Notify, trace).await).await;
        assert!(all(&outcomes, arrival), "{outcomes:?}");
    }
}

/// RFC 2852 section 4.1.4.2: a server that does not watch the time is asked to tell of delays, and the sender hears of it; when the
/// time is over, there is nothing left to watch.
#[tokio::test]
async fn who_does_not_watch_the_time_is_asked_to_tell_of_delays() {
    let watched = [
        " NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@d.example",
        " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@d.example",
        " NOTIFY=NEVER ORCPT=rfc822;c@d.example",
    ];
    let over = [
        " ORCPT=rfc822;a@d.example",
        " NOTIFY=SUCCESS ORCPT=rfc822;b@d.example",
        " NOTIFY=NEVER ORCPT=rfc822;c@d.example",
    ];
    for (left, rcpts, arrival) in [(60, watched, Arrival::RelayedAndTold), (-60, over, Arrival::Relayed)] {
        let outcomes = sent(&script("250 DSN", "", rcpts), &timed(left, Late::Notify, false).await).await;
        assert!(all(&outcomes, arrival), "{left}: {outcomes:?}");
    }
    let outcomes = sent(&script("250 HELP", "", ["", "", ""]), &timed(60, Late::Notify, false).await).await;
    assert!(all(&outcomes, Arrival::RelayedAndTold), "{outcomes:?}");
}
