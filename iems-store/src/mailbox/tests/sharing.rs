//! Rights, what is shared with whom, and annotations.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_100_000);

async fn another(world: &World) -> AccountId {
    let mut batch = Batch::new();
    let slot = batch.allocate(b"accounts", 1);
    create_account(&mut batch, slot, NOW).unwrap();
    AccountId(world.memory.storage().store.commit(batch).await.unwrap().firsts[0])
}

fn r(letters: &str) -> Rights {
    letters.parse().unwrap()
}

#[tokio::test]
async fn rights_are_what_is_granted_without_what_is_denied() {
    let world = world().await;
    let (m, ann) = (&world.mailboxes, world.account);
    let (bob, cid) = (another(&world).await, another(&world).await);
    let team = m.create(ann, "Team", None, NOW).await.unwrap();
    let grant = async |who: Grantee, denied: bool, change: RightsChange| {
        m.set_rights(ann, team, (who, "name"), denied, change).await.unwrap();
    };
    assert_eq!(m.rights(ann, team, ann).await.unwrap(), Rights::all());
    assert_eq!(m.rights(ann, team, bob).await.unwrap(), Rights::none());
    grant(Grantee::Anyone, false, RightsChange::Set(r("lr"))).await;
    grant(Grantee::Account(bob), false, RightsChange::Add(r("swi"))).await;
    grant(Grantee::Account(bob), true, RightsChange::Add(r("w"))).await;
    assert_eq!(m.rights(ann, team, bob).await.unwrap(), r("lrsi"));
    assert_eq!(m.rights(ann, team, cid).await.unwrap(), r("lr"));
    assert_eq!(m.shared_with(bob).await.unwrap(), [(ann, team)]);
    assert_eq!(m.shared_with(ann).await.unwrap(), []);
    // What is made below has the same list, and keeps it.
    let below = m.create(ann, "Team/2026", None, NOW).await.unwrap();
    grant(Grantee::Anyone, false, RightsChange::Remove(r("lr"))).await;
    assert_eq!(m.shared_with(cid).await.unwrap(), [(ann, below)]);
    assert_eq!(m.acl(ann, team).await.unwrap().len(), 1);
    let check = async || m.check(ann, false, true, &mut |_| ()).await.unwrap().findings;
    assert_eq!(check().await, []);
    // A deleted mailbox is shared with nobody, and a removed account has no rights.
    m.delete(ann, "Team/2026").await.unwrap();
    assert_eq!(m.shared_with(cid).await.unwrap(), []);
    let mut batch = Batch::new();
    remove_account(&mut batch, bob);
    world.memory.storage().store.commit(batch).await.unwrap();
    m.purge_removed().await.unwrap();
    assert_eq!(m.acl(ann, team).await.unwrap(), []);
    assert_eq!(check().await, []);
    let gone = m.set_rights(ann, below, (Grantee::Anyone, "anyone"), false, RightsChange::Set(r("l"))).await;
    assert!(matches!(gone, Err(MailboxError::NoMailbox)));
}

#[tokio::test]
async fn a_message_goes_to_a_shared_mailbox_with_its_keywords() {
    let world = world().await;
    let (m, ann) = (&world.mailboxes, world.account);
    let bob = another(&world).await;
    m.keywords_named(bob, &["other", "more"]).await.unwrap();
    let keywords = m.keywords_named(ann, &["more"]).await.unwrap();
    world.append("text", "").await;
    let keywords = keywords.into_iter().collect();
    let change = FlagChange { keywords, ..FlagChange::new(FlagAction::Add, Flags::FLAGGED) };
    m.store_flags(ann, world.inbox, &[Uid(1)], &change).await.unwrap();
    let inbox = m.find(bob, "INBOX").await.unwrap().unwrap();
    let moved = m.move_messages((ann, world.inbox), &[Uid(1)], (bob, inbox), NOW).await.unwrap();
    assert_eq!(moved.uids, [(Uid(1), Uid(1))]);
    let there = m.message(bob, inbox, Uid(1)).await.unwrap().unwrap();
    let names = m.keywords(bob).await.unwrap();
    let names: Vec<_> = there.keywords.iter().map(|keyword| names.name(keyword).unwrap()).collect();
    assert_eq!((there.flags, names), (Flags::FLAGGED, vec!["more"]));
    assert_eq!(m.usage(ann).await.unwrap(), Usage::default());
    assert_eq!(m.usage(bob).await.unwrap(), Usage { octets: 4, messages: 1 });
    for account in [ann, bob] {
        assert_eq!(m.check(account, false, true, &mut |_| ()).await.unwrap().findings, []);
    }
}

#[tokio::test]
async fn annotations_are_private_or_shared_and_bounded() {
    let world = world().await;
    let (m, ann, inbox) = (&world.mailboxes, world.account, Some(world.inbox));
    let bob = another(&world).await;
    m.annotate(ann, inbox, ann, "/private/Comment", Some(b"mine")).await.unwrap();
    m.annotate(ann, inbox, bob, "/private/comment", Some(b"his")).await.unwrap();
    m.annotate(ann, inbox, ann, "/shared/comment", Some(b"ours")).await.unwrap();
    m.annotate(ann, None, ann, "/shared/admin", Some(b"x")).await.unwrap();
    let said = async |account, shared| {
        let all = m.annotations(ann, inbox, account, shared).await.unwrap();
        all.iter().map(|a| format!("{}={}", a.entry, String::from_utf8_lossy(&a.value))).collect::<Vec<_>>()
    };
    assert_eq!(said(ann, true).await, ["/private/comment=mine", "/shared/comment=ours"]);
    assert_eq!(said(bob, false).await, ["/private/comment=his"]);
    m.annotate(ann, inbox, ann, "/private/comment", None).await.unwrap();
    assert_eq!(said(ann, true).await, ["/shared/comment=ours"]);
    for bad in ["comment", "/public/x", "/private/", "/private//x", "/private/a*", "/shared/ü"] {
        assert!(
            matches!(m.annotate(ann, inbox, ann, bad, None).await, Err(MailboxError::BadName(_))),
            "{bad}"
        );
    }
    let large = vec![b'x'; MAX_ANNOTATION + 1];
    let large = m.annotate(ann, inbox, ann, "/private/x", Some(&large)).await;
    assert!(matches!(large, Err(MailboxError::TooLarge(..))));
    for n in 0..MAX_ANNOTATIONS {
        m.annotate(ann, inbox, ann, &format!("/private/{n}"), Some(b"")).await.unwrap();
    }
    let many = m.annotate(ann, inbox, ann, "/private/more", Some(b"")).await;
    assert!(matches!(many, Err(MailboxError::TooMany(..))));
    m.annotate(ann, inbox, ann, "/private/7", Some(b"changed")).await.unwrap();
    let nowhere = m.annotate(ann, Some(MailboxId(5)), ann, "/private/x", Some(b"")).await;
    assert!(matches!(nowhere, Err(MailboxError::NoMailbox)));
}
