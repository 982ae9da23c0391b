//! One address to connect to, with what it is owed, and what is counted about it.

use std::sync::Arc;

use iems_core::message::{Domain, EnhancedStatus, Reply, Secrecy};
use iems_core::seam::Endpoint;
use rustls::pki_types::ServerName;

use super::Client;
use super::peer::Terms;
use super::session::Identity;
use super::tls::{self, Host, Need, Protection, Refusal, Way};
use super::trouble::Peer;
use crate::tlsrpt::{FailureKind, FailureSeen, PolicySeen};

/// What is wrong with a session, for reports.
pub(super) type Flaw = (FailureKind, String);

/// The one that no handshake was needed for.
pub(super) fn no_starttls() -> Flaw {
    (FailureKind::StarttlsNotSupported, "STARTTLS is not offered, or refused".into())
}

/// Where to connect to, under which name, and how.
pub(super) struct Target<'a> {
    pub(super) endpoint: Endpoint,
    host: Option<&'a str>,
    pub(super) terms: &'a Terms,
    /// What it is owed.
    pub(super) need: Need,
    /// The domain of which this is an exchanger.
    domain: Option<Domain>,
}

impl<'a> Target<'a> {
    /// A host that is to be tried, with what it is owed.
    pub(super) async fn new(
        client: &Client,
        terms: &'a Terms,
        endpoint: Endpoint,
        (host, proven): (Option<&'a str>, bool),
        way: Way<'_>,
    ) -> Result<Self, Reply> {
        let mut target = Self { endpoint, host, terms, need: Need::nothing(), domain: way.domain.cloned() };
        let Endpoint::Tcp(address) = &target.endpoint else { return Ok(target) };
        let literal = address.ip().to_canonical().to_string();
        let (name, has_name) = (host.unwrap_or(&literal), host.is_some());
        let host = Host { name, has_name, proven, port: address.port() };
        let need = tls::need(client, &terms.tls, way, host).await.map_err(|refusal| {
            let Refusal { kind, status, text, cause, counted } = refusal;
            let reply = target.peer().failed(451, status, &text);
            target.count(client, counted.as_ref(), Some((kind, text)));
            reply.because(cause)
        })?;
        let secret = terms.login.is_some() && !terms.password_unverified && !target.is_unheard();
        target.need = match (secret, terms.secrecy) {
            (true, _) => need.verified(client, &terms.tls, host, "because we log in there"),
            // A host that nobody vouches for will not do whatever its certificate says.
            (false, Secrecy::Required) if need.named && !target.is_home(client) => {
                need.verified(client, &terms.tls, host, "because the message must be protected (REQUIRETLS)")
            }
            _ => need,
        };
        Ok(target)
    }

    /// A host that is to be tried as it comes.
    pub(super) fn waived(terms: &'a Terms, endpoint: Endpoint, host: &'a str, way: Way<'_>) -> Self {
        let need = Need::waived(&terms.tls, way);
        Self { endpoint, host: Some(host), terms, need, domain: way.domain.cloned() }
    }

    /// Counts a session for reports: one as `policy` wants it, or why it was not.
    pub(super) fn count(
        &self,
        client: &Client,
        policy: Option<&Arc<PolicySeen>>,
        failure: Option<(FailureKind, String)>,
    ) {
        let (Some(tally), Some(policy), Some(domain)) = (&client.settings.tally, policy, &self.domain) else {
            return;
        };
        let ip = match &self.endpoint {
            Endpoint::Tcp(address) => Some(address.ip().to_canonical()),
            Endpoint::Local(_) => None,
        };
        let host = self.host.map(|host| host.trim_end_matches('.').to_ascii_lowercase());
        let failure = failure.map(|(kind, text)| FailureSeen { kind, host, ip, text });
        tally.count(domain.as_str(), policy, failure);
    }

    pub(super) fn peer(&self) -> Peer {
        let name = match (&self.endpoint, self.host) {
            (Endpoint::Tcp(address), Some(host)) => format!("{host}[{}]:{}", address.ip(), address.port()),
            (Endpoint::Tcp(address), None) => format!("[{}]:{}", address.ip(), address.port()),
            (Endpoint::Local(path), _) => path.display().to_string(),
        };
        let host = match (&self.endpoint, self.host) {
            (Endpoint::Tcp(_), Some(host)) => Some(host.trim_end_matches('.').to_owned()),
            (Endpoint::Tcp(address), None) => Some(Domain::from(address.ip()).to_string()),
            (Endpoint::Local(_), _) => None,
        };
        Peer { name, host, protection: Protection::default() }
    }

    /// Whether nobody outside this machine can listen. The same rule as that of our server for passwords.
    pub(super) fn is_unheard(&self) -> bool {
        match &self.endpoint {
            Endpoint::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Endpoint::Local(_) => true,
        }
    }

    /// Whether it is for delivery within this machine.
    pub(super) fn is_home(&self, client: &Client) -> bool {
        client.is_lmtp() && self.is_unheard()
    }

    /// Who we have to be, if anybody.
    pub(super) fn identity(&self, peer: &Peer) -> Result<Option<Identity>, Reply> {
        let Some(login) = self.terms.login.clone() else { return Ok(None) };
        let mut nonce = [0; 18];
        let unheard = self.is_unheard();
        match getrandom::fill(&mut nonce) {
            Ok(()) => Ok(Some(Identity { login, nonce, unheard })),
            Err(error) => {
                let text = "we cannot log in there now: the system gives no random numbers";
                Err(peer.failed(451, EnhancedStatus::new(4, 3, 0), text).because(error.to_string()))
            }
        }
    }

    /// The name to ask for; `None` where there is no TLS.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        let Endpoint::Tcp(address) = &self.endpoint else { return None };
        let host = self.need.server_name.as_deref().or(self.host);
        let host = host.and_then(|host| ServerName::try_from(host.trim_end_matches('.').to_owned()).ok());
        Some(host.unwrap_or_else(|| ServerName::from(address.ip())))
    }
}
