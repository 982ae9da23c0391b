//! What an administrator may choose about DNS lists. Plain data; nothing here asks or waits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use iems_core::message::Domain;

use super::Pattern;

/// The longest zone, in octets: below it, the 32 labels of an IPv6 address still fit a DNS name.
const MAX_ZONE: usize = 253 - 64;

/// What a list is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum About {
    /// The peer's IP address, octets or nibbles reversed (RFC 5782 sections 2.1 and 2.4).
    Address,
    /// The domain of the reverse-path (RFC 5782 section 3).
    Sender,
    /// The name the peer gave in EHLO or HELO.
    Hello,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Sender => "sender",
            Self::Hello => "hello",
        })
    }
}

impl FromStr for About {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        match text {
            "address" => Ok(Self::Address),
            "sender" => Ok(Self::Sender),
            "hello" => Ok(Self::Hello),
            other => Err(SettingsError::About(other.into())),
        }
    }
}

/// What one answer of a list means.
#[derive(Debug, Clone, PartialEq)]
pub struct Code {
    /// The answers it speaks of.
    pub answers: Pattern,
    /// What the list says by it, for people: `sbl`, `dynamic`.
    pub name: String,
    /// How strongly it speaks against the message; negative speaks for it.
    pub score: f32,
}

/// One list.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    zone: Domain,
    about: About,
    score: f32,
    codes: Vec<Code>,
}

impl List {
    /// The list at `zone`, asked about `about`. Any answer of it scores 1 until told otherwise.
    ///
    /// # Errors
    /// [`SettingsError::Zone`] if `zone` is an address, or over 189 octets.
    pub fn new(zone: Domain, about: About) -> Result<Self, SettingsError> {
        if zone.as_str().starts_with('[') || zone.as_str().len() > MAX_ZONE {
            return Err(SettingsError::Zone(zone.to_string()));
        }
        Ok(Self { zone, about, score: 1.0, codes: Vec::new() })
    }

    /// The same list, with another score for any answer. Negative for a list of good peers, whose
    /// verdicts are then `pass`.
    #[must_use]
    pub fn score(mut self, score: f32) -> Self {
        self.score = score;
        self
    }

    /// The same list, with the meaning of some answers. Once there is one code, answers that match
    /// none count for nothing. The codes of one listing add up.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.codes.push(code);
        self
    }

    /// Its zone.
    pub fn zone(&self) -> &Domain {
        &self.zone
    }

    /// What it is asked about.
    pub fn about(&self) -> About {
        self.about
    }

    /// The score of any answer, where there are no codes.
    pub(super) fn any(&self) -> f32 {
        self.score
    }

    /// The meanings of its answers.
    pub(super) fn codes(&self) -> &[Code] {
        &self.codes
    }
}

/// The settings of the judge.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The module's name in matrices and stories. Default `dnsbl`; another one lets the judge run a
    /// second time with other lists.
    pub name: String,
    /// The lists, in the order of their verdicts. Default: none; every list has terms of use, so
    /// choosing one is the administrator's.
    pub lists: Vec<List>,
    /// How long all questions about one message may take together. Default 5 s: the peer waits for
    /// its reply meanwhile, and gives up after 5 min (RFC 5321 section 4.5.3.2.2).
    pub timeout: Duration,
    /// How many lists are asked at once. Default 16; at least one is.
    pub parallel: usize,
    /// Whether loopback, private and link-local addresses are asked about. Default no: public lists
    /// know nothing of them, and answer some with an error.
    pub private: bool,
    /// Whether peers with an account are judged. Default no: people send from addresses that lists
    /// of dynamic addresses hold, and their accounts vouch for them.
    pub authenticated: bool,
    /// Whether the TXT record of a listing becomes evidence. Default yes: it costs a question for listed
    /// peers only, and tells why.
    pub reasons: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "dnsbl".into(),
            lists: Vec::new(),
            timeout: Duration::from_secs(5),
            parallel: 16,
            private: false,
            authenticated: false,
            reasons: true,
        }
    }
}

/// Why a setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not something that lists are asked about.
    #[error("a list cannot be asked about {0:?}: expected address, sender or hello")]
    About(String),
    /// Not a name under which a list can be.
    #[error("{0} is not the zone of a list: expected a domain name of at most 189 octets")]
    Zone(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_name_that_leaves_room_for_the_question() {
        let zone = |text: &str| List::new(text.parse().unwrap(), About::Address);
        assert!(zone("zen.example").is_ok());
        assert!(zone("[127.0.0.1]").is_err());
        assert!(zone(&["a"; 95].join(".")).is_ok());
        assert!(zone(&["a"; 96].join(".")).is_err());
    }

    #[test]
    fn what_a_list_is_asked_about_prints_as_it_reads() {
        for about in [About::Address, About::Sender, About::Hello] {
            assert_eq!(about.to_string().parse(), Ok(about));
        }
        assert!("ip".parse::<About>().unwrap_err().to_string().contains("address, sender or hello"));
    }
}
