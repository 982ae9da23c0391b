//! What was asked, what is kept, and whether one more question may go out.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use iems_core::seam::{Clock, Timestamp};
use iems_core::storage::Store;
use tokio::sync::Semaphore;

use super::Settings;
use crate::common::{line, within};
use crate::notes::Notes;

/// Domains whose questions are counted; if there are more, counting begins anew.
const DOMAINS: usize = 10_000;

/// What is known after asking, or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// Yes, and in which words.
    Yes(String),
    /// No.
    No(String),
    /// Nothing: there was no answer.
    Unknown(String),
    /// Nothing: the question was one too many.
    TooMany,
}

/// Asks, keeps and bounds.
pub(crate) struct Asker {
    settings: Settings,
    clock: Arc<dyn Clock>,
    notes: Notes,
    open: Semaphore,
    domains: Mutex<HashMap<String, (Timestamp, u32)>>,
}

impl Asker {
    /// Keeps answers in `store` under `kind`, a letter of its own.
    pub(crate) fn new(settings: Settings, store: Arc<dyn Store>, clock: Arc<dyn Clock>, kind: u8) -> Self {
        let open = Semaphore::new(settings.at_once.max(1));
        Self {
            notes: Notes::new(store, clock.clone(), kind),
            settings,
            clock,
            open,
            domains: Mutex::default(),
        }
    }

    /// What is known about `key`: kept, or by `question`, which goes to `domain`. With it, whether it was kept.
    pub(crate) async fn ask(
        &self,
        key: &str,
        domain: &str,
        question: impl Future<Output = Known>,
    ) -> (Known, bool) {
        let kept = self.kept(key).await;
        if let Some((known, false)) = kept {
            return (known, true);
        }
        let fresh = match self.open.try_acquire() {
            Ok(_open) if self.may_ask(domain) => {
                let asked = within(&*self.clock, self.settings.timeout, question).await;
                let late = || format!("no answer within {} s", self.settings.timeout.as_secs());
                asked.unwrap_or_else(|| Known::Unknown(late()))
            }
            _ => Known::TooMany,
        };
        match (&fresh, kept) {
            // What is old is better than nothing.
            (Known::Unknown(_) | Known::TooMany, Some((known, _))) => (known, true),
            _ => {
                self.keep(key, &fresh).await;
                (fresh, false)
            }
        }
    }

    /// What is kept, and whether it is old enough to be asked about again.
    async fn kept(&self, key: &str) -> Option<(Known, bool)> {
        let value = self.notes.get(key.as_bytes()).await.ok()??;
        let (asked, rest) = value.split_first_chunk::<8>()?;
        let age = self.clock.now().since(Timestamp::from_millis(u64::from_be_bytes(*asked)));
        let (sign, words) = rest.split_first()?;
        let words = String::from_utf8_lossy(words).into_owned();
        let (known, refresh) = match sign {
            b'+' => (Known::Yes(words), self.settings.refresh_good),
            _ => (Known::No(words), self.settings.refresh_bad),
        };
        Some((known, refresh.is_some_and(|refresh| age >= refresh)))
    }

    /// Keeps an answer. That it cannot be kept costs another question later.
    async fn keep(&self, key: &str, known: &Known) {
        let (sign, words, span) = match known {
            Known::Yes(words) => (b'+', words, self.settings.good),
            Known::No(words) => (b'-', words, self.settings.bad),
            Known::Unknown(_) | Known::TooMany => return,
        };
        let now = self.clock.now();
        let mut value = now.as_millis().to_be_bytes().to_vec();
        value.push(sign);
        value.extend_from_slice(line(words).as_bytes());
        let _ = self.notes.put(key.as_bytes(), now.after(span), &value).await;
    }

    /// Counts a question to `domain`.
    fn may_ask(&self, domain: &str) -> bool {
        let (most, span) = self.settings.per_domain;
        let now = self.clock.now();
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= DOMAINS {
            domains.retain(|_, (since, _)| now.since(*since) < span);
            if domains.len() >= DOMAINS {
                domains.clear();
            }
        }
        let (since, count) = domains.entry(domain.to_owned()).or_insert((now, 0));
        if now.since(*since) >= span {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= most
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iems_core::storage::MemoryStorage;

    use super::*;
    use crate::testing::Hands;

    fn asker(settings: Settings) -> (Asker, Arc<Hands>) {
        let clock = Arc::new(Hands::default());
        (Asker::new(settings, MemoryStorage::new(), clock.clone(), b't'), clock)
    }

    async fn say(asker: &Asker, key: &str, known: Known) -> (Known, bool) {
        asker.ask(key, "far.example", async { known }).await
    }

    fn yes() -> Known {
        Known::Yes("yes".into())
    }

    fn no() -> Known {
        Known::No("no".into())
    }

    fn unknown() -> Known {
        Known::Unknown("away".into())
    }

    #[tokio::test]
    async fn answers_are_kept_for_their_time_and_trouble_is_not() {
        let (asker, clock) = asker(Settings::senders());
        assert_eq!(say(&asker, "a", unknown()).await, (unknown(), false));
        assert_eq!(say(&asker, "a", no()).await, (no(), false));
        assert_eq!(say(&asker, "a", yes()).await, (no(), true));
        clock.forward(Duration::from_secs(2 * 3600));
        assert_eq!(say(&asker, "a", yes()).await, (yes(), false));
        clock.forward(Duration::from_secs(23 * 3600));
        assert_eq!(say(&asker, "a", no()).await, (yes(), true));
    }

    #[tokio::test]
    async fn what_is_old_is_asked_again_and_holds_if_nobody_answers() {
        let (asker, clock) = asker(Settings::recipients());
        say(&asker, "a", yes()).await;
        clock.forward(Duration::from_secs(8 * 86_400));
        assert_eq!(say(&asker, "a", unknown()).await, (yes(), true));
        assert_eq!(say(&asker, "a", no()).await, (no(), false));
        clock.forward(Duration::from_secs(4 * 3600));
        assert_eq!(say(&asker, "a", yes()).await, (yes(), false));
        clock.forward(Duration::from_secs(32 * 86_400));
        assert_eq!(say(&asker, "a", unknown()).await, (unknown(), false));
    }

    #[tokio::test]
    async fn a_domain_is_not_asked_too_often_and_nobody_for_too_long() {
        let (asker, clock) =
            asker(Settings { per_domain: (2, Duration::from_secs(60)), ..Settings::senders() });
        assert_eq!(say(&asker, "a", yes()).await.0, yes());
        assert_eq!(say(&asker, "b", yes()).await.0, yes());
        assert_eq!(say(&asker, "c", yes()).await.0, Known::TooMany);
        assert_eq!(asker.ask("d", "other.example", async { yes() }).await.0, yes());
        clock.forward(Duration::from_secs(60));
        let silent = asker.ask("c", "far.example", std::future::pending()).await.0;
        assert_eq!(silent, Known::Unknown("no answer within 10 s".into()));
    }
}
