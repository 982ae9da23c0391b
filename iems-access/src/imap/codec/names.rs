//! Mailbox names and patterns (RFC 9051 section 5.1), sequence sets, dates.

use iems_store::mailbox::composed;

use crate::imap::types::{Bound, Code, Date, DateTime, Flag, PartialRange, SequenceRange, SequenceSet};

use super::cursor::Cursor;
use super::error::{Parsed, SyntaxError};
use super::mutf7;

/// Names of months, as IMAP writes them.
pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Cursor<'_> {
    /// `mailbox`: `INBOX` in upper case.
    pub(super) fn mailbox(&mut self) -> Parsed<String> {
        let octets = self.astring()?;
        match octets.eq_ignore_ascii_case(b"INBOX") {
            true => Ok("INBOX".into()),
            false => self.name(octets),
        }
    }

    /// The reference of `LIST`: a `mailbox`, where `INBOX` is nothing special yet.
    pub(super) fn reference(&mut self) -> Parsed<String> {
        let octets = self.astring()?;
        Ok(self.decoded(&octets))
    }

    /// A mailbox's name with wildcards.
    pub(super) fn pattern(&mut self) -> Parsed<String> {
        let octets = self.list_mailbox()?;
        Ok(self.decoded(&octets))
    }

    /// What octets are by the encoding that is in force, or else as they stand: what no mailbox can be called is no reason to
    /// refuse a `LIST`.
    fn decoded(&self, octets: &[u8]) -> String {
        let decoded = if self.utf8 { None } else { mutf7::decode(octets) };
        let decoded = decoded.unwrap_or_else(|| String::from_utf8_lossy(octets).into_owned());
        composed(&decoded).into_owned()
    }

    /// The name that octets are, by the encoding that is in force. Its letters are composed, whatever it is wanted for
    /// (RFC 9051 section 5.1).
    fn name(&mut self, octets: Vec<u8>) -> Parsed<String> {
        let name = match self.utf8 {
            true => String::from_utf8(octets).ok(),
            false => mutf7::decode(&octets),
        };
        let wrong = match self.utf8 {
            true => "The mailbox name is not UTF-8",
            false => "The mailbox name is not modified UTF-7",
        };
        let name = name.ok_or_else(|| SyntaxError::no(Code::Cannot, wrong))?;
        if name.chars().any(char::is_control) {
            return Err(SyntaxError::no(Code::Cannot, "A mailbox name holds no control characters").into());
        }
        let taken = composed(&name).into_owned();
        if taken != name {
            self.composed = Some((name, taken.clone()));
        }
        Ok(taken)
    }

    /// `sequence-set`.
    pub(super) fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        if self.take(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let start = self.bound()?;
            let end = if self.take(b':') { self.bound()? } else { start };
            ranges.push(SequenceRange { start, end });
            if !self.take(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }

    /// `sequence-set` without `*` and `$`.
    pub(super) fn number_set(&mut self) -> Parsed<SequenceSet> {
        let at = self.at();
        let set = self.sequence_set()?;
        match set.has_last() || set == SequenceSet::Saved {
            true => Err(SyntaxError::bad("The set holds numbers only", at).into()),
            false => Ok(set),
        }
    }

    fn bound(&mut self) -> Parsed<Bound> {
        if self.take(b'*') { Ok(Bound::Last) } else { self.nz_number().map(Bound::Number) }
    }

    /// `partial-range` (RFC 9394 section 3.1): `1:100`, `-1:-100`. Either end may be the greater one.
    pub(super) fn partial_range(&mut self) -> Parsed<PartialRange> {
        let from_end = self.take(b'-');
        let one = self.nz_number()?;
        self.expect(b':', "A range is wanted")?;
        if from_end {
            self.expect(b'-', "Both ends of the range are negative, or none is")?;
        }
        let other = self.nz_number()?;
        Ok(PartialRange { first: one.min(other), last: one.max(other), from_end })
    }

    /// `flag`.
    pub(super) fn flag(&mut self) -> Parsed<Flag> {
        if self.take(b'\\') {
            let word = self.atom("A flag is wanted")?;
            return Ok(Flag::from_word(&format!("\\{word}")));
        }
        self.atom("A flag is wanted").map(|word| Flag::Keyword(word.into()))
    }

    /// `flag-list`.
    pub(super) fn flags(&mut self) -> Parsed<Vec<Flag>> {
        self.list("A list of flags is wanted", Self::flag)
    }

    /// `date`: in quotes or not.
    pub(super) fn date(&mut self) -> Parsed<Date> {
        let quoted = self.take(b'"');
        let at = self.at();
        let day = self.digits(1, 2)?;
        let date = self.month_year(day, at)?;
        if quoted {
            self.expect(b'"', "The date does not end")?;
        }
        Ok(date)
    }

    /// `date-time`: always in quotes.
    pub(super) fn date_time(&mut self) -> Parsed<DateTime> {
        self.expect(b'"', "A date in quotes is wanted")?;
        let at = self.at();
        let day = if self.take(b' ') { self.digits(1, 1)? } else { self.digits(2, 2)? };
        let date = self.month_year(day, at)?;
        self.expect(b' ', "A time is wanted")?;
        let hour = self.two(23)?;
        self.expect(b':', "Minutes are wanted")?;
        let minute = self.two(59)?;
        self.expect(b':', "Seconds are wanted")?;
        let second = self.two(60)?;
        self.expect(b' ', "A zone is wanted")?;
        let zone = self.zone()?;
        self.expect(b'"', "The date does not end")?;
        Ok(DateTime { date, hour, minute, second, zone })
    }

    fn zone(&mut self) -> Parsed<i16> {
        let west = self.take(b'-');
        if !west {
            self.expect(b'+', "A zone is wanted: +0000")?;
        }
        let minutes = i16::from(self.two(23)?) * 60 + i16::from(self.two(59)?);
        Ok(if west { -minutes } else { minutes })
    }

    fn month_year(&mut self, day: u16, at: usize) -> Parsed<Date> {
        self.expect(b'-', "A month is wanted")?;
        let month = self.month()?;
        self.expect(b'-', "A year is wanted")?;
        let year = self.digits(4, 4)?;
        let date = u8::try_from(day).ok().and_then(|day| Date::new(year, month, day));
        date.ok_or_else(|| SyntaxError::bad("There is no such day", at).into())
    }

    fn month(&mut self) -> Parsed<u8> {
        let at = self.at();
        for (number, name) in (1..).zip(MONTHS) {
            if name.bytes().all(|letter| self.take(letter) || self.take(letter ^ 0x20)) {
                return Ok(number);
            }
            self.back_to(at);
        }
        self.wrong("A month is wanted: Jan to Dec")
    }

    fn two(&mut self, most: u8) -> Parsed<u8> {
        let at = self.at();
        let number = u8::try_from(self.digits(2, 2)?).ok().filter(|number| *number <= most);
        number.ok_or_else(|| SyntaxError::bad("There is no such time", at).into())
    }

    /// A number of `least` to `most` digits, four at most.
    fn digits(&mut self, least: usize, most: usize) -> Parsed<u16> {
        let mut number = 0;
        for count in 0..most {
            match self.peek() {
                Some(digit @ b'0'..=b'9') => {
                    self.take(digit);
                    number = number * 10 + u16::from(digit - b'0');
                }
                _ if count >= least => break,
                _ => return self.wrong("A digit is wanted"),
            }
        }
        Ok(number)
    }
}
