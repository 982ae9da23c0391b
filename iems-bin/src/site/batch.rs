//! The channel over which mail travels in batches, from its configuration.

use std::sync::Arc;

use iems_core::message::ChannelId;
use iems_core::seam::{Clock, Random};
use iems_smtp::batch::{BatchChannel, CHANNEL, FolderIn, Spool};

use crate::config::Config;

/// The channel, if there are any ways.
pub(super) fn channel(
    config: &Config,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Option<Arc<BatchChannel>> {
    if config.batch.is_empty() {
        return None;
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
    Some(Arc::new(channel))
}
