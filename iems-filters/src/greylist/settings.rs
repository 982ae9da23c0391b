//! What may be chosen about greylisting. Plain data.

use std::time::Duration;

use iems_core::receive::Network;

/// The settings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// How long the first attempt is put off. Default 5 minutes: honest servers try again by then, and lists of
    /// spamming addresses have had the time to learn of a new one (RFC 6647 section 5: 1 minute to 24 hours).
    pub delay: Duration,
    /// Until when the second attempt must come. Default 2 days: longer than servers wait between attempts.
    pub window: Duration,
    /// How long a triple that has passed is known after its last message. Default 36 days: a monthly newsletter passes.
    pub lifetime: Duration,
    /// After how many triples that passed a source is known itself, and asked no more; 0 for never. Default 5.
    pub known_after: u32,
    /// Networks that are never put off. Default none.
    pub except: Vec<Network>,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            delay: Duration::from_secs(300),
            window: 2 * DAY,
            lifetime: 36 * DAY,
            known_after: 5,
            except: Vec::new(),
        }
    }
}
