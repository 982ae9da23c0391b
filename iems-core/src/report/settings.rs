//! What an administrator decides about reports.

use std::time::Duration;

use super::text::{Language, Texts};
use crate::message::{Domain, Mailbox};
use crate::route::Pattern;

/// Who hears that a message without a sender could not be delivered: a report, most often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoubleBounces {
    /// `postmaster` at the domain that `<Postmaster>` means.
    Postmaster,
    /// This address.
    To(Mailbox),
    /// Nobody. The story of the message tells it.
    Nobody,
}

/// How reports are written, and who gets them. Plain data; each default says why.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reports {
    /// Who hears of messages without a sender that fail. Default: the postmaster, as nobody else would ever know.
    pub double_bounces: DoubleBounces,
    /// How many of them are told one by one within an hour; one notice sums up the rest. Default 10: a broken forward
    /// shows, and a flood does not fill the postmaster's mailbox.
    pub double_bounce_rate: u32,
    /// The largest message that a report of failure returns whole, in octets, whatever `RET` says (RFC 3461 section 4.3
    /// allows it); of a larger one, its header section. Default 64 KiB: a report must not multiply what was sent.
    pub return_message: u64,
    /// The most of a header section that is returned, in octets. Default 16 KiB: above nearly all, and a bound.
    pub return_header: u64,
    /// How long a report about a message tagged as spam is tried. Default 4 hours: the sender is likely forged, and what
    /// cannot be delivered soon only fills the queue. Never longer than other mail.
    pub spam_expire: Duration,
    /// The language of reports: the tag of one of the `texts`. Default `en`.
    pub language: String,
    /// Other languages, by the domain of whoever reads the report; the first pattern that matches counts.
    pub languages: Vec<(Pattern, String)>,
    /// The texts. Default: English and German.
    pub texts: Texts,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            double_bounces: DoubleBounces::Postmaster,
            double_bounce_rate: 10,
            return_message: 64 * 1024,
            return_header: 16 * 1024,
            spam_expire: Duration::from_secs(4 * 3600),
            language: "en".into(),
            languages: Vec::new(),
            texts: Texts::default(),
        }
    }
}

impl Reports {
    /// The language for somebody at `domain` who prefers those of `wishes`, best first: a wish that there are texts
    /// for, else what the domain reads, else the site's.
    pub(super) fn language_for(&self, domain: &Domain, wishes: &[String]) -> &Language {
        let of_domain = self.languages.iter().find(|(pattern, _)| pattern.matches(domain));
        let wanted = wishes.iter().chain(of_domain.map(|(_, tag)| tag)).chain([&self.language]);
        let found = wanted.filter_map(|tag| self.texts.get(tag)).next();
        found.unwrap_or_else(|| self.texts.first())
    }
}
