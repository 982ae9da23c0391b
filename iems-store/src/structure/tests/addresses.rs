//! Envelopes: addresses and texts.

use super::super::{Address, Structure};

fn told(addresses: &[Address]) -> String {
    let text = |part: &Option<bytes::Bytes>| {
        part.as_ref().map_or("-".into(), |text| String::from_utf8_lossy(text).into_owned())
    };
    let one = |a: &Address| [&a.name, &a.route, &a.mailbox, &a.host].map(text).join("|");
    addresses.iter().map(one).collect::<Vec<_>>().join(" / ")
}

fn to(value: &str) -> String {
    told(&Structure::of(format!("To: {value}\r\n\r\n").as_bytes()).parts[0].envelope.as_ref().unwrap().to)
}

#[test]
fn addresses_are_told_in_four_parts() {
    for (value, expected) in [
        ("a@b", "-|-|a|b"),
        ("Ann B. <a@b.example>", "Ann B.|-|a|b.example"),
        ("\"A, \\\"B\\\"\" <\"x y\"@[127.0.0.1]>", "A, \"B\"|-|x y|[127.0.0.1]"),
        ("a@b (Ann (nested))", "Ann (nested)|-|a|b"),
        ("<@r1,@r2:a@b>", "-|@r1,@r2|a|b"),
        ("=?utf-8?q?=C3=A4?= <a@b>, c@d", "=?utf-8?q?=C3=A4?=|-|a|b / -|-|c|d"),
        ("undisclosed-recipients:;", "-|-|undisclosed-recipients|- / -|-|-|-"),
        ("A group: a@b, C <c@d>; , e@f", "-|-|A group|- / -|-|a|b / C|-|c|d / -|-|-|- / -|-|e|f"),
        ("\u{e4}nn@b\u{fc}cher.example", "-|-|\u{e4}nn|b\u{fc}cher.example"),
        ("", ""),
        ("<a@b.>", "-|-|a|SYNTAX_ERROR"),
        (".a@b", "-|-|.a|b"),
        ("A <a@b", "A|-|a|SYNTAX_ERROR"),
        ("g: a@b, ;", "-|-|g|- / -|-|a|b / -|-|-|-"),
        ("word", "-|-|word|MISSING_DOMAIN"),
        ("name only", "name only|-|MISSING_MAILBOX|MISSING_DOMAIN"),
        ("<>", "-|-|MISSING_MAILBOX|MISSING_DOMAIN"),
    ] {
        assert_eq!(to(value), expected, "{value}");
    }
}

#[test]
fn sender_and_reply_to_are_from_unless_told() {
    let structure =
        Structure::of(b"From: a@b\r\nfrom: c@d\r\nReply-To: \r\nSubject: a\r\n\tb\r\nSender: s@t\r\n\r\n");
    let envelope = structure.parts[0].envelope.as_ref().unwrap();
    assert_eq!(told(envelope.reply_to()), "-|-|a|b / -|-|c|d");
    assert_eq!(told(envelope.sender()), "-|-|s|t");
    assert_eq!(envelope.subject.as_deref(), Some(&b"a\tb"[..]));
    assert_eq!(envelope.date, None);
}

#[test]
fn parameters_are_joined() {
    let text =
        b"Content-Type: Text/X-Y; a*1=\" c\"; CharSet=\"utf-8\"; a*0*=utf-8''%41 ;b*1=lost; n==?x?=; c*0=\"d e\"; c*1*=%41\r\n\r\n";
    let structure = Structure::of(text);
    let media = structure.parts[0].media.as_ref().unwrap();
    let text = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
    let parameters: Vec<_> = media.parameters.iter().map(|(name, value)| (text(name), text(value))).collect();
    let expected = [
        ("CharSet", "utf-8"),
        ("n", "=?x?="),
        ("a*", "utf-8''%41%20c"),
        ("b*1", "lost"),
        ("c*", "''d%20e%41"),
    ];
    assert_eq!(parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((text(&media.main), text(&media.sub)), ("Text".into(), "X-Y".into()));
}
