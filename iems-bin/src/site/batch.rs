//! The channel over which mail travels in batches, from its configuration, and the addresses that lead there.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{ChannelId, Domain, Mailbox, NextHop};
use iems_core::preprocess::Policy;
use iems_core::seam::{
    Account, Clock, Directory, DirectoryError, PeerCertificate, Random, Resolution, Resolver, ScramVerifier,
    Target,
};
use iems_smtp::batch::{self, BatchChannel, CHANNEL, FolderIn, Spool, TunnelIn, TunnelOut};
use iems_smtp::dialer::TcpDialer;
use rustls::RootCertStore;

use crate::config::Config;
use crate::exit::Failure;

/// The channel, if there are any ways.
pub(super) fn channel(
    config: &Config,
    roots: &RootCertStore,
    resolver: &Arc<dyn Resolver>,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<Option<Arc<BatchChannel>>, Failure> {
    if config.batch.is_empty() {
        return Ok(None);
    }
    let mut channel = BatchChannel::new(clock.clone());
    for settings in &config.batch.inputs {
        let id = ChannelId::new(CHANNEL);
        channel = channel.with_folder_in(FolderIn::new(settings.clone(), id, clock.clone(), random.clone()));
    }
    for settings in &config.batch.outputs {
        let spool = Spool::new(settings.clone(), clock.clone(), random.clone());
        channel = channel.with_folder_out(&settings.name, Arc::new(spool));
    }
    for way in &config.batch.tunnels_out {
        // Without a key this is a command that only looks at routes.
        let Some(tunnel) = &way.tunnel else { continue };
        let spool = Arc::new(Spool::new(way.spool.clone(), clock.clone(), random.clone()));
        let folder = way.spool.folder.clone();
        let tunnel = TunnelOut::new(tunnel.clone(), folder, spool, clock.clone(), random.clone());
        channel = channel.with_tunnel_out(&way.spool.name, Arc::new(tunnel));
    }
    for settings in &config.batch.tunnels_in {
        channel = channel.with_tunnel_in(Arc::new(TunnelIn::new(settings.clone())));
    }
    for settings in &config.batch.accounts {
        let dialer = Arc::new(TcpDialer);
        let account = batch::Account::new(settings.clone(), roots, resolver.clone(), dialer, clock.clone());
        channel = channel.with_account(account.map_err(Failure::config)?);
    }
    Ok(Some(Arc::new(channel)))
}

/// The directory, with the addresses of tunnels.
pub(super) fn directory<D: Directory>(config: &Config, inner: &Arc<D>) -> Arc<dyn Directory> {
    if config.batch.tunnels_in.is_empty() {
        return inner.clone();
    }
    let end = |tunnel: &batch::TunnelInSettings| {
        let target = Target::Channel {
            channel: ChannelId::new(CHANNEL),
            hop: NextHop::new(&tunnel.name),
            mailbox: tunnel.address.clone(),
        };
        (tunnel.address.folded(), target)
    };
    let ends = config.batch.tunnels_in.iter().map(end).collect();
    Arc::new(WithTunnels { inner: inner.clone(), ends })
}

/// A directory in which some addresses are ends of tunnels, whosever their domain is.
struct WithTunnels<D> {
    inner: Arc<D>,
    ends: HashMap<String, Target>,
}

#[async_trait]
impl<D: Directory> Directory for WithTunnels<D> {
    async fn resolve(&self, mailbox: &Mailbox) -> Result<Resolution, DirectoryError> {
        match self.ends.get(&mailbox.folded()) {
            Some(end) => Ok(Resolution::Targets(vec![end.clone()])),
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
