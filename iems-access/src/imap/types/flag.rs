//! Flags (RFC 9051 section 2.3.2).

use std::fmt;

/// A flag of a message. Keywords differ only by case from none other (RFC 9051 section 2.3.2): compare with
/// [`Flag::is`], or in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Flag {
    /// `\Seen`.
    Seen,
    /// `\Answered`.
    Answered,
    /// `\Flagged`.
    Flagged,
    /// `\Deleted`.
    Deleted,
    /// `\Draft`.
    Draft,
    /// `\Recent` (RFC 3501 section 2.3.2): the server's, no client sets it.
    Recent,
    /// A keyword: an atom.
    Keyword(String),
    /// A flag with a backslash that is none of the above, without the backslash. Servers store none.
    Extension(String),
}

impl Flag {
    /// The flag of a word, which is an atom or a backslash with an atom behind it.
    pub fn from_word(word: &str) -> Self {
        let Some(system) = word.strip_prefix('\\') else { return Self::Keyword(word.into()) };
        match () {
            () if system.eq_ignore_ascii_case("Seen") => Self::Seen,
            () if system.eq_ignore_ascii_case("Answered") => Self::Answered,
            () if system.eq_ignore_ascii_case("Flagged") => Self::Flagged,
            () if system.eq_ignore_ascii_case("Deleted") => Self::Deleted,
            () if system.eq_ignore_ascii_case("Draft") => Self::Draft,
            () if system.eq_ignore_ascii_case("Recent") => Self::Recent,
            () => Self::Extension(system.into()),
        }
    }

    /// Whether both are the same flag; case makes no difference.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keyword(a), Self::Keyword(b)) | (Self::Extension(a), Self::Extension(b)) => {
                a.eq_ignore_ascii_case(b)
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen => f.write_str("\\Seen"),
            Self::Answered => f.write_str("\\Answered"),
            Self::Flagged => f.write_str("\\Flagged"),
            Self::Deleted => f.write_str("\\Deleted"),
            Self::Draft => f.write_str("\\Draft"),
            Self::Recent => f.write_str("\\Recent"),
            Self::Keyword(word) => f.write_str(word),
            Self::Extension(word) => write!(f, "\\{word}"),
        }
    }
}

/// What `PERMANENTFLAGS` lists (RFC 9051 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermanentFlag {
    /// A flag that stays.
    Flag(Flag),
    /// `\*`: new keywords can be made.
    New,
}
