//! Dates (RFC 9051 section 9, `date` and `date-time`).

use iems_core::seam::Timestamp;

/// A day, in no zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31; the month has it.
    pub day: u8,
}

/// A moment, as somebody's clock showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// The day there.
    pub date: Date,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59, or 60.
    pub second: u8,
    /// Minutes east of Greenwich, less than a day.
    pub zone: i16,
}

impl Date {
    /// The day, if the month has it.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 0,
        };
        (1..=days).contains(&day).then_some(Self { year, month, day })
    }

    /// Days since 1 January 1970; negative before.
    pub fn days(self) -> i64 {
        // Years begin in March here, so that the leap day is the last.
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let year = if month <= 2 { year - 1 } else { year };
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
    }

    /// The day so many days after 1 January 1970. Before the year 0 and after 9999, the nearest day within.
    pub fn from_days(days: i64) -> Self {
        let days = days.clamp(-719_528, 2_932_896) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = (shifted + 2) % 12 + 1;
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self { year: year as u16, month: month as u8, day: (of_year - (153 * shifted + 2) / 5 + 1) as u8 }
    }
}

impl DateTime {
    /// Seconds since the Unix epoch; negative before.
    pub fn unix_seconds(self) -> i64 {
        let of_day = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        self.date.days() * 86_400 + of_day - i64::from(self.zone) * 60
    }

    /// The moment in UTC.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        let of_day = seconds.rem_euclid(86_400);
        Self {
            date: Date::from_days(seconds.div_euclid(86_400)),
            hour: (of_day / 3600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            zone: 0,
        }
    }

    /// The moment for the store; what was before 1970 becomes 1970.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(u64::try_from(self.unix_seconds()).unwrap_or(0).saturating_mul(1000))
    }
}

impl From<Timestamp> for DateTime {
    /// In UTC, without fractions of a second.
    fn from(moment: Timestamp) -> Self {
        Self::from_unix_seconds(i64::try_from(moment.as_secs()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_both_ways() {
        assert_eq!(Date::new(1970, 1, 1).map(Date::days), Some(0));
        assert_eq!(Date::new(2000, 3, 1).map(Date::days), Some(11_017));
        assert_eq!(Date::new(2026, 11, 26).map(Date::days), Some(20_783));
        for days in (-719_528..2_932_896).step_by(97).chain([-1, 0, 59, 11_015, 11_016, 2_932_896]) {
            let date = Date::from_days(days);
            assert_eq!(date.days(), days, "{date:?}");
            assert_eq!(Date::new(date.year, date.month, date.day), Some(date));
        }
        assert_eq!(Date::from_days(i64::MAX), Date { year: 9999, month: 12, day: 31 });
        assert_eq!(Date::from_days(i64::MIN), Date { year: 0, month: 1, day: 1 });
    }

    #[test]
    fn days_that_no_month_has_are_none() {
        assert!(Date::new(2000, 2, 29).is_some() && Date::new(2024, 2, 29).is_some());
        for (year, month, day) in
            [(1900, 2, 29), (2023, 2, 29), (2023, 4, 31), (2023, 0, 1), (2023, 13, 1), (2023, 1, 0)]
        {
            assert_eq!(Date::new(year, month, day), None);
        }
    }

    #[test]
    fn zones_shift_the_moment() {
        let date = Date::new(1996, 7, 17).unwrap();
        let there = DateTime { date, hour: 2, minute: 44, second: 25, zone: -7 * 60 };
        assert_eq!(there.unix_seconds(), 837_596_665);
        let utc = DateTime::from_unix_seconds(837_596_665);
        assert_eq!(utc, DateTime { date, hour: 9, minute: 44, second: 25, zone: 0 });
        assert_eq!(DateTime::from(there.timestamp()), utc);
        assert_eq!(DateTime::from_unix_seconds(-1).timestamp(), Timestamp::from_millis(0));
    }
}
