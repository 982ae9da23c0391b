//! On-demand mail relay (RFC 2645): a server that is online only now and then logs in, turns the connection round, and takes
//! what waits for its domains.

use iems_tests::address;
use iems_tests::iems::Iems;
use iems_tests::peers::fetchmail;
use iems_tests::pop3::wait_all;
use iems_tests::sink::{Script, Sink};
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use serde_json::Value;

const ANN: &str = "ann@example.test";

fn queue(site: &Iems) -> Vec<Value> {
    site.admin(&["queue", "list", "--json"]).good().json().as_array().expect("a list").clone()
}

/// Logs in to collect.
fn customer(site: &Iems) -> Smtp {
    let mut smtp = Smtp::connect(site.at("odmr"));
    assert!(smtp.must("EHLO dial.example", 250).offers("ATRN"));
    smtp.must("ATRN", 530);
    assert_eq!(smtp.auth_plain(ANN, "secret").expect("a reply").code, 235);
    smtp
}

/// Is the server from now on, and takes or refuses recipients; what came.
fn serve(smtp: &mut Smtp) -> Vec<String> {
    let (wire, mut messages) = (&mut smtp.wire, Vec::new());
    wire.send(b"220 dial.example ready\r\n").expect("sent");
    while let Ok(line) = wire.line() {
        let line = String::from_utf8(line).expect("text");
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => wire.send(b"250-dial.example\r\n250 8BITMIME\r\n"),
            "RCPT" if line.contains("<no") => wire.send(b"550 5.1.1 nobody; check the address\r\n"),
            "RCPT" if line.contains("<later") => wire.send(b"450 4.2.1 later; try again\r\n"),
            "DATA" => {
                wire.send(b"354 go\r\n").expect("sent");
                let mut text = String::new();
                loop {
                    let line = String::from_utf8(wire.line().expect("a line")).expect("text");
                    if line == "." {
                        break;
                    }
                    text += &(line + "\n");
                }
                messages.push(text);
                wire.send(b"250 2.0.0 taken\r\n")
            }
            "QUIT" => {
                wire.send(b"221 bye\r\n").expect("sent");
                break;
            }
            _ => wire.send(b"250 2.0.0 ok\r\n"),
        }
        .expect("sent");
    }
    messages
}

#[test]
fn mail_waits_until_its_server_comes_for_it() {
    let mut site = Iems::with_accounts(&[ANN, "eve@example.test"]);
    site.config.listeners.push("odmr".to_owned());
    site.config.networks = Vec::new();
    site.config.more =
        "[[odmr]]\naccount = \"ann@example.test\"\ndomains = [\"dial.example\", \"dial2.example\"]\n"
            .to_owned();
    site.start();
    let mut smtp = customer(&site);
    smtp.must("ATRN", 453);
    smtp.must("ATRN elsewhere.example", 450);
    smtp.must("QUIT", 221);
    for to in ["one@dial.example", "two@dial2.example", "no@dial.example", "later@dial.example"] {
        deliver(site.at("smtp"), ANN, to, &letter(ANN, to, to));
    }
    wait_for("all to wait", secs(10), || (queue(&site).len() == 4).then_some(()));
    let shown = site.admin(&["queue", "list"]).good().out;
    assert!(shown.contains("dial.example"), "{shown}");
    // Somebody else's account gets nothing.
    let mut eve = Smtp::connect(site.at("odmr"));
    eve.must("EHLO eve.example", 250);
    assert_eq!(eve.auth_plain("eve@example.test", "secret").expect("a reply").code, 235);
    eve.must("ATRN dial.example", 450);
    // While one session collects, another has to wait.
    let (mut first, mut second) = (customer(&site), customer(&site));
    first.must("ATRN dial.example,dial2.example", 250);
    second.must("ATRN dial.example", 450);
    let mut came = serve(&mut first);
    came.sort();
    assert_eq!(came.len(), 2, "{came:#?}");
    assert!(came[0].contains("Subject: one@") && came[1].contains("Subject: two@"), "{came:#?}");
    let left = wait_for("the outcomes", secs(10), || {
        let all = queue(&site);
        (all.len() == 1).then_some(all)
    });
    assert_eq!(left[0]["recipients"][0]["address"], "later@dial.example", "{left:#?}");
    let failed = wait_all(site.at("pop3"), ANN, "secret", 1).remove(0);
    let failed = String::from_utf8_lossy(&failed).into_owned();
    assert!(failed.contains("Action: failed") && failed.contains("Status: 5.1.1"), "{failed}");
    // A customer that does not behave as a server gets nothing, and loses nothing.
    let mut mute = customer(&site);
    mute.must("ATRN", 250);
    mute.wire.send(b"554 not now\r\n").expect("sent");
    drop(mute);
    wait_for("the mail to be free again", secs(10), || {
        let reply = customer(&site).command("ATRN").expect("a reply");
        (reply.code == 250).then_some(())
    });
    assert_eq!(queue(&site).len(), 1);
}

/// fetchmail speaks CRAM-MD5 and nothing else there. (Over TLS it does not get far: it waits for more while lines of a record are left.)
#[test]
fn fetchmail_collects_with_a_shared_secret() {
    const SECRET: &str = "correct horse battery staple";
    let sink = Sink::start(address::fresh(), 2525, Script::default());
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.listeners.push("odmr".to_owned());
    site.config.more = "[[odmr]]\naccount = \"ann@example.test\"\ndomains = [\"dial.example\"]\n\
        secret_file = \"shared\"\n"
        .to_owned();
    std::fs::write(site.dir.path().join("shared"), format!("{SECRET}\n")).expect("a file");
    site.start();
    let mut smtp = Smtp::connect(site.at("odmr"));
    let offers = smtp.must("EHLO dial.example", 250).text();
    assert!(offers.contains("CRAM-MD5") && !offers.contains("SIZE"), "{offers}");
    smtp.must("MAIL FROM:<ann@example.test>", 502);
    // Nowhere else is it offered.
    let elsewhere = Smtp::connect(site.at("submission")).must("EHLO dial.example", 250).text();
    assert!(elsewhere.contains("AUTH ") && !elsewhere.contains("CRAM-MD5"), "{elsewhere}");
    let dir = tempfile::tempdir().expect("a folder");
    let collect = |secret: &str| {
        fetchmail::collect(dir.path(), site.at("odmr"), (ANN, secret), "dial.example", sink.at)
    };
    let said = collect("another secret, as long");
    assert!(said.code != 0 && sink.connections() == 0, "{said:?}");
    let said = collect(SECRET);
    assert!(format!("{said:?}").contains("You have no mail") && sink.connections() == 0, "{said:?}");
    for to in ["one@dial.example", "two@dial.example"] {
        deliver(site.at("smtp"), ANN, to, &letter(ANN, to, to));
    }
    wait_for("both to wait", secs(10), || (queue(&site).len() == 2).then_some(()));
    let said = collect(SECRET).good();
    let came = sink.arrived();
    assert_eq!(came.len(), 2, "{said:?}\n{came:#?}");
    for to in ["one@dial.example", "two@dial.example"] {
        let wanted = |one: &&iems_tests::sink::Arrived| one.rcpt.iter().any(|rcpt| rcpt.contains(to));
        let body = &came.iter().find(wanted).expect("each of them").body;
        assert!(String::from_utf8_lossy(body).contains(&format!("Subject: {to}")), "{came:#?}");
    }
    wait_for("the queue to be empty", secs(10), || queue(&site).is_empty().then_some(()));
}
