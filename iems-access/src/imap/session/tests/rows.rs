//! What is told and found of rows as they lie is what the messages say, also where rows are missing or damaged.

use iems_core::storage::{Batch, Scan};

use super::*;

const COUNT: usize = 700;

/// Message `n`: all sizes differ, some have letters that are not told as they stand, or fields that are not kept.
fn message(n: usize) -> String {
    let more = match n % 50 {
        3 => "Subject: Gr\u{fc}\u{df}e\r\nX-Other: yes\r\n".to_owned(),
        _ => format!("Subject: number {n} {}\r\n", "long ".repeat(50)),
    };
    format!("From: P{} <p{}@example.net>\r\n{more}\r\nHello{}\r\n", n % 7, n % 11, ".".repeat(n))
}

/// What a command brings, in any order.
async fn lines(peer: &mut Peer, command: &str) -> Vec<String> {
    let said = peer.ask(&format!("f {command}")).await;
    assert!(
        said.ends_with("f OK That is what was asked for\r\n") || command.contains("SEARCH"),
        "{command}: {said}"
    );
    let mut answers: Vec<_> = said.split("\r\n* ").map(|answer| answer.trim().to_owned()).collect();
    answers[0] = answers[0].trim_start_matches("* ").to_owned();
    let last = answers.last_mut().unwrap();
    *last = last.split("\r\nf OK").next().unwrap().to_owned();
    answers.sort();
    answers
}

const COMMANDS: [&str; 10] = [
    "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
    "FETCH 1:* (RFC822.SIZE ENVELOPE)",
    "FETCH 1:* (EMAILID BODYSTRUCTURE)",
    "FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (subject FROM)])",
    "FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (subject)]<3.9>)",
    "FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (x-other)])",
    "FETCH 2:9,300,302,304,400:500,699:700 (RFC822.SIZE ENVELOPE)",
    "UID SEARCH SUBJECT \"number 7\"",
    "UID SEARCH FROM \"P3 <p4\"",
    "UID SEARCH HEADER X-Other yes SUBJECT Gr",
];

#[tokio::test]
async fn rows_that_are_missing_or_damaged_are_made_again() {
    let (world, storage) = World::with_storage().await;
    let mut ann = world.ann().await;
    let mut append = "a APPEND INBOX".to_owned();
    for n in 1..=COUNT {
        let text = message(n);
        append += &format!(" {{{}+}}\r\n{text}", text.len());
    }
    let said = ann.ask(&append).await;
    assert!(said.contains("a OK"), "{said}");
    ann.ask("s SELECT INBOX").await;
    let mut before = Vec::new();
    for command in COMMANDS {
        before.push(lines(&mut ann, command).await);
    }
    assert!(before[0].iter().map(String::len).sum::<usize>() > 3 * super::super::output::ENOUGH);
    assert!([0, 1, 2, 3, 4, 5].iter().all(|nth| before[*nth].len() == COUNT));
    assert!(before[5].iter().filter(|line| line.contains("X-Other: yes")).count() == COUNT / 50);
    let found: Vec<_> = before[7..].iter().map(|found| found[0].split(' ').count() - 1).collect();
    assert_eq!(found, [12, 9, COUNT / 50]);

    let all = storage.store.scan(Scan::prefix(b"Ma", usize::MAX)).await.unwrap();
    let rows: Vec<_> = all.iter().filter(|(key, _)| key.len() == 23 && key[10] == b'x').collect();
    assert_eq!(rows.len(), COUNT);
    let mut batch = Batch::new();
    for (n, (key, row)) in (1..).zip(rows.iter().copied()) {
        match n {
            2 | 300 | 301 | 700 => batch.delete(key),
            5 => batch.put(key.to_vec(), vec![9, 9, 9]),
            // Another message's.
            8 => batch.put(key.to_vec(), rows[200].1.to_vec()),
            n if n % 13 == 0 => batch.put(key.to_vec(), row[..row.len() * (n % 100) / 100].to_vec()),
            _ => {}
        }
    }
    storage.store.commit(batch).await.unwrap();
    for (command, before) in COMMANDS.iter().zip(&before) {
        assert_eq!(lines(&mut ann, command).await, *before, "{command}");
    }
}
