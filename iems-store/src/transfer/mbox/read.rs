//! Reading messages out of an mbox.

use std::io::BufRead;

use iems_core::seam::Timestamp;

use super::FROM;
use super::fields::{Marks, Writer, content_length, sifted};
use super::lines::{Line, Lines};
use crate::structure::SentDate;
use crate::transfer::{Letter, MAX_MESSAGE, packed};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// How many octets may be read in vain because a `Content-Length` was wrong; then none is believed.
const IN_VAIN: u64 = 1 << 30;

/// Reads the messages of an mbox.
pub(in crate::transfer) struct Reader<R> {
    lines: Lines<R>,
    /// The line that begins the next message.
    from: Option<Vec<u8>>,
    begun: bool,
    in_vain: u64,
}

/// What is next in an mbox.
pub(in crate::transfer) enum Next {
    Letter(Letter),
    /// Why it is left out.
    Refused(String),
}

/// A message as it comes together.
#[derive(Default)]
struct Coming {
    octets: Vec<u8>,
    large: bool,
}

impl Coming {
    fn add(&mut self, octets: &[u8]) {
        self.large |= (self.octets.len() + octets.len()) as u64 > MAX_MESSAGE;
        if !self.large {
            self.octets.extend_from_slice(octets);
        }
    }
}

impl<R: BufRead> Reader<R> {
    pub(in crate::transfer) fn new(input: R) -> Self {
        Self { lines: Lines::new(input), from: None, begun: false, in_vain: 0 }
    }

    /// The next message; `None` at the end.
    pub(in crate::transfer) fn next(&mut self) -> std::io::Result<Option<Next>> {
        loop {
            if !self.begun {
                self.begun = true;
                if !self.find_first()? {
                    let why = "there is text in front of the first line that begins with \"From \"";
                    return Ok(Some(Next::Refused(why.into())));
                }
            }
            let Some(from) = self.from.take() else { return Ok(None) };
            let mut header = Coming::default();
            let ended = self.header(&mut header)?;
            let writer = match from {
                _ if from.starts_with(FROM.as_bytes()) && is_ours(&header.octets) => Writer::Ours,
                _ if from.starts_with(b"From - ") => Writer::Mozilla,
                _ => Writer::Other,
            };
            let (octets, marks) = sifted(&header.octets, writer);
            let mut message = Coming { octets, large: header.large };
            if ended {
                let length = content_length(&header.octets).filter(|_| writer != Writer::Ours);
                if !self.body_of(length, &mut message)? {
                    self.body(&mut message)?;
                }
            }
            let Marks { flags, keywords, gone } = marks;
            if message.large {
                return Ok(Some(Next::Refused(packed::too_large())));
            }
            if !gone {
                let received = date(&from);
                return Ok(Some(Next::Letter(Letter { octets: message.octets, received, flags, keywords })));
            }
        }
    }

    /// Goes to the first message; false if there is something in front of it.
    fn find_first(&mut self) -> std::io::Result<bool> {
        let (mut clean, mut blank) = (true, true);
        while let Some(line) = self.lines.next()? {
            if line.begins && line.octets.starts_with(b"From ") && (clean || starts(&line, blank)) {
                self.from = Some(line.octets);
                break;
            }
            blank = line.is_blank();
            clean &= blank;
        }
        Ok(clean)
    }

    /// Reads the header section, with the empty line behind it; false if there is no body.
    fn header(&mut self, header: &mut Coming) -> std::io::Result<bool> {
        while let Some(line) = self.lines.next()? {
            if header.octets.is_empty() && starts(&line, true) {
                self.from = Some(line.octets);
                return Ok(false);
            }
            header.add(&line.octets);
            if line.is_blank() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a body of `length` octets, if the next message or the end stands behind it.
    fn body_of(&mut self, length: Option<usize>, message: &mut Coming) -> std::io::Result<bool> {
        let Some(length) = length.filter(|length| *length as u64 <= MAX_MESSAGE && self.in_vain < IN_VAIN)
        else {
            return Ok(false);
        };
        let mut read = self.lines.take(length)?;
        if read.len() == length {
            let mut between = Vec::new();
            for _ in 0..3 {
                match self.lines.next()? {
                    None => {
                        message.add(&read);
                        return Ok(true);
                    }
                    Some(line) if starts(&line, true) => {
                        message.add(&read);
                        self.from = Some(line.octets);
                        return Ok(true);
                    }
                    Some(line) => {
                        between.extend_from_slice(&line.octets);
                        // The end of the last line need not be counted.
                        if !matches!(&line.octets[..], b"\n" | b"\r\n") {
                            break;
                        }
                    }
                }
            }
            read.extend_from_slice(&between);
        }
        self.in_vain += read.len() as u64;
        self.lines.put_back(read);
        Ok(false)
    }

    /// Reads a body up to the line that begins the next message.
    fn body(&mut self, message: &mut Coming) -> std::io::Result<()> {
        let start = message.octets.len();
        let mut blank = true;
        while let Some(line) = self.lines.next()? {
            if starts(&line, blank) {
                self.from = Some(line.octets);
                break;
            }
            blank = line.is_blank();
            let quoted = line.octets.iter().take_while(|b| **b == b'>').count();
            let rest = line.octets.get(quoted..).unwrap_or_default();
            let unquoted = line.begins && quoted > 0 && rest.starts_with(b"From ");
            message.add(line.octets.get(usize::from(unquoted)..).unwrap_or_default());
        }
        // The empty line in front of the next `From ` is not the message's.
        let body = message.octets.get(start..).unwrap_or_default();
        let end = [&b"\r\n"[..], b"\n"]
            .into_iter()
            .find(|end| body.ends_with(&[b"\n", *end].concat()) || body == *end);
        message.octets.truncate(message.octets.len() - end.map_or(0, <[u8]>::len));
        Ok(())
    }
}

/// Whether a line begins a message: `From `, a sender and a date, behind an empty line. Many programs leave lines that begin with
/// `From ` as they are.
fn starts(line: &Line, blank: bool) -> bool {
    blank && line.begins && line.octets.starts_with(b"From ") && date(&line.octets).is_some()
}

/// Whether we wrote this header section.
fn is_ours(header: &[u8]) -> bool {
    let mut lines = header.split(|b| *b == b'\n');
    [&b"Status: "[..], b"X-Status: ", b"X-Keywords: "]
        .iter()
        .all(|name| lines.next().is_some_and(|line| line.starts_with(name)))
}

/// The date of a `From ` line, as `asctime` writes it, or as mail has it (RFC 5322 section 3.3). Without a zone it is taken for UTC.
fn date(from: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(from.get(..from.len().min(1000))?).ok()?;
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    let month_of =
        |word: &str| MONTHS.iter().position(|month| word == *month || word == month.to_uppercase());
    let (at, month) = words.iter().enumerate().find_map(|(at, word)| Some((at, month_of(word)?)))?;
    let month = month as u8 + 1;
    let day_at = |at: usize| words.get(at)?.parse().ok().filter(|day| (1..=31).contains(day));
    let years = |word: &&str| word.parse::<u16>().ok().filter(|year| (1970..=9999).contains(year));
    let clock_at = |at: usize| -> Option<(u32, u32, u32)> {
        let mut clock = words.get(at)?.split(':').map(|part| part.parse::<u32>().ok());
        Some((clock.next()??, clock.next()??, clock.next().flatten().unwrap_or(0)))
    };
    // `Tue, 2 Jan 2024 03:04:05`, behind a sender; else `Jan 2 03:04:05 2024`.
    let is_day = |word: &&str| DAYS.iter().any(|day| word.trim_end_matches(',').eq_ignore_ascii_case(day));
    let turned = at >= 4 && words.get(at - 2).is_some_and(is_day);
    let turned =
        turned.then(|| Some((day_at(at - 1)?, years(words.get(at + 1)?)?, clock_at(at + 2)?))).flatten();
    let rest = words.get(at + 3..).unwrap_or_default();
    let (day, year, (mut hour, minute, second)) = match turned {
        Some(turned) => turned,
        None => (day_at(at + 1)?, rest.iter().find_map(years)?, clock_at(at + 2)?),
    };
    if let Some(half) = rest.iter().find(|word| matches!(**word, "AM" | "PM")).filter(|_| hour <= 12) {
        hour = hour % 12 + if *half == "PM" { 12 } else { 0 };
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = rest.iter().find(|word| word.len() == 5 && word.starts_with(['+', '-']));
    let zone = zone.and_then(|zone| zone.parse::<i16>().ok()).map_or(0, |zone| zone / 100 * 60 + zone % 100);
    let date = SentDate { year, month, day, second: hour * 3600 + minute * 60 + second, zone };
    Some(Timestamp::from_millis(u64::try_from(date.unix_seconds()).ok()?.saturating_mul(1000)))
}
