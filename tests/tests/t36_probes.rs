//! What only others know, and who comes back: call-forward, sender sites, call-back, greylisting.

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::peers::knot::Knot;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Reply, Smtp, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";

fn site(more: &str) -> Iems {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.networks.clear();
    site.config.more = format!("[checks]\nprivate = true\n{more}");
    site
}

fn send(site: &Iems, hello: &str, from: &str, to: &str, message: &[u8]) -> Reply {
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must(&format!("EHLO {hello}"), 250);
    smtp.send(from, &[to], message).expect("a reply")
}

fn plain(site: &Iems, from: &str, to: &str) -> Reply {
    send(site, "mail.far.example", from, to, &letter(from, to, "probe"))
}

#[track_caller]
fn explained(site: &Iems, reply: &Reply, wanted: &str) {
    assert_eq!(reply.code, 250, "{reply:?}");
    let text = reply.text();
    let id = |word: &&str| word.len() == 26 && word.chars().all(|c| c.is_ascii_alphanumeric());
    let id = text.split(|c: char| !c.is_ascii_alphanumeric()).find(id).expect("a queue id");
    let story = site.admin(&["explain", id]).good().out;
    assert!(story.contains(wanted), "no {wanted:?} in\n{story}");
}

#[test]
fn the_next_hop_is_asked_before_a_recipient_is_taken() {
    let sink = Sink::start(address::fresh(), 2526, Script::default());
    let mut site = site("recipient_forward = \"refuse\"\n");
    site.config.relay = "domains = [\"inner.example\"]\n".into();
    site.config.route("inner.example", sink.via());
    site.start();
    let good = plain(&site, "bob@far.example", "ann@inner.example");
    explained(&site, &good, "verdict recipient/forward=pass score 0: ann@inner.example: host");
    sink.wait(1, secs(10));
    let bad = plain(&site, "bob@far.example", "never@inner.example");
    assert!(bad.code == 550 && bad.text().contains("5.1.1 "), "{bad:?}");
    assert!(bad.text().contains("recipient/forward=fail never@inner.example"), "{bad:?}");
    // The next hop puts us off: the message is taken, and waits in the queue.
    let later = plain(&site, "bob@far.example", "later@inner.example");
    explained(&site, &later, "verdict recipient/forward=temperror score 0: later@inner.example");
    // Nobody is asked twice, and what is known holds while the next hop is away, even over a restart.
    site.stop();
    drop(sink);
    site.start();
    explained(&site, &plain(&site, "bob@far.example", "ann@inner.example"), "(known from before)");
    let bad = plain(&site, "bob@far.example", "never@inner.example");
    assert!(bad.code == 550 && bad.text().contains("known from before"), "{bad:?}");
}

#[test]
fn the_senders_site_is_asked_whether_it_is_there_and_in_doubt_for_the_sender() {
    let (sink, dead) = (Sink::start(address::fresh(), 25, Script::default()), address::fresh());
    let zone = format!("@ MX 10 mail\nmail A {}\ndead MX 10 nobody\nnobody A {dead}\n", sink.at.ip());
    let knot = Knot::start(&[("far.example", &zone)]);
    let mut site = site("helo = \"note\"\nsender_site = \"defer\"\nsender_callback = \"refuse\"\n");
    site.config.dns = vec![knot.at.to_string()];
    site.start();
    // Nothing speaks against it: one connection, for the site.
    let good = plain(&site, "bob@far.example", ANN);
    explained(&site, &good, "verdict sender/site=pass score 0: far.example: a mail exchanger answers");
    let again = plain(&site, "never@far.example", ANN);
    explained(&site, &again, "a mail exchanger answers (known from before)");
    assert_eq!(sink.connections(), 1);
    let dead = plain(&site, "bob@dead.far.example", ANN);
    assert!(dead.code == 451 && dead.text().contains("sender/site=fail dead.far.example"), "{dead:?}");
    // A name that no server has makes it doubtful: the sender is called back, once.
    let doubtful = |from: &str, message: &[u8]| send(&site, "localhost", from, ANN, message);
    let known = doubtful("bob@far.example", &letter("b", ANN, "x"));
    explained(&site, &known, "verdict sender/callback=pass score 0: bob@far.example: host");
    for _ in 0..2 {
        let unknown = doubtful("never@far.example", &letter("n", ANN, "x"));
        assert!(
            unknown.code == 550 && unknown.text().contains("sender/callback=fail never@far.example"),
            "{unknown:?}"
        );
    }
    let away = doubtful("later@far.example", &letter("l", ANN, "x"));
    explained(&site, &away, "verdict sender/callback=temperror score 0: later@far.example");
    assert_eq!(sink.connections(), 4, "one for the site, one for each sender");
    // Bulk mail, reports and people are not.
    let bulk = doubtful("never@far.example", b"List-Id: <x.far.example>\r\nSubject: x\r\n\r\nbody\r\n");
    explained(
        &site,
        &bulk,
        "sender/callback=neutral score 0: never@far.example: not asked: the message is bulk or automatic (list-id)",
    );
    doubtful("", &letter("", ANN, "report"));
    assert_eq!(sink.connections(), 4);
    assert!(sink.arrived().is_empty(), "nothing is ever sent");
}

#[test]
fn whoever_is_not_known_comes_again() {
    let mut site = site("greylist = \"defer\"\n[greylist]\ndelay = \"2s\"\nknown_after = 2\n");
    site.start();
    let first = plain(&site, "bob@far.example", ANN);
    assert!(first.code == 451 && first.text().contains("4.7.1"), "{first:?}");
    assert!(first.text().contains("127.0.0.0/24 with mail from <bob@far.example>"), "{first:?}");
    assert!(first.text().contains("come back in 2 s"), "{first:?}");
    site.kill();
    site.start();
    let report = plain(&site, "", ANN);
    assert_eq!(report.code, 451, "{report:?}");
    let back = wait_for("the delay to pass", secs(10), || {
        let reply = plain(&site, "bob@far.example", ANN);
        (reply.code == 250).then_some(reply)
    });
    explained(
        &site,
        &back,
        "verdict greylist=pass score 0: 127.0.0.0/24 with mail from <bob@far.example> for ann@example.test came back",
    );
    explained(&site, &plain(&site, "bob@far.example", ANN), "has passed before");
    wait_for("the report to pass", secs(10), || (plain(&site, "", ANN).code == 250).then_some(()));
    explained(&site, &plain(&site, "somebody@else.example", ANN), "127.0.0.0/24 is known");
}
