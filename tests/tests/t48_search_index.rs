//! The index of texts: searches find the same without it, with it, with half of it, and after a crash; and it comes, goes
//! and is seen by commands.

use std::time::Duration;

use iems_tests::iems::Iems;
use iems_tests::peers::imap;
use iems_tests::wait::wait_for;
use serde_json::Value;

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";

/// Fills INBOX: texts of many charsets and encodings, attachments, messages within messages.
const FILL: &str = r#"
import base64, quopri, random
random.seed(SEED)
words = ['needle', 'Grüße', 'Straße', 'Привет', 'мир', 'łódź', 'meeting', 'invoice', 'Überraschung', 'plain', 'text', '日本語']
def text(n):
    return ' '.join(random.choice(words) for _ in range(12)) + f' number{n}\r\nnext line {n % 37}.\r\n'
def part(n):
    charset = random.choice(['utf-8', 'iso-8859-1', 'koi8-r', 'iso-8859-2'])
    octets = text(n).encode(charset, 'replace')
    transfer = random.choice(['8bit', 'base64', 'quoted-printable'])
    if transfer == 'base64':
        octets = base64.encodebytes(octets).replace(b'\n', b'\r\n')
    if transfer == 'quoted-printable':
        octets = quopri.encodestring(octets.replace(b'\r\n', b'\n')).replace(b'\n', b'\r\n')
    kind = random.choice(['plain', 'html'])
    head = f'Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n'
    return head.encode() + octets
def message(n):
    head = f'From: c{n % 11}@example.com\r\nSubject: =?utf-8?q?N=C3=BCmber?= {n}\r\nMessage-ID: <{n}-SEED@x>\r\nMIME-Version: 1.0\r\n'.encode()
    kind = n % 4
    if kind == 0:
        return head + part(n)
    if kind == 1:
        return head + b'Content-Type: message/rfc822\r\n\r\nSubject: inner subject\r\n' + part(n)
    file = b'--b\r\nContent-Type: application/pdf; name=secret.pdf\r\n\r\nneedle in a file\r\n'
    return head + b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n' + part(n) + b'\r\n' + file + b'--b--\r\n'
for start in range(0, COUNT, 100):
    texts = [message(n) for n in range(start, min(start + 100, COUNT))]
    tag = imap._new_tag()
    imap.send(tag + b' APPEND INBOX' + b''.join(b' {%d+}\r\n' % len(t) + t for t in texts) + b'\r\n')
    while not (line := imap.readline()).startswith(tag):
        pass
    assert line.startswith(tag + b' OK'), line
"#;

/// Searches, and prints what was found.
const SEARCH: &str = r#"
imap.select('INBOX', readonly=True)
found = []
for key, text in [('BODY', 'needle'), ('TEXT', 'NEEDLE'), ('BODY', 'grüsse'), ('BODY', 'СТРАССЕ'), ('BODY', 'STRASSE'), ('BODY', 'привет МИР'),
                  ('TEXT', 'nümber 17'), ('BODY', 'number17'), ('BODY', 'number1999\r\nnext'), ('BODY', 'secret.pdf'),
                  ('TEXT', 'secret.pdf'), ('TEXT', 'inner subject'), ('BODY', 'needle in a file'), ('BODY', 'łÓDŹ'),
                  ('BODY', '日本'), ('BODY', 'nowhere at all'), ('TEXT', 'message-id: <5-'), ('BODY', 'ie'), ('BODY', 'next line 3.'), ('BODY', 'new mail')]:
    for more in ['', 'NOT ']:
        imap.literal = text.encode()
        kind, data = imap.uid('SEARCH', 'CHARSET', 'UTF-8', more + key)
        assert kind == 'OK', (key, text, data)
        found.append([more + key, text, data[0].decode()])
print(json.dumps(found))
"#;

fn searched(site: &Iems) -> Value {
    let said = imap::python(site.at("imap"), ANN, "secret", SEARCH).good();
    let found: Value = serde_json::from_str(&said.out).expect("JSON");
    let count = |nth: usize| found[nth][2].as_str().map_or(0, |uids| uids.split_whitespace().count());
    assert!(count(0) > 100 && count(1) > 100, "something is found, and something is not: {found}");
    found
}

fn fill(site: &Iems, user: &str, count: u32, seed: u32) {
    let script = FILL.replace("COUNT", &count.to_string()).replace("SEED", &seed.to_string());
    imap::python(site.at("imap"), user, "secret", &script).good();
}

fn status(site: &Iems, address: &str) -> Value {
    let said = site.admin(&["search", "status", "--json", address]).good();
    serde_json::from_str::<Value>(&said.out).expect("JSON")[0].take()
}

fn until(what: &str, limit: Duration, holds: impl Fn() -> bool) {
    wait_for(what, limit, || holds().then_some(()));
}

fn wait_until_current(site: &Iems, messages: u64) {
    until("the index is current", Duration::from_secs(120), || {
        let status = status(site, ANN);
        status["state"] == "current" && status["messages"] == messages
    });
}

#[test]
fn searches_find_the_same_whatever_the_index_is() {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.config.more.push_str("[search]\nindex = false\n");
    site.start();
    fill(&site, ANN, 2000, 1);
    let without = searched(&site);
    assert_eq!(status(&site, ANN)["state"], "none");
    let refused = site.admin(&["search", "build", ANN]);
    assert_eq!(refused.code, 78, "{}", refused.err);
    site.stop();

    // Searches are what makes it, in the background.
    site.config.more = site.config.more.replace("false", "true");
    site.start();
    assert_eq!(searched(&site), without);
    wait_until_current(&site, 2000);
    assert_eq!(status(&site, BOB)["state"], "none", "nobody searched there");
    assert_eq!(searched(&site), without);

    // New mail is found before it is in the index, and after that.
    fill(&site, ANN, 200, 2);
    let more = searched(&site);
    assert_ne!(more, without);
    site.admin(&["search", "build", "--quiet", ANN]).good();
    wait_until_current(&site, 2200);
    assert_eq!(searched(&site), more);

    // What left is not in it any more.
    let script =
        "imap.select('INBOX')\nimap.uid('STORE', '1:700', '+FLAGS', r'(\\Deleted)')\nimap.expunge()\n";
    imap::python(site.at("imap"), ANN, "secret", script).good();
    let less = searched(&site);
    site.admin(&["search", "build", "--quiet", ANN]).good();
    wait_until_current(&site, 1500);
    assert_eq!(searched(&site), less);

    // Killed while it is made.
    let dropped = site.admin(&["search", "drop"]).good();
    assert!(dropped.out.contains("1 indexes removed"), "{}", dropped.out);
    assert_eq!(status(&site, ANN)["state"], "none");
    assert_eq!(searched(&site), less);
    until("an index is being made", Duration::from_secs(60), || status(&site, ANN)["state"] != "none");
    std::thread::sleep(Duration::from_millis(300));
    site.kill();
    site.start();
    assert_eq!(searched(&site), less);
    wait_until_current(&site, 1500);
    assert_eq!(searched(&site), less);
    site.stop();

    // Without a server, the command makes it.
    let folder = site.dir.path().join("data").join("search");
    assert!(folder.exists());
    site.admin(&["search", "drop", ANN]).good();
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0);
    let built = site.admin(&["search", "build", "--json"]).good();
    let built: Value = serde_json::from_str(&built.out).expect("JSON");
    assert_eq!((&built[0]["messages"], &built[0]["state"]), (&1500.into(), &"current".into()), "{built}");
    assert_eq!((&built[1]["messages"], &built[1]["state"]), (&0.into(), &"current".into()), "{built}");

    // Damaged while nobody looked.
    for file in std::fs::read_dir(folder.join(numbered(&folder))).expect("a folder").flatten() {
        let mut octets = std::fs::read(file.path()).expect("a file");
        let middle = octets.len() / 2;
        octets[middle] ^= 1;
        std::fs::write(file.path(), octets).expect("a file");
    }
    site.start();
    assert_eq!(searched(&site), less);
    wait_until_current(&site, 1500);
    assert_eq!(searched(&site), less);

    // It goes with the account.
    site.admin(&["account", "remove", ANN]).good();
    site.admin(&["account", "remove", BOB]).good();
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0);
    site.stop();
}

/// The folder of the larger index.
fn numbered(folder: &std::path::Path) -> std::ffi::OsString {
    let size = |entry: &std::fs::DirEntry| {
        let files = std::fs::read_dir(entry.path()).expect("a folder").flatten();
        files.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum::<u64>()
    };
    let folders = std::fs::read_dir(folder).expect("a folder").flatten();
    folders.max_by_key(size).expect("an index").file_name()
}
