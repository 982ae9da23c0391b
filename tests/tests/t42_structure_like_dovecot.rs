//! What is stored of a message answers as Dovecot does: envelope, structure, and the octets of every section.

use iems_store::structure::{Structure, Text, header_fields};
use iems_tests::corpus::{self, Sample};
use iems_tests::fetched::{Fetcher, Value, body, envelope, numbers};
use iems_tests::peers::dovecot::Dovecot;

/// How many differences are shown.
const SHOWN: usize = 300;
/// Fields that are asked for by name.
const NAMES: [&str; 4] = ["subject", "From", "RECEIVED", "content-type"];

/// Octets of a message that a section names.
fn octets(message: &[u8], structure: &Structure, path: &[u32], text: Text) -> Value {
    match structure.section(path, text) {
        Some(span) => Value::Text(message[span.start as usize..span.end() as usize].to_vec()),
        None => Value::Atom("NIL".into()),
    }
}

/// What is asked of a message, and what our structure says.
fn expected(message: &[u8], structure: &Structure) -> Vec<(String, Value)> {
    let root = structure.parts[0].envelope.as_deref().expect("an envelope");
    let mut all = vec![
        ("RFC822.SIZE".to_owned(), Value::Atom(structure.size.to_string())),
        ("ENVELOPE".to_owned(), envelope(root)),
        ("BODY".to_owned(), body(structure, 0, false)),
        ("BODYSTRUCTURE".to_owned(), body(structure, 0, true)),
    ];
    let header = &message[..structure.parts[0].header.end() as usize];
    for (except, not) in [(false, ""), (true, ".NOT")] {
        let fields = Value::Text(header_fields(header, &NAMES, except));
        all.push((format!("BODY[HEADER.FIELDS{not} ({})]", NAMES.join(" ").to_uppercase()), fields));
    }
    let mut paths = numbers(structure);
    paths.truncate(60);
    paths.extend([vec![], vec![9], vec![1, 9]]);
    for path in paths {
        let name: Vec<_> = path.iter().map(ToString::to_string).collect();
        let name = name.join(".");
        let dot = if path.is_empty() { "" } else { "." };
        all.push((format!("BODY[{name}]"), octets(message, structure, &path, Text::All)));
        all.push((format!("BODY[{name}{dot}HEADER]"), octets(message, structure, &path, Text::Header)));
        all.push((format!("BODY[{name}{dot}TEXT]"), octets(message, structure, &path, Text::Text)));
        if !path.is_empty() {
            all.push((format!("BODY[{name}.MIME]"), octets(message, structure, &path, Text::Mime)));
        }
    }
    all
}

/// Differences of all messages, as text.
fn compare(samples: &[Sample]) -> Vec<String> {
    let dovecot = Dovecot::start();
    let mut imap = Fetcher::login(dovecot.imap, "user1", "secret");
    for sample in samples {
        imap.append("INBOX", &sample.message);
    }
    imap.must(b"SELECT INBOX");
    let mut differences = Vec::new();
    for (sample, number) in samples.iter().zip(1u32..) {
        let structure = Structure::of(&sample.message);
        let ours = expected(&sample.message, &structure);
        let asked: Vec<_> = ours.iter().map(|(name, _)| name.replace("BODY[", "BODY.PEEK[")).collect();
        let answer = imap.must(format!("FETCH {number} ({})", asked.join(" ")).as_bytes());
        let theirs: Vec<_> =
            answer.into_iter().filter(|(of, _)| *of == number).flat_map(|(_, values)| values).collect();
        for (name, ours) in ours {
            let at = theirs.iter().position(|value| matches!(value, Value::Atom(found) if *found == name));
            let their = at.and_then(|at| theirs.get(at + 1));
            if !their.is_some_and(|their| alike(&sample.message, &name, &ours, their)) {
                differences.push(format!("{}: {name}\n  ours   {ours:?}\n  theirs {their:?}", sample.name));
            }
        }
    }
    differences
}

/// Whether both say the same. A part that is not there is `NIL` here and empty there; Dovecot squeezes space in subjects
/// and names, which RFC 5322 (2.2.3) does not, and writes what it takes for plain text in small letters.
fn alike(message: &[u8], name: &str, ours: &Value, theirs: &Value) -> bool {
    let missing = *ours == Value::Atom("NIL".into()) && *theirs == Value::Text(Vec::new());
    match name {
        "ENVELOPE" => {
            ours == theirs || ours.squeezed(false) == theirs.squeezed(false) || is_known(message, name)
        }
        "BODY" | "BODYSTRUCTURE" => ours.squeezed(true) == theirs.squeezed(true) || is_known(message, name),
        _ => ours == theirs || missing || is_behind_the_last(ours, theirs) || is_known(message, name),
    }
}

/// Whether theirs has the line end behind a last boundary, where the boundary of an outer part follows, to which it
/// belongs (RFC 2046 section 5.1.1).
fn is_behind_the_last(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Text(ours), Value::Text(theirs)) => {
            ours.ends_with(b"--") && theirs.strip_suffix(b"\r\n") == Some(&ours[..])
        }
        _ => false,
    }
}

/// Whether we differ by intention: see `docs/deviations.md`.
fn is_known(message: &[u8], name: &str) -> bool {
    const STRUCTURE: &[&str] = &["BODY", "BODYSTRUCTURE"];
    const KNOWN: &[(&[u8], &[&str])] = &[
        // What is no type is text/plain (RFC 2045 section 5.2).
        (b"Content-Type: text\r\n", STRUCTURE),
        (b"Content-Type: text/\r\n", STRUCTURE),
        (b"Content-Type: /plain\r\n", STRUCTURE),
        (b"Content-Type: a b/c\r\n", STRUCTURE),
        (b"Content-Type: text/plain charset", STRUCTURE),
        (b"Content-Type: \r\n", STRUCTURE),
        // Nothing between commas of a group is nobody (RFC 5322 section 4.4).
        (b"g: a@b, ;", &["ENVELOPE"]),
        // No empty line where there is none (RFC 9051 section 6.4.5.1).
        (b"Subject: no body\r\n", &["BODY[HEADER.FIELDS (SUBJECT FROM RECEIVED CONTENT-TYPE)]"]),
        // The line end in front of a boundary is not of the part (RFC 2046 section 5.1.1).
        (b"Subject: cut\r\n--b", &["BODY", "BODYSTRUCTURE", "BODY[1]"]),
    ];
    let has = |text: &[u8]| message.windows(text.len()).any(|window| window == text);
    message.len() < 1000 && KNOWN.iter().any(|(text, names)| names.contains(&name) && has(text))
}

fn none(differences: &[String]) {
    let shown: Vec<_> = differences.iter().take(SHOWN).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), shown.join("\n"));
}

#[test]
fn the_corpus_is_read_as_dovecot_reads_it() {
    let samples: Vec<_> = corpus::all().into_iter().step_by(3).collect();
    none(&compare(&samples));
}

#[test]
fn nasty_messages_are_read_as_dovecot_reads_them() {
    let samples: Vec<_> = nasty()
        .into_iter()
        .enumerate()
        .map(|(at, text)| Sample {
            name: format!("nasty {at}: {}", text.escape_debug().take(60).collect::<String>()),
            message: text.into_bytes(),
        })
        .collect();
    none(&compare(&samples));
}

/// Messages that are wrong, or right in ways that nobody expects.
fn nasty() -> Vec<String> {
    let multipart =
        |kind: &str, rest: &str| format!("Content-Type: multipart/{kind}; boundary=b\r\n\r\n{rest}");
    let mut all: Vec<String> = [
        "text",
        "text/",
        "/plain",
        "text/plain; charset",
        "text/plain; =x; charset=utf-8",
        "text/plain;; charset=\"utf-8",
        "text/plain; a=\"q\\\"q\"; b=x/y; c=d",
        "multipart/mixed",
        "multipart/mixed; boundary=\"\"",
        "message/rfc822",
        "message/partial; id=x",
        "text/plain (c); charset=(d) utf-8",
        "TEXT/Plain; NAME=\"=?utf-8?q?=C3=A4?=\"",
        "text/plain; name==?utf-8?q?x?=",
        "application/x; name*0=a; name*1=b",
        "application/x; name*=utf-8''%41; other=1",
        "application/x; name*1=b; name*0*=utf-8''a",
        "application/x; name*0=a; name*2=c",
        "text/x; charset=a; charset=b",
        "a b/c",
        "text/plain charset=utf-8",
        "",
    ]
    .iter()
    .map(|value| format!("From: a@b\r\nContent-Type: {value}\r\n\r\nbody\r\nof two lines\r\n"))
    .collect();
    for value in [
        "",
        "a",
        "a@",
        "@b",
        "a b",
        "a b <c>",
        "<a@b",
        "a@b c@d, e@f",
        "\"q\" <a@b>",
        "\"q r\" s <a@b>",
        "a@b (c) (d)",
        "(c) a@b",
        "g:;",
        "g: a@b, ;",
        "g: a@b",
        "g: a@b; h: c@d;",
        "<@r:a@b>",
        "<@r,@s:a@b> ",
        "<@:a@b>",
        "a.b.@c",
        ".a@b",
        "a..b@c",
        "a@[1.2.3.4]",
        "a@b.",
        "=?utf-8?q?=C3=A4?= <a@b>",
        "\u{e4} <\u{f6}@\u{fc}>",
        "a,b,,c@d",
        ",a@b",
        "a@b,",
        "a <b@c> d",
        "<>",
        "< >",
        "\"a\\\"b\" <a@b>",
        "a\r\n b <c@d>",
        "Mr. X. Y <a@b>",
        "a@b@c",
        "(unfinished a@b",
        "\"unfinished a@b",
        "a <b@c",
        "a < b @ c >",
        "\"a\"@b",
        "\"a\" b@c",
        "a;b@c",
        "x:y@z",
    ] {
        all.push(format!("From: {value}\r\nTo: {value}\r\n\r\nx\r\n"));
    }
    for header in [
        "Subject:",
        "Subject: ",
        "Subject:  x  ",
        "Subject: a\r\n b\r\n\tc",
        "Subject:\r\n a",
        "Subject: a\r\nSubject: b",
        "Date : x",
        "Date: a\r\nDate: b",
        "From: a@b\r\nFrom: c@d",
        "Sender:\r\nFrom: a@b",
        "Reply-To: x\r\nFrom: a@b",
        "Message-ID: <a@b> x\r\nIn-Reply-To:  <c@d>\r\n <e@f>",
        "no colon\r\nSubject: x",
        " leading\r\nSubject: x",
        ": empty\r\nSubject: x",
        "Content-Transfer-Encoding: base64 x",
        "Content-Transfer-Encoding: (c) base64 (d)",
        "Content-Transfer-Encoding:",
        "Content-Transfer-Encoding: a\r\nContent-Transfer-Encoding: b",
        "Content-Disposition: attachment; filename=a b",
        "Content-Disposition:",
        "Content-Disposition: ;x=y",
        "Content-Language: de",
        "Content-Language: de, en ,fr",
        "Content-Language: de en",
        "Content-Language:",
        "Content-ID: <x>\r\nContent-ID: <y>",
        "Content-Location: a\r\n b",
        "Content-MD5:  x",
        "Content-Description: =?x?=\r\n y",
        "Content-Type: text/a\r\nContent-Type: text/b",
        "Bcc: a@b\r\nCc: c@d",
    ] {
        let mime = if header.starts_with("Content-") { "MIME-Version: 1.0\r\n" } else { "" };
        all.push(format!("{mime}{header}\r\n\r\nbody\r\n"));
    }
    all.extend([
        "\r\nno header\r\n".to_owned(),
        "Subject: no body\r\n".to_owned(),
        "Subject: only\r\n\r\n".to_owned(),
        multipart("mixed", ""),
        multipart("mixed", "no boundary\r\n"),
        multipart("mixed", "--b--\r\n"),
        multipart("mixed", "--b\r\n--b\r\n\r\n--b--\r\n"),
        multipart("mixed", "--b\r\n\r\n--b--\r\n"),
        multipart("mixed", "--b\r\n\r\n\r\n--b--\r\n"),
        multipart("mixed", "--b\r\nX: y\r\n--b\r\n\r\nz\r\n--b--\r\nepilogue\r\n--b\r\n\r\nlate\r\n"),
        multipart("mixed", "pre\r\n--bx\r\n\r\none\r\n--b y\r\n\r\ntwo\r\n --b\r\nthree\r\n--b--trailing\r\nend"),
        multipart("mixed", "--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--bb\r\n\r\nthree\r\n--b--\r\n"),
        multipart("mixed", "--b\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
        multipart("mixed", "--b\r\nContent-Type: message/rfc822\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"),
        multipart("mixed", "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: cut\r\n--b\r\n\r\nx\r\n--b--\r\n"),
        multipart("mixed", "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c\r\nContent-Type: message/rfc822\r\n\r\nSubject: deep\r\n\r\ndeep\r\n\r\n--c--\r\n\r\n--b\r\nContent-Type: image/png; name=\"x.png\"\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <i>\r\nContent-Disposition: inline; filename*0=\"x\"; filename*1=\".png\"\r\nContent-Language: de, en\r\nContent-Location: http://x/\r\nContent-MD5: m\r\n\r\nAAAA\r\n--b--\r\n"),
        multipart("digest", "--b\r\n\r\nSubject: one\r\n\r\n1\r\n--b\r\nContent-Type: text/plain\r\n\r\n2\r\n--b\r\nContent-ID: <3>\r\n\r\nSubject: three\r\n\r\n3\r\n--b--\r\n"),
        "Content-Type: message/rfc822\r\nSubject: out\r\n\r\nSubject: in\r\nTo: g:;\r\n\r\nbody\r\n".to_owned(),
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5\r\n".to_owned(),
        "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c--\r\n".to_owned(),
        format!("Content-Type: multipart/mixed; boundary={}\r\n\r\n--{}\r\n\r\nx\r\n--{}--\r\n", "l".repeat(100), "l".repeat(100), "l".repeat(100)),
        "Content-Type: multipart/mixed; boundary=\"b c\"\r\n\r\n--b c\r\n\r\nx\r\n--b c--\r\n".to_owned(),
        "Content-Type: multipart/mixed; boundary*0=b; boundary*1=c\r\n\r\n--bc\r\n\r\nx\r\n--bc--\r\n".to_owned(),
        "Content-Type: multipart/mixed; BOUNDARY=b\r\n\r\n--b\r\n\r\n\r\n\r\nx\r\n\r\n--b\r\nContent-Type: text/html; charset=\"\"\r\n\r\n<p>\r\n--b--".to_owned(),
    ]);
    all
}
