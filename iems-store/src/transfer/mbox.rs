//! mbox: messages one behind the other, each after a line that begins with `From `. Lines of a message that begin so
//! have a `>` more (mboxrd, RFC 4155 appendix A). Flags stand in `Status` and `X-Status`.

use std::io::BufRead;

use iems_core::seam::Timestamp;

use super::{Letter, MAX_MESSAGE};
use crate::mailbox::Flags;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Letters in `Status` and `X-Status`.
const LETTERS: [(char, Flags); 5] = [
    ('R', Flags::SEEN),
    ('A', Flags::ANSWERED),
    ('F', Flags::FLAGGED),
    ('T', Flags::DRAFT),
    ('D', Flags::DELETED),
];

/// Reads the messages of an mbox.
pub(super) struct Reader<R> {
    input: R,
    /// The line that begins the next message.
    from: Option<Vec<u8>>,
    begun: bool,
}

/// What is next in an mbox.
pub(super) enum Next {
    Letter(Letter),
    /// It is too large, or in front of the first `From ` line.
    Refused,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, from: None, begun: false }
    }

    /// The next message; `None` at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Next>> {
        let (from, mut octets, mut refused) = (self.from.take(), Vec::new(), false);
        let mut blank = false;
        loop {
            let mut line = Vec::new();
            if self.input.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let start = line.starts_with(b"From ") && (blank || !self.begun);
            if start {
                self.begun = true;
                self.from = Some(line);
                if from.is_none() && octets.is_empty() {
                    return self.next();
                }
                break;
            }
            blank = matches!(&line[..], b"\n" | b"\r\n");
            let quoted = line.iter().take_while(|b| **b == b'>').count();
            if quoted > 0 && line.get(quoted..).is_some_and(|rest| rest.starts_with(b"From ")) {
                line.remove(0);
            }
            refused |= (octets.len() + line.len()) as u64 > MAX_MESSAGE;
            if !refused {
                octets.extend_from_slice(&line);
            }
        }
        let Some(from) = from else { return Ok((!octets.is_empty() || refused).then_some(Next::Refused)) };
        // The empty line in front of the next `From ` is not the message's.
        for end in [&b"\r\n"[..], b"\n"] {
            if octets.ends_with(&[b"\n", end].concat()) {
                octets.truncate(octets.len() - end.len());
                break;
            }
        }
        let received = date(&from).unwrap_or(Timestamp::from_millis(0));
        let (octets, flags) = without_status(octets);
        let letter = Letter { octets, received, flags, keywords: Vec::new() };
        Ok(Some(if refused { Next::Refused } else { Next::Letter(letter) }))
    }
}

/// The message without the fields that hold flags, and the flags.
fn without_status(octets: Vec<u8>) -> (Vec<u8>, Flags) {
    let (mut kept, mut flags, mut at) = (Vec::with_capacity(octets.len()), Flags::empty(), 0);
    for line in octets.split_inclusive(|b| *b == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
        at += line.len();
        let field = line.iter().position(|b| *b == b':').map(|colon| line.split_at(colon));
        match field {
            Some((name, value))
                if name.eq_ignore_ascii_case(b"Status") || name.eq_ignore_ascii_case(b"X-Status") =>
            {
                let has = |letter: char| value.contains(&(letter as u8));
                let set = LETTERS.iter().filter(|(letter, _)| has(*letter));
                flags = set.fold(flags, |all, (_, flag)| all | *flag);
            }
            _ => kept.extend_from_slice(line),
        }
    }
    kept.extend_from_slice(octets.get(at..).unwrap_or_default());
    (kept, flags)
}

/// Appends a message.
pub(super) fn write(mbox: &mut Vec<u8>, octets: &[u8], received: Timestamp, flags: Flags) {
    let date = received.to_rfc5322();
    let parts: Vec<_> = date.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    if let [weekday, day, month, year, time, ..] = parts[..] {
        mbox.extend_from_slice(
            format!("From MAILER-DAEMON {weekday} {month} {day:>2} {time} {year}\n").as_bytes(),
        );
    }
    let letters = |which: &[usize]| {
        let set = which.iter().filter_map(|at| LETTERS.get(*at)).filter(|(_, flag)| flags.contains(*flag));
        set.map(|(letter, _)| *letter).collect::<String>()
    };
    mbox.extend_from_slice(
        format!("Status: {}O\nX-Status: {}\n", letters(&[0]), letters(&[1, 2, 3, 4])).as_bytes(),
    );
    for line in octets.split_inclusive(|b| *b == b'\n') {
        let quoted = line.iter().take_while(|b| **b == b'>').count();
        if line.get(quoted..).is_some_and(|rest| rest.starts_with(b"From ")) {
            mbox.push(b'>');
        }
        let bare = line.strip_suffix(b"\r\n");
        mbox.extend_from_slice(bare.unwrap_or(line));
        if bare.is_some() {
            mbox.push(b'\n');
        }
    }
    if !mbox.ends_with(b"\n") {
        mbox.push(b'\n');
    }
    mbox.push(b'\n');
}

/// The date of a `From ` line, as `asctime` writes it, taken for UTC.
fn date(from: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(from).ok()?;
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    let at = words.iter().position(|word| MONTHS.contains(word))?;
    let month = MONTHS.iter().position(|month| Some(month) == words.get(at))? as u64 + 1;
    let day: u64 = words.get(at + 1)?.parse().ok()?;
    let mut clock = words.get(at + 2)?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().flatten().unwrap_or(0);
    let year: u64 =
        words.get(at + 3..)?.iter().find_map(|word| word.parse().ok().filter(|year| *year >= 1970))?;
    if day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 || year > 9999 {
        return None;
    }
    // Days since the epoch, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_millis(seconds * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mbox: &[u8]) -> Vec<Option<Letter>> {
        let mut reader = Reader::new(mbox);
        let mut found = Vec::new();
        while let Some(next) = reader.next().unwrap() {
            found.push(match next {
                Next::Letter(letter) => Some(letter),
                Next::Refused => None,
            });
        }
        found
    }

    #[test]
    fn what_is_written_is_read_again() {
        let texts = ["A: b\n\nFrom me\n>From you\n\nFrom far\n", "C: d\n\n", "no header\n\nend\n"];
        let mut mbox = Vec::new();
        let flags = [Flags::SEEN | Flags::FLAGGED, Flags::empty(), Flags::all()];
        for (text, flags) in texts.iter().zip(flags) {
            write(
                &mut mbox,
                text.replace('\n', "\r\n").as_bytes(),
                Timestamp::from_millis(1_790_000_000_000),
                flags,
            );
        }
        let found = all(&mbox);
        assert_eq!(found.len(), 3);
        for ((letter, text), flags) in found.into_iter().zip(texts).zip(flags) {
            let letter = letter.unwrap();
            assert_eq!((String::from_utf8_lossy(&letter.octets).as_ref(), letter.flags), (text, flags));
            assert_eq!(letter.received, Timestamp::from_millis(1_790_000_000_000));
        }
    }

    #[test]
    fn hostile_boxes_end() {
        assert_eq!(all(b"").len(), 0);
        assert_eq!(all(b"no from line\n\nat all"), [None]);
        assert_eq!(all(b"From \nFrom \n").len(), 1);
        let odd = all(b"From x 99 Foo\nSubject: y\n\nFrom z Thu Jan 1 00:00:10 1970\n\n");
        assert_eq!(odd.len(), 2);
        assert_eq!(odd[1].as_ref().unwrap().received, Timestamp::from_millis(10_000));
    }
}
