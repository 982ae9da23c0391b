//! A connection turned round (RFC 2645 section 5): the peer, who called, is the server from now on, and takes what waits for it.

use iems_core::queue::Collection;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{LINGER, Peer};
use crate::server::serve::Shared;
use crate::server::wire::Wire;

/// Speaks as a client on the connection until nothing waits any more, or one side has enough.
pub(super) async fn turn(
    shared: &Shared,
    wire: Wire,
    peer: Peer,
    collection: &Collection,
    shutdown: &CancellationToken,
) {
    let Some(client) = &shared.client else { return };
    let Some(hop) = collection.hop() else { return };
    match client.turn(&hop, wire.into_stream(), &peer.to_string()).await {
        Err(reply) => tracing::info!(%reply, "does not take the mail that it has asked for"),
        Ok(mut link) => {
            let handed = collection.hand_over(&mut *link, shutdown).await;
            tracing::info!(done = handed.done, other = handed.other, "mail collected");
            let _ = timeout(LINGER, link.close()).await;
        }
    }
}
