//! Names for things on the path: messages, channels, agents.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::seam::{Random, Timestamp};

/// The queue id of an accepted message: a ULID, so ids sort by time of arrival.
///
/// Printed as 26 characters of Crockford base 32; parsing ignores case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId([u8; 16]);

impl QueueId {
    /// A fresh id for a message that arrives `now`.
    pub fn new(now: Timestamp, random: &dyn Random) -> Self {
        let ulid = ulid::Ulid::from_parts(
            now.as_millis(),
            u128::from(random.next_u64()) << 16 | u128::from(random.next_u64() >> 48),
        );
        Self(ulid.to_bytes())
    }

    /// The id as 16 bytes whose order is the order of arrival.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// When the message arrived, to the millisecond.
    pub fn arrived(self) -> Timestamp {
        Timestamp::from_millis(ulid::Ulid::from_bytes(self.0).timestamp_ms())
    }

    /// The smallest id that a message arriving at `at` can have.
    pub fn first_at(at: Timestamp) -> Self {
        Self(ulid::Ulid::from_parts(at.as_millis(), 0).to_bytes())
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ulid::Ulid::from_bytes(self.0), f)
    }
}

impl Serialize for QueueId {
    /// The printed form for people (JSON), 16 bytes for records.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for QueueId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom),
            false => <[u8; 16]>::deserialize(deserializer).map(Self),
        }
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a queue id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a queue id: expected 26 characters such as 01JD3V9Q4C8R2T6W0X5Y7Z1ABC")]
pub struct QueueIdError;

impl FromStr for QueueId {
    type Err = QueueIdError;

    fn from_str(text: &str) -> Result<Self, QueueIdError> {
        ulid::Ulid::from_string(&text.to_ascii_uppercase())
            .map(|u| Self(u.to_bytes()))
            .map_err(|_| QueueIdError)
    }
}

/// The name of a channel or agent, such as `smtp`, `lmtp`, `local`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChannelId(Arc<str>);

impl ChannelId {
    /// The channel called `name`: lower-case letters, digits and hyphens by convention.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where messages of one virtual queue go next, in the words of the channel that owns it,
/// such as `example.org`, `[192.0.2.1]:2526` or `/run/lmtp`. The engine only compares it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NextHop(Arc<str>);

impl NextHop {
    /// The next hop called `name`.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
