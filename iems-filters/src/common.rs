//! What the judges of peers share: who is judged, which addresses the public DNS knows, a stranger's words as evidence.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use iems_core::message::{CheckResult, Verdict};
use iems_core::preprocess::{Findings, Subject};
use iems_core::seam::Clock;

/// The longest piece of a stranger's words that becomes evidence, in characters.
const MAX_WORDS: usize = 200;

/// Whether a message comes from a system that nobody vouches for: no account, none of the site's own machines or programs.
pub(crate) fn is_stranger(subject: &Subject<'_>) -> bool {
    let connection = subject.connection;
    let vouched =
        connection.account.is_some() || connection.submission || connection.answers_each || subject.trusted;
    connection.peer.is_some() && !vouched
}

/// Whether the public DNS knows of an address.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64; // RFC 6598
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified())
        }
    }
}

/// A stranger's words as one bounded line of ASCII: evidence may be quoted in a reply.
pub(crate) fn line(words: &str) -> String {
    let plain = |c: char| match c {
        ' '..='~' => c,
        c if c.is_ascii() => ' ',
        _ => '?',
    };
    words.chars().take(MAX_WORDS).map(plain).collect()
}

/// One verdict.
pub(crate) fn verdict(check: &str, result: CheckResult, score: f32, evidence: impl Into<String>) -> Verdict {
    Verdict { check: check.into(), result, score, evidence: evidence.into() }
}

/// Nothing but one verdict.
pub(crate) fn only(verdict: Verdict) -> Findings {
    Findings { verdicts: vec![verdict], edits: Vec::new() }
}

/// What `work` brings, if it does within `limit`.
pub(crate) async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep(limit) => None,
    }
}

/// A span for people: `5 min`, `90 s`, `2 h`, `31 d`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_millis().div_ceil(1000) as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds.div_ceil(60)),
        7_200..172_800 => format!("{} h", seconds.div_ceil(3_600)),
        _ => format!("{} d", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nobody_are_not_public() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["192.0.2.1", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn spans_are_rounded_up() {
        for (seconds, wanted) in
            [(0, "0 s"), (90, "90 s"), (121, "3 min"), (7_201, "3 h"), (31 * 86_400, "31 d")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), wanted);
        }
        assert_eq!(span(Duration::from_millis(1)), "1 s");
    }
}
