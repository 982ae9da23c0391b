//! The judge itself: which identities are asked about, and what is written down.

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::{Clock, Resolver};

use super::{Outcome, Query, Settings, SpfResult, check_host};
use crate::common::{is_public, is_stranger, line, verdict, within};

/// The SPF judge. At the reverse-path it gives `spf/helo`, if the peer's name is a domain, and `spf/mail`; of a message without a
/// sender, `spf/mail` is about `postmaster` at that name (RFC 7208 section 2.4).
///
/// | SPF says | result | score |
/// |---|---|---|
/// | `pass` | `pass` | 0: anybody can publish a record |
/// | `fail` | `fail` | `fail` of the settings |
/// | `softfail` | `neutral` | `soft_fail` of the settings |
/// | `neutral`, `none` | `neutral` | 0 |
/// | `temperror`, `permerror` | the same | 0 |
///
/// Evidence begins with the word of SPF.
pub struct Spf {
    settings: Settings,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
}

impl Spf {
    /// A judge that asks through `resolver` and measures its time by `clock`.
    pub fn new(settings: Settings, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self { settings, resolver, clock }
    }

    fn verdict(&self, check: &str, identity: &str, outcome: Outcome) -> Verdict {
        let (result, score) = match outcome.result {
            SpfResult::Pass => (CheckResult::Pass, 0.0),
            SpfResult::Fail => (CheckResult::Fail, self.settings.fail),
            SpfResult::SoftFail => (CheckResult::Neutral, self.settings.soft_fail),
            SpfResult::Neutral | SpfResult::None => (CheckResult::Neutral, 0.0),
            SpfResult::TempError => (CheckResult::TempError, 0.0),
            SpfResult::PermError => (CheckResult::PermError, 0.0),
        };
        let says = outcome.explanation.map(|words| format!("; the domain says: {}", line(&words)));
        let evidence = format!(
            "{} for {}: {}{}",
            outcome.result,
            line(identity),
            line(&outcome.why),
            says.unwrap_or_default()
        );
        verdict(check, result, score, evidence)
    }

    async fn judge(&self, subject: &Subject<'_>) -> Option<Vec<Verdict>> {
        let connection = subject.connection;
        let ip = connection.ip().filter(|ip| self.settings.private || is_public(*ip))?;
        let sender = &subject.envelope?.sender;
        let helo = connection.helo.as_str();
        let greeted = format!("postmaster@{helo}");
        let sent = sender.mailbox().map(|mailbox| (mailbox.to_string(), mailbox.domain().as_str()));
        let seconds = self.clock.now().as_secs();
        let receiver = self.settings.hostname.as_str();
        let ask = |sender, domain| Query { ip, domain, sender, helo, receiver, seconds };
        let hello_query = ask(greeted.as_str(), helo);
        let hello = check_host(&*self.resolver, &hello_query);
        Some(match &sent {
            None => {
                let outcome = hello.await;
                let mut verdicts = vec![self.verdict("spf/mail", &greeted, outcome.clone())];
                if outcome.result != SpfResult::None {
                    verdicts.insert(0, self.verdict("spf/helo", helo, outcome));
                }
                verdicts
            }
            Some((sender, domain)) => {
                let mail_query = ask(sender.as_str(), domain);
                let (hello, mail) = tokio::join!(hello, check_host(&*self.resolver, &mail_query));
                let mut verdicts = vec![self.verdict("spf/mail", sender, mail)];
                if hello.result != SpfResult::None {
                    verdicts.insert(0, self.verdict("spf/helo", helo, hello));
                }
                verdicts
            }
        })
    }
}

/// The word of SPF in a verdict of this judge: the evidence begins with it.
pub(crate) fn word(verdict: &Verdict) -> &str {
    verdict.evidence.split(' ').next().unwrap_or_default()
}

#[async_trait]
impl Preprocessor for Spf {
    fn id(&self) -> &str {
        "spf"
    }

    /// RFC 7372 section 3.2: validation failed, or could not be done.
    fn status(&self, verdict: &Verdict) -> (u16, u16) {
        match verdict.result {
            CheckResult::TempError | CheckResult::PermError => (7, 24),
            _ => (7, 23),
        }
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        if !is_stranger(subject) {
            return Findings::default();
        }
        let verdicts = match within(&*self.clock, self.settings.timeout, self.judge(subject)).await {
            Some(verdicts) => verdicts.unwrap_or_default(),
            None => {
                let evidence = format!("temperror: no answer within {} s", self.settings.timeout.as_secs());
                vec![verdict("spf/mail", CheckResult::TempError, 0.0, evidence)]
            }
        };
        Findings { verdicts, edits: Vec::new() }
    }
}

impl std::fmt::Debug for Spf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spf").field("settings", &self.settings).finish_non_exhaustive()
    }
}
