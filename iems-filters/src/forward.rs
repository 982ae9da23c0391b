//! Call-forward: would the next hop take the recipient? (For domains that are only passed on, so that what it would refuse is
//! refused at the door, and never bounced.)
//!
//! On the path: `preprocess`, at each recipient whose mail goes on to another system under the same address. Forwards of our own
//! people to other addresses are not asked about.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{ChannelId, CheckResult, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::route::Way;
use iems_core::seam::{Clock, Probe, Prober};
use iems_core::storage::Store;

use crate::common::{is_stranger, line, verdict};
use crate::probe::{Asker, Known, Settings};

/// How strongly a recipient that does not exist speaks against a message.
const SCORE: f32 = 5.0;

/// The judge: gives one verdict, `recipient/forward`, for each recipient of strangers whose mail goes on.
///
/// | the next hop | result |
/// |---|---|
/// | takes mail for the recipient from nobody (the null reverse-path) | `pass` |
/// | refuses the recipient for good | `fail` |
/// | cannot be reached, puts us off, or refuses the question | `temperror` |
/// | was not asked: too many questions | `neutral` |
pub struct RecipientForward {
    probers: HashMap<ChannelId, Arc<dyn Prober>>,
    asker: Asker,
}

impl RecipientForward {
    /// A judge that asks through the prober of each channel, and keeps answers in `store`. What goes out by other channels is not
    /// asked about.
    pub fn new(
        settings: Settings,
        probers: HashMap<ChannelId, Arc<dyn Prober>>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { probers, asker: Asker::new(settings, store, clock, b'r') }
    }

    async fn judge(&self, way: &Way, prober: &dyn Prober) -> Verdict {
        let question = async {
            match prober.ask(&way.hop, &way.mailbox).await {
                Probe::Takes(reply) => Known::Yes(line(&reply.text)),
                Probe::Refuses(reply) => Known::No(line(&reply.text)),
                Probe::Unknown(reply) => Known::Unknown(line(&reply.text)),
            }
        };
        let key = format!("{} {} {}", way.channel, way.hop, way.mailbox.folded());
        let (known, kept) = self.asker.ask(&key, way.hop.as_str(), question).await;
        let kept = if kept { " (known from before)" } else { "" };
        let (result, score, words) = match known {
            Known::Yes(words) => (CheckResult::Pass, 0.0, words),
            Known::No(words) => (CheckResult::Fail, SCORE, words),
            Known::Unknown(why) => (CheckResult::TempError, 0.0, why),
            Known::TooMany => (CheckResult::Neutral, 0.0, "not asked: too many questions".into()),
        };
        let evidence = format!("{}: {words}{kept}", line(&way.mailbox.to_string()));
        verdict("recipient/forward", result, score, evidence)
    }
}

#[async_trait]
impl Preprocessor for RecipientForward {
    fn id(&self) -> &str {
        "recipient/forward"
    }

    /// RFC 3463 section 3.2: there is no such mailbox; or, section 3.5, nobody can say now.
    fn status(&self, verdict: &Verdict) -> (u16, u16) {
        if verdict.result == CheckResult::Fail { (1, 1) } else { (4, 1) }
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Recipient]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let mut found = Findings::default();
        if !is_stranger(subject) {
            return found;
        }
        let named =
            |way: &&Way| !way.agent && subject.recipients.iter().any(|r| r.folded() == way.mailbox.folded());
        for way in subject.ways.iter().filter(named) {
            if let Some(prober) = self.probers.get(&way.channel) {
                found.verdicts.push(self.judge(way, &**prober).await);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use iems_core::message::NextHop;
    use iems_core::storage::MemoryStorage;

    use super::*;
    use crate::testing::{Answers, Hands, Peer, refuses, takes};

    fn judge(answers: &Arc<Answers>) -> RecipientForward {
        let probers: HashMap<ChannelId, Arc<dyn Prober>> =
            [(ChannelId::new("smtp"), answers.clone() as Arc<dyn Prober>)].into();
        RecipientForward::new(
            Settings::recipients(),
            probers,
            MemoryStorage::new(),
            Arc::new(Hands::default()),
        )
    }

    fn to(recipient: &str, channel: &str, address: &str, agent: bool) -> Peer {
        let way = Way {
            channel: ChannelId::new(channel),
            hop: NextHop::new("inner.our.example:25"),
            mailbox: address.parse().unwrap(),
            detail: None,
            agent,
        };
        Peer { recipients: vec![recipient.parse().unwrap()], ways: vec![way], ..Peer::new() }
    }

    #[tokio::test]
    async fn the_next_hop_says_whether_it_takes_the_recipient() {
        let answers = Answers::default()
            .with("ask inner.our.example:25 ann@our.example", takes())
            .with("ask inner.our.example:25 nobody@our.example", refuses());
        let answers = Arc::new(answers);
        let judge = judge(&answers);
        for (recipient, wanted) in [
            ("ann@our.example", "recipient/forward=pass 0 ann@our.example: yes"),
            ("nobody@our.example", "recipient/forward=fail 5 nobody@our.example: no such user"),
            ("bob@our.example", "recipient/forward=temperror 0 bob@our.example: cannot connect"),
            ("ann@our.example", "recipient/forward=pass 0 ann@our.example: yes (known from before)"),
        ] {
            let peer = to(recipient, "smtp", recipient, false);
            assert_eq!(peer.judged(&judge, Stage::Recipient).await, wanted);
        }
        assert_eq!(answers.asked().len(), 3);
    }

    #[tokio::test]
    async fn agents_forwards_other_channels_and_own_machines_are_not_asked_about() {
        let answers = Arc::new(Answers::default());
        let judge = judge(&answers);
        let ann = "ann@our.example";
        let mut trusted = to(ann, "smtp", ann, false);
        trusted.trusted = true;
        for peer in [
            to(ann, "local", ann, true),
            to(ann, "smtp", "ann@elsewhere.example", false),
            to(ann, "other", ann, false),
            trusted,
        ] {
            assert_eq!(peer.judged(&judge, Stage::Recipient).await, "");
        }
        assert!(answers.asked().is_empty());
    }
}
