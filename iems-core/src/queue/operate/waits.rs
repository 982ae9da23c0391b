//! Why something waits: one value for each limit or hand that may hold it, with where that was decided.

use std::fmt;

use serde::Serialize;

use crate::message::ChannelId;
use crate::queue::Rate;
use crate::seam::Timestamp;

/// One reason why a group waits, or a hop stands. `Display` says it in a line for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Waits {
    /// No engine works on the store.
    NotRunning,
    /// It does not wait: an attempt is under way.
    UnderWay,
    /// An operator holds it.
    Held,
    /// Its sender wants it to go later.
    Scheduled {
        /// When.
        until: Timestamp,
    },
    /// It was deferred; its time has not come.
    NotDue {
        /// When it comes.
        until: Timestamp,
        /// Attempts so far.
        attempts: u32,
        /// Where the schedule was decided.
        origin: String,
    },
    /// An operator stopped the hop, or all hops.
    Paused {
        /// Whether all hops are stopped.
        all: bool,
        /// Since when.
        since: Timestamp,
        /// What the operator wrote.
        reason: String,
    },
    /// Another engine on the same store works for its hop; ask there.
    Elsewhere {
        /// Its name.
        node: String,
    },
    /// Storage is in trouble, so no attempt is begun.
    Storage {
        /// What the trouble is.
        trouble: String,
    },
    /// No channel or agent of that name is configured.
    NoChannel {
        /// The name.
        channel: ChannelId,
    },
    /// The site cannot be reached.
    SiteDown {
        /// The site.
        site: String,
        /// Since when.
        since: Timestamp,
        /// When it is tried again, with one message.
        next: Timestamp,
        /// Tries so far.
        probes: u32,
        /// What the last one got.
        reply: String,
    },
    /// The site refused a connection while others were open; it is left alone for a moment.
    SiteRests {
        /// The site.
        site: String,
        /// Until then.
        until: Timestamp,
    },
    /// All links that the site may have now are taken.
    Links {
        /// The site.
        site: String,
        /// Links or workers there are.
        taken: usize,
        /// How many there may be now: the site shows by its answers what it bears.
        allowed: usize,
        /// The most there may ever be.
        most: usize,
        /// Where that was decided.
        origin: String,
    },
    /// A rate is used up.
    Rate {
        /// Whose.
        of: RateOf,
        /// The site, sender or tenant.
        name: String,
        /// The rate, such as `100/1m`.
        rate: String,
        /// When the next message may go.
        until: Timestamp,
        /// Where the rate was decided.
        origin: String,
    },
    /// As many attempts as may be are under way, or those left are kept for other sites.
    Attempts {
        /// Attempts under way.
        under_way: usize,
        /// The most at a time.
        most: usize,
        /// Where that was decided.
        origin: String,
    },
    /// Others have their turn before it.
    Turn {
        /// How many at most; `None` where only the store knows.
        before: Option<usize>,
    },
    /// Nothing holds it: its turn is now.
    Ready,
}

/// Whose rate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateOf {
    /// Of the place where next hops lead to.
    Site,
    /// Of the sender's address.
    Sender,
    /// Of the domain on whose behalf it travels.
    Tenant,
}

impl Waits {
    /// A few words, for a column of a listing; times as spans from `now` on.
    pub fn brief(&self, now: Timestamp) -> String {
        let wait = |until: &Timestamp| span(until.since(now).as_secs());
        match self {
            Self::NotRunning => "no server".into(),
            Self::UnderWay => "under way".into(),
            Self::Held => "held".into(),
            Self::Scheduled { until } => format!("goes in {}", wait(until)),
            Self::NotDue { until, .. } => format!("due in {}", wait(until)),
            Self::Paused { all: true, .. } => "all paused".into(),
            Self::Paused { .. } => "hop paused".into(),
            Self::Elsewhere { node } => format!("at {node}"),
            Self::Storage { .. } => "storage".into(),
            Self::NoChannel { channel } => format!("no channel {channel}"),
            Self::SiteDown { next, .. } => format!("site down, probe in {}", wait(next)),
            Self::SiteRests { until, .. } => format!("site rests {}", wait(until)),
            Self::Links { taken, allowed, .. } => format!("links {taken}/{allowed}"),
            Self::Rate { of, rate, until, .. } => format!("{of} rate {rate}, {}", wait(until)),
            Self::Attempts { under_way, most, .. } => format!("attempts {under_way}/{most}"),
            Self::Turn { before: Some(before) } => format!("behind {before}"),
            Self::Turn { before: None } => "its turn".into(),
            Self::Ready => "ready".into(),
        }
    }

    pub(super) fn rate(of: RateOf, name: &str, rate: &Rate, until: Timestamp, origin: &str) -> Self {
        Self::Rate { of, name: name.into(), rate: rate.to_string(), until, origin: origin.into() }
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

impl fmt::Display for RateOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Site => "site",
            Self::Sender => "sender",
            Self::Tenant => "tenant",
        })
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning => f.write_str("no server runs"),
            Self::UnderWay => f.write_str("an attempt is under way"),
            Self::Held => f.write_str("held by an operator"),
            Self::Scheduled { until } => write!(f, "to go at {until}, as its sender wishes"),
            Self::NotDue { until, attempts, origin } => {
                write!(f, "not due until {until}, after {attempts} attempts (waits of {origin})")
            }
            Self::Paused { all, since, reason } => {
                let what = if *all { "all hops are" } else { "its hop is" };
                write!(f, "{what} paused since {since}")?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Elsewhere { node } => {
                write!(f, "engine {node} on the same store works for its hop: ask there")
            }
            Self::Storage { trouble } => write!(f, "no attempt is begun: storage is in trouble ({trouble})"),
            Self::NoChannel { channel } => write!(f, "no channel or agent {channel} is configured"),
            Self::SiteDown { site, since, next, probes, reply } => write!(
                f,
                "site {site} cannot be reached since {since}; {probes} probes, the next at {next}; last answer: {reply}"
            ),
            Self::SiteRests { site, until } => write!(f, "site {site} rests until {until} after trouble"),
            Self::Links { site, taken, allowed, most, origin } => {
                write!(
                    f,
                    "all links of site {site} are taken: {taken} of {allowed} now, at most {most} ({origin})"
                )
            }
            Self::Rate { of, name, rate, until, origin } => {
                write!(f, "over the rate {rate} of {of} {name} until {until} ({origin})")
            }
            Self::Attempts { under_way, most, origin } => {
                write!(f, "{under_way} of {most} attempts at a time are under way ({origin})")?;
                if under_way < most { f.write_str("; the rest is kept for other sites") } else { Ok(()) }
            }
            Self::Turn { before: Some(before) } => write!(f, "behind {before} others of its hop at most"),
            Self::Turn { before: None } => f.write_str("behind others of its hop"),
            Self::Ready => f.write_str("ready: its turn is now"),
        }
    }
}
