//! Names: rename, delete, subscriptions, special uses.

use super::*;

async fn paths(world: &World) -> Vec<String> {
    let all = world.mailboxes.list(world.account).await.unwrap();
    let shown = |info: MailboxInfo| if info.selectable { info.path } else { format!("({})", info.path) };
    all.into_iter().map(shown).collect()
}

const NOW: Timestamp = Timestamp::from_millis(1_790_000_100_000);

#[tokio::test]
async fn a_mailbox_is_made_with_those_above_it() {
    let world = world().await;
    let (m, account) = (&world.mailboxes, world.account);
    let made = m.create(account, "Work/2026/May/", None, NOW).await.unwrap();
    assert_eq!(paths(&world).await, ["INBOX", "Work", "Work/2026", "Work/2026/May"]);
    assert_eq!(m.find(account, "Work/2026/May").await.unwrap(), Some(made));
    assert_eq!(m.path(account, made).await.unwrap().as_deref(), Some("Work/2026/May"));
    assert!(matches!(m.create(account, "Work/2026", None, NOW).await, Err(MailboxError::Exists)));
    assert!(matches!(m.create(account, "inbox", None, NOW).await, Err(MailboxError::Exists)));
    m.create(account, "inbox/kept", None, NOW).await.unwrap();
    assert!(m.find(account, "INBOX/kept").await.unwrap().is_some());
    assert!(m.find_in_any_case(account, "WORK/2026/may").await.unwrap() == Some(made));
    let uses = m.create(account, "Rubbish", Some(SpecialUse::Trash), NOW).await.unwrap();
    assert_eq!(m.special(account, SpecialUse::Trash).await.unwrap(), Some(uses));
    let twice = m.create(account, "Bin", Some(SpecialUse::Trash), NOW).await;
    assert!(matches!(twice, Err(MailboxError::UseTaken)));
    m.set_special(account, made, Some(SpecialUse::Trash)).await.unwrap();
    assert_eq!(m.special(account, SpecialUse::Trash).await.unwrap(), Some(made));
    let checked = m.check(account, false, false, &mut |_| ()).await.unwrap();
    assert_eq!(checked.findings, []);
}

#[tokio::test]
async fn a_name_stays_for_what_is_below_it_and_comes_back_as_another_mailbox() {
    let world = world().await;
    let (m, account) = (&world.mailboxes, world.account);
    let child = m.create(account, "a/b", None, NOW).await.unwrap();
    let first = m.find(account, "a").await.unwrap().unwrap();
    m.delete(account, "a").await.unwrap();
    assert_eq!(paths(&world).await, ["INBOX", "(a)", "a/b"]);
    assert!(matches!(m.delete(account, "a").await, Err(MailboxError::HasChildren)));
    let second = m.create(account, "a", None, NOW).await.unwrap();
    assert!(second > first, "UIDVALIDITY grows");
    assert_eq!(m.find(account, "a/b").await.unwrap(), Some(child));
    m.delete(account, "a").await.unwrap();
    m.delete(account, "a/b").await.unwrap();
    m.delete(account, "a").await.unwrap();
    assert_eq!(paths(&world).await, ["INBOX"]);
    assert!(matches!(m.delete(account, "a").await, Err(MailboxError::NoMailbox)));
    assert!(matches!(m.delete(account, "InBox").await, Err(MailboxError::Inbox)));
}

#[tokio::test]
async fn renaming_takes_along_what_is_below_and_inbox_gives_its_mail() {
    let world = world().await;
    let (m, account) = (&world.mailboxes, world.account);
    let child = m.create(account, "a/b/c", None, NOW).await.unwrap();
    m.rename(account, "a/b", "x/y", NOW).await.unwrap();
    assert_eq!(m.find(account, "x/y/c").await.unwrap(), Some(child));
    assert!(matches!(m.rename(account, "x", "x/y/z", NOW).await, Err(MailboxError::BelowItself)));
    assert!(matches!(m.rename(account, "x/y", "a", NOW).await, Err(MailboxError::Exists)));
    assert!(matches!(m.rename(account, "q", "r", NOW).await, Err(MailboxError::NoMailbox)));
    for n in 0..3 {
        world.append(&format!("{n}"), "").await;
    }
    m.create(account, "INBOX/kept", None, NOW).await.unwrap();
    m.rename(account, "inbox", "old/mail", NOW).await.unwrap();
    let old = m.find(account, "old/mail").await.unwrap().unwrap();
    assert_eq!(m.status(account, old).await.unwrap().messages, 3);
    let inbox = m.status(account, world.inbox).await.unwrap();
    assert_eq!((inbox.messages, inbox.uid_next), (0, 4));
    assert!(m.find(account, "INBOX/kept").await.unwrap().is_some());
    let checked = m.check(account, false, true, &mut |_| ()).await.unwrap();
    assert_eq!((checked.messages, checked.findings), (3, vec![]));
}

#[tokio::test]
async fn subscriptions_outlive_mailboxes() {
    let world = world().await;
    let (m, account) = (&world.mailboxes, world.account);
    m.create(account, "a", None, NOW).await.unwrap();
    m.subscribe(account, "a", true).await.unwrap();
    m.subscribe(account, "a", true).await.unwrap();
    assert!(m.list(account).await.unwrap().iter().all(|info| info.subscribed));
    m.delete(account, "a").await.unwrap();
    assert_eq!(m.subscriptions(account).await.unwrap(), ["INBOX", "a"]);
    m.subscribe(account, "a", false).await.unwrap();
    assert_eq!(m.subscriptions(account).await.unwrap(), ["INBOX"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn names_made_at_once_are_all_there_once() {
    let world = Arc::new(world().await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4 {
        let world = world.clone();
        tasks.spawn(async move {
            for n in 0..5 {
                let path = format!("shared/{task}/{n}");
                world.mailboxes.create(world.account, &path, None, NOW).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(paths(&world).await.len(), 1 + 1 + 4 + 20);
    let checked = world.mailboxes.check(world.account, false, false, &mut |_| ()).await.unwrap();
    assert_eq!(checked.findings, []);
}
