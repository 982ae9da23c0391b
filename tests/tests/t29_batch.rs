//! Mail in batches: by folders between two sites, packed and plain, over kills; through tunnels and mailboxes of a provider.

use std::path::{Path, PathBuf};

use iems_tests::iems::Iems;
use iems_tests::peers::dovecot::Dovecot;
use iems_tests::peers::exim::{Exim, Wishes};
use iems_tests::pop3::{field, read_all, wait_all};
use iems_tests::smtp::{Smtp, deliver_with};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";
const BEN: &str = "ben@branch.test";

/// Lays a file into a folder as a program should.
fn lay(folder: &Path, name: &str, octets: &[u8]) {
    std::fs::create_dir_all(folder).expect("the folder");
    let draft = folder.join(format!(".{name}"));
    std::fs::write(&draft, octets).expect("the draft");
    std::fs::rename(draft, folder.join(name)).expect("the name");
}

/// Plain files of a folder with this ending, none of them a draft.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut all: Vec<PathBuf> =
        entries.filter(|path| name(path).ends_with(ending) && !name(path).starts_with('.')).collect();
    all.sort();
    all
}

fn texts(site: &Iems, user: &str, count: usize) -> Vec<String> {
    let all = wait_all(site.at("pop3"), user, "secret", count);
    all.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect()
}

fn message(from: &str, to: &[&str], subject: &str) -> String {
    let to: String = to.iter().map(|to| format!("RCPT TO:<{to}>\n")).collect();
    format!("MAIL FROM:<{from}>\n{to}DATA\nSubject: {subject}\n\n..text\n.\n")
}

#[test]
fn a_branch_gets_its_mail_by_a_folder_and_answers_by_another() {
    for gzip in [false, true] {
        let mut head = Iems::with_accounts(&[ANN]);
        let mut branch = Iems::with_accounts(&[BEN]);
        let (to_branch, to_head) = (branch.dir.path().join("from-head"), head.dir.path().join("from-branch"));
        head.config.route("branch.test", "batch:branch");
        head.config.more = format!(
            "[[batch_out]]\nname = \"branch\"\nfolder = {to_branch:?}\nage = \"1s\"\ngzip = {gzip}\n\
             [[batch_in]]\nname = \"from-branch\"\nfolder = {to_head:?}\ninterval = \"100ms\"\ndomains = [\"example.test\"]\n"
        );
        branch.config.route("*", "batch:head");
        branch.config.more = format!(
            "[[batch_out]]\nname = \"head\"\nfolder = {to_head:?}\nage = \"1s\"\ngzip = {gzip}\n\
             [[batch_in]]\nname = \"from-head\"\nfolder = {to_branch:?}\ninterval = \"100ms\"\n"
        );
        head.start();
        branch.start();
        for n in 1..=3 {
            let text = format!("Subject: down {n}\n\n.dot\n");
            head.admin_with(&["sendmail", "-i", "-f", ANN, BEN], text.as_bytes()).good();
        }
        // A recipient that is not there is reported over the same way back.
        head.admin_with(&["sendmail", "-i", "-f", ANN, "nobody@branch.test"], b"Subject: lost\n\nx\n").good();
        let down = texts(&branch, BEN, 3);
        for n in 1..=3 {
            let mine = format!("Subject: down {n}\r\n");
            let found: Vec<_> = down.iter().filter(|text| text.contains(&mine)).collect();
            assert_eq!(found.len(), 1, "{down:?}");
            assert!(
                found[0].ends_with("\r\n\r\n.dot\r\n") && found[0].contains("with BSMTP"),
                "{}",
                found[0]
            );
        }
        let report = texts(&head, ANN, 1).remove(0);
        assert!(report.contains("nobody@branch.test") && report.contains("Action: failed"), "{report}");
        // The branch may reach ours, and nobody else through us.
        branch.admin_with(&["sendmail", "-f", BEN, ANN, "x@elsewhere.example"], b"Subject: up\n\nx\n").good();
        assert!(texts(&head, ANN, 2).iter().any(|text| text.contains("Subject: up")));
        let refused = wait_for("the answers", secs(20), || {
            let answers = files(&to_head.join("failed"), ".answers").into_iter().map(std::fs::read_to_string);
            answers.map(|text| text.expect("answers")).find(|text| text.contains("elsewhere.example"))
        });
        assert!(
            refused.contains("550 5.7.1 batches of this origin may not go to elsewhere.example"),
            "{refused}"
        );
        let report = texts(&branch, BEN, 4);
        assert!(report.iter().any(|text| text.contains("x@elsewhere.example") && text.contains("5.7.1")));
        head.stop();
        branch.stop();
    }
}

#[test]
fn a_batch_is_carried_out_once_however_often_the_server_is_killed() {
    const COUNT: usize = 120;
    let mut site = Iems::with_accounts(&[ANN]);
    let folder = site.dir.path().join("in");
    site.config.more = format!("[[batch_in]]\nname = \"in\"\nfolder = {folder:?}\ninterval = \"50ms\"\n");
    let batch: String =
        (0..COUNT).map(|n| message("c@example.com", &[ANN], &format!("number {n}."))).collect();
    lay(&folder, "big.bsmtp", batch.as_bytes());
    let mut kills = 0;
    while files(&folder.join("done"), ".bsmtp").is_empty() {
        site.start();
        let busy = wait_for("some of it", secs(30), || {
            let log = std::fs::read_to_string(site.log()).expect("the log");
            let taken = log.matches(" accepted ").count() + log.matches("taken before").count();
            (taken > 30 * (kills + 1) || !files(&folder.join("done"), ".bsmtp").is_empty()).then_some(taken)
        });
        assert!(busy > 0 || kills > 0);
        site.kill();
        kills += 1;
        assert!(kills < 100, "it never ends");
    }
    site.start();
    let all = texts(&site, ANN, COUNT);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(read_all(site.at("pop3"), ANN, "secret").len(), COUNT);
    for n in 0..COUNT {
        let mine = format!("Subject: number {n}.");
        assert_eq!(all.iter().filter(|text| text.contains(&mine)).count(), 1, "{mine}");
    }
    assert!(kills > 1, "it was not killed within the batch");
    site.stop();
}

#[test]
fn a_branch_without_an_address_gets_its_mail_through_a_provider() {
    // The provider is a Dovecot that mail for `user1` comes to; the head office sends there by LMTP.
    let provider = Dovecot::start();
    let mut head = Iems::with_accounts(&[ANN]);
    let mut branch = Iems::with_accounts(&[BEN]);
    for site in [&head, &branch] {
        std::fs::write(site.dir.path().join("tunnel.key"), "k1 0123456789abcdef0123456789abcdef\n")
            .expect("a key");
        std::fs::write(site.dir.path().join("pop.password"), "secret\n").expect("a password");
    }
    let tunnel = |name: &str, to: &str, address: &str, domains: &str| {
        format!(
            "[[tunnel_out]]\nname = \"{name}\"\nto = \"{to}\"\nfrom = \"{ANN}\"\nkey_file = \"tunnel.key\"\nage = \"1s\"\n\
             [[tunnel_in]]\nname = \"from-{name}\"\naddress = \"{address}\"\nkey_file = \"tunnel.key\"\ndomains = [{domains:?}]\n"
        )
    };
    let (at_provider, at_head) = ("user1@provider.test", "batch@tunnel.test");
    head.config.route("branch.test", "batch:branch");
    head.config.route("provider.test", format!("lmtp:{}", provider.lmtp));
    head.config.more = tunnel("branch", at_provider, at_head, "*");
    // The batch is made for the address that it is sent to.
    branch.config.route("*", "batch:head");
    branch.config.route("tunnel.test", format!("smtp:{}", head.at("smtp")));
    branch.config.more = tunnel("head", at_head, at_provider, "branch.test")
        + &format!(
            "[[collect]]\nname = \"provider\"\nhost = \"{}\"\nport = {}\ntls = \"none\"\nuser = \"user1\"\n\
             password_file = \"pop.password\"\ninterval = \"300ms\"\nbatches = true\nto = {at_provider:?}\n",
            provider.pop3.ip(),
            provider.pop3.port()
        );
    head.start();
    branch.start();
    for n in 1..=3 {
        let text = format!("Subject: down {n}\n\n.dot\n");
        head.admin_with(&["sendmail", "-i", "-f", ANN, BEN], text.as_bytes()).good();
    }
    head.admin_with(&["sendmail", "-f", ANN, "nobody@branch.test"], b"Subject: lost\n\nx\n").good();
    let down = texts(&branch, BEN, 3);
    for n in 1..=3 {
        let mine = format!("Subject: down {n}\r\n");
        assert_eq!(down.iter().filter(|text| text.contains(&mine)).count(), 1, "{down:?}");
    }
    // The branch has no other way than the tunnel, and the head office carries its reports on.
    let report = texts(&head, ANN, 1).remove(0);
    assert!(report.contains("nobody@branch.test") && report.contains("Action: failed"), "{report}");
    branch.admin_with(&["sendmail", "-f", BEN, "someone@elsewhere.test"], b"Subject: up\n\nx\n").good();
    wait_for("the branch's mail at the head office", secs(20), || {
        head.admin(&["queue", "list"]).good().out.contains("someone@elsewhere.test").then_some(())
    });
    // Whoever writes to the tunnel without the key hears it at once.
    let mut smtp = Smtp::connect(head.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    smtp.must("MAIL FROM:<c@example.com>", 250);
    smtp.must(&format!("RCPT TO:<{at_head}>"), 250);
    smtp.must("DATA", 354);
    let batch = "Content-Type: application/batch-SMTP\r\n\r\nMAIL FROM:<>\r\nRCPT TO:<x@elsewhere.test>\r\nDATA\r\nx\r\n..\r\n.\r\n";
    smtp.wire.send(batch.as_bytes()).expect("sent");
    let reply = smtp.reply().expect("a reply");
    assert!(reply.code == 550 && reply.text().contains("not signed"), "{}", reply.text());
    branch.stop();
    head.stop();
}

#[test]
fn mail_is_collected_from_mailboxes_elsewhere_once() {
    let mut other = Iems::with_accounts(&["user1@other.test"]);
    let dovecot = Dovecot::start();
    let mut site = Iems::with_accounts(&[ANN]);
    std::fs::write(site.dir.path().join("pop.password"), "secret\n").expect("a password");
    std::fs::copy(&other.certificates.authority, site.dir.path().join("other.pem")).expect("the authority");
    let collect = |name: &str, host: &str, port: u16, more: &str| {
        format!(
            "[[collect]]\nname = \"{name}\"\nhost = \"{host}\"\nport = {port}\npassword_file = \"pop.password\"\n\
             interval = \"300ms\"\nto = \"{ANN}\"\n{more}\n"
        )
    };
    let ip = other.ip.to_string();
    let user = "user = \"user1@other.test\"";
    site.config.more = "[client]\ntls_ca = \"other.pem\"\n".to_owned()
        + &collect("tls", &ip, other.at("pop3s").port(), &format!("{user}\ndelete = false"))
        + &collect("stls", &ip, other.at("pop3").port(), &format!("{user}\ntls = \"starttls\""))
        + &collect(
            "dovecot",
            &dovecot.pop3.ip().to_string(),
            dovecot.pop3.port(),
            "user = \"user2\"\ntls = \"none\"",
        );
    other.config.route("dovecot.test", format!("lmtp:{}", dovecot.lmtp));
    other.start();
    for n in 1..=3 {
        let text = format!("Subject: at other {n}\n\n{}\n", "line\n".repeat(50_000));
        other.admin_with(&["sendmail", "-f", "c@example.com", "user1@other.test"], text.as_bytes()).good();
        let text = format!("Subject: at dovecot {n}\n\n.dot\n");
        other
            .admin_with(&["sendmail", "-i", "-f", "c@example.com", "user2@dovecot.test"], text.as_bytes())
            .good();
    }
    wait_for("Dovecot to have all", secs(20), || (dovecot.messages("user2").len() == 3).then_some(()));
    site.start();
    // `tls` and `stls` are the same mailbox: what one has taken the other does not take again.
    let all = texts(&site, ANN, 6);
    site.kill();
    site.start();
    wait_for("the mailboxes to be empty", secs(20), || {
        (read_all(other.at("pop3"), "user1@other.test", "secret").is_empty()).then_some(())
    });
    assert_eq!(read_all(site.at("pop3"), ANN, "secret").len(), 6);
    for place in ["other", "dovecot"] {
        for n in 1..=3 {
            let mine = format!("Subject: at {place} {n}\r\n");
            assert_eq!(all.iter().filter(|text| text.contains(&mine)).count(), 1, "{mine}");
        }
    }
    assert!(all.iter().all(|text| text.contains("with POP3")));
    // Where the server can do without being told the password, it is not told.
    let log = std::fs::read_to_string(other.log()).expect("the log");
    let proved = |mechanism: &str| {
        log.lines()
            .filter(|line| {
                line.contains("iems_access::pop3") && line.contains(&format!("mechanism={mechanism}"))
            })
            .count()
    };
    assert!(proved("SCRAM-SHA-256") > 1, "{log}");
    site.stop();
    other.stop();
}

/// The batch that is written into a folder next.
fn batch_in(folder: &Path) -> Vec<u8> {
    let file = wait_for("a batch", secs(20), || files(folder, ".bsmtp").into_iter().next());
    let batch = std::fs::read(&file).expect("the batch");
    std::fs::remove_file(&file).expect("our own file");
    batch
}

const EIGHT: &str = "From: ann@example.test\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\nMessage-ID: <eight@example.test>\r\nSubject: eight bits\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.Gr\u{fc}\u{df}e\r\n..\r\nend\r\n";

#[test]
fn exim_takes_our_batches() {
    let exim = Exim::start(&Wishes::default());
    let mut site = Iems::with_accounts(&[ANN]);
    let (plain, usual) = (site.dir.path().join("plain"), site.dir.path().join("usual"));
    site.config.route("example.org", "batch:plain");
    site.config.route("usual.example.org", "batch:usual");
    let out = |name: &str, folder: &Path, more: &str| {
        format!("[[batch_out]]\nname = \"{name}\"\nfolder = {folder:?}\nage = \"1s\"\n{more}\n")
    };
    site.config.more = out("plain", &plain, "parameters = \"none\"") + &out("usual", &usual, "");
    site.start();
    let to = |address: &str| format!("<{address}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old@example.com");
    let mail = format!("<{ANN}> BODY=8BITMIME RET=HDRS ENVID=QQ1");
    deliver_with(
        site.at("smtp"),
        &mail,
        &[&to("user1@example.org"), &to("user2@example.org")],
        EIGHT.as_bytes(),
    );
    let said = exim.feed(&batch_in(&plain)).good();
    for user in ["user1", "user2"] {
        let message = wait_for("the Maildir", secs(20), || exim.messages(user).pop());
        let text = String::from_utf8_lossy(&message).replace('\n', "\r\n");
        assert!(text.ends_with(EIGHT), "{said:?} {text}");
    }
    // Nobody can follow it from there, and whoever wanted to hear of success hears that.
    let report = texts(&site, ANN, 1).remove(0);
    assert!(report.contains("Action: relayed") && report.contains("Original-Envelope-Id: QQ1"), "{report}");
    assert!(report.contains("Original-Recipient: rfc822; old@example.com"), "{report}");
    // What cannot go without SMTPUTF8 does not.
    let utf8 = EIGHT.replace("eight bits", "gr\u{fc}n");
    deliver_with(
        site.at("smtp"),
        &format!("<{ANN}> BODY=8BITMIME SMTPUTF8"),
        &["<user3@example.org>"],
        utf8.as_bytes(),
    );
    let report = texts(&site, ANN, 2).pop().expect("a report");
    assert!(report.contains("5.6.7") && report.contains("user3@example.org"), "{report}");
    // With parameters, a batch ends at the first one.
    deliver_with(site.at("smtp"), &mail, &["<user4@usual.example.org>"], EIGHT.as_bytes());
    let refused = exim.feed(&batch_in(&usual));
    assert!(refused.code != 0 && refused.out.contains("may not follow"), "{refused:?}");
    assert!(exim.messages("user3").is_empty() && exim.messages("user4").is_empty());
    site.stop();
}

#[test]
fn exim_writes_batches_for_us() {
    for lines in ["", "  use_crlf\n"] {
        let exim =
            Exim::start(&Wishes { batch: Some(("example.test".into(), lines.into())), ..Wishes::default() });
        let mut site = Iems::with_accounts(&[ANN, "ben@example.test"]);
        let folder = site.dir.path().join("in");
        site.config.more =
            format!("[[batch_in]]\nname = \"exim\"\nfolder = {folder:?}\ninterval = \"100ms\"\n");
        site.start();
        let both = ["<ann@example.test>", "<ben@example.test>"];
        deliver_with(exim.at, "<user1@example.org> BODY=8BITMIME", &both, EIGHT.as_bytes());
        let mail = "<gr\u{fc}n@example.org> BODY=8BITMIME SMTPUTF8";
        let utf8 = EIGHT.replace("eight bits", "gr\u{fc}n");
        deliver_with(exim.at, mail, &["<ann@example.test>"], utf8.as_bytes());
        let batch = wait_for("two messages", secs(20), || {
            let batch = exim.batch();
            let count = String::from_utf8_lossy(&batch).lines().filter(|line| *line == ".").count();
            (count == 2).then_some(batch)
        });
        lay(&folder, "exim.bsmtp", &batch);
        let got = wait_all(site.at("pop3"), ANN, "secret", 2);
        let of = |subject: &str| {
            let found = got.iter().find(|message| field(message, "Subject").as_deref() == Some(subject));
            String::from_utf8_lossy(found.unwrap_or_else(|| panic!("no {subject}"))).into_owned()
        };
        assert!(of("eight bits").contains("Return-Path: <user1@example.org>"));
        assert!(of("gr\u{fc}n").contains("Return-Path: <gr\u{fc}n@example.org>"));
        for text in [of("eight bits"), of("gr\u{fc}n")] {
            assert!(
                text.ends_with("\r\n\r\n.Gr\u{fc}\u{df}e\r\n..\r\nend\r\n") && text.contains("with BSMTP"),
                "{text}"
            );
        }
        assert_eq!(wait_all(site.at("pop3"), "ben@example.test", "secret", 1).len(), 1);
        wait_for("the end of the batch", secs(10), || files(&folder.join("done"), ".bsmtp").pop());
        site.stop();
    }
}

#[test]
fn envelopes_go_through_a_tunnel_as_they_are() {
    const UMLAUT: &str = "gr\u{fc}\u{df}e@branch.test";
    for eight_bit in [false, true] {
        let mut head = Iems::with_accounts(&[ANN]);
        let mut branch = Iems::with_accounts(&[BEN, UMLAUT]);
        for site in [&head, &branch] {
            std::fs::write(site.dir.path().join("tunnel.key"), "k1 0123456789abcdef0123456789abcdef\n")
                .expect("a key");
        }
        let (down, up) = ("batch@down.test", "batch@up.test");
        let tunnel = |name: &str, to: &str, at: &str, domain: &str| {
            format!(
                "[[tunnel_out]]\nname = \"{name}\"\nto = \"{to}\"\nfrom = \"postmaster@{domain}\"\nkey_file = \"tunnel.key\"\nage = \"1s\"\n\
                 eight_bit = {eight_bit}\n[[tunnel_in]]\nname = \"from-{name}\"\naddress = \"{at}\"\nkey_file = \"tunnel.key\"\ndomains = [{domain:?}]\n"
            )
        };
        head.config.route("branch.test", "batch:branch");
        head.config.route("down.test", format!("smtp:{}", branch.at("smtp")));
        head.config.more = tunnel("branch", down, up, "example.test");
        branch.config.route("example.test", "batch:head");
        branch.config.route("up.test", format!("smtp:{}", head.at("smtp")));
        branch.config.more = tunnel("head", up, down, "branch.test");
        head.start();
        branch.start();
        let mail = format!("<{ANN}> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B7 MT-PRIORITY=4");
        let to = [
            format!("<{UMLAUT}> NOTIFY=SUCCESS,FAILURE ORCPT=utf-8;old@branch.test"),
            format!("<{BEN}> NOTIFY=NEVER"),
            "<nobody@branch.test> NOTIFY=FAILURE ORCPT=rfc822;nobody@branch.test".to_owned(),
        ];
        let text = EIGHT.replace("eight bits", "gr\u{fc}n");
        deliver_with(head.at("smtp"), &mail, &to.each_ref().map(String::as_str), text.as_bytes());
        for user in [UMLAUT, BEN] {
            let message = wait_all(branch.at("pop3"), user, "secret", 1).remove(0);
            let found = String::from_utf8_lossy(&message).into_owned();
            assert!(found.ends_with(&text), "{found}");
            assert_eq!(field(&message, "Subject").as_deref(), Some("gr\u{fc}n"));
            let received = field(&message, "Received").expect("a Received field");
            let id =
                received.split(" id ").nth(1).and_then(|rest| rest.split([';', ' ']).next()).expect("an id");
            let story = branch.admin(&["explain", id, "--json"]).good().json().to_string();
            assert!(story.contains("\"priority\":4"), "{story}");
        }
        // The branch tells of what happened there, by the same way; the head office has nothing to tell.
        let report = texts(&head, ANN, 1).remove(0);
        for words in [
            "Original-Envelope-Id: QQ+7",
            "Action: delivered",
            "old@branch.test",
            "Action: failed",
            "Original-Recipient: rfc822; nobody@branch.test",
        ] {
            assert!(report.contains(words), "{words} is missing: {report}");
        }
        assert!(!report.contains("relayed") && !report.contains("ben@branch.test"), "{report}");
        branch.stop();
        head.stop();
    }
}
