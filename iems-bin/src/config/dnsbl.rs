//! `[[dnsbl]]` and `[dnsbl_options]`: the DNS lists.

use std::time::Duration;

use iems_core::message::Domain;

use super::leaf::words;
use super::problem::Notes;
use super::read::{At, FromToml, need, section};

section! {
    /// One DNS list.
    WrittenDnsbl {
        /// The zone.
        zone: Domain;
        /// What it is asked about.
        about: About = r#""address""#;
        /// The score of a listing.
        score: f32 = "5.0";
    }

    /// How DNS lists are asked.
    WrittenDnsblOptions {
        /// Whether loopback, private and link-local addresses are asked about.
        private: bool = "false";
        /// Whether peers with an account are judged.
        authenticated: bool = "false";
        /// How long all questions about one message may take.
        timeout: Duration = r#""5s""#;
    }
}

/// What a DNS list is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The peer's address.
    Address,
    /// The domain of the envelope sender.
    Sender,
    /// The name the peer gave.
    Hello,
}

words! {
    About, "one of address, sender, hello", {
        "address" => About::Address, "sender" => About::Sender, "hello" => About::Hello,
    };
}

/// The lists, each once.
pub(super) fn dnsbl(written: &[At<WrittenDnsbl>], notes: &mut Notes<'_>) -> Vec<Dnsbl> {
    let mut lists: Vec<Dnsbl> = Vec::new();
    for list in written {
        let Some(zone) = need(list.zone.clone(), "zone", "dnsbl", &list.span, notes) else { continue };
        let about = list.about.value;
        if lists.iter().any(|known| known.zone == zone && known.about == about) {
            let span = list.zone.as_ref().and_then(|z| z.span.as_ref());
            notes.add(span, "dnsbl.zone", format!("dnsbl.zone: {zone} is asked twice about the same"));
        }
        lists.push(Dnsbl { zone, about, score: list.score.value });
    }
    lists
}

/// How they are asked.
pub(super) fn dnsbl_options(written: &WrittenDnsblOptions) -> DnsblOptions {
    DnsblOptions {
        private: written.private.value,
        authenticated: written.authenticated.value,
        timeout: written.timeout.value,
    }
}

/// How DNS lists are asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DnsblOptions {
    /// Whether private addresses are asked about.
    pub(crate) private: bool,
    /// Whether peers with an account are judged.
    pub(crate) authenticated: bool,
    /// How long all questions may take.
    pub(crate) timeout: Duration,
}

/// A DNS list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dnsbl {
    /// The zone.
    pub(crate) zone: Domain,
    /// What it is asked about.
    pub(crate) about: About,
    /// The score of a listing.
    pub(crate) score: f32,
}
