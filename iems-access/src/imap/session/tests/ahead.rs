//! What is read ahead is told as if each message was read when its turn came.

use super::*;

const COUNT: usize = 420;
/// Each so many are expunged.
const EACH: usize = 21;

/// Message `n`. Some are too large to be read ahead, and all of them are more than is read ahead at once.
fn message(n: usize) -> String {
    let octets = match n % 100 {
        40 => 70_000,
        _ => 4000 + 37 * n,
    };
    let line = format!("{n} {}\r\n", "x".repeat(60));
    format!("Subject: {n}\r\n\r\n{}", line.repeat(octets / line.len()))
}

async fn filled() -> (World, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let world = World::new().await.within(&memory);
    let mut ann = world.ann().await;
    for first in (1..=COUNT).step_by(60) {
        let mut append = "a APPEND INBOX".to_owned();
        for n in first..first + 60 {
            let text = message(n);
            append += &format!(" {{{}+}}\r\n{text}", text.len());
        }
        let said = ann.ask(&append).await;
        assert!(said.contains("a OK"), "{said}");
    }
    (world, memory)
}

/// What a FETCH of all brings that sets no flags.
fn told(numbers: impl Iterator<Item = usize>) -> String {
    numbers
        .map(|n| {
            let text = message(n);
            let body = text.split_once("\r\n\r\n").unwrap().1;
            let (all, part) = (text.len(), body.len());
            format!("* {n} FETCH (UID {n} BODY[] {{{all}}}\r\n{text} BODY[TEXT] {{{part}}}\r\n{body})\r\n")
        })
        .collect()
}

const COMMAND: &str = "f UID FETCH 1:* (BODY.PEEK[] BODY.PEEK[TEXT])";
const OK: &str = "f OK That is what was asked for\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_messages_are_told_in_their_order() {
    let (world, memory) = filled().await;
    let mut ann = world.ann().await;
    ann.ask("s SELECT INBOX").await;
    let expected = told(1..=COUNT) + OK;
    assert!(ann.ask(COMMAND).await == expected);
    // What is marked as seen is told, too.
    let said = ann.ask("f FETCH 100:400 BODY[]").await;
    assert_eq!(said.matches(" FLAGS (\\Seen))\r\n").count(), 301);
    // Where there is no memory to read ahead, there is still enough to read.
    let budget = ann.session.budget();
    let rest = budget.take((512 << 20) - memory.held() as usize - (600 << 10)).unwrap();
    let refused = memory.refused();
    assert!(ann.ask(COMMAND).await == expected);
    assert_eq!(memory.refused(), refused);
    drop(rest);
    // And where too many others do.
    let readers: Vec<_> = std::iter::from_fn(|| world.accounts.reader()).take(1000).collect();
    assert!(readers.len() < 100);
    assert!(ann.ask(COMMAND).await == expected);
    drop(readers);
    assert!(ann.ask(COMMAND).await == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_expunge_meanwhile_is_left_out() {
    let (world, memory) = filled().await;
    let mut ann = world.ann().await;
    ann.ask("s SELECT INBOX").await;
    let idle = memory.held();
    let other = tokio::spawn({
        let world = world.clone();
        async move {
            let mut other = world.ann().await;
            other.ask("s SELECT INBOX").await;
            for first in (1..=COUNT).rev().step_by(EACH) {
                let said = other
                    .ask(&format!("e UID STORE {first} +FLAGS.SILENT (\\Deleted)\r\ng UID EXPUNGE {first}"))
                    .await;
                assert!(said.contains("g OK"), "{said}");
            }
        }
    });
    let all: Vec<String> = (1..=COUNT).map(|n| told(std::iter::once(n))).collect();
    let mut gone = 0;
    while gone < COUNT.div_ceil(EACH) {
        let done = other.is_finished();
        let said = ann.ask("f FETCH 1:* (UID BODY.PEEK[] BODY.PEEK[TEXT])").await;
        // Each message is whole, or is not there; its number is that of this moment.
        let (mut rest, mut there) = (&said[..], 0);
        // What is marked and not gone yet is told first.
        while let Some((line, later)) =
            rest.split_once("\r\n").filter(|(line, _)| line.contains(" FETCH (FLAGS ("))
        {
            assert!(line.ends_with("(FLAGS (\\Deleted))"), "{line}");
            rest = later;
        }
        for one in &all {
            let one = one.split_once(" FETCH").unwrap().1;
            if let Some(later) = rest.split_once(" FETCH").and_then(|(_, told)| told.strip_prefix(one)) {
                (rest, there) = (later, there + 1);
            }
        }
        assert!(rest.starts_with("f OK"), "{} more octets", rest.len());
        gone = COUNT - there;
        assert!(!done || gone == COUNT.div_ceil(EACH), "{gone} are gone");
        ann.ask("n NOOP").await;
    }
    other.await.unwrap();
    ann.ask("u UNSELECT\r\ns SELECT INBOX").await;
    assert!(memory.held() <= idle, "{} are held, {idle} before", memory.held());
}
