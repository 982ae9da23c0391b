//! How the DNS is asked, and what its signatures are worth here.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::dnssec::TrustAnchors;

/// How the DNS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsSettings {
    /// The servers to ask, over UDP and, for long answers, TCP. Empty, which is the default: those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long one question to one server may take. Default 3 s: a resolver on the network answers
    /// from its cache in milliseconds, and needs seconds only for names whose servers are away.
    pub timeout: Duration,
    /// How often a question is repeated. Default 2: UDP loses packets.
    pub attempts: usize,
    /// How long a question may take in all. Default 20 s: then the message waits in the queue instead.
    pub deadline: Duration,
    /// How many answers are kept. Default 8192, which is a few MiB.
    pub cache: u64,
    /// When an answer is secure. Default `None`: the word of the servers counts if they are named above and all of them are on
    /// this machine, where nobody can change it on the way. Otherwise no answer is secure: a server of the system's that has a
    /// loopback address often only passes on what it hears.
    pub dnssec: Option<Dnssec>,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(3),
            attempts: 2,
            deadline: Duration::from_secs(20),
            cache: 8192,
            dnssec: None,
        }
    }
}

/// Who finds out whether an answer is signed as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dnssec {
    /// Nobody: no answer is secure.
    Off,
    /// The servers: an answer is secure if they set AD (RFC 4035 section 3.2.3). Only for servers that validate, over a way on
    /// which nobody can change their answers (RFC 7672 section 1.3.4 asks for the same machine).
    Trust,
    /// We do (RFC 4035 section 5), starting from these keys. The servers must pass signatures on.
    Validate(Anchors),
}

/// The keys that validation starts from.
#[derive(Clone)]
pub struct Anchors {
    pub(super) keys: Arc<TrustAnchors>,
    text: Arc<str>,
}

impl Default for Anchors {
    /// The keys of the root, 20326 (2017) and 38696 (2024).
    fn default() -> Self {
        Self { keys: Arc::new(TrustAnchors::default()), text: "".into() }
    }
}

impl std::fmt::Debug for Anchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Anchors({} for the root)", self.keys.len())
    }
}

impl PartialEq for Anchors {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Anchors {}

/// A text holds no trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}; expected DNSKEY records such as \". 172800 IN DNSKEY 257 3 8 AwEAA…\"")]
pub struct AnchorsError {
    /// The line, from 1; 0 if it is the text as a whole.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl FromStr for Anchors {
    type Err = AnchorsError;

    /// DNSKEY records, one a line, as `dig`, `unbound-anchor` and `keymgr` write them: TTL and class may be missing, what
    /// follows `;` is a comment.
    fn from_str(text: &str) -> Result<Self, AnchorsError> {
        let mut records = String::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split(';').next().unwrap_or_default().replace(['(', ')'], " ");
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(owner) = words.first() else { continue };
            let failed = |what: String| AnchorsError { line: number + 1, what };
            let at = words.iter().position(|word| word.eq_ignore_ascii_case("DNSKEY"));
            let key = at.filter(|at| (1..=3).contains(at) && words.len() > at + 4).map(|at| &words[at + 1..]);
            let Some(key) = key else { return Err(failed(format!("{owner:?} begins no DNSKEY record"))) };
            let dot = if owner.ends_with('.') { "" } else { "." };
            let (fields, octets) = key.split_at(3);
            let record = format!("{owner}{dot} 3600 IN DNSKEY {} {}\n", fields.join(" "), octets.concat());
            record.parse::<TrustAnchors>().map_err(|error| failed(error.to_string()))?;
            records.push_str(&record);
        }
        if records.is_empty() {
            return Err(AnchorsError { line: 0, what: "there is no key in it".into() });
        }
        let keys = records.parse().map_err(|error| AnchorsError { line: 0, what: format!("{error}") })?;
        Ok(Self { keys: Arc::new(keys), text: records.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";

    #[test]
    fn anchors_are_read_as_tools_write_them() {
        for text in [
            format!(". 172800 IN DNSKEY {KEY} ;{{id = 2371}}"),
            format!("; a comment\n\n. DNSKEY {KEY}\n"),
            format!(".\tIN\tDNSKEY\t{KEY}"),
        ] {
            assert_eq!(text.parse::<Anchors>().unwrap().keys.len(), 1, "{text}");
        }
        let zone: Anchors = format!("example.org DNSKEY {KEY}").parse().unwrap();
        assert_eq!(zone.keys.len(), 0, "not a key of the root");
        assert_ne!(zone, Anchors::default());
    }

    #[test]
    fn what_is_no_anchor_is_named_with_its_line() {
        for (text, line) in [
            ("", 0),
            ("; nothing", 0),
            (". IN DS 20326 8 2 E06D44B8", 1),
            ("\n. DNSKEY 257 3", 2),
            (". DNSKEY 257 3 13 not/base64!", 1),
            ("DNSKEY 257 3 13 AAAA", 1),
        ] {
            assert_eq!(text.parse::<Anchors>().unwrap_err().line, line, "{text}");
        }
    }
}
