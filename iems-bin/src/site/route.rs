//! Where mail for an address would go, why, and whose rules hold there.

use iems_core::message::Mailbox;
use iems_core::route::Way;

use super::Site;
use crate::admin::answer::{RouteAnswer, WayAnswer};

impl Site {
    pub(super) async fn route(&self, address: &Mailbox) -> RouteAnswer {
        let routed = self.engine.route(address).await;
        let address = address.to_string();
        match routed {
            Ok(route) => {
                let mut ways = Vec::new();
                for way in &route.ways {
                    ways.push(self.way(way).await);
                }
                let (reason, local) = (route.reason, route.local);
                RouteAnswer { address, accepted: true, local, ways, reason, reply: None }
            }
            Err(reply) => {
                let reason = reply.cause.clone().unwrap_or_default();
                let reply = Some(reply.to_string());
                RouteAnswer { address, accepted: false, local: false, ways: Vec::new(), reason, reply }
            }
        }
    }

    async fn way(&self, way: &Way) -> WayAnswer {
        let site = match way.agent {
            true => None,
            false => Some(self.engine.site(&way.channel, &way.hop).await.to_string()),
        };
        WayAnswer {
            channel: way.channel.to_string(),
            hop: way.hop.to_string(),
            address: way.mailbox.to_string(),
            site,
            peer: self.engine.settings().peers.at(&way.hop).origin.clone(),
        }
    }
}
