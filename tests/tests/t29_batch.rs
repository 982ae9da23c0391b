//! Mail in batches: by folders between two sites, packed and plain, over kills; through tunnels and mailboxes of a provider.

use std::path::{Path, PathBuf};

use iems_tests::iems::Iems;
use iems_tests::peers::dovecot::Dovecot;
use iems_tests::pop3::{read_all, wait_all};
use iems_tests::smtp::Smtp;
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
    site.stop();
    other.stop();
}
