//! Mail in batches: by folders between two sites and from Exim, packed and plain, over a kill.

use std::path::{Path, PathBuf};

use iems_tests::iems::Iems;
use iems_tests::pop3::{read_all, wait_all};
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
