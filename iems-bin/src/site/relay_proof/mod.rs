//! Never an open relay: random envelopes against random configurations, through the real configuration, directory and door, up to
//! RCPT. An oracle that shares no code with them says who may send where.
//!
//! A million envelopes, or as many as `IEMS_RELAY_PROOF` says.

mod oracle;
mod text;
mod world;

use std::collections::BTreeMap;

use iems_core::message::{ForwardPath, Mailbox};
use iems_core::receive::{Connection, Session};
use iems_smtp::proto::Command;

use oracle::{Claim, final_domain};
use text::Dice;
use world::World;

/// Envelopes for each configuration.
const EACH: u64 = 500;

/// How often what happened: a proof in which nothing is ever accepted proves nothing.
type Counts = BTreeMap<&'static str, u64>;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_relays_who_may_not() {
    let wanted =
        std::env::var("IEMS_RELAY_PROOF").map_or(1_000_000, |count| count.parse().expect("a number"));
    let worlds: u64 = wanted / EACH;
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..4 {
        tasks.spawn(async move {
            let mut counts = Counts::new();
            for seed in (lane..worlds).step_by(4) {
                let mut dice = Dice::new(seed);
                let world = World::make(&mut dice).await;
                attack(&world, &mut dice, &mut counts, seed).await;
            }
            counts
        });
    }
    let mut all = Counts::new();
    while let Some(counts) = tasks.join_next().await {
        counts
            .expect("no panic")
            .into_iter()
            .for_each(|(what, count)| *all.entry(what).or_default() += count);
    }
    println!("{all:#?}");
    let seen = |what| all.get(what).copied().unwrap_or_default();
    assert_eq!(seen("envelopes"), worlds * EACH);
    for what in ["ours", "relayed for a network", "relayed for an account", "relayed to a domain", "refused"]
    {
        assert!(seen(what) > seen("envelopes") / 1000, "{what}: {all:#?}");
    }
}

async fn attack(world: &World, dice: &mut Dice, counts: &mut Counts, seed: u64) {
    let mut left = EACH;
    while left > 0 {
        let connection = world.connection(dice);
        let claim = Claim::of(&connection, world);
        let mut session = world.engine.intake().open(connection.clone()).await.expect("nobody judges here");
        session.hello("client.example").await.expect("nobody judges here");
        let batch = left.min(1 + dice.below(5));
        left -= batch;
        *counts.entry("envelopes").or_default() += batch;
        let Some(mut transaction) = begin(&mut session, &connection, world, dice).await else {
            *counts.entry("refused").or_default() += batch;
            continue;
        };
        for _ in 0..batch {
            let line = format!("RCPT TO:{}", text::path(dice, world));
            let path = match Command::parse(line.as_bytes()) {
                Ok(Command::Rcpt(rcpt)) => rcpt.path,
                _ => {
                    *counts.entry("refused").or_default() += 1;
                    continue;
                }
            };
            let accepted = transaction.recipient(path.clone(), None, None).await.is_ok();
            let what = match accepted {
                true => judge(world, &claim, &connection, &line, &path, seed).await,
                false => {
                    must_not_be_refused(world, &claim, &connection, &line, seed);
                    "refused"
                }
            };
            *counts.entry(what).or_default() += 1;
        }
    }
}

/// Opens a transaction. Without an account there is none in submission.
async fn begin(
    session: &mut Session,
    connection: &Connection,
    world: &World,
    dice: &mut Dice,
) -> Option<iems_core::receive::Transaction> {
    let line = format!("MAIL FROM:{}", text::sender(dice, world, connection));
    let Ok(Command::Mail(mail)) = Command::parse(line.as_bytes()) else { return None };
    let begun = session.begin(mail.envelope, 0).await.ok();
    assert!(
        begun.is_none() || !connection.submission || connection.account.is_some(),
        "a transaction without login in submission: {line}"
    );
    begun
}

/// An accepted recipient: why it was right, or the end of the proof.
async fn judge(
    world: &World,
    claim: &Claim,
    connection: &Connection,
    line: &str,
    path: &ForwardPath,
    seed: u64,
) -> &'static str {
    let open = |why: &str| -> ! {
        panic!("OPEN RELAY ({why}), seed {seed}: {line} from {connection:?}\n{}", world.config)
    };
    let ForwardPath::Mailbox(mailbox) = path else { return "ours" };
    let Some(domain) = final_domain(line) else { open("no domain can be read") };
    let reason = match () {
        () if world.is_ours(&domain) => "ours",
        () if claim.account => "relayed for an account",
        () if claim.network => "relayed for a network",
        () if world.takes_for(&domain) && !oracle::names_a_way(line) => "relayed to a domain",
        () => open("nothing allows it"),
    };
    if reason == "ours" && !world.knows(mailbox) {
        open("an address that nobody has");
    }
    ways(world, claim, mailbox).await.unwrap_or_else(|why| open(&why));
    reason
}

/// Where its mail goes: to an agent, where an administrator sent it, or where the sender may send.
async fn ways(world: &World, claim: &Claim, mailbox: &Mailbox) -> Result<(), String> {
    let route =
        world.engine.route(mailbox).await.map_err(|reply| format!("accepted and not routed: {reply}"))?;
    for way in route.ways.iter().filter(|way| !way.agent) {
        let (to, domain) = (way.mailbox.to_string().to_lowercase(), way.mailbox.domain().as_str());
        let allowed = claim.account
            || claim.network
            || world.sent_on.contains(&to)
            || world.is_ours(domain)
            || world.takes_for(domain);
        if !allowed {
            return Err(format!("it leads to {to}"));
        }
    }
    Ok(())
}

/// A door that refuses everybody is no proof either: plain addresses of ours are taken from anybody.
fn must_not_be_refused(world: &World, claim: &Claim, connection: &Connection, line: &str, seed: u64) {
    let plain = line.strip_prefix("RCPT TO:<").and_then(|rest| rest.strip_suffix('>'));
    let known = plain.is_some_and(|address| world.open.contains(address));
    let may = !connection.submission || claim.account;
    assert!(!(known && may), "refused, seed {seed}: {line} from {connection:?}\n{}", world.config);
}
