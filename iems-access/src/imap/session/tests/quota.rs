//! What users put into their mailboxes, and how much there may be (RFC 9208).

use iems_store::directory::{AccountSettings, Quota};

use super::*;

async fn allow(world: &World, octets: Option<u64>, messages: Option<u64>) {
    let set = |settings: &mut AccountSettings| settings.quota = Quota { octets, messages };
    world.directory.update_account(&"ann@example.org".parse().unwrap(), set).await.unwrap();
}

async fn put(ann: &mut Peer, command: &str, octets: usize) -> String {
    ann.ask(&format!("p {command} {{{octets}+}}\r\n{}", "x".repeat(octets))).await
}

/// Who is there already hears of another limit at once.
#[tokio::test]
async fn a_limit_holds_for_sessions_that_are_there() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    assert!(!ann.ask("a GETQUOTAROOT INBOX").await.contains("* QUOTA "));
    allow(&world, Some(4096), None).await;
    assert!(put(&mut ann, "APPEND INBOX", 5000).await.contains("p NO [OVERQUOTA]"));
    assert!(ann.ask("a GETQUOTAROOT INBOX").await.contains("* QUOTA \"\" (STORAGE 0 4)\r\n"));
    assert!(put(&mut ann, "APPEND INBOX", 3000).await.contains("p OK"));
    assert!(put(&mut ann, "APPEND INBOX", 3000).await.contains("p NO [OVERQUOTA]"));
    allow(&world, Some(8192), None).await;
    assert!(put(&mut ann, "APPEND INBOX", 3000).await.contains("p OK"));
    allow(&world, Some(8192), Some(2)).await;
    assert!(put(&mut ann, "APPEND INBOX", 1).await.contains("p NO [OVERQUOTA]"));
}

/// Only what is more then than before (RFC 8508 section 3.4).
#[tokio::test]
async fn what_replaces_a_message_takes_its_room() {
    let world = World::new().await;
    let mut ann = world.ann().await;
    ann.ask("a CREATE Other\r\na SELECT INBOX").await;
    put(&mut ann, "APPEND INBOX", 3000).await;
    allow(&world, Some(4000), Some(1)).await;
    assert!(put(&mut ann, "APPEND INBOX", 10).await.contains("p NO [OVERQUOTA]"));
    assert!(put(&mut ann, "UID REPLACE 1 INBOX", 4001).await.contains("p NO [OVERQUOTA]"));
    for (uid, command, octets) in
        [(1, "INBOX", 4000), (2, "INBOX", 4000), (3, "INBOX", 20), (4, "Other", 4000)]
    {
        let said = put(&mut ann, &format!("UID REPLACE {uid} {command}"), octets).await;
        assert!(said.contains("* 1 EXPUNGE") && said.contains("p OK"), "{uid} {octets}: {said}");
    }
    // Also where there is too much already, as long as it does not become more.
    ann.ask("a SELECT Other").await;
    allow(&world, Some(1000), Some(1)).await;
    assert!(put(&mut ann, "REPLACE 1 INBOX", 4001).await.contains("p NO [OVERQUOTA]"));
    assert!(put(&mut ann, "REPLACE 1 INBOX", 3999).await.contains("p OK"));
}
