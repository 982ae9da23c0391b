//! Does a stranger send as one of our own domains, or as this very host? Its people log in.

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Domain};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::Directory;

use crate::common::{is_stranger, only, verdict};

/// How strongly it speaks against a message. Mail of our own people also comes back through forwards of others and through
/// lists, so a score below that of a forged name.
const SCORE: f32 = 4.0;

/// The judge: gives one verdict, `sender/own`, where the sender's domain is ours.
///
/// | the peer | result |
/// |---|---|
/// | may send for the domain, by its SPF record (`spf/mail` is `pass`) | `pass` |
/// | has not logged in | `fail` |
/// | the directory does not answer | `temperror` |
pub struct SenderOwn {
    hostname: Option<Domain>,
    directory: Arc<dyn Directory>,
}

impl SenderOwn {
    /// A judge for a system of this name, and the domains of `directory`.
    pub fn new(hostname: &str, directory: Arc<dyn Directory>) -> Self {
        Self { hostname: hostname.parse().ok(), directory }
    }
}

#[async_trait]
impl Preprocessor for SenderOwn {
    fn id(&self) -> &str {
        "sender/own"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let sender = subject.envelope.and_then(|envelope| envelope.sender.mailbox());
        let (Some(sender), true) = (sender, is_stranger(subject)) else { return Findings::default() };
        let domain = sender.domain();
        let found =
            |result, score, why: &str| only(verdict("sender/own", result, score, format!("{domain} {why}")));
        let own = match self.hostname.as_ref() == Some(domain) {
            true => Ok(true),
            false => self.directory.is_local(domain).await,
        };
        let vouched =
            |v: &&iems_core::message::Verdict| v.check == "spf/mail" && v.result == CheckResult::Pass;
        match own {
            Ok(false) => Findings::default(),
            Ok(true) if subject.verdicts.iter().any(|v| vouched(&v)) => {
                found(CheckResult::Pass, 0.0, "is ours, and its SPF record names the peer")
            }
            Ok(true) => found(CheckResult::Fail, SCORE, "is ours, and the peer has not logged in"),
            Err(_) => found(CheckResult::TempError, 0.0, "cannot be looked up: no directory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Ours, Peer};

    async fn judged(peer: Peer) -> String {
        peer.judged(&SenderOwn::new("mx.our.example", Arc::new(Ours)), Stage::Mail).await
    }

    #[tokio::test]
    async fn strangers_do_not_send_as_us() {
        let fail = "sender/own=fail 4 our.example is ours, and the peer has not logged in";
        assert_eq!(judged(Peer::new().from("<ann@our.example>")).await, fail);
        assert!(judged(Peer::new().from("<root@MX.our.example>")).await.starts_with("sender/own=fail 4"));
        assert_eq!(judged(Peer::new()).await, "");
        assert_eq!(judged(Peer::new().from("<>")).await, "");
        assert!(judged(Peer::new().from("<a@trouble.example>")).await.starts_with("sender/own=temperror"));
    }

    #[tokio::test]
    async fn whoever_the_domain_names_may() {
        let mut peer = Peer::new().from("<ann@our.example>");
        peer.verdicts = vec![verdict("spf/mail", CheckResult::Pass, 0.0, "pass")];
        assert!(judged(peer).await.starts_with("sender/own=pass 0"));
        let mut own = Peer::new().from("<ann@our.example>");
        own.trusted = true;
        assert_eq!(judged(own).await, "");
    }
}
