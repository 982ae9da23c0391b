//! Where mail for an address would go, why, and whose rules hold there.

use std::time::Duration;

use iems_core::deliver::Channel as _;
use iems_core::message::Mailbox;
use iems_core::route::Way;
use iems_smtp::client::HostOutlook;

use super::Site;
use crate::admin::answer::{HostAnswer, RouteAnswer, WayAnswer};

/// How long whoever asks waits for the DNS, and for the host of a policy.
const PATIENCE: Duration = Duration::from_secs(5);

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
            hosts: self.hosts(way).await,
        }
    }

    /// The hosts of a way, unless they cannot be found out soon.
    async fn hosts(&self, way: &Way) -> Vec<HostAnswer> {
        let client = self.clients.iter().find(|client| !way.agent && *client.id() == way.channel);
        let Some(client) = client else { return Vec::new() };
        let hosts = tokio::time::timeout(PATIENCE, client.outlook(&way.hop)).await.unwrap_or_default();
        hosts.into_iter().map(|HostOutlook { host, tls, .. }| HostAnswer { host, tls }).collect()
    }
}
