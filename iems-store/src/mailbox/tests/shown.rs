//! The mark up to which messages were shown as recent.

use super::*;

#[tokio::test]
async fn the_mark_only_grows_and_goes_with_its_mailbox() {
    let world = world().await;
    let (m, ann, inbox) = (&world.mailboxes, world.account, world.inbox);
    for text in ["a", "b", "c"] {
        world.append(text, "").await;
    }
    assert_eq!(m.status(ann, inbox).await.unwrap().shown, 0);
    assert_eq!(m.count_after(ann, inbox, Uid(1)).await.unwrap(), 2);
    for (uid, shown) in [(2, 2), (1, 2), (3, 3)] {
        m.set_shown(ann, inbox, Uid(uid)).await.unwrap();
        assert_eq!(m.status(ann, inbox).await.unwrap().shown, shown);
    }
    let commits = world.memory.stats().commits;
    m.set_shown(ann, inbox, Uid(3)).await.unwrap();
    assert_eq!(world.memory.stats().commits, commits, "what is known is not written again");
    assert_eq!(m.count_after(ann, inbox, Uid(3)).await.unwrap(), 0);

    let now = Timestamp::from_millis(1_790_000_100_000);
    let gone = m.create(ann, "x", None, now).await.unwrap();
    m.set_shown(ann, gone, Uid(9)).await.unwrap();
    m.delete(ann, "x").await.unwrap();
    assert_eq!(m.status(ann, gone).await.unwrap().shown, 0);
    m.set_shown(ann, gone, Uid(9)).await.unwrap();
    assert_eq!(m.status(ann, gone).await.unwrap().shown, 0, "nothing is left of a mailbox");
    assert_eq!(m.check(ann, false, true, &mut |_| ()).await.unwrap().findings, []);
}
