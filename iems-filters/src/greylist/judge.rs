//! The judge itself: reads and writes what is remembered.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Mailbox, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::Clock;
use iems_core::storage::{Store, StoreError};

use super::Settings;
use super::state::{Answer, Entry, decide};
use crate::common::{is_stranger, line, only, span, verdict};
use crate::notes::Notes;

/// The judge: gives one verdict, `greylist`, for each recipient of strangers.
///
/// | the triple of source, sender and recipient | result |
/// |---|---|
/// | is new, or came back too early; the evidence says when to come back | `fail` |
/// | came back in time, or has passed before, or many of its source have | `pass` |
/// | cannot be looked up | `temperror` |
///
/// Messages without a sender are put off like others, once. The only action that makes sense is `defer`.
pub struct Greylist {
    settings: Settings,
    clock: Arc<dyn Clock>,
    triples: Notes,
    sources: Notes,
}

impl Greylist {
    /// A judge that remembers in `store`.
    pub fn new(settings: Settings, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let triples = Notes::new(store.clone(), clock.clone(), b'g');
        let sources = Notes::new(store, clock.clone(), b'k');
        Self { settings, clock, triples, sources }
    }

    async fn judge(
        &self,
        subject: &Subject<'_>,
        ip: IpAddr,
        recipient: &Mailbox,
    ) -> Result<Verdict, StoreError> {
        let source = source(subject, ip);
        let (now, settings) = (self.clock.now(), &self.settings);
        let passed = |why: String| verdict("greylist", CheckResult::Pass, 0.0, why);
        let known = self.known(&source).await?;
        if settings.known_after > 0 && known.is_some_and(|(count, _)| count >= settings.known_after) {
            self.know(&source, known, false).await?;
            return Ok(passed(format!("{source} is known")));
        }
        let sender =
            subject.envelope.and_then(|e| e.sender.mailbox()).map(Mailbox::folded).unwrap_or_default();
        let key = format!("{source}\0{sender}\0{}", recipient.folded());
        let entry = self.triples.get(key.as_bytes()).await?.and_then(|octets| Entry::read(&octets));
        let (answer, kept) = decide(entry, now, settings);
        if let Some((entry, until)) = kept {
            self.triples.put(key.as_bytes(), until, &entry.octets()).await?;
        }
        let who = format!("{source} with mail from <{}> for {}", line(&sender), line(&recipient.to_string()));
        let wait = |why: &str, left| {
            let evidence = format!("{who} {why}: come back in {}", span(left));
            verdict("greylist", CheckResult::Fail, 0.0, evidence)
        };
        Ok(match answer {
            Answer::New(left) => wait("is new here", left),
            Answer::Early(left) => wait("is too early", left),
            Answer::Back => {
                self.know(&source, known, true).await?;
                passed(format!("{who} came back"))
            }
            Answer::Known => passed(format!("{who} has passed before")),
        })
    }

    /// How many triples of a source have passed, and when that was written.
    async fn known(&self, source: &str) -> Result<Option<(u32, Entry)>, StoreError> {
        let row = self.sources.get(source.as_bytes()).await?;
        Ok(row.and_then(|octets| {
            let (count, rest) = octets.split_first_chunk::<4>()?;
            Some((u32::from_be_bytes(*count), Entry::read(rest)?))
        }))
    }

    /// Counts one more, or writes a source that is known again before it is forgotten.
    async fn know(&self, source: &str, known: Option<(u32, Entry)>, more: bool) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (count, entry) = known.map_or((0, None), |(count, entry)| (count, Some(entry)));
        let entry = match more {
            true => Some((Entry { at: now, passed: true }, now.after(self.settings.lifetime))),
            false => decide(entry, now, &self.settings).1,
        };
        let Some((entry, until)) = entry else { return Ok(()) };
        let mut value = count.saturating_add(u32::from(more)).to_be_bytes().to_vec();
        value.extend_from_slice(&entry.octets());
        self.sources.put(source.as_bytes(), until, &value).await
    }
}

/// Whom a triple belongs to: the domain whose record names the peer, else the peer's network (/24, /64).
fn source(subject: &Subject<'_>, ip: IpAddr) -> String {
    let sender = subject.envelope.and_then(|envelope| envelope.sender.mailbox());
    let proven = subject.verdicts.iter().any(|v| v.check == "spf/mail" && v.result == CheckResult::Pass);
    match (sender, ip) {
        (Some(sender), _) if proven => sender.domain().to_string(),
        (_, IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        (_, IpAddr::V6(v6)) => {
            let bits = u128::from(v6) >> 64 << 64;
            format!("{}/64", std::net::Ipv6Addr::from(bits))
        }
    }
}

#[async_trait]
impl Preprocessor for Greylist {
    fn id(&self) -> &str {
        "greylist"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Recipient]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let (Some(ip), true) = (subject.connection.ip(), is_stranger(subject)) else {
            return Findings::default();
        };
        let Some(recipient) = subject.recipients.first() else { return Findings::default() };
        if self.settings.except.iter().any(|network| network.contains(ip)) {
            return only(verdict("greylist", CheckResult::Pass, 0.0, format!("{ip} is never put off")));
        }
        let trouble = |e: StoreError| verdict("greylist", CheckResult::TempError, 0.0, line(&e.to_string()));
        only(self.judge(subject, ip, recipient).await.unwrap_or_else(trouble))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iems_core::storage::MemoryStorage;

    use super::*;
    use crate::testing::{Hands, Peer};

    struct Post {
        judge: Greylist,
        clock: Arc<Hands>,
        memory: Arc<MemoryStorage>,
    }

    fn post() -> Post {
        let (memory, clock) = (MemoryStorage::new(), Arc::new(Hands::default()));
        let judge = Greylist::new(Settings::default(), memory.clone(), clock.clone());
        Post { judge, clock, memory }
    }

    impl Post {
        async fn sees(&self, peer: &Peer) -> String {
            peer.judged(&self.judge, Stage::Recipient).await
        }

        fn later(&self, seconds: u64) {
            self.clock.forward(Duration::from_secs(seconds));
        }
    }

    #[tokio::test]
    async fn a_stranger_comes_back_and_is_known_from_then_on() {
        let post = post();
        let wanted = "greylist=fail 0 192.0.2.0/24 with mail from <bob@far.example> for ann@our.example is new here: come back in 5 min";
        assert_eq!(post.sees(&Peer::new()).await, wanted);
        post.later(200);
        assert!(post.sees(&Peer::new()).await.ends_with("is too early: come back in 100 s"));
        post.later(100);
        assert!(
            post.sees(&Peer::new().at("192.0.2.200")).await.ends_with("came back"),
            "from the same network"
        );
        assert!(post.sees(&Peer::new()).await.starts_with("greylist=pass 0"));
        let again = Greylist::new(Settings::default(), post.memory.clone(), post.clock.clone());
        let found = Peer::new().judged(&again, Stage::Recipient).await;
        assert!(found.ends_with("has passed before"), "a restart forgets nothing: {found}");
        post.later(37 * 86_400);
        assert!(post.sees(&Peer::new()).await.contains("is new here"));
    }

    #[tokio::test]
    async fn whoever_comes_too_late_begins_anew() {
        let post = post();
        post.sees(&Peer::new()).await;
        post.later(2 * 86_400);
        assert!(post.sees(&Peer::new()).await.contains("is new here"));
    }

    #[tokio::test]
    async fn a_proven_domain_may_come_from_anywhere_and_messages_without_a_sender_come_back_too() {
        let post = post();
        let from = |ip: &str| {
            let mut peer = Peer::new().at(ip);
            peer.verdicts = vec![verdict("spf/mail", CheckResult::Pass, 0.0, "pass")];
            peer
        };
        assert!(post.sees(&from("192.0.2.7")).await.contains("far.example with mail from"));
        let report = Peer::new().from("<>").at("2001:db8:1:2:3::4");
        assert!(post.sees(&report).await.contains("2001:db8:1:2::/64 with mail from <>"));
        post.later(300);
        assert!(post.sees(&from("198.51.100.7")).await.ends_with("came back"));
        assert!(post.sees(&report).await.ends_with("came back"));
    }

    #[tokio::test]
    async fn a_source_that_has_passed_often_is_asked_no_more() {
        let post = post();
        let to =
            |n: usize| Peer { recipients: vec![format!("r{n}@our.example").parse().unwrap()], ..Peer::new() };
        for n in 0..5 {
            post.sees(&to(n)).await;
        }
        post.later(300);
        for n in 0..5 {
            assert!(post.sees(&to(n)).await.ends_with("came back"));
        }
        assert_eq!(post.sees(&to(99)).await, "greylist=pass 0 192.0.2.0/24 is known");
        for _ in 0..40 {
            post.later(86_400);
            assert!(post.sees(&to(99)).await.ends_with("is known"), "as long as it comes");
        }
        post.later(37 * 86_400);
        assert!(post.sees(&to(99)).await.contains("is new here"));
    }

    #[tokio::test]
    async fn people_and_own_machines_and_exceptions_are_not_put_off() {
        let post = post();
        let mut own = Peer::new();
        own.trusted = true;
        assert_eq!(post.sees(&own).await, "");
        let settings = Settings { except: vec!["192.0.2.0/28".parse().unwrap()], ..Settings::default() };
        let lenient = Greylist::new(settings, post.memory.clone(), post.clock.clone());
        let found = Peer::new().judged(&lenient, Stage::Recipient).await;
        assert_eq!(found, "greylist=pass 0 192.0.2.7 is never put off");
    }

    #[tokio::test]
    async fn storage_that_fails_is_trouble_and_no_refusal() {
        let post = post();
        post.memory.fail_after(0, StoreError::Io("gone".into()));
        assert_eq!(post.sees(&Peer::new()).await, "greylist=temperror 0 storage failed: gone");
    }
}
