//! What lines mean, and which replies broken ones get.

use proptest::prelude::*;

use super::super::command::Command;

fn reply(line: &str) -> String {
    let reply = Command::parse(line.as_bytes()).expect_err(line).reply();
    format!("{} {}", reply.code, reply.enhanced)
}

#[test]
fn lines_print_as_they_were_read() {
    for line in [
        "EHLO mx.example.org",
        "HELO [192.0.2.1]",
        "LHLO x",
        "MAIL FROM:<>",
        "MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=c@d",
        "MAIL FROM:<a@b> RET=FULL AUTH=<>",
        "MAIL FROM:<a@b> MT-PRIORITY=-9",
        "MAIL FROM:<a@b> RET=HDRS MT-PRIORITY=4 AUTH=<>",
        "MAIL FROM:<a@b> BY=120;R",
        "MAIL FROM:<a@b> BY=-5;NT HOLDFOR=60",
        "MAIL FROM:<a@b> HOLDUNTIL=2027-01-31T08:00:00.000Z",
        "ETRN example.org",
        "ATRN",
        "ATRN example.org,example.com",
        "MAIL FROM:<\"a > b\"@c> BODY=BINARYMIME",
        "MAIL FROM:<пример@b> SMTPUTF8",
        "RCPT TO:<postmaster>",
        "RCPT TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@c",
        "RCPT TO:<a@b> NOTIFY=NEVER ORCPT=utf-8;\\x{43F}@c",
        "DATA",
        "BDAT 0 LAST",
        "BDAT 18446744073709551615",
        "RSET",
        "NOOP",
        "QUIT",
        "HELP",
        "VRFY a b",
        "STARTTLS",
        "AUTH PLAIN",
        "AUTH SCRAM-SHA-256 =",
    ] {
        assert_eq!(Command::parse(line.as_bytes()).unwrap().to_string(), line);
    }
}

#[test]
fn practice_is_read_leniently() {
    for (line, strict) in [
        ("mail from: <a@b> body=8bitmime", "MAIL FROM:<a@b> BODY=8BITMIME"),
        ("rcpt  ", ""),
        ("Rcpt To:<@relay.example:a@b>  ", "RCPT TO:<a@b>"),
        ("MAIL FROM:<a@b> BODY=7BIT", "MAIL FROM:<a@b>"),
        ("noop anything at all", "NOOP"),
        ("auth plain AGEAYg==", "AUTH PLAIN AGEAYg=="),
        ("bdat 5 last", "BDAT 5 LAST"),
    ] {
        let read = Command::parse(line.as_bytes()).map(|c| c.to_string()).unwrap_or_default();
        assert_eq!(read, strict);
    }
}

#[test]
fn every_error_gets_its_own_reply() {
    for (line, expected) in [
        ("", "500 5.5.1"),
        ("FOO", "500 5.5.1"),
        ("MAILFROM:<a@b>", "500 5.5.1"),
        ("DATA\0", "500 5.5.2"),
        ("NOOP \u{7f}", "500 5.5.2"),
        ("EXPN list", "502 5.5.1"),
        ("TURN", "502 5.5.1"),
        ("EHLO", "501 5.5.4"),
        ("EHLO two words", "501 5.5.4"),
        ("EHLO bücher", "501 5.5.4"),
        ("DATA now", "501 5.5.4"),
        ("QUIT now", "501 5.5.4"),
        ("STARTTLS 1.3", "501 5.5.4"),
        ("MAIL", "501 5.5.4"),
        ("MAIL TO:<a@b>", "501 5.5.4"),
        ("MAIL FROM:a@b", "501 5.1.7"),
        ("MAIL FROM:<a@b", "501 5.1.7"),
        ("MAIL FROM:<a>", "501 5.1.7"),
        ("MAIL FROM:<a@b>SIZE=1", "501 5.1.7"),
        ("MAIL FROM:<a@b> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=123456789012345678901", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=1 SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<a@b> BODY=9BIT", "501 5.5.4"),
        ("MAIL FROM:<a@b> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:<a@b> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<a@b> ENVID=+0A", "501 5.5.4"),
        ("MAIL FROM:<a@b> ENVID=", "501 5.5.4"),
        ("MAIL FROM:<a@b> AUTH=x", "501 5.5.4"),
        ("MAIL FROM:<a@b> MT-PRIORITY=10", "501 5.5.4"),
        ("MAIL FROM:<a@b> MT-PRIORITY=+1", "501 5.5.4"),
        ("MAIL FROM:<a@b> MT-PRIORITY=-0", "501 5.5.4"),
        ("MAIL FROM:<a@b> MT-PRIORITY", "501 5.5.4"),
        ("MAIL FROM:<a@b> BY=1", "501 5.5.4"),
        ("MAIL FROM:<a@b> BY=;R", "501 5.5.4"),
        ("MAIL FROM:<a@b> BY=--1;R", "501 5.5.4"),
        ("MAIL FROM:<a@b> BY=1234567890;R", "501 5.5.4"),
        ("MAIL FROM:<a@b> BY=1;X", "501 5.5.4"),
        ("MAIL FROM:<a@b> HOLDFOR=-1", "501 5.5.4"),
        ("MAIL FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2027-01-31T08:00:00Z", "501 5.5.4"),
        ("MAIL FROM:<a@b> HOLDUNTIL=tomorrow", "501 5.5.4"),
        // RFC 4865 section 3: a positive number, and a moment in UTC.
        ("MAIL FROM:<a@b> HOLDFOR=0", "501 5.5.4"),
        ("MAIL FROM:<a@b> HOLDFOR=060", "501 5.5.4"),
        ("MAIL FROM:<a@b> HOLDFOR=1234567890", "501 5.5.4"),
        ("MAIL FROM:<a@b> HOLDUNTIL=2027-01-31T08:00:00+02:00", "501 5.5.4"),
        ("ATRN a,,b", "501 5.5.4"),
        ("ETRN #queue", "501 5.5.4"),
        ("ETRN", "501 5.5.4"),
        ("MAIL FROM:<a@b> NOTIFY=NEVER", "555 5.5.4"),
        ("MAIL FROM:<a@b> garbage", "555 5.5.4"),
        ("MAIL FROM:<é@b>", "553 5.6.7"),
        ("MAIL FROM:<a@bücher.example>", "553 5.6.7"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<a b@c>", "501 5.1.3"),
        ("RCPT TO:<a@b> NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        ("RCPT TO:<a@b> NOTIFY=SUCCESS,SUCCESS", "501 5.5.4"),
        ("RCPT TO:<a@b> NOTIFY=", "501 5.5.4"),
        ("RCPT TO:<a@b> ORCPT=a@b", "501 5.5.4"),
        ("RCPT TO:<a@b> ORCPT=rfc822;", "501 5.5.4"),
        ("RCPT TO:<a@b> SIZE=1", "555 5.5.4"),
        ("BDAT", "501 5.5.4"),
        ("BDAT x", "501 5.5.4"),
        ("BDAT 1 FIRST", "501 5.5.4"),
        ("BDAT 1 LAST LAST", "501 5.5.4"),
        ("BDAT +1", "501 5.5.4"),
        ("AUTH", "501 5.5.4"),
        ("AUTH PL/AIN", "501 5.5.4"),
        ("AUTH PLAIN a b", "501 5.5.4"),
        ("VRFY", "501 5.5.4"),
    ] {
        assert_eq!(reply(line), expected, "{line:?}");
    }
    assert!(Command::parse(b"NOOP \xff").is_err());
}

proptest! {
    #[test]
    fn any_octets_are_read_and_what_is_read_prints_back(
        verb in prop::sample::select(vec!["MAIL FROM:<", "RCPT TO:<", "AUTH ", "BDAT ", "EHLO ", ""]),
        tail in "[a-c@.\"\\\\<> =;+,0-9A-F{}x\u{e9}]{0,40}",
    ) {
        let line = format!("{verb}{tail}");
        if let Ok(command) = Command::parse(line.as_bytes()) {
            let printed = command.to_string();
            prop_assert!(!printed.contains(['\r', '\n']));
            let again = Command::parse(printed.as_bytes());
            match &command {
                // An international domain prints as A-labels, which need no SMTPUTF8.
                Command::Rcpt(_) | Command::Mail(_) => prop_assert_eq!(again.unwrap().to_string(), printed),
                _ => prop_assert_eq!(again.unwrap(), command),
            }
        }
    }

    #[test]
    fn no_octets_panic(line in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Command::parse(&line);
    }
}
