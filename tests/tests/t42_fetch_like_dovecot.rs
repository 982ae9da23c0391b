//! FETCH answers as Dovecot's does: envelope, structure, sizes, and the octets of every section, of real messages and of
//! hostile ones. Both servers hold the same messages and are asked the same by IMAP.

use std::path::Path;

use iems_tests::alike::{Subject, path_of};
use iems_tests::corpus::{self, Sample};
use iems_tests::fetched::{Fetcher, Value, numbers};
use iems_tests::iems::Iems;
use iems_tests::peers::dovecot::Dovecot;
use iems_tests::torture;

const ANN: &str = "ann@example.test";
/// How many differences are shown.
const SHOWN: usize = 60;
/// Fields that are asked for by name.
const NAMES: &str = "SUBJECT From RECEIVED content-type";
/// The most parts of a message that are asked for.
const PARTS: usize = 60;

/// Which octets of a section are asked for.
const PARTIALS: [&str; 3] = ["", "<0.100>", "<7.2000>"];

/// The parts of a message, some that are not there, and the message itself.
fn parts(subject: &Subject<'_>) -> Vec<String> {
    let mut all = numbers(subject.structure());
    all.truncate(PARTS);
    all.extend([vec![], vec![9], vec![1, 9]]);
    let dotted = |path: &Vec<u32>| path.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    all.iter().map(dotted).collect()
}

/// What is asked of a message at once.
fn questions(parts: &[String]) -> Vec<String> {
    let mut all = ["RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE"].map(str::to_owned).to_vec();
    for part in parts {
        let dot = if part.is_empty() { "" } else { "." };
        all.extend(PARTIALS.map(|partial| format!("BODY.PEEK[{part}]{partial}")));
        for text in ["HEADER", "TEXT"] {
            all.push(format!("BODY.PEEK[{part}{dot}{text}]"));
        }
        for not in ["", ".NOT"] {
            all.push(format!("BODY.PEEK[{part}{dot}HEADER.FIELDS{not} ({NAMES})]"));
        }
        if !part.is_empty() {
            all.push(format!("BODY.PEEK[{part}.MIME]"));
        }
    }
    all
}

/// What is asked of each part by itself, as one that cannot be decoded fails the command.
fn binary(parts: &[String]) -> Vec<String> {
    let of = |part: &String| PARTIALS.map(|partial| format!("BINARY.PEEK[{part}]{partial}"));
    parts.iter().flat_map(|part| of(part).into_iter().chain([format!("BINARY.SIZE[{part}]")])).collect()
}

/// One question and two answers; `NO` is a value too.
struct Pair {
    name: String,
    ours: Value,
    theirs: Value,
}

/// Both servers with the same messages.
struct Both {
    _iems: Iems,
    dovecot: Dovecot,
    ours: Fetcher,
    theirs: Fetcher,
}

impl Both {
    fn with(samples: &[Sample]) -> Self {
        let mut iems = Iems::with_accounts(&[ANN]);
        iems.start();
        let dovecot = Dovecot::start();
        let mut ours = Fetcher::login(iems.at("imap"), ANN, "secret");
        let mut theirs = login_there(&dovecot);
        for server in [&mut ours, &mut theirs] {
            server.append("INBOX", samples.iter().map(|sample| &sample.message[..]));
            server.must(b"SELECT INBOX");
        }
        Self { _iems: iems, dovecot, ours, theirs }
    }

    /// Asks both the same of one message.
    fn ask(&mut self, number: u32, questions: &[String], pairs: &mut Vec<Pair>) {
        let command = format!("FETCH {number} ({})", questions.join(" "));
        let ours = self.ours.ask(command.as_bytes());
        let theirs = self.theirs.ask(command.as_bytes());
        if theirs.0.starts_with("BYE") {
            // Where it cannot go on in the midst of an answer.
            self.theirs = login_there(&self.dovecot);
            self.theirs.must(b"SELECT INBOX");
        }
        let good = |status: &str| status.starts_with("OK");
        if questions.len() > 1 && !(good(&ours.0) && good(&theirs.0)) {
            return questions.iter().for_each(|one| self.ask(number, std::slice::from_ref(one), pairs));
        }
        for question in questions {
            let value = |(status, fetched): &(String, Vec<(u32, Vec<Value>)>)| match good(status) {
                true => answer_to(question, number, fetched),
                false => Value::Atom("NO".into()),
            };
            let (ours, theirs) = (value(&ours), value(&theirs));
            let name = question.replace(".PEEK", "");
            pairs.push(Pair { name, ours, theirs });
        }
    }
}

fn login_there(dovecot: &Dovecot) -> Fetcher {
    Fetcher::login(dovecot.imap, "user1", "secret")
}

/// The value behind the name of what was asked.
fn answer_to(question: &str, number: u32, fetched: &[(u32, Vec<Value>)]) -> Value {
    let (name, partial) = question.split_once('<').unwrap_or((question, ""));
    let origin = partial.split_once('.').map(|(origin, _)| format!("<{origin}>")).unwrap_or_default();
    let name = format!("{}{origin}", name.replace(".PEEK", ""));
    let mine = fetched.iter().filter(|(of, _)| *of == number);
    let values: Vec<_> = mine.flat_map(|(_, values)| values).collect();
    let named = |value: &&Value| matches!(value, Value::Atom(found) if found.eq_ignore_ascii_case(&name));
    let at = values.iter().position(named).unwrap_or_else(|| panic!("no {name} in {fetched:?}"));
    (*values.get(at + 1).expect("a value behind a name")).clone()
}

/// Differences of all messages, as text.
fn compare(samples: &[Sample]) -> Vec<String> {
    let mut both = Both::with(samples);
    let mut differences = Vec::new();
    for (sample, number) in samples.iter().zip(1u32..) {
        let subject = Subject::new(&sample.message);
        let parts = parts(&subject);
        let mut pairs = Vec::new();
        both.ask(number, &questions(&parts), &mut pairs);
        both.ask(number, &binary(&parts), &mut pairs);
        for pair in &pairs {
            if !is_good(&subject, pair, &pairs) {
                let Pair { name, ours, theirs } = pair;
                differences.push(format!("{}: {name}\n  ours   {ours:?}\n  theirs {theirs:?}", sample.name));
            }
        }
    }
    differences
}

/// Whether both say the same, as far as they have to; and whether our answers agree with each other.
fn is_good(subject: &Subject<'_>, pair: &Pair, pairs: &[Pair]) -> bool {
    let other = |name: String| {
        let found = pairs.iter().find(|pair| pair.name == name);
        found.unwrap_or_else(|| panic!("{name} is asked for as well"))
    };
    if let Some(section) = pair.name.strip_prefix("BINARY.SIZE") {
        return is_size(pair, other(format!("BINARY{section}")));
    }
    let Some(section) = pair.name.strip_prefix("BINARY[") else {
        return subject.alike(&pair.name, &pair.ours, &pair.theirs);
    };
    let octets =
        |value: &Value| value.map(&|text| text.iter().map(|o| if *o == 0 { 0x80 } else { *o }).collect());
    match subject.is_leaf(&path_of(section)) {
        true => subject.alike(&pair.name, &pair.ours, &pair.theirs),
        false => octets(&pair.ours) == octets(&other(format!("BODY[{section}")).ours),
    }
}

/// Whether our size is the length of what `BINARY` gives (RFC 9051 section 6.4.5), and theirs too, which at times it is
/// not.
fn is_size(size: &Pair, whole: &Pair) -> bool {
    let length = |value: &Value| match value {
        Value::Text(text) => Value::Atom(text.len().to_string()),
        Value::Atom(nil) if nil == "NIL" => Value::Atom("0".to_owned()),
        refused => refused.clone(),
    };
    let alike =
        size.ours == size.theirs || size.theirs != length(&whole.theirs) || whole.ours != whole.theirs;
    size.ours == length(&whole.ours) && alike
}

fn none(differences: &[String]) {
    let shown: Vec<_> = differences.iter().take(SHOWN).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), shown.join("\n"));
}

#[test]
fn real_messages_are_told_as_dovecot_tells_them() {
    let step = if std::env::var_os("IEMS_WHOLE_CORPUS").is_some() { 1 } else { 3 };
    let samples: Vec<_> = corpus::all().into_iter().step_by(step).collect();
    none(&compare(&samples));
}

/// Messages of other collections: the files of the folder that `IEMS_MESSAGES` names.
#[test]
fn messages_of_a_folder_are_told_as_dovecot_tells_them() {
    let Some(folder) = std::env::var_os("IEMS_MESSAGES") else {
        return println!("skipped: IEMS_MESSAGES does not name a folder of messages");
    };
    none(&compare(&corpus::folder(Path::new(&folder))));
}

#[test]
fn hostile_messages_are_told_as_dovecot_tells_them() {
    none(&compare(&torture::messages()));
}
