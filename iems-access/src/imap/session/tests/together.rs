//! Several sessions on one mailbox: what each believes is what is there, and numbers change only where they may.

use proptest::prelude::*;

use super::*;

/// What a client believes, from what it was told alone.
struct Client {
    peer: Peer,
    /// Flags by sequence number; `None` where they were not told.
    believed: Vec<Option<String>>,
}

impl Client {
    async fn new(world: &World) -> Self {
        let mut client = Self { peer: world.ann().await, believed: Vec::new() };
        client.ask("s SELECT INBOX", true).await;
        client.ask("f FETCH 1:* FLAGS", false).await;
        client
    }

    async fn ask(&mut self, command: &str, may_shrink: bool) {
        let said = self.peer.ask(command).await;
        self.hear(&said, may_shrink);
    }

    fn hear(&mut self, said: &str, may_shrink: bool) {
        for line in said.lines().filter_map(|line| line.strip_prefix("* ")) {
            let Some((number, rest)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            if rest == "EXISTS" {
                assert!(number >= self.believed.len(), "EXISTS never shrinks: {said}");
                self.believed.resize(number, None);
            } else if rest == "EXPUNGE" {
                assert!(may_shrink, "no EXPUNGE here: {said}");
                self.believed.remove(number - 1);
            } else if let Some(at) = rest.find("FLAGS (") {
                assert!(number <= self.believed.len(), "FETCH before EXISTS: {said}");
                let flags = &rest[at + 7..];
                self.believed[number - 1] = flags.split(')').next().map(str::to_owned);
            }
        }
    }

    /// Everything is told: what is believed is what a new client sees.
    async fn agrees_with(&mut self, fresh: &Client) {
        self.ask("n NOOP", true).await;
        self.ask("f FETCH 1:* FLAGS", false).await;
        let told = self.believed.iter().map(|flags| flags.as_ref().map(|flags| without_recent(flags)));
        let fresh = fresh.believed.iter().cloned();
        assert!(
            told.clone().eq(fresh.clone()),
            "{:?} {:?}",
            told.collect::<Vec<_>>(),
            fresh.collect::<Vec<_>>()
        );
    }

    /// Whether a message is recent here.
    fn is_recent(&self, at: usize) -> bool {
        self.believed[at].as_ref().is_some_and(|flags| flags.contains("\\Recent"))
    }
}

/// What does not differ between sessions.
fn without_recent(flags: &str) -> String {
    flags.split(' ').filter(|flag| *flag != "\\Recent").collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Clone)]
enum Deed {
    Append,
    Store(u8, bool, &'static str),
    Expunge,
    Move(u8),
    Fetch(u8),
    Noop,
    Idle,
}

fn deed() -> impl Strategy<Value = Deed> {
    let flag = prop::sample::select(vec!["\\Seen", "\\Deleted", "\\Flagged", "work", "play"]);
    prop_oneof![
        3 => Just(Deed::Append),
        4 => (any::<u8>(), any::<bool>(), flag).prop_map(|(n, add, flag)| Deed::Store(n, add, flag)),
        2 => Just(Deed::Expunge),
        1 => any::<u8>().prop_map(Deed::Move),
        2 => any::<u8>().prop_map(Deed::Fetch),
        2 => Just(Deed::Noop),
        1 => Just(Deed::Idle),
    ]
}

async fn carry_out(client: &mut Client, deed: &Deed) {
    let count = client.believed.len();
    let number = |n: &u8| usize::from(*n) % count.max(1) + 1;
    match deed {
        Deed::Append => {
            let said = client.peer.append("INBOX", &letter("x")).await;
            client.hear(&said, true);
        }
        Deed::Noop => client.ask("n NOOP", true).await,
        Deed::Idle => {
            client.ask("i IDLE", true).await;
            let news = client.peer.news().await;
            client.hear(&news, true);
            client.ask("DONE", true).await;
        }
        Deed::Expunge => client.ask("e EXPUNGE", true).await,
        _ if count == 0 => {}
        Deed::Store(n, add, flag) => {
            let sign = if *add { '+' } else { '-' };
            client.ask(&format!("t STORE {} {sign}FLAGS ({flag})", number(n)), false).await;
        }
        Deed::Move(n) => client.ask(&format!("m MOVE {} Trash", number(n)), true).await,
        Deed::Fetch(n) => client.ask(&format!("f FETCH {} (FLAGS BODY[])", number(n)), false).await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_sessions_see_one_mailbox(deeds in prop::collection::vec((0..3usize, deed()), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::with_recent().await;
            world.ann().await.ask("c CREATE Trash").await;
            let mut clients = Vec::new();
            for _ in 0..3 {
                clients.push(Client::new(&world).await);
            }
            for (who, deed) in &deeds {
                carry_out(&mut clients[*who], deed).await;
            }
            let fresh = Client::new(&world).await;
            for client in &mut clients {
                client.agrees_with(&fresh).await;
            }
            for at in 0..fresh.believed.len() {
                assert!(!fresh.is_recent(at));
                assert_eq!(clients.iter().filter(|client| client.is_recent(at)).count(), 1);
            }
        });
    }
}

#[tokio::test]
async fn idle_tells_what_others_do() {
    let world = World::new().await;
    let (mut one, mut other) = (world.ann().await, world.ann().await);
    one.ask("a SELECT INBOX").await;
    assert!(one.ask("b IDLE").await.starts_with("+ "));
    let waiting = one.session.waiting(false).unwrap();
    other.append("INBOX", &letter("x")).await;
    tokio::time::timeout(std::time::Duration::from_secs(5), waiting.changed()).await.expect("news");
    assert_eq!(one.news().await, "* 1 EXISTS\r\n");
    other.ask("a SELECT INBOX\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE").await;
    assert_eq!(one.news().await, "* 1 EXPUNGE\r\n");
    assert!(one.ask("DONE").await.starts_with("b OK"));
}

/// An empty mailbox that is deleted while it is open looks empty, as any other does, also where another has its name then.
#[tokio::test]
async fn an_empty_mailbox_that_is_deleted_stays_empty() {
    let world = World::new().await;
    let (mut one, mut other) = (world.ann().await, world.ann().await);
    one.ask("a CREATE x").await;
    for peer in [&mut one, &mut other] {
        assert!(peer.ask("b SELECT x").await.contains("b OK"));
    }
    for command in ["DELETE x", "NOOP", "CREATE x", "NOOP", "FETCH 1:* FLAGS", "SEARCH ALL"] {
        let said = one.ask(&format!("c {command}")).await;
        assert!(!said.contains("BYE") && said.contains("c "), "{command}: {said}");
        let said = other.ask("d NOOP").await;
        assert!(said.starts_with("d OK"), "after {command}: {said}");
    }
}

/// A mailbox that was brought in with its UIDs takes the place of one that somebody has open.
#[tokio::test]
async fn who_has_an_empty_mailbox_open_hears_that_another_took_its_place() {
    let world = World::new().await;
    let mailboxes = world.directory.mailboxes();
    let ann = world.directory.account(&"ann@example.org".parse().unwrap()).await.unwrap().unwrap();
    let (mut idle, mut asks) = (world.ann().await, world.ann().await);
    for peer in [&mut idle, &mut asks] {
        assert!(peer.ask("a SELECT INBOX").await.contains("a OK"));
    }
    idle.ask("b IDLE").await;
    let staged = mailboxes.stage(ann.id, "INBOX", 1_300_000_000).await.unwrap().unwrap();
    assert!(asks.ask("b NOOP").await.contains("b OK"), "nobody sees what is staged");
    mailboxes.unveil(staged, (51, 50), None, true, now()).await.unwrap().unwrap();
    assert!(idle.news().await.starts_with("* BYE"));
    assert!(idle.session.is_over());
    let said = asks.ask("c NOOP").await;
    assert!(said.starts_with("* BYE") && !said.contains("c OK"), "{said}");
    let mut again = world.ann().await;
    let said = again.ask("a SELECT INBOX").await;
    assert!(said.contains("[UIDVALIDITY 1300000000]") && said.contains("[UIDNEXT 51]"), "{said}");
    again.append("INBOX", &letter("x")).await;
    assert!(again.ask("b UID SEARCH ALL").await.contains("* SEARCH 51"));
}
