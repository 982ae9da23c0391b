//! Everything at once: mail comes and goes, the background indexes, searches ask.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn searches_are_right_while_the_index_changes() {
    let world = Arc::new(World::new().await);
    for nth in 0..50 {
        world.add_text(&format!("word{nth} needle{}", nth % 7)).await;
    }
    world.index.start();
    world.index.start();
    world.index.want(world.account);
    current(&world).await;
    let writer = tokio::spawn({
        let world = world.clone();
        async move {
            for nth in 0..60 {
                world.add_text(&format!("new{nth} needle{}", nth % 7)).await;
                if nth % 5 == 0 {
                    world.mailboxes().expunge(world.account, world.inbox, &[Uid(nth + 1)]).await.unwrap();
                }
                world.index.want(world.account);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
    });
    let mut spared = 0;
    while !writer.is_finished() {
        for text in ["needle3", "new1", "word4", "nowhere"] {
            let Some(known) = world.index.ask(world.account, &[needle(text)]).await else { continue };
            for (_, info) in world.infos().await {
                if known.rules_out(0, &info) {
                    assert!(!is_in(&world.octets(&info).await, &needle(text)), "{text}");
                    spared += 1;
                }
            }
        }
    }
    writer.await.unwrap();
    assert!(spared > 0);
    world.index.want(world.account);
    current(&world).await;
    assert_eq!(world.ruled_out("nowhere", true).await, world.infos().await.len());
    world.index.stop().await;
}

#[tokio::test]
async fn the_background_indexes_what_is_wanted() {
    let world = World::new().await;
    world.add_text("word").await;
    world.index.start();
    world.index.missed(world.account, 2);
    world.index.left(world.account);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(
        world.status().await.is_none(),
        "few messages are read, and nobody waits for an index that is not there"
    );
    world.index.missed(world.account, 3);
    current(&world).await;
    world.add_text("more").await;
    world.index.left(world.account);
    assert_eq!(world.status().await.unwrap().state, IndexState::Waiting);
    world.index.stop().await;
    world.index.want(world.account);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(world.status().await.unwrap().messages, 1, "it stopped");
}

fn needle(text: &str) -> Needle {
    Needle { text: text.into(), headers: false }
}

async fn current(world: &World) {
    let current = async {
        while world.status().await.is_none_or(|status| status.state != IndexState::Current) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), current).await.expect("it is indexed in a minute");
}
