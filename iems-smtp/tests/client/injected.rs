//! Replies that nobody asked for, that come too soon, or that are none: never obeyed.

use std::sync::Arc;

use iems_core::deliver::Outcome;
use iems_smtp::client::TlsLevel;

use crate::support::*;
use crate::tls;

const HOP: &str = "[192.0.2.1]:25";
const AT: &str = "192.0.2.1:25";
const BODY: &[u8] = b"Subject: x\r\n\r\nbody\r\n";
const TEXT: &str = "TEXT: Subject: x\\n\\nbody\\n";

/// One message to `a@d.example` and a server that plays these scripts, one for each connection.
async fn meet(scripts: &[&str]) -> (Vec<Outcome>, bool) {
    let world = scripts.iter().fold(World::new(), |world, script| world.server(AT, script));
    let world = Arc::new(world);
    let attempt = message(BODY, &["a@d.example"]).await;
    let mut link = open(&world, smtp(), HOP).await.unwrap();
    let outcomes = link.transmit(&attempt).await;
    let reusable = link.is_reusable();
    drop(link);
    world.settle().await;
    (outcomes, reusable)
}

#[tokio::test]
async fn yes_before_the_end_was_sent_is_no_yes() {
    let hello =
        "S: 220 mx\nC* EHLO\nS: 250-mx\\n250 8BITMIME\nC* MAIL\nS: 250 ok\nC* RCPT\nS: 250 ok\nC: DATA";
    for pipelining in [false, true] {
        let hello = match pipelining {
            false => hello.to_owned(),
            true => "S: 220 mx\nC* EHLO\nS: 250-mx\\n250 PIPELINING\nC* MAIL\nC* RCPT\nC: DATA\nS: 250 ok\\n250 ok".into(),
        };
        for (early, outcome, reusable) in [
            ("250 2.0.0 queued as nothing", "deferred 451 4.5.0", false),
            // Who says no before the end may do so: it has seen enough.
            ("552 5.3.4 too much", "failed 552 5.3.4", false),
        ] {
            let script = format!("{hello}\nS: 354 go\\n{early}\n{TEXT}");
            let (outcomes, again) = meet(&[&script]).await;
            assert_eq!(
                (short(&outcomes), again),
                (vec![outcome.to_owned()], reusable),
                "{early}, {pipelining}"
            );
        }
    }
}

#[tokio::test]
async fn all_answers_before_all_questions_are_none() {
    let script = format!(
        "S: 220 mx\\n250-mx\\n250 8BITMIME\\n250 sender\\n250 recipient\\n354 go\\n250 2.0.0 queued
        C* EHLO\nC* MAIL\nC* RCPT\nC: DATA\n{TEXT}"
    );
    // The connection is looked at before it is used, and replaced once; the next one is no better.
    let first =
        "S: 220 mx\\n250-mx\\n250 8BITMIME\\n250 sender\\n250 recipient\\n354 go\\n250 2.0.0 queued\nC* EHLO";
    let (outcomes, reusable) = meet(&[first, &script]).await;
    assert_eq!((short(&outcomes), reusable), (vec!["deferred 451 4.5.0".to_owned()], false));
}

#[tokio::test]
async fn a_large_body_by_chunks_is_not_taken_before_its_end() {
    let mut body = BODY.to_vec();
    (0..20_000).for_each(|n| body.extend_from_slice(format!("line {n}\r\n").as_bytes()));
    let text = String::from_utf8(body.clone()).unwrap().replace("\r\n", "\\n");
    let script = format!(
        "S: 220 mx\nC* EHLO\nS: 250-mx\\n250-PIPELINING\\n250 CHUNKING\nC* MAIL\nC* RCPT
        S: 250 ok\\n250 ok\\n250 2.0.0 queued\nC* BDAT\nOCTETS: {text}"
    );
    let world = Arc::new(World::new().server(AT, &script));
    let attempt = message(&body, &["a@d.example"]).await;
    let mut link = open(&world, smtp(), HOP).await.unwrap();
    assert_eq!(short(&link.transmit(&attempt).await), ["deferred 451 4.5.0"]);
    assert!(!link.is_reusable());
    drop(link);
    world.settle().await;
}

#[tokio::test]
async fn nothing_said_around_starttls_in_the_clear_is_believed() {
    let offer = "S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n250 STARTTLS";
    let injected = [
        // The answer to STARTTLS before the question, and the real one where the handshake should be.
        format!("{offer}\\n220 go\nC: STARTTLS\nS: 220 go\nGARBAGE"),
        // Answers for what is only to be asked after the handshake.
        format!(
            "{offer}\nC: STARTTLS\nS: 220 go\\n250-mx\\n250-AUTH PLAIN\\n250 8BITMIME\\n235 ok\\n250 ok\\n250 ok\nGARBAGE"
        ),
        // A handshake that is announced and never comes, with yes to everything.
        format!(
            "{offer}\nC: STARTTLS\nS: 220 go\nS: 250 mx\\n250 ok\\n250 ok\\n354 go\\n250 queued\nGARBAGE"
        ),
        // No to STARTTLS, and yes to everything else.
        format!(
            "{offer}\nC: STARTTLS\nS: 454 4.7.0 not now\\n250 ok\\n250 ok\\n354 go\\n250 queued\nC: QUIT"
        ),
        // Two answers of which the second says yes.
        format!("{offer}\nC: STARTTLS\nS: 502 5.5.1 what\\n220 go\nC: QUIT"),
        // A multi-line answer that says both.
        format!("{offer}\nC: STARTTLS\nS: 220-go\\n454 no"),
        // An intermediate one.
        format!("{offer}\nC: STARTTLS\nS: 354 go"),
    ];
    for script in injected {
        let mut settings = smtp();
        settings.tls = TlsLevel::Verified;
        let world =
            World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
        let world = Arc::new(world.server(AT, &script));
        let reply = open(&world, settings, "d.example").await.err().unwrap_or_else(|| panic!("{script}"));
        assert!(reply.is_temporary(), "{script}: {reply}");
        assert_eq!(world.dialed().len(), 1, "{script}");
    }
}

#[tokio::test]
async fn what_was_injected_before_the_handshake_changes_nothing_after_it() {
    let (acceptor, roots) = tls::certificate();
    let mut settings = smtp();
    (settings.tls, settings.roots) = (TlsLevel::Verified, roots);
    // The injected words offer CHUNKING and PIPELINING, and say yes to a message; the real server knows neither.
    let script = format!(
        "S: 220 mx\nC: EHLO us.example\nS: 250-mx\\n250 STARTTLS\nC: STARTTLS
        S: 220 go\\n250-evil\\n250-CHUNKING\\n250 PIPELINING\\n250 ok\\n250 ok\\n250 queued
        TLS\nC: EHLO us.example\nS: 250-mx\\n250 8BITMIME\nC* MAIL\nS: 250 ok\nC* RCPT\nS: 250 ok\nC: DATA\nS: 354 go
        {TEXT}\nS: 250 2.0.0 really\nC: QUIT\nS: 221 bye"
    );
    let world = World::new().mx("d.example", &[(10, "mx.d.example")]).host("mx.d.example", &["192.0.2.1"]);
    let world = Arc::new(world.tls(acceptor).server(AT, &script));
    let attempt = message(BODY, &["a@d.example"]).await;
    let outcomes = send(&world, settings, "d.example", &attempt).await;
    assert_eq!(short(&outcomes), ["done 250 2.0.0"]);
    assert!(outcomes[0].reply().text.contains("really"), "{outcomes:?}");
    world.settle().await;
}

#[tokio::test]
async fn lies_in_every_state_are_no_yes() {
    let steps =
        [("C* MAIL", "S: 250 ok"), ("C* RCPT", "S: 250 ok"), ("C: DATA", "S: 354 go"), (TEXT, "S: 250 ok")];
    let long = format!("250 {}", "x".repeat(5000));
    let endless = "250-x\\n".repeat(300) + "250 x";
    let lies = [
        "354 go",
        "334 tell me",
        "250-ok\\n550 no",
        "550-no\\n250 ok",
        "25",
        "2 50 ok",
        "250_ok",
        "",
        "ok",
        "999 x",
        "150 x",
        "\u{0}250 ok",
        "2\u{0}50 ok",
        "\u{feff}250 ok",
        " 250 ok",
        "250\tok",
        "HTTP/1.1 200 OK",
        &long,
        &endless,
    ];
    for (at, (_, right)) in steps.iter().enumerate() {
        for lie in lies.iter().filter(|lie| **right != format!("S: {lie}")) {
            let mut script = "S: 220 mx\nC* EHLO\nS: 250 mx\n".to_owned();
            steps[..at].iter().for_each(|(said, answer)| script += &format!("{said}\n{answer}\n"));
            script += &format!("{}\nS: {lie}\\n250 ok\\n250 ok\\n250 ok", steps[at].0);
            let (outcomes, reusable) = meet(&[&script]).await;
            let how = format!("{lie:.30?} to {}", steps[at].0);
            assert!(matches!(outcomes[..], [Outcome::Deferred(_)]), "{how}: {outcomes:?}");
            assert!(!reusable, "{how}");
        }
    }
}

#[tokio::test]
async fn what_a_server_says_is_quoted_without_what_would_break_out() {
    let nasty = "550 5.1.1 no\rX-Evil: yes\u{0}\u{1b}[31m\u{7}\u{85}\u{2028}";
    let script = format!("S: 220 mx\nC* EHLO\nS: 250 mx\nC* MAIL\nS: 250 ok\nC* RCPT\nS: {nasty}");
    let (outcomes, _) = meet(&[&script]).await;
    let reply = outcomes[0].reply();
    assert_eq!((reply.code, reply.enhanced.to_string()), (550, "5.1.1".into()));
    let remote = reply.remote.as_ref().unwrap();
    for text in remote.said.iter().chain([&reply.text]).chain(&reply.cause) {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

#[tokio::test]
async fn by_lmtp_each_yes_is_for_one_recipient() {
    let script = |answers: &str| {
        format!(
            "S: 220 store\nC* LHLO\nS: 250-store\\n250 PIPELINING\nC* MAIL\nC* RCPT\nC* RCPT\nC: DATA
            S: 250 ok\\n250 ok\\n550 5.1.1 no\\n354 go\n{TEXT}\nS: {answers}"
        )
    };
    for (answers, outcomes, reusable) in [
        ("250 2.0.0 a", ["done 250 2.0.0", "failed 550 5.1.1"], true),
        // One too many: whose it was nobody knows, so the connection is of no more use.
        ("250 2.0.0 a\\n250 2.0.0 b", ["done 250 2.0.0", "failed 550 5.1.1"], false),
    ] {
        let world = Arc::new(World::new().server("/run/lmtp", &script(answers)));
        let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
        let mut link = open(&world, lmtp(), "/run/lmtp").await.unwrap();
        assert_eq!(short(&link.transmit(&attempt).await), outcomes);
        assert_eq!(link.is_reusable(), reusable, "{answers}");
        drop(link);
        world.settle().await;
    }
}

#[tokio::test]
async fn offers_that_make_no_sense_are_no_offers() {
    let many: String = (0..200).map(|n| format!("250-X{n} {}\\n", "y".repeat(100))).collect();
    for offers in [
        "250-SIZE 99999999999999999999999\\n250 8BITMIME",
        "250-SIZE -1\\n250-SIZE x\\n250 CHUNKING PIPELINING",
        "250-STARTTLSX\\n250 XSTARTTLS",
        "250-\\n250-  \\n250 \u{0}PIPELINING",
        &format!("{many}250 HELP"),
    ] {
        let script = format!(
            "S: 220 mx\nC* EHLO\nS: 250-mx\\n{offers}\nC* MAIL FROM:<s@us.example>\nS: 250 ok\nC* RCPT\nS: 250 ok
            C*\nS: 354 go\n{TEXT}\nS: 250 2.0.0 ok"
        );
        if offers.contains("CHUNKING") {
            continue;
        }
        let (outcomes, _) = meet(&[&script]).await;
        assert_eq!(short(&outcomes), ["done 250 2.0.0"], "{offers:.60}");
    }
}
