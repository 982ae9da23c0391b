//! Call-back: would the sender's own exchangers take a report for the address?
//!
//! Asking costs others, who did not send anything if the sender is forged; so it is done for doubtful messages only, after all that
//! can be known without it, once for an address in a long time, and never about bulk and automatic mail.

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Mailbox, NextHop, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::{Clock, Directory, Probe, Prober, Resolver};
use iems_core::storage::Store;

use super::exchange::{Place, place};
use super::header;
use crate::common::{is_stranger, line, only, verdict};
use crate::probe::{Asker, Known, Settings};

/// The longest header section that is read; whoever writes more is not asked about.
const HEADER: u64 = 256 * 1024;

/// What may be chosen beside the [`Settings`] of all questions.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CallbackSettings {
    /// How doubtful a message must be: the sum of the scores of all verdicts so far. Default 1: one thing that speaks against it.
    pub doubt: f32,
    /// Whether exchangers with private and loopback addresses are asked. Default no.
    pub private: bool,
    /// How strongly an address that is refused speaks against a message. Default 4.
    pub score: f32,
}

impl Default for CallbackSettings {
    fn default() -> Self {
        Self { doubt: 1.0, private: false, score: 4.0 }
    }
}

/// The judge: gives one verdict, `sender/callback`, for doubtful messages of strangers.
///
/// | the sender's exchangers | result |
/// |---|---|
/// | take mail for the address from nobody (the null reverse-path) | `pass` |
/// | refuse the address for good | `fail` |
/// | cannot be reached, put us off, or refuse the question | `temperror` |
/// | were not asked: bulk or automatic mail, or too many questions | `neutral` |
pub struct SenderCallback {
    settings: CallbackSettings,
    resolver: Arc<dyn Resolver>,
    directory: Arc<dyn Directory>,
    prober: Arc<dyn Prober>,
    asker: Asker,
}

impl SenderCallback {
    /// A judge that asks through `prober` and keeps answers in `store`.
    pub fn new(
        (settings, probe): (CallbackSettings, Settings),
        (resolver, directory): (Arc<dyn Resolver>, Arc<dyn Directory>),
        prober: Arc<dyn Prober>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { settings, resolver, directory, prober, asker: Asker::new(probe, store, clock, b'b') }
    }

    /// Why nobody is asked about a message that is doubtful.
    async fn unasked(&self, subject: &Subject<'_>, sender: &Mailbox) -> Option<String> {
        if header::is_machine(sender.local().as_str()) {
            return Some("the address is that of a list or of a machine".into());
        }
        let (body, blobs) = subject.body?;
        if body.header_size > HEADER {
            return Some("the header section is too long".into());
        }
        match body.header(&**blobs, HEADER).await {
            Ok(header) => {
                header::bulk(&header).map(|field| format!("the message is bulk or automatic ({field})"))
            }
            Err(error) => Some(line(&error.to_string())),
        }
    }

    async fn question(&self, sender: &Mailbox) -> Known {
        let domain = sender.domain().as_str();
        match place(&*self.resolver, domain, self.settings.private).await {
            Place::Host(..) => {}
            Place::Unknown(why) => return Known::Unknown(why),
            _ => return Known::Unknown("there is no exchanger that could be asked".into()),
        }
        match self.prober.ask(&NextHop::new(domain), sender).await {
            Probe::Takes(reply) => Known::Yes(line(&reply.text)),
            Probe::Refuses(reply) => Known::No(line(&reply.text)),
            Probe::Unknown(reply) => Known::Unknown(line(&reply.text)),
        }
    }

    async fn judge(&self, subject: &Subject<'_>, sender: &Mailbox) -> Option<Verdict> {
        let doubt: f32 = subject.verdicts.iter().map(|verdict| verdict.score).sum();
        let domain = sender.domain();
        let own = domain.literal().is_some() || self.directory.is_local(domain).await.unwrap_or(true);
        if doubt < self.settings.doubt || own {
            return None;
        }
        let found = |result, score, why: String| {
            Some(verdict("sender/callback", result, score, format!("{}: {why}", line(&sender.to_string()))))
        };
        if let Some(why) = self.unasked(subject, sender).await {
            return found(CheckResult::Neutral, 0.0, format!("not asked: {why}"));
        }
        let (known, kept) = self.asker.ask(&sender.folded(), domain.as_str(), self.question(sender)).await;
        let kept = if kept { " (known from before)" } else { "" };
        match known {
            Known::Yes(words) => found(CheckResult::Pass, 0.0, format!("{words}{kept}")),
            Known::No(words) => found(CheckResult::Fail, self.settings.score, format!("{words}{kept}")),
            Known::Unknown(why) => found(CheckResult::TempError, 0.0, why),
            Known::TooMany => found(CheckResult::Neutral, 0.0, "not asked: too many questions".into()),
        }
    }
}

#[async_trait]
impl Preprocessor for SenderCallback {
    fn id(&self) -> &str {
        "sender/callback"
    }

    /// When everything else has been found, and the header says what kind of message it is.
    fn stages(&self) -> &[Stage] {
        &[Stage::Body]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let sender = subject.envelope.and_then(|envelope| envelope.sender.mailbox());
        let (Some(sender), true) = (sender, is_stranger(subject)) else { return Findings::default() };
        self.judge(subject, sender).await.map(only).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use iems_core::storage::MemoryStorage;

    use super::*;
    use crate::testing::{Answers, Hands, Ours, Peer, Zone, refuses, takes};

    const QUESTION: &str = "ask far.example bob@far.example";

    fn judge(answers: &Arc<Answers>) -> SenderCallback {
        let zone = Zone::default().with("far.example", "MX", &["mail.far.example"]).with(
            "mail.far.example",
            "A",
            &["192.0.2.25"],
        );
        let settings = (CallbackSettings::default(), Settings::senders());
        let (store, clock) = (MemoryStorage::new(), Arc::new(Hands::default()));
        SenderCallback::new(settings, (Arc::new(zone), Arc::new(Ours)), answers.clone(), store, clock)
    }

    async fn doubtful(message: &'static str) -> Peer {
        let mut peer = Peer::new().saying(message).await;
        peer.verdicts = vec![verdict("iprev", CheckResult::PermError, 2.0, "no name")];
        peer
    }

    #[tokio::test]
    async fn a_doubtful_sender_is_asked_about_once() {
        let answers = Arc::new(Answers::default().with(QUESTION, refuses()));
        let judge = judge(&answers);
        let peer = doubtful("Subject: hello\r\n\r\nbody\r\n").await;
        let found = peer.judged(&judge, Stage::Body).await;
        assert_eq!(found, "sender/callback=fail 4 bob@far.example: no such user");
        answers.set(QUESTION, takes());
        assert!(peer.judged(&judge, Stage::Body).await.ends_with("no such user (known from before)"));
        assert_eq!(answers.asked(), [QUESTION]);
    }

    #[tokio::test]
    async fn what_is_not_doubtful_or_bulk_is_not_asked_about() {
        let answers = Arc::new(Answers::default().with(QUESTION, refuses()));
        let judge = judge(&answers);
        let sure = Peer::new().saying("Subject: hello\r\n\r\n").await;
        assert_eq!(sure.judged(&judge, Stage::Body).await, "");
        let bulk = doubtful("List-Id: <news.far.example>\r\n\r\n").await;
        assert!(
            bulk.judged(&judge, Stage::Body)
                .await
                .contains("=neutral 0 bob@far.example: not asked: the message is bulk")
        );
        let list = doubtful("Subject: x\r\n\r\n").await.from("<news-bounces@far.example>");
        assert!(list.judged(&judge, Stage::Body).await.contains("not asked: the address is that of a list"));
        for path in ["<>", "<ann@our.example>"] {
            let peer = doubtful("Subject: x\r\n\r\n").await.from(path);
            assert_eq!(peer.judged(&judge, Stage::Body).await, "");
        }
        let mut own = doubtful("Subject: x\r\n\r\n").await;
        own.trusted = true;
        assert_eq!(own.judged(&judge, Stage::Body).await, "");
        assert!(answers.asked().is_empty());
    }

    #[tokio::test]
    async fn trouble_there_says_nothing_about_the_sender() {
        let judge = judge(&Arc::new(Answers::default()));
        let found = doubtful("Subject: x\r\n\r\n").await.judged(&judge, Stage::Body).await;
        assert_eq!(found, "sender/callback=temperror 0 bob@far.example: cannot connect");
    }
}
