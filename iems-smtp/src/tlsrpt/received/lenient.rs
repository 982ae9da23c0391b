//! Values of JSON as senders really write them, and never more of them than has room here.
//!
//! Seen from large senders and allowed for: a string where a list belongs and a number in quotes, `null` for what there is not, a date without its zone.
//! Whatever is longer or more than the bound is passed over while it is read: nothing grows with what was sent.

use std::fmt;
use std::marker::PhantomData;

use iems_core::seam::Timestamp;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// The most sessions of one number: more than anybody has in a day.
const MOST_SESSIONS: u64 = 1_000_000_000_000;

/// Text of at most `N` characters, without control characters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text<const N: usize>(pub(super) String);

impl<const N: usize> Text<N> {
    fn of(text: &str) -> Self {
        Self(text.trim().chars().filter(|c| !c.is_control()).take(N).collect())
    }

    /// In lower case.
    pub(super) fn lower(self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// At most `N` values, and how many more there were.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Few<T, const N: usize> {
    pub(super) items: Vec<T>,
    pub(super) more: u64,
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { items: Vec::new(), more: 0 }
    }
}

/// At most `N` texts, or one that stands alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Texts<const N: usize>(pub(super) Vec<String>);

/// A number of sessions.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date(pub(super) Timestamp);

struct TextVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for TextVisitor<N> {
    type Value = Text<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<N>, E> {
        Ok(Text::of(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<N>, E> {
        Ok(Text::default())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text<N>, E> {
        Ok(Text::of(&number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text<N>, E> {
        Ok(Text::of(&number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Text<N>, E> {
        Ok(Text::of(&number.to_string()))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor)
    }
}

struct FewVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for FewVisitor<T, N> {
    type Value = Few<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T, N>, A::Error> {
        let mut few = Few::default();
        while few.items.len() < N {
            let Some(item) = list.next_element()? else { return Ok(few) };
            few.items.push(item);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            few.more += 1;
        }
        Ok(few)
    }

    fn visit_unit<E: Error>(self) -> Result<Few<T, N>, E> {
        Ok(Few::default())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Few<T, N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(FewVisitor(PhantomData))
    }
}

/// The most characters of one text of [`Texts`].
const LINE: usize = 256;

struct TextsVisitor<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for TextsVisitor<N> {
    type Value = Texts<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Texts<N>, E> {
        // What was one string before it was a list may have its lines in it.
        let lines = text.lines().map(|line| Text::<LINE>::of(line).0).filter(|line| !line.is_empty());
        Ok(Texts(lines.take(N).collect()))
    }

    fn visit_unit<E: Error>(self) -> Result<Texts<N>, E> {
        Ok(Texts::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Texts<N>, A::Error> {
        let few: Few<Text<LINE>, N> = FewVisitor(PhantomData).visit_seq(list)?;
        Ok(Texts(few.items.into_iter().map(|text| text.0).collect()))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Texts<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextsVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of sessions")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(number.min(MOST_SESSIONS)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
        u64::try_from(number)
            .map_err(|_| E::custom("a number of sessions is negative"))
            .and_then(|n| self.visit_u64(n))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        match number >= 0.0 {
            // Saturates: what is too large is the bound.
            true => self.visit_u64(number as u64),
            false => Err(E::custom("a number of sessions is negative")),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
        let number: f64 = text.trim().parse().map_err(|_| E::custom("a number of sessions is none"))?;
        self.visit_f64(number)
    }

    fn visit_unit<E: Error>(self) -> Result<Count, E> {
        Ok(Count(0))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CountVisitor)
    }
}

struct DateVisitor;

impl Visitor<'_> for DateVisitor {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date and time")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Date, E> {
        let text: String = text.trim().chars().take(64).collect();
        // Without a zone, as Microsoft has written it, it is UTC.
        let read = text.parse().or_else(|_| format!("{text}Z").parse());
        read.map(Date).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(DateVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<T: for<'de> Deserialize<'de>>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn numbers_are_numbers_however_they_are_written() {
        for (json, number) in [
            ("5", 5),
            ("\"5\"", 5),
            ("5.0", 5),
            ("null", 0),
            ("1e18", MOST_SESSIONS),
            ("18446744073709551615", MOST_SESSIONS),
            ("99999999999999999999999999999", MOST_SESSIONS),
            ("\"1e300\"", MOST_SESSIONS),
        ] {
            assert_eq!(of(json), Some(Count(number)), "{json}");
        }
        for json in ["-1", "-1.5", "\"x\"", "\"\"", "\"NaN\"", "[]", "{}", "true", "1e999"] {
            assert_eq!(of::<Count>(json), None, "{json}");
        }
    }

    #[test]
    fn texts_have_their_bound() {
        assert_eq!(of("\" a\\u0000b\\r\\n\\u001bc \""), Some(Text::<9>("abc".into())));
        assert_eq!(of("\"éèêë\""), Some(Text::<3>("éèê".into())));
        assert_eq!(of("17"), Some(Text::<9>("17".into())));
        assert_eq!(of("null"), Some(Text::<9>(String::new())));
        assert_eq!(of::<Text<9>>("[]"), None);
        let two = ["a".to_owned(), "b".to_owned()];
        assert_eq!(of("[\"a\",\"b\",\"c\"]"), Some(Texts::<2>(two.to_vec())));
        assert_eq!(of("\"a\\r\\nb\\r\\n\""), Some(Texts::<2>(two.to_vec())));
        assert_eq!(of("null"), Some(Texts::<2>(Vec::new())));
    }

    #[test]
    fn lists_have_their_bound() {
        assert_eq!(of("[1,2,3,4]"), Some(Few::<Count, 2> { items: vec![Count(1), Count(2)], more: 2 }));
        assert_eq!(of("null"), Some(Few::<Count, 2>::default()));
        assert_eq!(of::<Few<Count, 2>>("7"), None);
    }

    #[test]
    fn dates_may_lack_their_zone() {
        let date = |text: &str| of::<Date>(&format!("{text:?}")).map(|date| date.0.to_string());
        let noon = Some("2026-04-01T12:00:00.000Z".to_owned());
        for text in [
            "2026-04-01T12:00:00Z",
            "2026-04-01T12:00:00",
            "2026-04-01T14:00:00+02:00",
            " 2026-04-01T12:00:00.000Z",
        ] {
            assert_eq!(date(text), noon, "{text}");
        }
        for text in ["", "yesterday", "1950-01-01T00:00:00Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
