//! Rights on a mailbox (RFC 4314 section 2.1), as a set and as letters.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The letters, in the order of the bits.
const LETTERS: [u8; 11] = *b"lrswipkxtea";

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rights(u16);

impl Rights {
    /// `l`: the mailbox is listed, and can be subscribed to.
    pub const LOOKUP: Self = Self(1);
    /// `r`: it can be selected and read.
    pub const READ: Self = Self(1 << 1);
    /// `s`: `\Seen` can be changed.
    pub const SEEN: Self = Self(1 << 2);
    /// `w`: flags other than `\Seen` and `\Deleted` can be changed.
    pub const WRITE: Self = Self(1 << 3);
    /// `i`: messages can be appended, and copied into it.
    pub const INSERT: Self = Self(1 << 4);
    /// `p`: mail can be sent to its address.
    pub const POST: Self = Self(1 << 5);
    /// `k`: mailboxes can be made below it.
    pub const CREATE: Self = Self(1 << 6);
    /// `x`: it can be deleted and renamed.
    pub const DELETE: Self = Self(1 << 7);
    /// `t`: `\Deleted` can be changed.
    pub const DELETE_MESSAGES: Self = Self(1 << 8);
    /// `e`: messages can be expunged.
    pub const EXPUNGE: Self = Self(1 << 9);
    /// `a`: rights can be changed.
    pub const ADMINISTER: Self = Self(1 << 10);

    /// No rights.
    pub const fn none() -> Self {
        Self(0)
    }

    /// All rights.
    pub const fn all() -> Self {
        Self((1 << 11) - 1)
    }

    /// Those that change something in a mailbox: flags, messages.
    pub const fn changing() -> Self {
        Self(Self::SEEN.0 | Self::WRITE.0 | Self::INSERT.0 | Self::DELETE_MESSAGES.0 | Self::EXPUNGE.0)
    }

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Rights {
    type Output = Self;

    /// Those that are not in `other`.
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = LETTERS.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        set.map(|(_, letter)| char::from(*letter)).try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

/// A letter that is no right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no right")]
pub struct NoRight(pub char);

impl FromStr for Rights {
    type Err = NoRight;

    /// Letters in any order; `c` and `d` of RFC 2086 stand for `kx` and `te` (RFC 4314 section 2.1.1, the first way).
    fn from_str(letters: &str) -> Result<Self, NoRight> {
        letters.chars().try_fold(Self::none(), |sum, letter| {
            let one = match letter {
                'c' => Self::CREATE | Self::DELETE,
                'd' => Self::DELETE_MESSAGES | Self::EXPUNGE,
                _ => {
                    let at = LETTERS.iter().position(|known| char::from(*known) == letter);
                    Self(1 << at.ok_or(NoRight(letter))?)
                }
            };
            Ok(sum | one)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_letters() {
        assert_eq!(Rights::all().to_string(), "lrswipkxtea");
        assert_eq!("arl".parse::<Rights>().unwrap().to_string(), "lra");
        assert_eq!("c".parse::<Rights>().unwrap().to_string(), "kx");
        assert_eq!("d".parse::<Rights>().unwrap().to_string(), "te");
        assert_eq!("lQ".parse::<Rights>(), Err(NoRight('Q')));
    }
}
