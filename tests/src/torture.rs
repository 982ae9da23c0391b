//! Messages of our own that are wrong, or right in ways that nobody expects: what a reader of MIME has to stand.

use crate::corpus::Sample;

/// All of them; named by what they are, or by how they begin.
pub fn messages() -> Vec<Sample> {
    let short = strings().into_iter().enumerate().map(|(at, text)| {
        let name = format!("{at}: {}", text.escape_debug().take(60).collect::<String>());
        Sample { name, message: text.into_bytes() }
    });
    short.chain(named()).collect()
}

/// Those that are made rather than written.
fn named() -> Vec<Sample> {
    let mut all = Vec::new();
    let mut add = |name: &str, message: Vec<u8>| all.push(Sample { name: name.to_owned(), message });
    for depth in [3, 20] {
        add(&format!("{depth} multiparts within each other"), nested(depth));
        add(&format!("{depth} messages within each other"), forwarded(depth));
    }
    add("a multipart without any last boundary", cut(nested(5), "--b4--"));
    add("a message within that ends in its header", cut(forwarded(3), "Subject: 2"));
    add("300 parts", many_parts(300));
    add("500 fields", many_fields(500));
    add("200 recipients", recipients(200));
    add("a line of 100,000 octets", long_line(100_000));
    add("every kind of encoding, right and wrong", encodings());
    add("parts without anything", empty_parts());
    add("octets above 127 wherever there is room", eight_bit());
    add("RFC 2231", parameters());
    add("groups", groups());
    add("everything folded", folded());
    add("a report", report());
    add("kinds of messages", kinds());
    add(
        "bare LF",
        b"Subject: lf\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n".to_vec(),
    );
    add("bare CR", b"Subject: c\rr\r\nTo: a@b\r\n\r\none\rtwo\r\r\nthree\r\n".to_vec());
    add("NUL", b"Subject: n\0ul\r\nTo: a@b\r\n\r\none\0two\r\n".to_vec());
    all
}

fn cut(mut message: Vec<u8>, behind: &str) -> Vec<u8> {
    let at = message.windows(behind.len()).position(|window| window == behind.as_bytes());
    message.truncate(at.expect("something to cut at"));
    message
}

/// Multiparts within multiparts, with text before, between and behind.
fn nested(depth: usize) -> Vec<u8> {
    let mut text = "Content-Type: text/plain; charset=utf-8\r\n\r\nthe inmost\r\n".to_owned();
    for at in (0..depth).rev() {
        let kind = ["mixed", "alternative", "related", "signed"][at % 4];
        text = format!(
            "Content-Type: multipart/{kind}; boundary=\"b{at}\"\r\n\r\npreamble {at}\r\n--b{at}\r\n\r\nbefore {at}\r\n\
             --b{at}\r\n{text}\r\n--b{at}\r\nContent-Type: text/html\r\n\r\n<p>behind {at}\r\n--b{at}--\r\nepilogue {at}\r\n"
        );
    }
    format!("From: a@b\r\nMIME-Version: 1.0\r\n{text}").into_bytes()
}

/// Messages within messages, every second as a part.
fn forwarded(depth: usize) -> Vec<u8> {
    let mut text = "From: x@y\r\nSubject: the inmost\r\n\r\nend\r\n".to_owned();
    for at in (0..depth).rev() {
        let (from, subject) =
            (format!("From: \"N {at}\" <n{at}@example.org>\r\n"), format!("Subject: {at}\r\n"));
        text = match at % 2 {
            0 => format!("{from}{subject}Content-Type: message/rfc822\r\n\r\n{text}"),
            _ => format!(
                "{from}{subject}Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n\r\nsee\r\n--b{at}\r\n\
                 Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n{text}\r\n--b{at}--\r\n"
            ),
        };
    }
    text.into_bytes()
}

fn many_parts(count: usize) -> Vec<u8> {
    let parts: String = (0..count).map(|n| format!("--b\r\nContent-ID: <{n}>\r\n\r\n{n}\r\n")).collect();
    format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n").into_bytes()
}

fn many_fields(count: usize) -> Vec<u8> {
    let fields: String = (0..count)
        .map(|n| {
            format!("Received: from {n}\r\n\tby {n};\r\n Thu, 26 Nov 2026 12:00:00 +0000\r\nX-{n}: {n}\r\n")
        })
        .collect();
    format!("{fields}Subject: many\r\n\r\nbody\r\n").into_bytes()
}

fn recipients(count: usize) -> Vec<u8> {
    let all: Vec<_> = (0..count).map(|n| format!("\"{n}, R.\" <r{n}@example.org>")).collect();
    format!("From: a@b\r\nTo: {}\r\nCc: {}\r\n\r\nx\r\n", all.join(",\r\n "), all.join(",")).into_bytes()
}

fn long_line(octets: usize) -> Vec<u8> {
    let line = "x".repeat(octets);
    format!(
        "Subject: long\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{line}--b\r\n--b--\r\n"
    )
    .into_bytes()
}

/// A multipart of parts, each a header and a body.
fn mixed(parts: &[(&str, &str)]) -> Vec<u8> {
    let parts: String =
        parts.iter().map(|(header, body)| format!("--=_b\r\n{header}\r\n\r\n{body}\r\n")).collect();
    format!("MIME-Version: 1.0\r\nSubject: parts\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n{parts}--=_b--\r\n")
        .into_bytes()
}

fn encodings() -> Vec<u8> {
    mixed(&[
        ("Content-Transfer-Encoding: base64", "SGVsbG8sIHdvcmxkIQ=="),
        ("Content-Transfer-Encoding: BASE64", "SGVs\r\nbG8s\r\nIHdv\r\ncmxkIQ==\r\n"),
        (
            "Content-Transfer-Encoding: base64\r\nContent-Type: image/gif",
            "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
        ),
        ("Content-Transfer-Encoding: base64\r\nContent-Type: application/octet-stream", "AAECAwQ="),
        ("Content-Transfer-Encoding: quoted-printable", "a=3Db=\r\nc=20\r\n=C3=A4"),
        ("Content-Transfer-Encoding: Quoted-Printable", "trailing   \r\nsoft= \r\nbreak"),
        ("Content-Transfer-Encoding: 7bit", "seven"),
        ("Content-Transfer-Encoding: 8bit", "\u{e4}\u{f6}"),
        ("Content-Transfer-Encoding: binary", "binary"),
        ("Content-Transfer-Encoding: \"base64\"", "SGVsbG8="),
        ("Content-Transfer-Encoding:  (c)  base64 ", "SGVsbG8="),
    ])
}

fn empty_parts() -> Vec<u8> {
    mixed(&[
        ("", ""),
        ("Content-Type: text/plain", ""),
        ("Content-Type: message/rfc822", ""),
        ("Content-Type: message/rfc822", "\r\n"),
        ("Content-Type: multipart/mixed; boundary=c", ""),
        ("Content-Type: multipart/mixed; boundary=c", "--c--"),
        ("Content-Type: multipart/mixed; boundary=c", "--c\r\n\r\n--c--"),
        ("Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64", ""),
        ("Content-Type: text/plain", "\r\n\r\n"),
    ])
}

fn eight_bit() -> Vec<u8> {
    let mut message =
        b"From: J\xf6rg <joerg@b\xfccher.example>\r\nTo: \"\xe4\xff\" <a@b>\r\nSubject: \xfcber alles\r\n\
        X-\xe4: y\r\nMessage-ID: <\xe4@\xf6>\r\nContent-Type: multipart/mixed; boundary=\"b\xe4\"\r\n\r\n"
            .to_vec();
    message.extend_from_slice(
        b"--b\xe4\r\nContent-Type: text/plain; charset=\xff; name=\"\xe4.txt\"\r\nContent-Description: \xe4\r\n\
          Content-Disposition: attachment; filename=\xe4.txt\r\n\r\n\xe4\r\n--b\xe4--\r\n",
    );
    message
}

fn parameters() -> Vec<u8> {
    mixed(&[
        ("Content-Type: text/plain; charset=utf-8; name*=utf-8'en'%e2%82%ac%20rates", "1"),
        ("Content-Type: application/x; name*0*=utf-8''%e2%82; name*1*=%ac; name*2=\" plain\"", "2"),
        ("Content-Type: application/x; name*1=b; name*0=a; name=whole", "3"),
        ("Content-Type: application/x; name*0*=us-ascii'en'This%20is; name*1=\"%20not decoded\"", "4"),
        (
            "Content-Disposition: attachment;\r\n filename*0=\"long \";\r\n filename*1=\"name\";\r\n size=12",
            "5",
        ),
        ("Content-Disposition: attachment; filename*=''plain; filename=other", "6"),
        ("Content-Type: application/x; name=\"a\\\\b\\\"c\"; empty=\"\"", "7"),
        ("Content-Type: application/x ; name = spaced ; other= \"x y\"", "8"),
        ("Content-Type: application/x; name=\"with\r\n fold\"", "9"),
    ])
}

fn groups() -> Vec<u8> {
    b"From: undisclosed-recipients:;\r\nTo: A Group: Ed Jones <joe@where.test>, john@one.test;\r\n\
      Cc: (start) Hidden recipients  :(nobody(that I know))  ;, one@two.test, Second: x@y, \"q\" <z@w>;\r\n\
      Bcc: Empty:;, Other: ;\r\nReply-To: \"Quoted: group\": a@b;\r\nSender: g: a@b;, c@d\r\n\r\nx\r\n"
        .to_vec()
}

fn folded() -> Vec<u8> {
    b"From:\r\n \"A\r\n B\"\r\n <a@b>\r\nTo: a\r\n @\r\n b (c\r\n d)\r\nSubject:\r\n\tfolded\r\n \tat once\r\nDate: Thu,\r\n 26 Nov\r\n 2026 \
      12:00:00 +0000\r\nMessage-ID:\r\n <folded@x>\r\nIn-Reply-To: <a@x>\r\n\t<b@x>\r\nMIME-Version:\r\n 1.0\r\nContent-Type:\r\n multipart/mixed\r\n ;\r\n \
      boundary\r\n =\r\n \"b\"\r\nContent-Language: de,\r\n en\r\n\r\n--b\r\nContent-Type: text\r\n /plain\r\n ; charset\r\n =utf-8\r\nContent-ID:\r\n <x>\r\n\
      Content-Transfer-Encoding:\r\n 8bit\r\nContent-Description: d\r\n e\r\n\r\nx\r\n--b--\r\n"
        .to_vec()
}

fn report() -> Vec<u8> {
    b"From: MAILER-DAEMON (Mail System)\r\nTo: <>\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; \
      report-type=delivery-status;\r\n\tboundary=\"4X/mx.example\"\r\n\r\nThis is MIME.\r\n\r\n--4X/mx.example\r\nContent-Description: \
      Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nSorry.\r\n\r\n--4X/mx.example\r\nContent-Description: Delivery \
      report\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; a@b\r\n\r\n\
      --4X/mx.example\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: lost\r\n\r\n--4X/mx.example--\r\n"
        .to_vec()
}

fn kinds() -> Vec<u8> {
    mixed(&[
        ("Content-Type: message/partial; id=\"x@y\"; number=2; total=3", "Subject: in a part\r\n\r\nx"),
        (
            "Content-Type: message/external-body; access-type=URL; URL=\"http://x/\"",
            "Content-Type: text/plain\r\n\r\n",
        ),
        ("Content-Type: message/global", "Subject: \u{e4}\r\n\r\nx"),
        ("Content-Type: message/news", "Newsgroups: x\r\n\r\nx"),
        (
            "Content-Type: MESSAGE/RFC822; name=\"x.eml\"\r\nContent-Transfer-Encoding: 8bit",
            "Subject: loud\r\n\r\nx",
        ),
        ("Content-Type: text/calendar; method=REQUEST", "BEGIN:VCALENDAR"),
        ("Content-Type: x-own/x.y+z; a=b", "x"),
        (
            "Content-Type: multipart/appledouble; boundary=d",
            "--d\r\nContent-Type: application/applefile\r\n\r\nA\r\n--d\r\nContent-Type: image/jpeg\r\n\r\nB\r\n--d--",
        ),
    ])
}

/// Messages that are wrong, or right in ways that nobody expects.
fn strings() -> Vec<String> {
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
