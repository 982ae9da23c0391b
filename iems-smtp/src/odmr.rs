//! On-demand mail relay (RFC 2645): mail that waits until its server comes for it.
//!
//! The channel only lets it wait. Whoever collects it logs in and says `ATRN`; then the server hands its connection to the
//! client, which speaks on it as on one of its own, and the queue hands over what waits.

use async_trait::async_trait;
use iems_core::deliver::{Channel, Link};
use iems_core::message::{ChannelId, EnhancedStatus, NextHop, Reply};

/// The channel in which mail waits to be collected; a next hop is a domain.
#[derive(Debug, Clone)]
pub struct OdmrChannel {
    id: ChannelId,
}

impl OdmrChannel {
    /// A channel of this name.
    pub fn new(id: ChannelId) -> Self {
        Self { id }
    }
}

#[async_trait]
impl Channel for OdmrChannel {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    /// Nobody is called here.
    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        let text = format!("waits until the server of {hop} comes for it");
        Err(Reply::new(450, EnhancedStatus::new(4, 4, 1), text))
    }
}
