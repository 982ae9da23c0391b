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

#[test]
fn a_session_on_standard_input_is_one_with_a_server() {
    let mut site = Iems::with_accounts(&[ANN]);
    let session = |lines: &str| {
        let letter = format!(
            "MAIL FROM:<c@example.com>\r\nRCPT TO:<{ANN}>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n{lines}.\r\nQUIT\r\n"
        );
        format!("EHLO x\r\n{letter}")
    };
    for on in [false, true] {
        if on {
            site.start();
        }
        let said =
            called("sendmail", &site, &["-bs"], session("Subject: session\r\n\r\n..dot\r\n").as_bytes())
                .good();
        let replies: Vec<&str> = said.out.lines().filter(|line| line.as_bytes()[3] == b' ').collect();
        let codes: Vec<&str> = replies.iter().map(|line| &line[..3]).collect();
        assert_eq!(codes, ["220", "250", "250", "250", "550", "354", "250", "221"], "{}", said.out);
        assert!(replies[6].contains("queued as ") && !said.out.contains("STARTTLS"), "{}", said.out);
    }
    assert!(inbox(&site, 2).iter().all(|text| text.ends_with("\r\n\r\n.dot\r\n")));
    // Lines that end with LF, as from a pipe, and a false end among lines that end with CRLF.
    let plain = session("Subject: plain\r\n\r\nx\r\n").replace("\r\n", "\n");
    called("sendmail", &site, &["-bs"], plain.as_bytes()).good();
    inbox(&site, 3);
    let hidden = "Subject: outer\r\n\r\nx\n.\nMAIL FROM:<evil@example.com>\r\n";
    let said = called("sendmail", &site, &["-bs"], session(hidden).as_bytes()).good();
    assert!(said.out.contains("\n550 5.6.0") && inbox(&site, 3).len() == 3, "{}", said.out);
}

#[test]
fn every_user_of_the_machine_submits_through_a_socket() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let mut site = Iems::with_accounts(&[ANN]);
    let host = site.config.hostname.clone();
    // `nobody` may not look into the folder where the program is built.
    let program = site.dir.path().join("sendmail");
    std::fs::copy(binary(), &program).expect("a copy");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("rights");
    let as_nobody = |site: &Iems, args: &[&str], input: &[u8]| {
        let mut command = Command::new(&program);
        command.env_clear().env("IEMS_CONFIG", site.file()).args(args).current_dir("/").uid(65534).gid(65534);
        run(&mut command, input)
    };
    site.start();
    // Without a socket for them, users are told so, for good.
    let said = as_nobody(&site, &[ANN], b"Subject: x\n\nx\n");
    assert!(said.code == 77 && said.err.contains("[submit]"), "{said:?}");
    site.stop();
    site.config.more = "[submit]\nsocket = \"submit.sock\"\n".to_owned();
    site.write();
    let said = as_nobody(&site, &[ANN], b"Subject: x\n\nx\n");
    assert!(said.code == 75 && said.err.contains("try again later"), "{said:?}");
    site.start();
    as_nobody(&site, &["-t"], format!("To: {ANN}\nSubject: own\n\nx\n").as_bytes()).good();
    as_nobody(&site, &["-f", "boss@example.com", ANN], b"Subject: boss\n\nx\n").good();
    as_nobody(&site, &["-f", "<>", ANN], b"Subject: null\n\nx\n").good();
    let session = format!(
        "HELO x\nMAIL FROM:<boss@example.com>\nRCPT TO:<{ANN}>\nDATA\nSubject: session\n\nx\n.\nQUIT\n"
    );
    as_nobody(&site, &["-bs"], session.as_bytes()).good();
    as_nobody(&site, &["-bS"], session.replace("session", "batch").as_bytes()).good();
    let all = inbox(&site, 5);
    let with = |word: &str| all.iter().find(|text| text.contains(&format!("Subject: {word}"))).expect(word);
    let mark = format!(
        "X-Authentication-Warning: {host}: nobody set sender to\r\n\t<boss@example.com> using -f\r\n"
    );
    for marked in ["boss", "session", "batch"] {
        assert!(
            with(marked).contains(&mark) && with(marked).contains("Return-Path: <boss@example.com>"),
            "{}",
            with(marked)
        );
    }
    assert!(with("own").contains(&format!("Return-Path: <nobody@{host}>")), "{}", with("own"));
    assert!(!with("own").contains("Warning") && !with("null").contains("Warning"));
    // Nothing but submission, and recipients that are not there are refused.
    for args in [&["-bp"][..], &["-q"]] {
        assert_eq!(as_nobody(&site, args, b"").code, 77, "{args:?}");
    }
    assert_eq!(as_nobody(&site, &["nobody@example.test"], b"Subject: x\n\nx\n").code, 67);
    site.stop();
    // The sender becomes the user's own, but for those who are trusted.
    let mut count = 5;
    for (more, sender) in
        [("", format!("nobody@{host}")), ("trusted = [\"nobody\"]\n", "boss@example.com".to_owned())]
    {
        site.config.more = format!("[submit]\nsocket = \"submit.sock\"\nother_sender = \"own\"\n{more}");
        site.start();
        as_nobody(&site, &["-f", "boss@example.com", ANN], b"Subject: rewritten\n\nx\n").good();
        count += 1;
        let last = inbox(&site, count).pop().expect("a message");
        assert!(last.contains(&format!("Return-Path: <{sender}>")), "{last}");
        site.stop();
    }
}
