//! Addresses that lead to parts of this program: near ends of tunnels, and where reports about TLS arrive.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{ChannelId, Domain, Mailbox, NextHop};
use iems_core::preprocess::Policy;
use iems_core::seam::{
    Account, Directory, DirectoryError, PeerCertificate, Resolution, ScramVerifier, Target,
};
use iems_smtp::batch::{CHANNEL, TunnelInSettings};
use iems_smtp::tlsrpt::received::{AGENT, COPIES};

use crate::config::Config;

/// The directory, with these addresses.
pub(super) fn directory<D: Directory>(config: &Config, inner: &Arc<D>) -> Arc<dyn Directory> {
    let tunnel = |tunnel: &TunnelInSettings| {
        let target = Target::Channel {
            channel: ChannelId::new(CHANNEL),
            hop: NextHop::new(&tunnel.name),
            mailbox: tunnel.address.clone(),
        };
        (tunnel.address.folded(), End::Instead(target))
    };
    let reports = |address: &Mailbox| (address.folded(), End::Reports);
    let tunnels = config.batch.tunnels_in.iter().map(tunnel);
    let ends: HashMap<_, _> = tunnels.chain(config.tls_reports_in.addresses.iter().map(reports)).collect();
    match ends.is_empty() {
        true => inner.clone(),
        false => Arc::new(WithEnds { inner: inner.clone(), ends }),
    }
}

/// What an address leads to.
enum End {
    /// This, and nothing else.
    Instead(Target),
    /// The agent for reports, besides whoever has the address.
    Reports,
}

/// A directory in which some addresses lead to parts of this program, whosever their domain is.
struct WithEnds<D> {
    inner: Arc<D>,
    ends: HashMap<String, End>,
}

impl<D: Directory> WithEnds<D> {
    async fn reports(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        let target = |agent| {
            let (agent, mailbox) = (ChannelId::new(agent), mailbox.clone());
            Target::Agent { agent, mailbox, detail: None }
        };
        Ok(match self.inner.resolve(mailbox).await? {
            Resolution::Targets(mut targets) => {
                targets.push(target(COPIES));
                Resolution::Targets(targets)
            }
            _ => Resolution::Targets(vec![target(AGENT)]),
        })
    }
}

#[async_trait]
impl<D: Directory> Directory for WithEnds<D> {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        match self.ends.get(&mailbox.folded()) {
            Some(End::Instead(end)) => Ok(Resolution::Targets(vec![end.clone()])),
            Some(End::Reports) => self.reports(mailbox).await,
            None => self.inner.resolve(mailbox).await,
        }
    }

    async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        self.inner.is_local(domain).await
    }

    async fn may_send_as(&self, account: &Account, sender: &Mailbox) -> Result<bool, DirectoryError> {
        self.inner.may_send_as(account, sender).await
    }

    async fn check_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError> {
        self.inner.check_password(login, password).await
    }

    async fn scram(&self, login: &str) -> Result<Option<(Account, ScramVerifier)>, DirectoryError> {
        self.inner.scram(login).await
    }

    async fn by_certificate(
        &self,
        certificate: &PeerCertificate,
        identity: Option<&str>,
    ) -> Result<Option<Account>, DirectoryError> {
        self.inner.by_certificate(certificate, identity).await
    }

    async fn by_token(&self, login: Option<&str>, token: &str) -> Result<Option<Account>, DirectoryError> {
        self.inner.by_token(login, token).await
    }

    async fn known_as(&self, login: &str) -> Result<Option<Account>, DirectoryError> {
        self.inner.known_as(login).await
    }

    async fn used(&self, account: &Account, service: &str) -> Result<(), DirectoryError> {
        self.inner.used(account, service).await
    }

    async fn policy(&self, mailbox: &Mailbox) -> Result<Policy, DirectoryError> {
        self.inner.policy(mailbox).await
    }
}
