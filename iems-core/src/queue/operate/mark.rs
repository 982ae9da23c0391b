//! Marks: where a listing stands, to go on behind it.

use std::fmt;
use std::str::FromStr;

use crate::message::QueueId;

/// A place in the order of a listing. Printed as a queue id where the order is that of ids (the oldest first), and
/// in letters of its own elsewhere; a plain queue id is read as the place behind all groups of that message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The part of the index.
    pub(super) part: usize,
    /// The end of the key, behind what is common to the part.
    pub(super) place: Vec<u8>,
}

/// The text is no mark of a listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place in a listing: expected a queue id, or what the listing before said")]
pub struct MarkError(String);

/// The length of an id and a group's number in a key.
const GROUP: usize = 18;

impl Mark {
    /// The place behind all groups of the message, where the order is that of ids.
    pub(super) fn behind_message(mut self) -> Self {
        if self.part == 0 && self.place.len() == GROUP {
            self.place[16..].fill(0xFF);
        }
        self
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (0, Some((id, [0xFF, 0xFF]))) = (self.part, self.place.split_first_chunk::<16>()) {
            return QueueId::from_bytes(*id).fmt(f);
        }
        write!(f, "{}.", self.part)?;
        self.place.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Mark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        if let Ok(id) = text.parse::<QueueId>() {
            return Ok(Self { part: 0, place: [&id.to_bytes()[..], &[0xFF, 0xFF]].concat() });
        }
        let error = || MarkError(text.chars().take(60).collect());
        let (part, place) = text.split_once('.').ok_or_else(error)?;
        let digits = place.as_bytes();
        if digits.len() % 2 != 0 || digits.len() > 2048 {
            return Err(error());
        }
        let octet =
            |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let place = digits.chunks(2).map(octet).collect::<Option<Vec<u8>>>().ok_or_else(error)?;
        Ok(Self { part: part.parse().map_err(|_| error())?, place })
    }
}

impl serde::Serialize for Mark {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_printed() {
        let id = "01JD3V9Q4C8R2T6W0X5Y7Z1ABC";
        let mark: Mark = id.parse().unwrap();
        assert_eq!(mark.to_string(), id);
        let mark = Mark { part: 2, place: vec![1, 0xAB, 0] };
        assert_eq!((mark.to_string().as_str(), mark.to_string().parse()), ("2.01ab00", Ok(mark.clone())));
        for text in ["", "1", "1.0", "1.0g", "x.00", "-1.00", "1.é0"] {
            assert!(text.parse::<Mark>().is_err(), "{text}");
        }
    }
}
