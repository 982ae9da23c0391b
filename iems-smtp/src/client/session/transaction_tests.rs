//! Transactions under any replies: they end, everybody has an outcome, and nobody is lost for good by accident.

use proptest::prelude::*;

use super::*;

fn peer() -> Peer {
    Peer { name: "mx".into(), host: Some("mx".into()), protection: Default::default() }
}

fn response(code: u16) -> Response {
    Response { code, enhanced: None, lines: vec!["text".into()] }
}

fn manner(protocol: Protocol, pipelining: bool, chunk: bool, at_once: bool) -> Manner {
    let (reset, arrival) = (false, Arrival::Relayed);
    Manner { protocol, pipelining, chunk: chunk.then_some(10), at_once, reset, arrival }
}

/// What was written, and what became of `count` recipients.
fn run(manner: Manner, count: usize, mut replies: impl Iterator<Item = u16>) -> (Vec<String>, Transaction) {
    let rcpts = (0..count).map(|n| (n, format!("RCPT {n}"))).collect();
    let mut transaction = Transaction::new(manner, "MAIL".into(), rcpts, vec![None; count]);
    let mut written = Vec::new();
    for _ in 0..1000 {
        match transaction.step() {
            Step::End => return (written, transaction),
            Step::Read(_) => match replies.next() {
                Some(code) => transaction.reply(&response(code), &peer()),
                None => transaction.give_up(Reply::defer(4, 2, "gone")),
            },
            Step::Write(lines) => written.push(lines),
            Step::WriteWithBody(lines) => written.push(lines + "(body)"),
            Step::WriteText => written.push("(text)".into()),
        }
    }
    panic!("no end");
}

fn codes(transaction: Transaction) -> Vec<u16> {
    transaction.into_outcomes().iter().map(|outcome| outcome.reply().code).collect()
}

#[test]
fn groups_of_commands() {
    let all_well = [250, 250, 250, 250, 250, 250].into_iter();
    let smtp = |pipelining, chunk, at_once| manner(Protocol::Smtp, pipelining, chunk, at_once);
    let written = |manner, replies: &[u16]| run(manner, 1, replies.iter().copied()).0;
    assert_eq!(
        run(smtp(true, true, true), 1, all_well.clone()).0,
        ["MAIL\r\nRCPT 0\r\nBDAT 10 LAST\r\n(body)"]
    );
    assert_eq!(run(smtp(true, true, false), 1, all_well).0, ["MAIL\r\nRCPT 0\r\n", "BDAT 10 LAST\r\n(body)"]);
    assert_eq!(
        written(smtp(true, false, true), &[250, 250, 354, 250]),
        ["MAIL\r\nRCPT 0\r\nDATA\r\n", "(text)"]
    );
    assert_eq!(
        written(smtp(false, false, true), &[250, 250, 354, 250]),
        ["MAIL\r\n", "RCPT 0\r\n", "DATA\r\n", "(text)"]
    );
    assert_eq!(written(smtp(false, false, true), &[550]), ["MAIL\r\n"]);
    let again = Manner { reset: true, ..smtp(false, false, true) };
    assert_eq!(written(again, &[250, 250, 550]), ["RSET\r\n", "MAIL\r\n", "RCPT 0\r\n"]);
}

#[test]
fn a_body_that_was_cut_short_can_be_refused_but_not_accepted() {
    for (last, code) in [(552, 552), (250, 451)] {
        let mut transaction = Transaction::new(
            manner(Protocol::Smtp, true, true, true),
            "MAIL".into(),
            vec![(0, "RCPT".into())],
            vec![None],
        );
        assert!(matches!(transaction.step(), Step::WriteWithBody(_)));
        transaction.cut_short();
        for code in [250, 250, last] {
            transaction.reply(&response(code), &peer());
        }
        assert!(transaction.is_broken());
        assert_eq!(codes(transaction), [code]);
    }
}

#[test]
fn lmtp_replies_for_those_who_were_accepted_only() {
    let manner = manner(Protocol::Lmtp, true, true, true);
    let replies = [250, 250, 550, 250, 452, 250];
    let (_, transaction) = run(manner, 3, replies.into_iter());
    assert!(transaction.is_clean() && !transaction.is_broken());
    assert_eq!(codes(transaction), [452, 550, 250]);
    let (_, lost) = run(manner, 3, replies[..5].iter().copied());
    assert_eq!(codes(lost), [452, 550, 451]);
    let nobody = [250, 550, 550, 550, 503];
    let (_, transaction) = run(manner, 3, nobody.into_iter());
    assert!(!transaction.is_broken() && !transaction.is_clean());
}

proptest! {
    #[test]
    fn any_replies_give_an_outcome_for_everybody(
        (lmtp, pipelining, chunk, at_once, reset) in any::<(bool, bool, bool, bool, bool)>(),
        count in 1usize..5,
        replies in proptest::collection::vec(
            prop_oneof![Just(250), Just(354), Just(550), Just(450), Just(421), 200u16..600], 0..20),
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let manner = Manner { reset, ..manner(protocol, pipelining, chunk, at_once) };
        let (_, transaction) = run(manner, count, replies.iter().copied());
        let broken = transaction.is_broken();
        let outcomes = transaction.into_outcomes();
        prop_assert_eq!(outcomes.len(), count);
        // A fate is sealed only by a reply of that class.
        let said = |class: u16| replies.iter().any(|code| code / 100 == class);
        for outcome in &outcomes {
            match outcome {
                Outcome::Done(..) => prop_assert!(said(2)),
                Outcome::Failed(_) => prop_assert!(said(5)),
                Outcome::Deferred(reply) => prop_assert!(reply.is_temporary()),
            }
        }
        prop_assert!(broken || !replies.is_empty());
    }
}
