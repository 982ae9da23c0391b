//! Every spelling of an end of data in `tests/endings.txt` within a batch, cut everywhere: never more than one message.

use iems_smtp::batch::{BatchLimits, BatchLineEnds, BatchParser, Event};

const HIDDEN: &[u8] =
    b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<hidden@c>\r\nDATA\r\nSubject: hidden\r\n\r\nhidden\r\n";

/// The octets that a line of the list means.
fn unescape(line: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), line.as_bytes());
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet != b'\\' {
            out.push(octet);
            continue;
        }
        let (&kind, tail) = rest.split_first().unwrap();
        rest = tail;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' => out.push(b'\\'),
            b'x' => {
                out.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
            other => panic!("{line}: {}", other as char),
        }
    }
    out
}

/// Transactions that began and messages that ended.
fn read(batch: &[u8], cuts: &[usize], ends: BatchLineEnds) -> (usize, usize) {
    let mut parser = BatchParser::new(ends, BatchLimits::default());
    let (mut begun, mut ended, mut from) = (0, 0, 0);
    for to in cuts.iter().copied().chain([batch.len()]) {
        parser.push(&batch[from..to]);
        from = to;
        while let Ok(Some(event)) = parser.event() {
            begun += usize::from(matches!(event, Event::Mail(_)));
            ended += usize::from(event == Event::End);
        }
    }
    (begun, ended)
}

fn spellings() -> Vec<(&'static str, Vec<u8>)> {
    let lines = include_str!("../endings.txt").lines().filter(|line| !line.starts_with('#'));
    let all: Vec<_> = lines.map(|line| (line, unescape(line))).collect();
    assert!(all.len() >= 70, "{}", all.len());
    all
}

#[test]
fn a_batch_with_crlf_has_one_message_whatever_is_in_it() {
    let start = b"MAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nDATA\r\nSubject: outer\r\n\r\nbody";
    let mut taken = 0;
    for (shown, spelling) in spellings() {
        let batch = [&start[..], &spelling, HIDDEN, b".\r\n"].concat();
        for ends in [BatchLineEnds::Crlf, BatchLineEnds::AsFirst] {
            let octets: Vec<usize> = (1..batch.len()).collect();
            let whole = read(&batch, &octets, ends);
            taken += whole.1;
            for at in 1..batch.len() {
                assert_eq!(read(&batch, &[at], ends), whole, "{shown}, cut at {at}");
            }
            assert!(whole.0 == 1 && whole.1 <= 1, "{shown}: {whole:?}");
        }
    }
    assert!(taken > 30, "only {taken} were taken");
}

#[test]
fn a_batch_with_lf_has_one_reading_too() {
    // Where LF ends lines, `LF.LF` is the end of data and no false one; every CR is an error.
    let start = b"MAIL FROM:<a@b>\nRCPT TO:<b@c>\nDATA\nSubject: outer\n\nbody";
    for (shown, spelling) in spellings() {
        let batch = [&start[..], &spelling, HIDDEN, b".\n"].concat();
        let octets: Vec<usize> = (1..batch.len()).collect();
        let whole = read(&batch, &octets, BatchLineEnds::AsFirst);
        for at in 1..batch.len() {
            assert_eq!(read(&batch, &[at], BatchLineEnds::AsFirst), whole, "{shown}, cut at {at}");
        }
        let honest = spelling.windows(3).position(|three| three == b"\n.\n");
        let cr = spelling.iter().position(|octet| *octet == b'\r').unwrap_or(usize::MAX);
        let ends = honest.is_some_and(|at| at < cr);
        assert_eq!(whole.1, usize::from(ends), "{shown}: {whole:?}");
        assert!(whole.0 <= 1, "{shown}: a second transaction, though its lines end with CRLF");
    }
}
