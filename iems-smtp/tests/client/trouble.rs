//! Servers that refuse, vanish, babble or fall silent, in every state.

use std::sync::Arc;

use iems_core::storage::BlobId;
use proptest::prelude::*;

use crate::support::*;

const HOP: &str = "[192.0.2.1]:25";
const AT: &str = "192.0.2.1:25";
const BODY: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

/// The steps of a dialogue without extensions, each with the reply that lets it go on.
const STEPS: [(&str, &str); 6] = [
    ("C: MAIL FROM:<s@us.example>", "S: 250 ok"),
    ("C: RCPT TO:<a@d.example>", "S: 250 ok"),
    ("C: RCPT TO:<b@d.example>", "S: 250 ok"),
    ("C: DATA", "S: 354 go"),
    ("TEXT: Subject: x\\n\\nbody\\n", "S: 250 ok"),
    ("C: QUIT", "S: 221 bye"),
];

fn until(step: usize, reply: &str) -> String {
    let mut script = String::from("S: 220 mx\nC* EHLO\nS: 250 mx\n");
    for (wanted, answer) in &STEPS[..step] {
        script.push_str(&format!("{wanted}\n{answer}\n"));
    }
    script.push_str(&format!("{}\n{reply}", STEPS[step].0));
    script
}

async fn meet(script: &str) -> (Vec<String>, bool) {
    let world = Arc::new(World::new().server(AT, script));
    let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
    let mut link = open(&world, smtp(), HOP).await.unwrap();
    let outcomes = link.transmit(&attempt).await;
    let reusable = link.is_reusable();
    drop(link);
    world.settle().await;
    (short(&outcomes), reusable)
}

#[tokio::test]
async fn whoever_vanishes_or_babbles_is_tried_again_later() {
    for step in 0..5 {
        for (reply, status) in [
            ("CLOSE", "deferred 451 4.4.2"),
            ("S: 421 4.3.2 going down", "deferred 421 4.3.2"),
            ("S: hello there", "deferred 451 4.5.0"),
            ("S: 250-ok\\n550 ok", "deferred 451 4.5.0"),
            ("S: 334 tell me more", "deferred 451 4.5.0"),
        ] {
            let (outcomes, reusable) = meet(&until(step, reply)).await;
            assert_eq!(outcomes, [status, status], "{reply} at step {step}");
            assert!(!reusable, "{reply} at step {step}");
        }
    }
}

#[tokio::test]
async fn refusals_in_each_state() {
    for (step, reply, outcomes) in [
        (0, "S: 550 5.7.1 no", ["failed 550 5.7.1", "failed 550 5.7.1"]),
        (0, "S: 451 4.7.1 greylisted", ["deferred 451 4.7.1", "deferred 451 4.7.1"]),
        (3, "S: 554 5.6.0 no", ["failed 554 5.6.0", "failed 554 5.6.0"]),
        (3, "S: 451 later", ["deferred 451 4.0.0", "deferred 451 4.0.0"]),
        (4, "S: 554 5.7.1 spam", ["failed 554 5.7.1", "failed 554 5.7.1"]),
        (4, "S: 452 full", ["deferred 452 4.3.1", "deferred 452 4.3.1"]),
    ] {
        assert_eq!(meet(&until(step, reply)).await, (outcomes.map(String::from).to_vec(), true), "{reply}");
    }
}

#[tokio::test]
async fn a_recipient_refused_before_the_end_stays_refused() {
    let script = "S: 220 mx\nC* EHLO\nS: 250 mx\nC* MAIL\nS: 250 ok
        C: RCPT TO:<a@d.example>\nS: 550 5.1.1 no\nC: RCPT TO:<b@d.example>\nCLOSE";
    assert_eq!(meet(script).await.0, ["failed 550 5.1.1", "deferred 451 4.4.2"]);
}

#[tokio::test]
async fn too_many_recipients_is_not_never() {
    let script = |reply: &str| {
        format!(
            "S: 220 mx\nC* EHLO\nS: 250 mx\nC* MAIL\nS: 250 ok\nC* RCPT\nS: 250 ok\nC* RCPT\nS: {reply}
            C: DATA\nS: 354 go\nTEXT: Subject: x\\n\\nbody\\n\nS: 250 ok"
        )
    };
    assert_eq!(meet(&script("552 too many")).await.0[1], "deferred 452 4.3.1");
    assert_eq!(meet(&script("552 5.5.3 too many")).await.0[1], "deferred 452 4.5.3");
    assert_eq!(meet(&script("552 5.2.2 mailbox full")).await.0[1], "failed 552 5.2.2");
}

#[tokio::test]
async fn a_message_for_nobody_is_ended_and_forgotten() {
    for ending in [
        "S: 503 5.5.1 no recipients",
        "S: 554 5.5.1 no",
        "S: 354 go\nC: .\nS: 554 nobody",
        "S: 354 go\nC: .\nS: 250 ok",
    ] {
        let script = format!(
            "S: 220 mx\nC* EHLO\nS: 250-mx\\n250 PIPELINING
            C* MAIL\nC* RCPT\nC* RCPT\nC: DATA\nS: 250 ok\\n550 5.1.1 a\\n450 4.2.1 b
            {ending}"
        );
        assert_eq!(
            meet(&script).await,
            (vec!["failed 550 5.1.1".into(), "deferred 450 4.2.1".into()], true),
            "{ending}"
        );
    }
}

#[tokio::test]
async fn a_refused_sender_counts_for_everybody_whatever_follows() {
    let script = "S: 220 mx\nC* EHLO\nS: 250-mx\\n250-PIPELINING\\n250 CHUNKING
        C* MAIL\nC* RCPT\nC* RCPT\nC: BDAT 20 LAST\nOCTETS: Subject: x\\n\\nbody\\n
        S: 550 5.1.8 who\\n503 a\\n503 b\\n503 c";
    assert_eq!(meet(script).await, (vec!["failed 550 5.1.8".into(); 2], true));
}

#[tokio::test]
async fn more_replies_than_questions_spoil_the_connection() {
    let script = until(4, "S: 250 ok\\n250 what else");
    assert_eq!(meet(&script).await, (vec!["done 250 2.0.0".into(); 2], false));
}

#[tokio::test]
async fn who_offers_chunking_and_does_not_know_it_gets_text_next_time() {
    let hello = "S: 220 mx\nC* EHLO\nS: 250-mx\\n250-PIPELINING\\n250 CHUNKING\nC* MAIL\nC* RCPT\nC* RCPT";
    let first = format!(
        "{hello}\nC: BDAT 20 LAST\nOCTETS: Subject: x\\n\\nbody\\n\nS: 250 a\\n250 b\\n250 c\\n500 d"
    );
    let then = format!(
        "{hello}\nC: DATA\nS: 250 a\\n250 b\\n250 c\\n354 d\nTEXT: Subject: x\\n\\nbody\\n\nS: 250 e"
    );
    let world = Arc::new(World::new().server(AT, &first).server(AT, &then));
    let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
    let channel = channel(&world, smtp());
    let hop = iems_core::message::NextHop::new(HOP);
    for (wanted, reusable) in [("deferred 451 4.5.0", false), ("done 250 2.0.0", true)] {
        let mut link = iems_core::deliver::Channel::open(&channel, &hop).await.unwrap();
        assert_eq!(short(&link.transmit(&attempt).await), [wanted, wanted]);
        assert_eq!(link.is_reusable(), reusable);
    }
    world.settle().await;
}

#[tokio::test]
async fn a_connection_that_ended_while_idle_is_replaced_without_a_word() {
    let one = "S: 220 mx\nC* EHLO\nS: 250-mx\\n250-PIPELINING\\n250 CHUNKING\nC* MAIL\nC* RCPT\nC* RCPT
        C: BDAT 20 LAST\nOCTETS: Subject: x\\n\\nbody\\n\nS: 250 a\\n250 b\\n250 c\\n250 d";
    for end in ["CLOSE", "S: 421 idle for too long\nCLOSE"] {
        let world = Arc::new(World::new().server(AT, &format!("{one}\n{end}")).server(AT, one));
        let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
        let mut link = open(&world, smtp(), HOP).await.unwrap();
        assert_eq!(short(&link.transmit(&attempt).await), ["done 250 2.0.0"; 2]);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(short(&link.transmit(&attempt).await), ["done 250 2.0.0"; 2]);
        drop(link);
        world.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn silence_has_an_end_in_every_state() {
    for step in 0..5 {
        let world = Arc::new(World::new().server(AT, &until(step, "SILENCE")));
        let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
        let mut link = open(&world, smtp(), HOP).await.unwrap();
        assert_eq!(short(&link.transmit(&attempt).await), ["deferred 451 4.4.2"; 2]);
        assert!(!link.is_reusable());
    }
    for script in ["SILENCE", "S: 220 mx\nC* EHLO\nSILENCE"] {
        let world = Arc::new(World::new().server(AT, script));
        let reply = open(&world, smtp(), HOP).await.err().unwrap();
        assert_eq!((reply.code, reply.enhanced.to_string()), (451, "4.4.2".into()));
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_our_trouble_and_never_half_a_message() {
    let script = "S: 220 mx\nC* EHLO\nS: 250 mx\nC* MAIL\nS: 250 ok\nC* RCPT\nS: 250 ok\nC: DATA\nS: 354 go";
    let world = Arc::new(World::new().server(AT, script));
    let mut attempt = message(BODY, &["a@d.example"]).await;
    attempt.body.blob = BlobId([9; 32]);
    let mut link = open(&world, smtp(), HOP).await.unwrap();
    assert_eq!(short(&link.transmit(&attempt).await), ["deferred 451 4.3.0"]);
    assert!(!link.is_reusable());
    drop(link);
    world.settle().await;
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_large_body_is_heard() {
    let body = [b"Subject: x\r\n\r\n".as_slice(), &b"0123456789\r\n".repeat(100_000)].concat();
    let script = "S: 220 mx\nC* EHLO\nS: 250 mx\nC* MAIL\nS: 250 ok\nC* RCPT\nS: 250 ok\nC: DATA\nS: 354 go
        C: Subject: x\nS: 552 5.3.4 too much\nCLOSE";
    let world = Arc::new(World::new().room(1000).server(AT, script));
    let attempt = message(&body, &["a@d.example"]).await;
    let mut link = open(&world, smtp(), HOP).await.unwrap();
    assert_eq!(short(&link.transmit(&attempt).await), ["failed 552 5.3.4"]);
    assert!(!link.is_reusable());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_a_server_says_everybody_has_an_outcome(
        words in proptest::collection::vec(prop_oneof![
            4 => Just("220 mx"), 4 => Just("250 ok"), 4 => Just("250-mx\\n250-PIPELINING\\n250 CHUNKING"),
            1 => Just("250-SIZE"), 2 => Just("354 go"), 2 => Just("550 5.1.1 no"), 2 => Just("450 later"),
            1 => Just("421 bye"), 1 => Just("250 5.1.1"), 1 => Just("\u{0}\u{1}"), 1 => Just("999 x"), 1 => Just(""),
        ], 0..12),
        room in prop_oneof![Just(1usize), Just(9), Just(ROOMY)],
    ) {
        let mut script: String = words.iter().map(|word| format!("S: {word}\n")).collect();
        script.push_str("CLOSE");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcomes = runtime.block_on(async {
            let world = Arc::new(World::new().room(room).server(AT, &script));
            let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
            match open(&world, smtp(), HOP).await {
                Ok(mut link) => link.transmit(&attempt).await.len(),
                Err(reply) => if reply.is_temporary() { 2 } else { 0 },
            }
        });
        prop_assert_eq!(outcomes, 2);
    }
}
