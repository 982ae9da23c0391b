//! One end of data, one message: every false end through every way into iems, and through iems to Postfix, Exim and OpenSMTPD as
//! Debian ships them; what these make of the same by themselves stands beside it in docs/smuggling.md.
//!
//! `IEMS_TESTS_WRITE=1 tests/run t30` writes the table there.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use iems_tests::endings::{HIDDEN, Pace, Reading, Spelling, attempt, batches, spellings};
use iems_tests::iems::Iems;
use iems_tests::peers::exim::{Exim, Wishes};
use iems_tests::peers::opensmtpd::OpenSmtpd;
use iems_tests::peers::postfix::Postfix;
use iems_tests::pop3::read_all;
use iems_tests::process::run;
use iems_tests::wait::{secs, wait_for};

const USER: &str = "user1@example.org";
const EHLO: &str = "EHLO client.example.test";

/// A column of the table.
struct Column {
    name: String,
    at: SocketAddrV4,
    hello: &'static str,
    paces: &'static [Pace],
    /// Whether it is ours.
    ours: bool,
    /// The folder in which batches are laid, instead of sending anything.
    folder: Option<PathBuf>,
}

const DATA: &[Pace] = &[Pace::Stream, Pace::Paced];

/// Every spelling to one server, some at a time.
fn read_by(column: &Column, spellings: &[Spelling]) -> Vec<Vec<Reading>> {
    if let Some(folder) = &column.folder {
        return batches(folder, USER, spellings).into_iter().map(|reading| vec![reading]).collect();
    }
    let (next, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                while let Some((at, spelling)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, spellings.get(at)?)))
                {
                    let attempts = column
                        .paces
                        .iter()
                        .map(|pace| attempt(column.at, column.hello, USER, &spelling.octets, *pace));
                    let readings: Vec<Reading> = attempts.collect();
                    results.lock().expect("no panic").insert(at, readings);
                }
            });
        }
    });
    results.into_inner().expect("no panic").into_values().collect()
}

/// What a cell says of the attempts with one spelling.
fn cell(readings: &[Reading]) -> String {
    match readings {
        _ if readings.iter().all(|reading| reading.is_smuggled()) => "**2**".to_owned(),
        [_, paced] if paced.is_smuggled() => "**2**, if waited for".to_owned(),
        _ if readings.iter().any(|reading| reading.is_smuggled()) => "**2**, if not waited for".to_owned(),
        [first, ..] if first.first / 100 == 2 => "1".to_owned(),
        [first, ..] if first.first == 0 => "closes".to_owned(),
        [first, ..] => format!("refused ({})", first.first),
        [] => String::new(),
    }
}

/// What peers call themselves.
fn versions(postfix: &Postfix) -> [String; 3] {
    let said = run(&mut postfix.tool("postconf", &["-h", "mail_version"]), b"").good();
    [format!("Postfix {}", said.out.trim()), Exim::version(), OpenSmtpd::version()]
}

#[test]
fn one_message_whatever_the_spelling() {
    let spellings = spellings();
    assert!(spellings.len() >= 70);
    let mut site = Iems::with_accounts(&[USER]);
    let folder = site.dir.path().join("batches");
    site.config.more = format!("[[batch_in]]\nname = \"in\"\nfolder = {folder:?}\ninterval = \"100ms\"\n");
    site.start();
    let (postfix, careful) = (
        Postfix::start(""),
        Postfix::start("smtpd_forbid_bare_newline = yes\nsmtpd_forbid_bare_newline_exclusions =\n"),
    );
    let (exim, opensmtpd) = (Exim::start(&Wishes::default()), OpenSmtpd::start(None));
    let [postfix_name, exim_name, opensmtpd_name] = versions(&postfix);
    let ours = |name: &str, at, hello, paces| Column {
        name: name.to_owned(),
        at,
        hello,
        paces,
        ours: true,
        folder: None,
    };
    let other = |name: String, at| Column { name, at, hello: EHLO, paces: DATA, ours: false, folder: None };
    let columns = [
        ours("iems, DATA", site.at("smtp"), EHLO, DATA),
        ours("iems, BDAT", site.at("smtp"), EHLO, &[Pace::Chunk]),
        ours("iems, LMTP", site.at("lmtp"), "LHLO client.example.test", DATA),
        Column { folder: Some(folder), ..ours("iems, batch", site.at("smtp"), EHLO, DATA) },
        other(postfix_name.clone(), postfix.at),
        other(format!("{postfix_name}, smtpd_forbid_bare_newline"), careful.at),
        other(exim_name, exim.at),
        other(opensmtpd_name, opensmtpd.at),
    ];
    let readings: Vec<Vec<Vec<Reading>>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            columns.iter().map(|column| scope.spawn(|| read_by(column, &spellings))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let table = table(&columns, &spellings, &readings);
    println!("{table}");
    let mut taken = 0;
    for (column, readings) in columns.iter().zip(&readings).filter(|(column, _)| column.ours) {
        for (spelling, readings) in spellings.iter().zip(readings) {
            for reading in readings {
                let how = format!("{}: {}: {reading:?}", column.name, spelling.shown);
                assert_eq!(reading.second, None, "{how}");
                assert!(matches!(reading.first, 250 | 550), "{how}");
                taken += usize::from(reading.first == 250);
            }
        }
    }
    let messages = read_all(site.at("pop3"), USER, "secret");
    assert_eq!(messages.len(), taken);
    for message in messages {
        let text = String::from_utf8_lossy(&message).into_owned();
        assert!(text.contains("Subject: outer") && text.contains("Subject: hidden"), "cut in two: {text}");
    }
    keep(&table, columns.iter().filter(|column| column.ours).count());
}

fn table(columns: &[Column], spellings: &[Spelling], readings: &[Vec<Vec<Reading>>]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut text = format!("| false end | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for (at, spelling) in spellings.iter().enumerate() {
        let cells: Vec<String> = readings.iter().map(|column| cell(&column[at])).collect();
        text += &format!("| `{}` | {} |\n", spelling.shown, cells.join(" | "));
    }
    let smuggled = |column: &Vec<Vec<Reading>>| {
        column.iter().filter(|readings| readings.iter().any(|r| r.is_smuggled())).count().to_string()
    };
    let sums: Vec<String> = readings.iter().map(smuggled).collect();
    text + &format!("| second messages taken | {} |\n", sums.join(" | "))
}

/// Writes the table into its page, or compares our columns with those there.
fn keep(table: &str, ours: usize) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/smuggling.md");
    let page = std::fs::read_to_string(&file).expect("docs/smuggling.md");
    let (text, kept) = page.split_once("## The table\n\n").expect("a heading for the table");
    if std::env::var_os("IEMS_TESTS_WRITE").is_some() {
        std::fs::write(&file, format!("{text}## The table\n\n{table}")).expect("docs/smuggling.md");
        return;
    }
    let columns = |table: &str| -> Vec<String> {
        let first = |line: &str| line.split(" | ").take(ours + 1).collect::<Vec<_>>().join(" | ");
        table.lines().skip(2).map(first).collect()
    };
    assert_eq!(columns(kept), columns(table), "docs/smuggling.md is old: IEMS_TESTS_WRITE=1 tests/run t30");
}

/// Whom iems sends to.
enum Peer<'a> {
    Postfix(&'a Postfix),
    Exim(&'a Exim),
    OpenSmtpd(&'a OpenSmtpd),
}

impl Peer<'_> {
    fn messages(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Postfix(peer) => peer.messages("user1"),
            Self::Exim(peer) => peer.messages("user1"),
            Self::OpenSmtpd(peer) => peer.messages("user1"),
        }
    }
}

#[test]
fn nothing_that_iems_sends_is_two_messages_for_its_peers() {
    let spellings = spellings();
    let maps = "virtual_mailbox_domains = example.org, postfix.example.org, chunks.example.org\n\
                virtual_mailbox_maps = static:user1/\nsmtpd_forbid_bare_newline = no\n";
    let postfix = Postfix::start(&format!("{maps}smtpd_discard_ehlo_keywords = chunking\n"));
    let chunks = Postfix::start(maps);
    let exim = Exim::start(&Wishes { main: "chunking_advertise_hosts =\n".to_owned(), ..Wishes::default() });
    let exim_chunks = Exim::start(&Wishes::default());
    let opensmtpd = OpenSmtpd::start(None);
    let mut site = Iems::new();
    let peers = [
        ("postfix.example.org", postfix.at, Peer::Postfix(&postfix)),
        ("chunks.example.org", chunks.at, Peer::Postfix(&chunks)),
        ("exim.example.org", exim.at, Peer::Exim(&exim)),
        ("eximchunks.example.org", exim_chunks.at, Peer::Exim(&exim_chunks)),
        ("opensmtpd.example.org", opensmtpd.at, Peer::OpenSmtpd(&opensmtpd)),
    ];
    for (domain, at, _) in &peers {
        site.config.route(domain, format!("smtp:{at}"));
    }
    site.start();
    let to: Vec<String> = peers.iter().map(|(domain, ..)| format!("user1@{domain}")).collect();
    for (n, spelling) in spellings.iter().enumerate() {
        let text = [
            format!("Subject: outer {n}.\r\n\r\nbody").as_bytes(),
            &spelling.octets,
            HIDDEN.concat().as_bytes(),
        ]
        .concat();
        let mut args = vec!["sendmail", "-i", "-f", "c@example.com"];
        args.extend(to.iter().map(String::as_str));
        site.admin_with(&args, &text).good();
    }
    for (domain, _, peer) in &peers {
        let got = wait_for(&format!("all messages at {domain}"), secs(60), || {
            let got = peer.messages();
            (got.len() >= spellings.len()).then_some(got)
        });
        assert_eq!(got.len(), spellings.len(), "{domain}");
        for (n, spelling) in spellings.iter().enumerate() {
            let mine = format!("Subject: outer {n}.");
            let texts = got.iter().map(|message| String::from_utf8_lossy(message).into_owned());
            let found: Vec<String> = texts.filter(|text| text.contains(&mine)).collect();
            assert_eq!(found.len(), 1, "{domain}: {}", spelling.shown);
            assert!(found[0].contains("Subject: hidden"), "{domain}: {}: {}", spelling.shown, found[0]);
        }
    }
}
