//! How a message goes over the wire: pipelined or not, in chunks or as text, with which parameters.

use std::sync::Arc;

use iems_core::deliver::{Arrival, Outcome};
use iems_core::message::{BodyType, Notify, OriginalRecipient, Ret, ReversePath};

use crate::support::*;

const HOP: &str = "[192.0.2.1]:25";
const AT: &str = "192.0.2.1:25";
const BODY: &[u8] = b"Subject: x\r\n\r\n.dot\r\nend\r\n";

#[tokio::test]
async fn everything_in_one_go_where_the_server_can() {
    for room in [1, 2, 7, ROOMY] {
        let script = "S: 220 mx ESMTP
            C: EHLO us.example
            S: 250-mx\\n250-SIZE 1000\\n250-PIPELINING\\n250 CHUNKING
            C: MAIL FROM:<s@us.example> SIZE=25
            C: RCPT TO:<a@d.example>
            C: RCPT TO:<b@d.example>
            C: BDAT 25 LAST
            OCTETS: Subject: x\\n\\n.dot\\nend\\n
            S: 250 2.1.0 sender\\n250 2.1.5 a
            S: 550 5.1.1 no b
            S: 250 2.0.0 queued as 1
            C: QUIT
            S: 221 bye";
        let world = Arc::new(World::new().room(room).server(AT, script));
        let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
        let outcomes = send(&world, smtp(), HOP, &attempt).await;
        assert_eq!(short(&outcomes), ["done 250 2.0.0", "failed 550 5.1.1"], "{room}");
        assert_eq!(outcomes[0].reply().text, "host [192.0.2.1]:25 said: queued as 1 (in the clear)");
        assert_eq!(outcomes[1].reply().text, "host [192.0.2.1]:25 said: no b (in reply to RCPT TO)");
        world.settle().await;
    }
}

#[tokio::test]
async fn one_step_at_a_time_where_it_cannot() {
    for room in [1, ROOMY] {
        let script = "S: 220 mx
            C: EHLO us.example
            S: 250 mx
            C: MAIL FROM:<s@us.example>
            S: 250 ok
            C: RCPT TO:<a@d.example>
            S: 251 will forward
            C: RCPT TO:<b@d.example>
            S: 450 4.2.1 busy
            C: DATA
            S: 354 go
            TEXT: Subject: x\\n\\n..dot\\nend\\n
            S: 250 ok
            C: QUIT
            S: 221 bye";
        let world = Arc::new(World::new().room(room).server(AT, script));
        let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
        let outcomes = send(&world, smtp(), HOP, &attempt).await;
        assert_eq!(short(&outcomes), ["done 250 2.0.0", "deferred 450 4.2.1"]);
        assert!(matches!(outcomes[0], Outcome::Done(Arrival::RelayedWithoutDsn, _)));
        world.settle().await;
    }
}

#[tokio::test]
async fn a_large_body_waits_for_somebody_who_wants_it() {
    let mut body = b"Subject: x\r\n\r\n".to_vec();
    (0..9000).for_each(|n| body.extend_from_slice(format!("line {n} of many\r\n").as_bytes()));
    let script = |last: &str| {
        format!(
            "S: 220 mx
            C: EHLO us.example
            S: 250-mx\\n250-PIPELINING\\n250 CHUNKING
            C: MAIL FROM:<s@us.example>
            C: RCPT TO:<a@d.example>
            {last}"
        )
    };
    let text = String::from_utf8(body.clone()).unwrap().replace("\r\n", "\\n");
    let taken = format!(
        "S: 250 ok\\n250 ok\nC: BDAT {} LAST\nOCTETS: {text}\nS: 250 ok\nC: QUIT\nS: 221 bye",
        body.len()
    );
    let world = Arc::new(World::new().room(100).server(AT, &script(&taken)));
    let attempt = message(&body, &["a@d.example"]).await;
    assert_eq!(short(&send(&world, smtp(), HOP, &attempt).await), ["done 250 2.0.0"]);
    world.settle().await;
    let world = Arc::new(World::new().server(AT, &script("S: 250 ok\\n550 5.7.1 no\nC: QUIT\nS: 221 bye")));
    assert_eq!(short(&send(&world, smtp(), HOP, &attempt).await), ["failed 550 5.7.1"]);
    world.settle().await;
}

#[tokio::test]
async fn several_messages_over_one_connection() {
    let one = "C: MAIL FROM:<s@us.example>
        C: RCPT TO:<a@d.example>
        C: BDAT 25 LAST
        OCTETS: Subject: x\\n\\n.dot\\nend\\n";
    let script = format!(
        "S: 220 mx
        C: EHLO us.example
        S: 250-mx\\n250-PIPELINING\\n250 CHUNKING
        {one}
        S: 250 a\\n250 b\\n250 c
        {one}
        S: 250 a\\n550 b\\n503 c
        C: RSET
        {one}
        S: 250 reset\\n250 a\\n250 b\\n250 c
        C: QUIT
        S: 221 bye"
    );
    let world = Arc::new(World::new().server(AT, &script));
    let attempt = message(BODY, &["a@d.example"]).await;
    let mut link = open(&world, smtp(), HOP).await.unwrap();
    for wanted in ["done 250 2.0.0", "failed 550 5.0.0", "done 250 2.0.0"] {
        assert_eq!(short(&link.transmit(&attempt).await), [wanted]);
        assert!(link.is_reusable());
    }
    link.close().await;
    world.settle().await;
}

/// RFC 9422 section 4: two recipients at once, two messages over a connection, and those all of one domain.
#[tokio::test]
async fn the_limits_of_the_server_are_kept() {
    let body = "C: BDAT 25 LAST\nOCTETS: Subject: x\\n\\n.dot\\nend\\n";
    let hello = "S: 220 mx
        C: EHLO us.example
        S: 250-mx\\n250-PIPELINING\\n250-LIMITS MAILMAX=2 RCPTMAX=2 RCPTDOMAINMAX=1\\n250 CHUNKING";
    let (mail, quit) = ("C: MAIL FROM:<s@us.example>", "C: QUIT\nS: 221 bye");
    let first = format!(
        "{hello}
        {mail}\nC: RCPT TO:<a@d.example>\nC: RCPT TO:<c@d.example>\n{body}
        S: 250 m\\n250 a\\n550 5.1.1 c\\n250 queued
        {mail}\nC: RCPT TO:<d@d.example>\n{body}
        S: 250 m\\n452 4.2.2 d\\n503 nobody
        {quit}"
    );
    let second = format!(
        "{hello}
        {mail}\nC: RCPT TO:<b@e.example>\n{body}
        S: 250 m\\n250 b\\n250 queued
        {quit}"
    );
    let world = Arc::new(World::new().server(AT, &first).server(AT, &second));
    let attempt = message(BODY, &["a@d.example", "b@e.example", "c@D.example", "d@d.example"]).await;
    let mut link = open(&world, smtp(), HOP).await.unwrap();
    let outcomes = link.transmit(&attempt).await;
    assert_eq!(
        short(&outcomes),
        ["done 250 2.0.0", "done 250 2.0.0", "failed 550 5.1.1", "deferred 452 4.2.2"]
    );
    assert!(link.is_reusable(), "one message more may go");
    link.close().await;
    world.settle().await;
}

#[tokio::test]
async fn lmtp_has_a_reply_for_each_recipient() {
    for (chunking, body) in [
        (
            "250 CHUNKING",
            "C: BDAT 25 LAST\nOCTETS: Subject: x\\n\\n.dot\\nend\\n\nS: 250 s\\n250 a\\n550 5.1.1 b\\n250 c",
        ),
        (
            "250 8BITMIME",
            "C: DATA\nS: 250 s\\n250 a\\n550 5.1.1 b\\n250 c\\n354 go\nTEXT: Subject: x\\n\\n..dot\\nend\\n",
        ),
    ] {
        let script = format!(
            "S: 220 store
            C: LHLO us.example
            S: 250-store\\n250-PIPELINING\\n{chunking}
            C: MAIL FROM:<s@us.example>
            C: RCPT TO:<a@d.example>
            C: RCPT TO:<b@d.example>
            C: RCPT TO:<c@d.example>
            {body}
            S: 250 2.1.5 a has it\\n452 4.2.2 c is full
            C: QUIT
            S: 221 bye"
        );
        let world = Arc::new(World::new().server("/run/lmtp", &script));
        let attempt = message(BODY, &["a@d.example", "b@d.example", "c@d.example"]).await;
        let outcomes = send(&world, lmtp(), "/run/lmtp", &attempt).await;
        assert_eq!(short(&outcomes), ["done 250 2.1.5", "failed 550 5.1.1", "deferred 452 4.2.2"]);
        assert!(matches!(outcomes[0], Outcome::Done(Arrival::Delivered, _)));
        assert!(outcomes[0].reply().text.starts_with("host /run/lmtp said: a has it"));
        world.settle().await;
    }
}

#[tokio::test]
async fn wishes_about_reports_go_on_where_they_are_understood() {
    let script = |dsn: &str, mail: &str, a: &str, b: &str| {
        format!(
            "S: 220 mx
            C: EHLO us.example
            S: 250-mx\\n{dsn}
            C: MAIL FROM:<s@us.example>{mail}
            S: 250 ok
            C: RCPT TO:<a@d.example>{a}
            S: 250 ok
            C: RCPT TO:<b@d.example>{b}
            S: 250 ok
            C: DATA
            S: 354 go
            TEXT: Subject: x\\n\\n..dot\\nend\\n
            S: 250 ok
            C: QUIT\nS: 221 bye"
        )
    };
    let mut attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
    let mut envelope = (*attempt.envelope).clone();
    envelope.id = Some("id+1".into());
    envelope.ret = Some(Ret::Headers);
    attempt.envelope = Arc::new(envelope);
    attempt.destinations[0].recipient.notify = Some(Notify { success: true, failure: true, delay: false });
    attempt.destinations[0].recipient.original =
        Some(OriginalRecipient { kind: "rfc822".into(), address: "old=a@x.example".into() });
    attempt.destinations[1].recipient.mailbox = mailbox("alias@d.example");
    let with = script(
        "250 DSN",
        " RET=HDRS ENVID=id+2B1",
        " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old+3Da@x.example",
        " ORCPT=rfc822;alias@d.example",
    );
    let without = script("250 HELP", "", "", "");
    for (script, arrival) in [(with, Arrival::Relayed), (without, Arrival::RelayedWithoutDsn)] {
        let world = Arc::new(World::new().server(AT, &script));
        let outcomes = send(&world, smtp(), HOP, &attempt).await;
        assert!(
            outcomes.iter().all(|o| matches!(o, Outcome::Done(how, _) if *how == arrival)),
            "{outcomes:?}"
        );
        world.settle().await;
    }
}

#[tokio::test]
async fn what_is_over_the_servers_limit_is_not_even_offered() {
    let script = "S: 220 mx
        C: EHLO us.example
        S: 250-mx\\n250 SIZE 24
        C: QUIT\nS: 221 bye";
    let world = Arc::new(World::new().server(AT, script));
    let attempt = message(BODY, &["a@d.example", "b@d.example"]).await;
    let outcomes = send(&world, smtp(), HOP, &attempt).await;
    assert_eq!(short(&outcomes), ["failed 552 5.3.4", "failed 552 5.3.4"]);
    world.settle().await;
}

fn plain(offers: &str, mail: &str, text: &str) -> String {
    format!(
        "S: 220 mx
        C: EHLO us.example
        S: 250-mx\\n{offers}
        C: MAIL FROM:{mail}
        S: 250 ok
        C: RCPT TO:<a@d.example>
        S: 250 ok
        C: DATA
        S: 354 go
        TEXT: {text}
        S: 250 ok
        C: QUIT\nS: 221 bye"
    )
}

#[tokio::test]
async fn eight_bits_are_declared_or_converted() {
    let text =
        "Subject: x\\nContent-Type: text/plain; charset=utf-8\\nContent-Transfer-Encoding: 8bit\\n\\ncafé\\n";
    let head = "Subject: x\\nContent-Type: text/plain; charset=utf-8\\nMIME-Version: 1.0\\n";
    let converted = format!("{head}Content-Transfer-Encoding: quoted-printable\\n\\ncaf=C3=A9\\n");
    let mut attempt = message(text.replace("\\n", "\r\n").as_bytes(), &["a@d.example"]).await;
    let mut envelope = (*attempt.envelope).clone();
    envelope.body = BodyType::EightBitMime;
    attempt.envelope = Arc::new(envelope);
    let declared = plain("250 8BITMIME", "<s@us.example> BODY=8BITMIME", text);
    let without = plain("250 HELP", "<s@us.example>", &converted);
    for script in [declared, without] {
        let world = Arc::new(World::new().server(AT, &script));
        assert_eq!(short(&send(&world, smtp(), HOP, &attempt).await), ["done 250 2.0.0"]);
        world.settle().await;
    }
    let mut small = smtp();
    small.largest_conversion = 10;
    let world = Arc::new(World::new().server(AT, "S: 220 mx\nC* EHLO\nS: 250 mx\nC: QUIT\nS: 221 bye"));
    assert_eq!(short(&send(&world, small, HOP, &attempt).await), ["failed 554 5.6.3"]);
    world.settle().await;
}

#[tokio::test]
async fn binary_goes_by_bdat_to_who_takes_it_and_is_encoded_for_others() {
    let head = "Subject: x\\nContent-Type: image/x\\nContent-Transfer-Encoding: ";
    let text = format!("{head}binary\\n\\na\r.\\n.\rb");
    let octets = text.replace("\\n", "\r\n");
    let mut attempt = message(octets.as_bytes(), &["a@d.example"]).await;
    let mut envelope = (*attempt.envelope).clone();
    envelope.body = BodyType::BinaryMime;
    attempt.envelope = Arc::new(envelope);
    // What is encoded holds no line that is a dot, so that DATA is safe.
    let encoded = "Subject: x\\nContent-Type: image/x\\nMIME-Version: 1.0\\nContent-Transfer-Encoding: base64\\n\\nYQ0uDQouDWI=\\n";
    for offers in ["250 8BITMIME", "250 HELP", "250-8BITMIME\\n250 BINARYMIME"] {
        let world = Arc::new(World::new().server(AT, &plain(offers, "<s@us.example>", encoded)));
        assert_eq!(short(&send(&world, smtp(), HOP, &attempt).await), ["done 250 2.0.0"], "{offers}");
        world.settle().await;
    }
    let size = octets.len();
    let script = format!(
        "S: 220 mx\nC* EHLO\nS: 250-mx\\n250-CHUNKING\\n250 BINARYMIME
        C: MAIL FROM:<s@us.example> BODY=BINARYMIME
        S: 250 ok
        C: RCPT TO:<a@d.example>
        S: 250 ok
        C: BDAT {size} LAST
        OCTETS: {text}
        S: 250 ok
        C: QUIT\nS: 221 bye"
    );
    let world = Arc::new(World::new().server(AT, &script));
    assert_eq!(short(&send(&world, smtp(), HOP, &attempt).await), ["done 250 2.0.0"]);
    world.settle().await;
}

#[tokio::test]
async fn utf8_needs_smtputf8_unless_all_is_ascii_after_all() {
    let hello = "S: 220 mx\nC* EHLO\nS: 250-mx\\n";
    let mut attempt = message(BODY, &["a@d.example", "й@d.example"]).await;
    let mut envelope = (*attempt.envelope).clone();
    envelope.smtputf8 = true;
    attempt.envelope = Arc::new(envelope.clone());
    let knows = format!(
        "{hello}250-DSN\\n250 SMTPUTF8
        C: MAIL FROM:<s@us.example> SMTPUTF8
        S: 250 ok
        C: RCPT TO:<a@d.example> ORCPT=rfc822;a@d.example
        S: 250 ok
        C: RCPT TO:<й@d.example> ORCPT=utf-8;\\x{{439}}@d.example
        S: 250 ok
        C: DATA
        S: 354 go
        TEXT: Subject: x\\n\\n..dot\\nend\\n
        S: 250 ok
        C: QUIT\nS: 221 bye"
    );
    let world = Arc::new(World::new().server(AT, &knows));
    assert_eq!(short(&send(&world, smtp(), HOP, &attempt).await), ["done 250 2.0.0"; 2]);
    world.settle().await;
    // Only the recipient that needs it fails; for the other the message is plain.
    let script = plain("250 HELP", "<s@us.example>", "Subject: x\\n\\n..dot\\nend\\n");
    let world = Arc::new(World::new().server(AT, &script));
    assert_eq!(short(&send(&world, smtp(), HOP, &attempt).await), ["done 250 2.0.0", "failed 553 5.6.7"]);
    world.settle().await;
    // A header or a sender that needs it fails all.
    let mut header = message("Subject: й\r\n\r\nx\r\n".as_bytes(), &["a@d.example"]).await;
    header.envelope = attempt.envelope.clone();
    envelope.sender = ReversePath::Mailbox(mailbox("й@us.example"));
    attempt.envelope = Arc::new(envelope);
    for attempt in [header, attempt] {
        let world = Arc::new(World::new().server(AT, &format!("{hello}250 8BITMIME\nC: QUIT\nS: 221 bye")));
        let outcomes = send(&world, smtp(), HOP, &attempt).await;
        assert!(short(&outcomes).iter().all(|o| o == "failed 553 5.6.7"), "{outcomes:?}");
        world.settle().await;
    }
}
