//! Sender site verification: does one of the mail exchangers of the sender's domain answer?

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Domain, NextHop, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::{Clock, Directory, Prober, Resolver};
use iems_core::storage::Store;

use super::exchange::{Place, place};
use crate::common::{is_stranger, line, only, verdict};
use crate::probe::{Asker, Known, Settings};

/// How strongly a site that nobody reaches speaks against a message. It may be down, and its message honest.
const SCORE: f32 = 3.0;

/// The judge: gives one verdict, `sender/site`, about senders of domains that have an exchanger with a public address. Of others,
/// [`SenderDomain`](super::SenderDomain) has told.
///
/// | the exchangers of the domain | result |
/// |---|---|
/// | one of them answers, and would talk | `pass` |
/// | none does | `fail` |
/// | were not asked: too many questions to this domain, or at once | `neutral` |
pub struct SenderSite {
    resolver: Arc<dyn Resolver>,
    directory: Arc<dyn Directory>,
    prober: Arc<dyn Prober>,
    asker: Asker,
    private: bool,
}

impl SenderSite {
    /// A judge that asks through `prober` and keeps answers in `store`.
    pub fn new(
        settings: Settings,
        (resolver, directory): (Arc<dyn Resolver>, Arc<dyn Directory>),
        prober: Arc<dyn Prober>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let asker = Asker::new(settings, store, clock, b's');
        Self { resolver, directory, prober, asker, private: false }
    }

    /// Asks exchangers with private and loopback addresses too. Otherwise a stranger could make us connect to machines
    /// that only we reach.
    #[must_use]
    pub fn with_private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    async fn reach(&self, domain: &Domain) -> Known {
        match place(&*self.resolver, domain.as_str(), self.private).await {
            Place::Host(..) => {}
            Place::Unknown(why) => return Known::Unknown(why),
            _ => return Known::Unknown("it has no exchanger that could be asked".into()),
        }
        match self.prober.reach(&NextHop::new(domain.as_str())).await {
            Ok(()) => Known::Yes("a mail exchanger answers".into()),
            Err(reply) => Known::No(format!("no mail exchanger answers: {}", line(&reply.text))),
        }
    }

    async fn judge(&self, domain: &Domain) -> Option<Verdict> {
        if domain.literal().is_some() || self.directory.is_local(domain).await.unwrap_or(true) {
            return None;
        }
        let (known, kept) = self.asker.ask(domain.as_str(), domain.as_str(), self.reach(domain)).await;
        let kept = if kept { " (known from before)" } else { "" };
        let (result, score, words) = match known {
            Known::Yes(words) => (CheckResult::Pass, 0.0, words),
            Known::No(words) => (CheckResult::Fail, SCORE, words),
            Known::Unknown(why) => (CheckResult::TempError, 0.0, why),
            Known::TooMany => (CheckResult::Neutral, 0.0, "not asked: too many questions".into()),
        };
        Some(verdict("sender/site", result, score, format!("{domain}: {words}{kept}")))
    }
}

#[async_trait]
impl Preprocessor for SenderSite {
    fn id(&self) -> &str {
        "sender/site"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let sender = subject.envelope.and_then(|envelope| envelope.sender.mailbox());
        let (Some(sender), true) = (sender, is_stranger(subject)) else { return Findings::default() };
        self.judge(sender.domain()).await.map(only).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use iems_core::storage::MemoryStorage;

    use super::*;
    use crate::testing::{Answers, Hands, Ours, Peer, Zone};

    fn judge(answers: &Arc<Answers>) -> SenderSite {
        let zone = Zone::default()
            .with("far.example", "MX", &["mail.far.example"])
            .with("mail.far.example", "A", &["192.0.2.25"])
            .with("inside.example", "A", &["127.0.0.1"]);
        let (store, clock) = (MemoryStorage::new(), Arc::new(Hands::default()));
        SenderSite::new(Settings::senders(), (Arc::new(zone), Arc::new(Ours)), answers.clone(), store, clock)
    }

    #[tokio::test]
    async fn a_site_that_answers_passes_and_is_not_asked_again() {
        let answers = Arc::new(Answers::reachable("far.example"));
        let judge = judge(&answers);
        let found = Peer::new().judged(&judge, Stage::Mail).await;
        assert_eq!(found, "sender/site=pass 0 far.example: a mail exchanger answers");
        assert!(Peer::new().judged(&judge, Stage::Mail).await.ends_with("(known from before)"));
        assert_eq!(answers.asked(), ["reach far.example"]);
    }

    #[tokio::test]
    async fn a_site_that_nobody_reaches_fails() {
        let judge = judge(&Arc::new(Answers::default()));
        let found = Peer::new().judged(&judge, Stage::Mail).await;
        assert!(found.starts_with("sender/site=fail 3 far.example: no mail exchanger answers:"), "{found}");
    }

    #[tokio::test]
    async fn nobody_connects_to_private_addresses_or_for_those_who_are_known() {
        let answers = Arc::new(Answers::default());
        let judge = judge(&answers);
        let found = Peer::new().from("<a@inside.example>").judged(&judge, Stage::Mail).await;
        assert!(found.starts_with("sender/site=temperror 0"), "{found}");
        for path in ["<>", "<ann@our.example>", "<a@[192.0.2.1]>", "<a@trouble.example>"] {
            assert_eq!(Peer::new().from(path).judged(&judge, Stage::Mail).await, "", "{path}");
        }
        assert!(answers.asked().is_empty());
    }
}
