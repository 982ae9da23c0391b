//! `sendmail`, `mailq` and `newaliases` as other programs call them, and batches on standard input.

use std::os::unix::fs::symlink;
use std::process::Command;

use iems_tests::iems::{Iems, binary};
use iems_tests::pop3::wait_all;
use iems_tests::process::{Said, run};
use tempfile::TempDir;

const ANN: &str = "ann@example.test";

/// Calls the program by another name.
fn called(name: &str, site: &Iems, args: &[&str], input: &[u8]) -> Said {
    let dir = TempDir::new().expect("a temporary folder");
    let link = dir.path().join(name);
    symlink(binary(), &link).expect("a link");
    run(Command::new(link).env("IEMS_CONFIG", site.file()).args(args), input)
}

fn inbox(site: &Iems, count: usize) -> Vec<String> {
    let all = wait_all(site.at("pop3"), ANN, "secret", count);
    all.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect()
}

#[test]
fn programs_submit_by_the_old_names() {
    let mut site = Iems::with_accounts(&[ANN]);
    // Names without a domain get the server's.
    let host = site.config.hostname.clone();
    site.admin(&["domain", "add", &host]).good();
    site.admin(&["alias", "add", &format!("ann@{host}"), ANN]).good();
    site.start();
    let cron = b"From: root (Cron)\nTo: ann\nSubject: Cron\n\nout\n";
    called("sendmail", &site, &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"], cron)
        .good();
    let mutt = b"To: x@example.com\nSubject: mutt\n\nhello\n";
    called("sendmail", &site, &["-oem", "-oi", "-f", "bob@example.test", "--", ANN], mutt).good();
    let mailx = b"Subject: mailx\n\nhello\n";
    called("sendmail", &site, &["-i", "-B8BITMIME", "-FFull Name", "ann"], mailx).good();
    let messages = inbox(&site, 3);
    let with = |word: &str| messages.iter().find(|text| text.contains(word)).expect(word);
    assert!(with("Subject: Cron").contains("root (Cron)"));
    assert!(with("Subject: mailx").contains("From: \"Full Name\" <"));
    // An error comes back to the sender.
    let back = called("sendmail", &site, &["-oee", "-f", ANN, "nobody@example.test"], mailx).good();
    assert!(back.out.is_empty(), "{back:?}");
    assert!(inbox(&site, 4).iter().any(|text| text.contains("not accepted") && text.contains("nobody@")));
    let refused = called("sendmail", &site, &["-oeq", "-f", ANN, "nobody@example.test"], mailx);
    assert_eq!((refused.code, refused.err.as_str()), (67, ""));
    assert!(called("newaliases", &site, &[], b"").good().out.contains("nothing to rebuild"));
    assert!(called("sendmail", &site, &["-bv", ANN], b"").good().out.contains("deliverable"));
    assert_eq!(called("sendmail", &site, &["-bv", "nobody@example.test"], b"").code, 67);
}

#[test]
fn mailq_shows_what_waits() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.route("example.net", format!("smtp:{}:1", site.ip));
    site.config.retry = vec!["1h".to_owned()];
    site.write();
    assert!(called("mailq", &site, &[], b"").good().out.contains("Mail queue is empty"));
    called("sendmail", &site, &["-f", ANN, "bob@example.net"], b"Subject: s\n\nx\n").good();
    for on in [false, true] {
        if on {
            site.start();
        }
        let said = called("mailq", &site, &[], b"").good().out;
        assert!(said.contains("-Queue ID-") && said.contains("in 1 Request."), "{said}");
        assert!(said.contains(ANN) && said.contains("bob@example.net"), "{said}");
    }
    called("sendmail", &site, &["-qRexample.net"], b"").good();
    called("sendmail", &site, &["-q"], b"").good();
    assert_eq!(called("sendmail", &site, &["-q15m"], b"").code, 64);
}

#[test]
fn batches_end_at_the_first_error() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let one = |n: u32| format!("MAIL FROM:<root>\nRCPT TO:<{ANN}>\nDATA\nSubject: batch {n}\n\n..x\n.\n");
    let batch = format!("EHLO x\n{}{}QUIT\n", one(1), one(2));
    let said = called("sendmail", &site, &["-bS"], batch.as_bytes()).good();
    assert_eq!(said.out, "");
    assert!(inbox(&site, 2).iter().all(|text| text.ends_with("\r\n\r\n.x\r\n")));
    // The second message has no end; the first is accepted.
    let said = called(
        "sendmail",
        &site,
        &["-bS"],
        format!("{}{}", one(3), one(4).trim_end_matches(".\n")).as_bytes(),
    );
    assert_eq!(said.code, 1, "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("554 ") && lines[0].contains("Unexpected end of file"), "{said:?}");
    assert_eq!(&lines[1..], ["Transaction started in line 8", "Error detected in line 14"]);
    assert_eq!(inbox(&site, 3).len(), 3);
    // Nothing is accepted before the error.
    for bad in ["JUNK\n", "MAIL FROM:<>\nRCPT TO:<nobody@example.test>\nDATA\nx\n.\n"] {
        let said = called("sendmail", &site, &["-bS"], bad.as_bytes());
        assert!(said.code == 2 && said.out.contains("Error detected in line"), "{said:?}");
    }
    assert_eq!(inbox(&site, 3).len(), 3);
}
