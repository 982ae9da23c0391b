//! What we write, and what others do.

use super::*;
use crate::transfer::Letter;

fn all(mbox: &[u8]) -> Vec<Option<Letter>> {
    let mut reader = Reader::new(mbox);
    let mut found = Vec::new();
    while let Some(next) = reader.next().unwrap() {
        found.push(match next {
            Next::Letter(letter) => Some(letter),
            Next::Refused(_) => None,
        });
    }
    found
}

#[test]
fn what_is_written_is_read_again() {
    let texts = [
        "Status: R\nContent-Length: 3\nX-UID: 3\n\nab\n\nFrom x Thu Jan  1 00:00:10 1970\n",
        "A: b\n\nFrom me\n>From you\n\nFrom far\n",
        "C: d\n\n",
        "no header\n\nend\n",
    ];
    let mut mbox = Vec::new();
    let flags = [Flags::empty(), Flags::SEEN | Flags::FLAGGED, Flags::empty(), Flags::all()];
    for (text, flags) in texts.iter().zip(flags) {
        write(
            &mut mbox,
            text.replace('\n', "\r\n").as_bytes(),
            Timestamp::from_millis(1_790_000_000_000),
            flags,
            &["$Forwarded", "b"],
        );
    }
    let found = all(&mbox);
    assert_eq!(found.len(), 4);
    for ((letter, text), flags) in found.into_iter().zip(texts).zip(flags) {
        let letter = letter.unwrap();
        assert_eq!((String::from_utf8_lossy(&letter.octets).as_ref(), letter.flags), (text, flags));
        assert_eq!(letter.received, Some(Timestamp::from_millis(1_790_000_000_000)));
        assert_eq!(letter.keywords, ["$Forwarded", "b"]);
    }
}

#[test]
fn dates_are_written_in_many_ways() {
    for (line, seconds) in [
        ("From a@b Tue Jan  2 03:04:05 2024", 0),
        ("From a@b TUE JAN  2 03:04:05 2024", 0),
        ("From a@b Tue, 2 Jan 2024 04:04:05 +0100", 0),
        ("From a@b Tue 02 Jan 2024 03:04:05 AM UTC", 0),
        ("From a@b Tue 02 Jan 2024 03:04:05 PM UTC", 12 * 3600),
        ("From a@b Tue Jan  2 12:04:05 AM 2024", -3 * 3600),
    ] {
        let text = format!("From x Thu Jan  1 00:00:10 1970\nA: b\n\n{line}\nC: d\n\n");
        let found = all(text.as_bytes());
        assert_eq!(found.len(), 2, "{line}");
        let received = found[1].as_ref().unwrap().received.unwrap();
        assert_eq!(received.as_secs() as i64, 1_704_164_645 + seconds, "{line}");
    }
    // No sender, or no date.
    for line in ["From Tue 2 Jan 2024 03:04 the office is closed", "From here on", "From 2 Jan 2024 03:04:05"]
    {
        let text = format!("From x Thu Jan  1 00:00:10 1970\nA: b\n\n{line}\nC: d\n\n");
        assert_eq!(all(text.as_bytes()).len(), 1, "{line}");
    }
}

#[test]
fn hostile_boxes_end() {
    assert_eq!(all(b"").len(), 0);
    assert_eq!(all(b"no from line\n\nat all"), [None]);
    assert_eq!(all(b"From \nFrom \n").len(), 1);
    let odd = all(b"From x 99 Foo\nSubject: y\n\nFrom z Thu Jan 1 00:00:10 1970\n\n");
    assert_eq!(odd.len(), 2);
    assert_eq!(odd[0].as_ref().unwrap().received, None);
    assert_eq!(odd[1].as_ref().unwrap().received, Some(Timestamp::from_millis(10_000)));
}

const DOVECOT: &str = "From ann  Tue May 13 16:53:20 2014\nSubject: 1\nX-IMAPbase: 1795719781 0000000020 $Forwarded\n Work\nX-UID: 1\n\
    Status: RO\nX-Status: AF\nX-Keywords: $Forwarded Work       \n\t\nContent-Length: 63\n\nline\n\nFrom here on\n\n\
    From ann Thu Jan  1 10:00:00 2015\n\n>From z\n\n\nFrom ann  Thu May 15 17:07:18 2014\nSubject: 2\nContent-Length: 1\n\n\n\n\
    From ann  Thu May 15 17:07:18 2014 +0200\nSubject: 3\nContent-Length: 4000\n\nFrom here\nx\n>From z\n\nFrom - Thu May 15 17:07:18 2014\n\
    X-Mozilla-Status: 0009\nX-Mozilla-Status2: 00000000\nSubject: 4\n\nx\n\nFrom - Thu May 15 17:07:18 2014\n\
    X-Mozilla-Status: 1003\nX-Mozilla-Status2: 00000000\nX-Mozilla-Keys: $label1 work        \nSubject: 5\n\nx\n\n\
    From MAILER-DAEMON Thu May 15 17:07:18 2014\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n";

#[test]
fn what_others_write_is_read_as_they_mean_it() {
    for ends in ["\n", "\r\n"] {
        // Lengths count line ends as the file has them.
        let text = DOVECOT.replace('\n', ends).replace("h: 63", if ends == "\n" { "h: 63" } else { "h: 70" });
        let text = text.replace("h: 1\r", "h: 2\r");
        let found: Vec<_> = all(text.as_bytes()).into_iter().map(Option::unwrap).collect();
        let octets = |nth: usize| String::from_utf8_lossy(&found[nth].octets).replace("\r\n", "\n");
        let subjects: Vec<_> =
            (0..found.len()).map(|nth| octets(nth).lines().next().unwrap().to_owned()).collect();
        assert_eq!(subjects, ["Subject: 1", "Subject: 2", "Subject: 3", "Subject: 5"]);
        let body = "line\n\nFrom here on\n\nFrom ann Thu Jan  1 10:00:00 2015\n\n>From z\n";
        assert_eq!(octets(0), format!("Subject: 1\n\n{body}"));
        assert_eq!(found[0].flags, Flags::SEEN | Flags::ANSWERED | Flags::FLAGGED);
        assert_eq!(found[0].keywords, ["$Forwarded", "Work"]);
        assert_eq!(octets(1), "Subject: 2\n\n\n");
        // A length that is wrong is none.
        assert_eq!(octets(2), "Subject: 3\n\nFrom here\nx\nFrom z\n");
        assert_eq!(found[2].received.unwrap().as_secs() + 7200, found[1].received.unwrap().as_secs());
        assert_eq!((octets(3), found[3].flags), ("Subject: 5\n\nx\n".into(), Flags::SEEN | Flags::ANSWERED));
        assert_eq!(found[3].keywords, ["$Forwarded", "$label1", "work"]);
    }
}

#[test]
fn what_only_looks_like_a_mark_is_kept() {
    let header = "Subject: x\nX-IMAP: is a protocol\nX-Mozilla-Status: 0009\n\n";
    let found = all(format!("From a@b Thu Jan  1 00:00:10 1970\n{header}x\n").as_bytes());
    assert_eq!(found[0].as_ref().unwrap().octets, format!("{header}x\n").into_bytes());
    assert_eq!(found[0].as_ref().unwrap().flags, Flags::empty());
}

#[test]
fn lines_of_any_length_are_read_in_pieces() {
    let long = "x".repeat(3 << 20);
    let mbox = format!(
        "From a Thu Jan  1 00:00:10 1970\nA: b\nContent-Length: 99999999\n\n{long}From here\n>From {long}\n"
    );
    let found = all(mbox.as_bytes());
    let body = found[0].as_ref().unwrap().octets.len();
    assert_eq!((found.len(), body), (1, "A: b\n\n".len() + 2 * long.len() + "From here\nFrom \n".len()));
}
