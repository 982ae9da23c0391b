//! Reverse names: has the peer's address a name that leads back to it? (RFC 8601 section 2.7.3)
//!
//! On the path: `preprocess`, at the reverse-path. Where the input channel has confirmed the name already, nothing is asked; else
//! the same questions are asked once more, of a resolver that has kept the answers, to tell what is missing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::{Clock, ResolveError, Resolver};

use crate::common::{is_public, is_stranger, line, only, verdict, within};

/// Names of an address that are looked at.
const NAMES: usize = 10;

/// What may be chosen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// How long the questions may take. Default 10 s: the peer waits meanwhile.
    pub timeout: Duration,
    /// Whether loopback, private and link-local addresses are judged. Default no: the public DNS knows no names for them.
    pub private: bool,
    /// How strongly a missing or wrong name speaks against a message. Default 2: servers that are meant to send have one.
    pub score: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), private: false, score: 2.0 }
    }
}

/// The judge: gives one verdict, `iprev`.
///
/// | the address | result |
/// |---|---|
/// | has a name that leads back to it | `pass` |
/// | has names, none of which leads back | `fail` |
/// | has no name | `permerror`, as RFC 8601 calls it |
/// | nobody answers | `temperror` |
pub struct Iprev {
    settings: Settings,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
}

impl Iprev {
    /// A judge that asks through `resolver`.
    pub fn new(settings: Settings, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self { settings, resolver, clock }
    }

    async fn judge(&self, subject: &Subject<'_>) -> Option<Verdict> {
        let ip = subject.connection.ip().filter(|ip| self.settings.private || is_public(*ip))?;
        if let Some(host) = &subject.connection.host {
            return Some(verdict("iprev", CheckResult::Pass, 0.0, format!("{ip} is {}", line(host))));
        }
        let score = self.settings.score;
        let names = match self.resolver.names(ip).await {
            Ok(answer) => answer.records,
            Err(ResolveError::NoName | ResolveError::NoRecords) => {
                return Some(verdict("iprev", CheckResult::PermError, score, format!("{ip} has no name")));
            }
            Err(error) => {
                let evidence = format!("the name of {ip}: {}", line(&error.to_string()));
                return Some(verdict("iprev", CheckResult::TempError, 0.0, evidence));
            }
        };
        let mut trouble = None;
        for name in names.iter().take(NAMES) {
            match self.resolver.addresses(name).await {
                Ok(answer) if answer.records.iter().any(|there| there.to_canonical() == ip) => {
                    let evidence = format!("{ip} is {}", line(name));
                    return Some(verdict("iprev", CheckResult::Pass, 0.0, evidence));
                }
                Err(error) if error.is_temporary() => trouble = Some(error),
                _ => {}
            }
        }
        let named = line(&names.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>().join(", "));
        Some(match trouble {
            Some(error) => {
                let evidence = format!("{ip} is called {named}: {}", line(&error.to_string()));
                verdict("iprev", CheckResult::TempError, 0.0, evidence)
            }
            None => {
                let evidence = format!("{ip} is called {named}, which does not lead back to it");
                verdict("iprev", CheckResult::Fail, score, evidence)
            }
        })
    }
}

#[async_trait]
impl Preprocessor for Iprev {
    fn id(&self) -> &str {
        "iprev"
    }

    /// RFC 7372 section 3.3.
    fn status(&self, _: &Verdict) -> (u16, u16) {
        (7, 25)
    }

    /// Not earlier: before the reverse-path nobody knows whether an account vouches for the peer.
    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        if !is_stranger(subject) {
            return Findings::default();
        }
        match within(&*self.clock, self.settings.timeout, self.judge(subject)).await {
            Some(found) => found.map(only).unwrap_or_default(),
            None => only(verdict("iprev", CheckResult::TempError, 0.0, "no answer in time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Hands, Peer, Zone};

    async fn judged(zone: Zone, peer: Peer) -> (String, usize) {
        let zone = Arc::new(zone);
        let judge = Iprev::new(Settings::default(), zone.clone(), Arc::new(Hands::default()));
        let found = peer.judged(&judge, Stage::Mail).await;
        (found, zone.asked.lock().unwrap().len())
    }

    #[tokio::test]
    async fn a_name_that_leads_back_passes() {
        let zone = Zone::default()
            .with("192.0.2.7", "PTR", &["forged.example", "mail.far.example"])
            .with("forged.example", "A", &["192.0.2.8"])
            .with("mail.far.example", "A", &["192.0.2.7"]);
        assert_eq!(judged(zone, Peer::new()).await.0, "iprev=pass 0 192.0.2.7 is mail.far.example");
    }

    #[tokio::test]
    async fn what_the_channel_has_confirmed_is_not_asked_again() {
        let mut peer = Peer::new();
        peer.connection.host = Some("mail.far.example".into());
        let (found, asked) = judged(Zone::default(), peer).await;
        assert_eq!((found.as_str(), asked), ("iprev=pass 0 192.0.2.7 is mail.far.example", 0));
    }

    #[tokio::test]
    async fn missing_wrong_and_unknown_names_are_told_apart() {
        assert_eq!(judged(Zone::default(), Peer::new()).await.0, "iprev=permerror 2 192.0.2.7 has no name");
        let wrong = Zone::default().with("192.0.2.7", "PTR", &["forged.example"]);
        assert!(
            judged(wrong, Peer::new()).await.0.starts_with("iprev=fail 2 192.0.2.7 is called forged.example")
        );
        let silent = Zone::default().with("192.0.2.7", "PTR", &["!"]);
        assert!(judged(silent, Peer::new()).await.0.starts_with("iprev=temperror 0"));
        let half = Zone::default().with("192.0.2.7", "PTR", &["a.example"]).with("a.example", "A", &["!"]);
        assert!(
            judged(half, Peer::new()).await.0.starts_with("iprev=temperror 0 192.0.2.7 is called a.example")
        );
    }

    #[tokio::test]
    async fn people_own_machines_and_private_addresses_are_not_judged() {
        let mut trusted = Peer::new();
        trusted.trusted = true;
        let mut account = Peer::new();
        account.connection.account = Some(iems_core::seam::Account::new("a@our.example".parse().unwrap()));
        let mut submission = Peer::new();
        submission.connection.submission = true;
        for peer in [trusted, account, submission, Peer::new().at("10.0.0.1")] {
            assert_eq!(judged(Zone::default(), peer).await, (String::new(), 0));
        }
    }
}
