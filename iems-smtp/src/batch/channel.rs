//! The channel `batch`: all ways of a site on which mail travels in batches.
//!
//! Its next hops are the names of what mail leaves by: a folder that others fetch batches from, a tunnel to another site, or the
//! near end of a tunnel, where batches arrive as ordinary mail. What brings batches in (folders, mailboxes of other systems) runs
//! while the engine does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use iems_core::deliver::{Arrival, Attempt, Capabilities, Channel, Link, Outcome};
use iems_core::message::{BodyType, ChannelId, EnhancedStatus, ForwardPath, NextHop, Reply};
use iems_core::receive::Intake;
use iems_core::seam::Clock;
use tokio_util::sync::CancellationToken;

use super::folder::{FolderIn, Spool};
use crate::proto::{Mail, Rcpt};

/// The name of the channel, in and out.
pub const CHANNEL: &str = "batch";

/// How often it is seen whether batches are old enough.
const ROUND: Duration = Duration::from_secs(1);

/// All batch ways of a site.
pub struct BatchChannel {
    id: ChannelId,
    clock: Arc<dyn Clock>,
    inputs: Vec<FolderIn>,
    outputs: HashMap<String, Arc<Spool>>,
}

impl BatchChannel {
    /// A channel without any ways.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { id: ChannelId::new(CHANNEL), clock, inputs: Vec::new(), outputs: HashMap::new() }
    }

    /// With a folder that batches come from.
    #[must_use]
    pub fn with_folder_in(mut self, folder: FolderIn) -> Self {
        self.inputs.push(folder);
        self
    }

    /// With a folder that batches are fetched from, as next hop `name`.
    #[must_use]
    pub fn with_folder_out(mut self, name: &str, spool: Arc<Spool>) -> Self {
        self.outputs.insert(name.to_owned(), spool);
        self
    }

    /// Ends batches that are old enough, until `shutdown` and then all.
    async fn keep(&self, spool: &Spool, shutdown: &CancellationToken) {
        let told = |result: std::io::Result<()>| {
            if let Err(error) = result {
                tracing::warn!(%error, "a batch could not be ended; tried again");
            }
        };
        told(spool.recover().await);
        while !shutdown.is_cancelled() {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = self.clock.sleep(ROUND) => {}
            }
            told(spool.seal_old(shutdown.is_cancelled()).await);
        }
    }
}

#[async_trait]
impl Channel for BatchChannel {
    fn id(&self) -> &ChannelId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().deciding().with_recipients(500)
    }

    async fn serve(&self, intake: Intake, shutdown: CancellationToken) -> std::io::Result<()> {
        let (intake, shutdown) = (&intake, &shutdown);
        let mut all: Vec<BoxFuture<'_, ()>> = Vec::new();
        for folder in &self.inputs {
            all.push(Box::pin(folder.run(intake, shutdown)));
        }
        for spool in self.outputs.values() {
            all.push(Box::pin(self.keep(spool, shutdown)));
        }
        join_all(all).await;
        shutdown.cancelled().await;
        Ok(())
    }

    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        match self.outputs.get(hop.as_str()) {
            Some(spool) => Ok(Box::new(SpoolLink { spool: spool.clone() })),
            None => Err(Reply::defer(
                3,
                5,
                "the way that mail takes in batches is not there now; try again later",
            )
            .because(format!("no batch way is called {hop}"))),
        }
    }
}

/// The way into a spool.
struct SpoolLink {
    spool: Arc<Spool>,
}

#[async_trait]
impl Link for SpoolLink {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let outcome = self.write(attempt).await;
        vec![outcome; attempt.destinations.len()]
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

impl SpoolLink {
    async fn write(&self, attempt: &Attempt) -> Outcome {
        if attempt.envelope.body == BodyType::BinaryMime {
            let text = "a batch cannot hold a message without lines; send it in another encoding";
            return Outcome::Failed(Reply::new(554, EnhancedStatus::new(5, 6, 1), text));
        }
        let mail = Mail::new((*attempt.envelope).clone());
        let recipients: Vec<Rcpt> = attempt.destinations.iter().map(rcpt).collect();
        let body = attempt.body.reader(&*attempt.blobs);
        match self.spool.add(&mail, &recipients, body).await {
            Ok(()) => Outcome::Done(
                Arrival::Relayed,
                Reply::new(250, EnhancedStatus::new(2, 0, 0), "written into a batch"),
            ),
            Err(error) => Outcome::Deferred(
                Reply::defer(3, 0, "the batch could not be written; try again later")
                    .because(error.to_string()),
            ),
        }
    }
}

fn rcpt(destination: &iems_core::deliver::Destination) -> Rcpt {
    let mut rcpt = Rcpt::new(ForwardPath::Mailbox(destination.mailbox.clone()));
    rcpt.notify = destination.recipient.notify;
    rcpt.original = destination.recipient.original.clone();
    rcpt
}
