//! When a message says it was sent (RFC 5322 section 3.3, and the obsolete forms of section 4.3).

/// A date and time with its zone, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentDate {
    /// The year, all four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// Seconds since that day began, there.
    pub second: u32,
    /// Minutes east of Greenwich.
    pub zone: i16,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const ZONES: [(&str, i16); 8] =
    [("EST", -5), ("EDT", -4), ("CST", -6), ("CDT", -5), ("MST", -7), ("MDT", -6), ("PST", -8), ("PDT", -7)];

/// The date of a field `Date`. A time or a zone that cannot be read counts as 0 (RFC 5256 section 2.2).
pub fn sent_date(value: &[u8]) -> Option<SentDate> {
    let text: String = String::from_utf8_lossy(value).chars().take(200).collect();
    let text = text.split('(').next().unwrap_or_default();
    let mut words =
        text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).peekable();
    while words.peek().is_some_and(|word| !word.starts_with(|c: char| c.is_ascii_digit())) {
        words.next();
    }
    let day: u8 = words.next()?.parse().ok()?;
    let month = words.next()?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|name| month.get(..3) == Some(name))? as u8 + 1;
    let year = match words.next()?.parse::<u16>().ok()? {
        year @ 0..50 => 2000 + year,
        year @ 50..1000 => 1900 + year,
        year => year,
    };
    if !(1..=31).contains(&day) || year > 9999 {
        return None;
    }
    let second = words.next().and_then(seconds).unwrap_or(0);
    Some(SentDate { year, month, day, second, zone: words.next().map_or(0, zone) })
}

/// `hh:mm` or `hh:mm:ss`.
fn seconds(word: &str) -> Option<u32> {
    let mut numbers = word.splitn(3, ':').map(|number| number.parse::<u32>().ok());
    let (hour, minute) = (numbers.next()??, numbers.next()??);
    let second = numbers.next().unwrap_or(Some(0))?;
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// `+hhmm`, or a name. Letters of the military mean nothing (RFC 5322 section 4.3).
fn zone(word: &str) -> i16 {
    let named = ZONES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    if let Some((_, hours)) = named {
        return hours * 60;
    }
    let digits = word.get(1..5).and_then(|digits| digits.parse::<i16>().ok());
    let minutes = digits
        .filter(|digits| *digits >= 0 && digits % 100 < 60)
        .map_or(0, |digits| digits / 100 * 60 + digits % 100);
    match word.as_bytes().first() {
        Some(b'+') => minutes,
        Some(b'-') => -minutes,
        _ => 0,
    }
}

impl SentDate {
    /// Days from 1 January 1970 to the day that was written, whatever the zone; negative before.
    pub fn days(&self) -> i64 {
        // Years begin in March here, so that the leap day is the last.
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let year = if month <= 2 { year - 1 } else { year };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
    }

    /// Seconds since the Unix epoch; negative before.
    pub fn unix_seconds(&self) -> i64 {
        self.days() * 86_400 + i64::from(self.second) - i64::from(self.zone) * 60
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_old_and_new_forms() {
        for (value, seconds) in [
            ("Thu, 26 Nov 2026 13:04:57 +0100", Some(1_795_694_697)),
            ("26 Nov 26 12:04 GMT", Some(1_795_694_640)),
            ("Wed, 17 Jul 1996 02:44:25 -0700 (PDT)", Some(837_596_665)),
            ("17 July 96 02:44:25 PDT", Some(837_596_665)),
            ("1 Jan 1970 nonsense", Some(0)),
            ("1 Jan 1970 00:00:00 +9999", Some(0)),
            ("tomorrow", None),
            ("32 Jan 1970", None),
            ("", None),
        ] {
            assert_eq!(sent_date(value.as_bytes()).map(|date| date.unix_seconds()), seconds, "{value}");
        }
    }
}
