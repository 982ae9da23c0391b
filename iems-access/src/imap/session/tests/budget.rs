//! What all sessions of one account may hold together.

use super::*;

const COUNT: usize = 300;

/// A world with so many messages in each INBOX, and what its accounts hold.
async fn filled() -> (World, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let world = World::new().await.within(&memory);
    for name in ["ann", "bob"] {
        let mut append = "a APPEND INBOX".to_owned();
        for n in 0..COUNT {
            let text = format!("Subject: {n}\r\nReferences: <{n}@x>\r\n\r\nx\r\n");
            append += &format!(" {{{}+}}\r\n{text}", text.len());
        }
        let said = world.known(name).await.ask(&append).await;
        assert!(said.contains("a OK"), "{said}");
    }
    (world, memory)
}

/// All that a command may be refused by.
const COSTLY: [&str; 7] = [
    "SEARCH ALL",
    "SORT (SUBJECT) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "FETCH 1:* ENVELOPE",
    "STORE 1:* +FLAGS (\\Flagged)",
    "COPY 1:* Archive",
    "EXAMINE INBOX",
];

#[tokio::test]
async fn what_one_account_holds_is_bounded_and_others_feel_nothing() {
    let (world, memory) = filled().await;
    let (mut ann, mut bob) = (world.ann().await, world.known("bob").await);
    for peer in [&mut ann, &mut bob] {
        peer.ask("c CREATE Archive\r\ns SELECT INBOX").await;
    }
    let idle = memory.held();
    let budget = ann.session.budget();
    let all = budget.take((512 << 20) - idle as usize).unwrap();
    for command in &COSTLY[..6] {
        let said = ann.ask(&format!("t {command}")).await;
        assert!(said.starts_with("t NO [LIMIT] Your sessions hold"), "{command}: {said}");
        let said = bob.ask(&format!("t {command}")).await;
        assert!(said.contains("t OK"), "{command}: {said}");
    }
    let long = format!("t SEARCH TEXT {{20000}}\r\n{}", "x".repeat(20_000));
    assert!(ann.ask("t SEARCH TEXT {20000}").await.starts_with("t NO [LIMIT]"), "before it is sent");
    let text = "x".repeat(20_000);
    assert!(ann.ask(&format!("t SEARCH TEXT {text}")).await.starts_with("t NO [LIMIT]"));
    assert!(ann.ask("t COMPRESS DEFLATE").await.starts_with("t NO [LIMIT]"));
    // All that costs nothing goes on.
    assert!(ann.ask("t NOOP").await.starts_with("t OK"));
    assert!(ann.ask("t STATUS INBOX (MESSAGES)").await.contains("MESSAGES 300"));
    drop(all);
    assert!(bob.ask(&long).await.contains("t OK"));
    for command in COSTLY {
        let said = ann.ask(&format!("t {command}")).await;
        assert!(said.contains("t OK"), "{command}: {said}");
    }
    drop((ann, bob, budget));
    world.restarted();
    let cached = 2 * 2 * (COUNT as u64 * 16 + 2 * 4096);
    assert!(memory.held() <= cached, "{} are still held", memory.held());
    assert!(memory.refused() >= 9);
}

#[tokio::test]
async fn a_message_that_arrives_is_refused_before_it_is_sent() {
    let (world, memory) = filled().await;
    let mut ann = world.ann().await;
    let budget = ann.session.budget();
    let held = budget.take((512 << 20) - memory.held() as usize).unwrap();
    assert!(ann.ask("a APPEND INBOX {100000}").await.starts_with("a NO [LIMIT]"));
    let text = letter(&"x".repeat(5000));
    let said = ann.append("INBOX", &text).await;
    assert!(said.starts_with("p NO [LIMIT]"), "{said}");
    drop(held);
    let said = ann.append("INBOX", &text).await;
    assert!(said.contains("p OK"), "{said}");
    assert!(ann.ask("a APPEND INBOX {100000}").await.starts_with("+ "));
    assert!(memory.held() >= 3 * 64 * 1024);
    drop(ann);
    assert!(memory.held() < 64 * 1024, "what was given up is given back");
}

#[tokio::test]
async fn news_wait_until_there_is_memory_to_hold_them() {
    let (world, memory) = filled().await;
    let (mut ann, mut other) = (world.ann().await, world.ann().await);
    for peer in [&mut ann, &mut other] {
        peer.ask("e ENABLE CONDSTORE\r\ns SELECT INBOX").await;
    }
    other.ask("a STORE 7 +FLAGS (\\Flagged)").await;
    other.append("INBOX", &letter("new")).await;
    let budget = ann.session.budget();
    let held = budget.take((512 << 20) - memory.held() as usize).unwrap();
    assert_eq!(ann.ask("n NOOP").await, "n OK Here I am\r\n", "the mailbox is what it was");
    assert!(ann.session.is_behind());
    let said = ann.ask("i IDLE").await;
    assert!(said.starts_with("+ ") && !said.contains("EXISTS"), "{said}");
    assert_eq!(ann.news().await, "");
    drop(held);
    let said = ann.news().await;
    assert!(said.contains("* 301 EXISTS") && said.contains("* 7 FETCH (UID 7 FLAGS (\\Flagged)"), "{said}");
    assert!(!ann.session.is_behind());
    assert!(ann.ask("DONE").await.starts_with("i OK"));
    assert_eq!(
        fetched(&ann.ask("f FETCH 1:* (UID FLAGS)").await),
        fetched(&other.ask("f FETCH 1:* (UID FLAGS)").await)
    );
}

fn fetched(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains(" FETCH (UID")).collect()
}

#[tokio::test]
async fn sessions_that_see_the_same_mailbox_hold_it_once() {
    let (world, memory) = filled().await;
    let mut peers = Vec::new();
    for _ in 0..20 {
        let mut ann = world.ann().await;
        ann.ask("s SELECT INBOX").await;
        peers.push(ann);
    }
    let shared = memory.held();
    assert!(shared < 3 * 16 * COUNT as u64, "{shared}");
    // Each change that one of them knows of is its own.
    peers[0].ask("a STORE 1 +FLAGS (\\Seen)").await;
    for peer in &mut peers {
        peer.ask("n NOOP").await;
    }
    let own = memory.held();
    assert!(own > 20 * 16 * COUNT as u64, "{own}");
    peers.truncate(1);
    assert!(memory.held() < own / 5, "{}", memory.held());
}
