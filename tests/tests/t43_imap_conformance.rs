//! What an IMAP server has to say, as scripts, to one client and to several; the same scripts to Dovecot, so that they do not
//! ask for what is only ours; Dovecot's own `imaptest`, where it was built; and many clients at once.

use std::path::{Path, PathBuf};
use std::process::Command;

use iems_tests::fetched::Fetcher;
use iems_tests::iems::Iems;
use iems_tests::imap::load::load;
use iems_tests::imap::script::{Played, Server, play};
use iems_tests::peers::dovecot::Dovecot;
use iems_tests::process::run;

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";

fn site() -> Iems {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.start();
    site
}

fn scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let files = std::fs::read_dir(&folder).expect("the scripts").flatten().map(|entry| entry.path());
    let mut scripts: Vec<_> = files
        .map(|file| {
            let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&file).expect("a script"))
        })
        .collect();
    scripts.sort();
    assert!(scripts.len() > 30, "all scripts are there");
    scripts
}

/// Plays all scripts; how many steps there were, and what was skipped.
fn play_all(server: &Server<'_>) -> (usize, Vec<String>) {
    let (mut steps, mut skipped, mut wrong) = (0, Vec::new(), Vec::new());
    for (name, text) in &scripts() {
        match play(name, text, server) {
            Ok(Played::Well(some)) => steps += some,
            Ok(Played::Skipped(missing)) => skipped.push(format!("{name} ({missing})")),
            Err(why) => wrong.push(why),
        }
    }
    assert!(wrong.is_empty(), "{} scripts went wrong:\n{}", wrong.len(), wrong.join("\n"));
    (steps, skipped)
}

#[test]
fn all_scripts_are_played_as_they_are_written() {
    let site = site();
    let (steps, skipped) = play_all(&Server { at: site.at("imap"), user: ANN, other: BOB });
    assert!(skipped.is_empty(), "nothing is missing here: {skipped:?}");
    assert!(steps > 300, "{steps} steps");
}

#[test]
fn dovecot_agrees_with_the_scripts() {
    let dovecot = Dovecot::start();
    let (steps, skipped) = play_all(&Server { at: dovecot.imap, user: "user1", other: "user2" });
    println!("{steps} steps; skipped: {skipped:?}");
    assert!(steps > 200, "{steps} steps, skipped {skipped:?}");
}

#[test]
fn many_clients_at_once_are_told_one_story() {
    let site = site();
    for seed in [1, 2, 3] {
        let errors = load(site.at("imap"), ANN, "INBOX", 12, 60, seed);
        assert!(
            errors.is_empty(),
            "seed {seed}: {} errors\n{}",
            errors.len(),
            errors[..errors.len().min(20)].join("\n")
        );
    }
}

/// Dovecot's `imaptest`: `IEMS_IMAPTEST` names the program, beside which is its folder `tests`.
fn imaptest() -> Option<PathBuf> {
    match std::env::var_os("IEMS_IMAPTEST") {
        Some(program) => Some(program.into()),
        None => {
            println!("skipped: IEMS_IMAPTEST does not say where Dovecot's imaptest is");
            None
        }
    }
}

fn command(program: &Path, site: &Iems, more: &[&str]) -> Command {
    let at = site.at("imap");
    let mut command = Command::new(program);
    command
        .args([format!("host={}", at.ip()), format!("port={}", at.port()), "pass=secret".to_owned()])
        .args([format!("user={ANN}"), format!("user2={BOB}")])
        .args(more)
        .current_dir(site.dir.path());
    command
}

#[test]
fn imaptest_finds_nothing_wrong() {
    let Some(program) = imaptest() else { return };
    let site = site();
    let scripts = program.with_file_name("tests");
    let said = run(&mut command(&program, &site, &[&format!("test={}", scripts.display())]), b"");
    for good in ["base protocol: 0/", "extensions: 0/"] {
        assert!(said.out.contains(good) || said.err.contains(good), "{}\n{}", said.out, said.err);
    }
}

#[test]
fn imaptest_finds_nothing_wrong_under_load() {
    let Some(program) = imaptest() else { return };
    let site = site();
    let letters = (0..200).map(|n| {
        format!("From a@example.com Mon Jan  1 00:00:00 2024\nFrom: <a{n}@example.com>\nSubject: {n}\nMessage-ID: <{n}@x>\n\nText {n}\n\n")
    });
    std::fs::write(site.dir.path().join("mbox"), letters.collect::<String>()).expect("a file");
    // Clients that come back with QRESYNC keep what they knew when they were cut off.
    let everything =
        ["listroot=20", "search=30", "sort=20", "thread=20", "move=20,5", "uidfetch=30", "copybox=Copied"];
    let mut reader = Fetcher::login(site.at("imap"), ANN, "secret");
    reader.must(b"CREATE Copied");
    let kinds = [
        vec![],
        vec!["no_pipelining"],
        vec!["qresync"],
        vec!["qresync", "checkpoint=3"],
        vec!["imap4rev2", "own_msgs", "checkpoint=3"],
        [&["checkpoint=3"], &everything[..]].concat(),
        [&["qresync", "disconnect=10"], &everything[..]].concat(),
    ];
    for (number, kind) in (1..).zip(kinds) {
        // With checkpoints imaptest ends by assertions of its own now and then, whoever the server is: it marks messages that it was
        // told nothing of yet, and has plans for a client that was logged out. Then it begins anew. What it said before counts.
        let ended = (0..4).any(|again| {
            let seed = format!("seed={}", 10 * again + number);
            let more = [&["clients=30", "secs=15", "mbox=mbox", &seed], &kind[..]].concat();
            let said = run(&mut command(&program, &site, &more), b"");
            let all = format!("{}{}", said.out, said.err);
            let told = all.lines().filter(|line| !line.contains("Raw backtrace"));
            let wrong: Vec<_> =
                told.filter(|line| line.contains("Error") || line.contains("Fatal")).collect();
            assert!(wrong.is_empty(), "{kind:?}: {wrong:?}");
            !all.contains("Panic")
        });
        if !ended {
            assert!(kind.contains(&"checkpoint=3"), "{kind:?}: imaptest ended by itself each time");
            println!("{kind:?}: imaptest ended by itself each time, before its time was over");
        }
    }
}
