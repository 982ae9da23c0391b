//! Mailboxes that are usual at a site.

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_100_000);

fn usual() -> Vec<UsualMailbox> {
    let mut usual = UsualMailbox::defaults();
    usual.iter_mut().for_each(|one| {
        one.provided = match one.special {
            Some(SpecialUse::Sent) => Provided::Subscribed,
            Some(SpecialUse::Trash) => Provided::Made,
            _ => Provided::No,
        };
    });
    usual.push(UsualMailbox { path: "Lists/All".into(), special: None, provided: Provided::Subscribed });
    usual
}

async fn shown(world: &World) -> Vec<(String, bool, Option<SpecialUse>)> {
    let all = world.mailboxes.list(world.account).await.unwrap();
    all.into_iter().map(|one| (one.path, one.subscribed, one.special)).collect()
}

fn one(path: &str, subscribed: bool, special: Option<SpecialUse>) -> (String, bool, Option<SpecialUse>) {
    (path.to_owned(), subscribed, special)
}

#[tokio::test]
async fn what_is_to_be_there_is_made_once() {
    let world = world().await;
    let (m, account) = (&world.mailboxes, world.account);
    assert_eq!(m.provide(account, &usual(), NOW).await.unwrap().len(), 3);
    let inbox = shown(&world).await.remove(0);
    let expected = [
        inbox,
        one("Lists", false, None),
        one("Lists/All", true, None),
        one("Sent", true, Some(SpecialUse::Sent)),
        one("Trash", false, Some(SpecialUse::Trash)),
    ];
    assert_eq!(shown(&world).await, expected);
    assert!(m.provide(account, &usual(), NOW).await.unwrap().is_empty());
    // A subscription that was ended stays ended; what was deleted comes back.
    m.subscribe(account, "Sent", false).await.unwrap();
    m.delete(account, "Trash").await.unwrap();
    assert_eq!(m.provide(account, &usual(), NOW).await.unwrap().len(), 1);
    assert_eq!(shown(&world).await[3], one("Sent", false, Some(SpecialUse::Sent)));
    assert!(m.provide(AccountId(99), &usual(), NOW).await.is_err());
}

#[tokio::test]
async fn a_use_that_is_taken_is_not_given_again() {
    let world = world().await;
    let (m, account) = (&world.mailboxes, world.account);
    m.create(account, "Bin", Some(SpecialUse::Trash), NOW).await.unwrap();
    m.create(account, "Sent", None, NOW).await.unwrap();
    m.provide(account, &usual(), NOW).await.unwrap();
    let paths: Vec<_> = shown(&world).await.into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths, ["Bin", "INBOX", "Lists", "Lists/All", "Sent"]);
    for (path, special) in [("Trash", None), ("Drafts", Some(SpecialUse::Drafts)), ("drafts", None)] {
        assert_eq!(m.usual_use(account, &usual(), path).await.unwrap(), special, "{path}");
    }
}
