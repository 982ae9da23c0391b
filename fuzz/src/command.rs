//! Command lines: parse and print are each other's inverse; lines come out the same in any pieces.

use bytes::{Bytes, BytesMut};
use iems_smtp::proto::{Command, LineError, LineReader};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"EHLO client.example",
    b"LHLO [192.0.2.1]",
    b"MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=QQ314159 SMTPUTF8 AUTH=<>",
    b"MAIL FROM:<> BODY=BINARYMIME AUTH=e+3Dmc2@example.com",
    b"RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@example.org",
    b"RCPT TO:<\"x y\"@[IPv6:::1]> ORCPT=utf-8;\\x{43f}@example.org NOTIFY=NEVER",
    "RCPT TO:<a@example.org> ORCPT=utf-8;\\x{43f}@exa\u{43f}mple.org".as_bytes(),
    b"BDAT 1000 LAST",
    b"AUTH PLAIN AGFubgBzZWNyZXQ=",
    b"AUTH SCRAM-SHA-256 =",
    b"VRFY postmaster",
    b"NOOP anything",
    b"STARTTLS",
];

pub(crate) const LINES: &[&[u8]] = &[
    b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
    b"a\rb\r\nc\nd\r\n\r\n\n\r\r\n",
    b"AUTH PLAIN\r\n=\r\n",
];

pub(crate) fn run(line: &[u8]) {
    match Command::parse(line) {
        Ok(command) => {
            let printed = command.to_string();
            assert!(!printed.contains(['\r', '\n', '\0']), "{printed:?} is more than a line");
            let again = Command::parse(printed.as_bytes());
            match &command {
                // What is international may print in a form that needs no SMTPUTF8.
                Command::Mail(_) | Command::Rcpt(_) => {
                    assert_eq!(again.map(|again| again.to_string()), Ok(printed));
                }
                _ => assert_eq!(again, Ok(command), "{printed:?}"),
            }
        }
        Err(error) => {
            let reply = error.reply();
            assert!((500..=599).contains(&reply.code) && !reply.text.contains(['\r', '\n']));
        }
    }
}

/// A line holds no line end, and is as long as its limit at most; refused ones are told once.
pub(crate) fn lines(octets: &[u8]) {
    let whole = read(std::iter::once(octets));
    assert_eq!(whole, read(pieces(octets)), "pieces make a difference");
    for line in whole.iter().flatten() {
        assert!(!line.contains(&b'\r') && !line.contains(&b'\n'));
        assert!(line.len() + 2 <= Command::line_limit(line));
    }
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Result<Bytes, LineError>> {
    let (mut reader, mut input, mut lines) = (LineReader::default(), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(found) = reader.next(&mut input, Command::line_limit) {
            let line = found.map(|length| Bytes::copy_from_slice(&input[..length]));
            if line.is_ok() {
                reader.take(&mut input);
            }
            lines.push(line);
        }
    }
    lines
}
