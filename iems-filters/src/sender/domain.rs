//! Does the sender's domain exist, and does it take mail? A message that nobody could be told about has no sender.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Domain, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::{Clock, Directory, Resolver};

use super::exchange::{Place, place};
use crate::common::{is_stranger, only, verdict, within};

/// What is said of a domain with a null MX.
const NULL_MX: &str = "takes no mail (null MX)";

/// What may be chosen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DomainSettings {
    /// How long the questions may take. Default 10 s.
    pub timeout: Duration,
    /// Whether exchangers with private or loopback addresses count as any others. Default no: a report would go to a machine
    /// of ours, or to nobody.
    pub private: bool,
    /// How strongly a domain without a place for mail speaks against a message. Default 5.
    pub score: f32,
}

impl Default for DomainSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), private: false, score: 5.0 }
    }
}

/// The judge: gives one verdict, `sender/domain`, unless the message has no sender or one of ours.
///
/// | the domain | result |
/// |---|---|
/// | has an exchanger, or is a host itself, with a public address | `pass` |
/// | does not exist, has neither exchanger nor address, exchangers without addresses or with private ones only, or a null MX | `fail` |
/// | is an address literal | `neutral` |
/// | nobody answers | `temperror` |
pub struct SenderDomain {
    settings: DomainSettings,
    resolver: Arc<dyn Resolver>,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
}

impl SenderDomain {
    /// A judge that asks through `resolver`, and not about the domains of `directory`.
    pub fn new(
        settings: DomainSettings,
        resolver: Arc<dyn Resolver>,
        directory: Arc<dyn Directory>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { settings, resolver, directory, clock }
    }

    async fn judge(&self, domain: &Domain) -> Option<Verdict> {
        let found = |result, score, why: &str| {
            Some(verdict("sender/domain", result, score, format!("{domain} {why}")))
        };
        if domain.literal().is_some() {
            return found(CheckResult::Neutral, 0.0, "is an address");
        }
        match self.directory.is_local(domain).await {
            Ok(true) => return None,
            Ok(false) => {}
            Err(_) => return found(CheckResult::TempError, 0.0, "cannot be looked up: no directory"),
        }
        let fail = |why: &str| found(CheckResult::Fail, self.settings.score, why);
        match place(&*self.resolver, domain.as_str(), self.settings.private).await {
            Place::Host(host, ip) => found(CheckResult::Pass, 0.0, &format!("takes mail at {host}, {ip}")),
            Place::TakesNone => fail(NULL_MX),
            Place::Missing => fail("does not exist"),
            Place::Nowhere => fail("has neither a mail exchanger nor an address"),
            Place::Nobody(hosts) => fail(&format!("has mail exchangers without addresses: {hosts}")),
            Place::Private(host, ip) => {
                fail(&format!("takes mail at {host}, whose address is private: {ip}"))
            }
            Place::Unknown(why) => found(CheckResult::TempError, 0.0, &format!("cannot be looked up: {why}")),
        }
    }
}

#[async_trait]
impl Preprocessor for SenderDomain {
    fn id(&self) -> &str {
        "sender/domain"
    }

    /// RFC 7505 section 4.2, and RFC 3463 section 3.2: the sender's system is not one.
    fn status(&self, verdict: &Verdict) -> (u16, u16) {
        if verdict.evidence.ends_with(NULL_MX) { (7, 27) } else { (1, 8) }
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let sender = subject.envelope.and_then(|envelope| envelope.sender.mailbox());
        let (Some(sender), true) = (sender, is_stranger(subject)) else { return Findings::default() };
        match within(&*self.clock, self.settings.timeout, self.judge(sender.domain())).await {
            Some(found) => found.map(only).unwrap_or_default(),
            None => only(verdict("sender/domain", CheckResult::TempError, 0.0, "no answer in time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Hands, Ours, Peer, Zone};

    async fn judged(path: &str) -> String {
        let zone = Zone::default()
            .with("good.example", "MX", &["dead.example", "mail.example"])
            .with("mail.example", "A", &["192.0.2.25"])
            .with("host.example", "A", &["192.0.2.26"])
            .with("null.example", "MX", &[""])
            .with("empty.example", "TXT", &["x"])
            .with("dead.example", "TXT", &["x"])
            .with("lost.example", "MX", &["dead.example", "gone.example"])
            .with("inside.example", "MX", &["lan.example"])
            .with("lan.example", "A", &["127.0.0.1"])
            .with("silent.example", "MX", &["!"])
            .with("half.example", "MX", &["silent.host.example"])
            .with("silent.host.example", "A", &["!"]);
        let settings = DomainSettings::default();
        let judge = SenderDomain::new(settings, Arc::new(zone), Arc::new(Ours), Arc::new(Hands::default()));
        Peer::new().from(path).judged(&judge, Stage::Mail).await
    }

    #[tokio::test]
    async fn a_domain_is_judged_by_where_a_report_would_go() {
        for (path, wanted) in [
            ("<a@good.example>", "sender/domain=pass 0 good.example takes mail at mail.example, 192.0.2.25"),
            ("<a@host.example>", "sender/domain=pass 0 host.example takes mail at host.example, 192.0.2.26"),
            ("<a@null.example>", "sender/domain=fail 5 null.example takes no mail (null MX)"),
            ("<a@missing.example>", "sender/domain=fail 5 missing.example does not exist"),
            (
                "<a@empty.example>",
                "sender/domain=fail 5 empty.example has neither a mail exchanger nor an address",
            ),
            (
                "<a@lost.example>",
                "sender/domain=fail 5 lost.example has mail exchangers without addresses: dead.example, gone.example",
            ),
            (
                "<a@inside.example>",
                "sender/domain=fail 5 inside.example takes mail at lan.example, whose address is private: 127.0.0.1",
            ),
            ("<a@[192.0.2.1]>", "sender/domain=neutral 0 [192.0.2.1] is an address"),
            ("<a@our.example>", ""),
            ("<>", ""),
        ] {
            assert_eq!(judged(path).await, wanted, "{path}");
        }
        for path in ["<a@silent.example>", "<a@half.example>", "<a@trouble.example>"] {
            assert!(judged(path).await.starts_with("sender/domain=temperror 0"), "{path}");
        }
    }
}
