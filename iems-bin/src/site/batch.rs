//! The channel over which mail travels in batches, from its configuration.

use std::sync::Arc;

use iems_core::message::ChannelId;
use iems_core::seam::{Clock, Random, Resolver};
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
