//! The channel `batch`: all ways of a site on which mail travels in batches.
//!
//! Its next hops are the names of what mail leaves by: a folder that others fetch batches from, a tunnel to another site, or the
//! near end of a tunnel, where batches arrive as ordinary mail. What brings batches in (folders, mailboxes of other systems) runs
//! while the engine does.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, join_all};
use iems_core::deliver::{Arrival, Attempt, Capabilities, Channel, Destination, Link, Outcome};
use iems_core::message::{BodyType, ChannelId, EnhancedStatus, ForwardPath, NextHop, Reply, Secrecy};
use iems_core::preprocess::Preprocessor;
use iems_core::receive::Intake;
use iems_core::seam::Clock;
use tokio_util::sync::CancellationToken;

use super::Parameters;
use super::collect::Account;
use super::folder::{FolderIn, Spool};
use super::tunnel::{BatchObject, HEADER, TunnelIn, TunnelLink, TunnelOut, is_object};
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
    accounts: Vec<Account>,
    outputs: HashMap<String, Way>,
    /// The door, once the engine runs.
    intake: OnceLock<Intake>,
}

/// A way that mail leaves by.
enum Way {
    Folder(Arc<Spool>),
    Out(Arc<TunnelOut>),
    In(Arc<TunnelIn>),
}

impl BatchChannel {
    /// A channel without any ways.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            id: ChannelId::new(CHANNEL),
            clock,
            inputs: Vec::new(),
            accounts: Vec::new(),
            outputs: HashMap::new(),
            intake: OnceLock::new(),
        }
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
        self.outputs.insert(name.to_owned(), Way::Folder(spool));
        self
    }

    /// With a tunnel that mail leaves by, as next hop `name`.
    #[must_use]
    pub fn with_tunnel_out(mut self, name: &str, tunnel: Arc<TunnelOut>) -> Self {
        self.outputs.insert(name.to_owned(), Way::Out(tunnel));
        self
    }

    /// With the near end of a tunnel. Its directory must lead mail for the address of the tunnel to the next hop that is
    /// called as the tunnel is (`Target::Channel`).
    #[must_use]
    pub fn with_tunnel_in(mut self, tunnel: Arc<TunnelIn>) -> Self {
        self.outputs.insert(tunnel.name().to_owned(), Way::In(tunnel));
        self
    }

    /// With a mailbox that mail is collected from.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Who looks at batches for the near ends of tunnels while their sender still hears the reply: the verdict `batch`, which fails
    /// for a batch that nobody signed who may. A policy that refuses it keeps such mail out; the tunnel never carries it out.
    pub fn judge(&self) -> impl Preprocessor + use<> {
        let tunnels = self.outputs.values().filter_map(|way| match way {
            Way::In(tunnel) => Some(tunnel.clone()),
            _ => None,
        });
        BatchObject::new(tunnels.collect(), self.clock.clone())
    }

    /// Ends batches that are old enough, until `shutdown` and then all; those of a tunnel are sent.
    async fn keep(
        &self,
        spool: &Spool,
        tunnel: Option<&TunnelOut>,
        intake: &Intake,
        shutdown: &CancellationToken,
    ) {
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
            if let Some(tunnel) = tunnel {
                tunnel.send_all(intake, shutdown).await;
            }
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
        let _ = self.intake.set(intake.clone()); // the same engine's, if it was set
        let (intake, shutdown) = (&intake, &shutdown);
        let mut all: Vec<BoxFuture<'_, ()>> = Vec::new();
        for folder in &self.inputs {
            all.push(Box::pin(folder.run(intake, shutdown)));
        }
        for account in &self.accounts {
            all.push(Box::pin(account.run(intake, shutdown)));
        }
        for way in self.outputs.values() {
            match way {
                Way::Folder(spool) => all.push(Box::pin(self.keep(spool, None, intake, shutdown))),
                Way::Out(tunnel) => {
                    all.push(Box::pin(self.keep(&tunnel.spool, Some(tunnel), intake, shutdown)));
                }
                Way::In(_) => {}
            }
        }
        join_all(all).await;
        shutdown.cancelled().await;
        Ok(())
    }

    async fn open(&self, hop: &NextHop) -> Result<Box<dyn Link>, Reply> {
        match (self.outputs.get(hop.as_str()), self.intake.get()) {
            (Some(Way::Folder(spool)), _) => Ok(Box::new(SpoolLink { spool: spool.clone(), wraps: false })),
            (Some(Way::Out(tunnel)), _) => {
                Ok(Box::new(SpoolLink { spool: tunnel.spool.clone(), wraps: true }))
            }
            (Some(Way::In(tunnel)), Some(intake)) => {
                Ok(Box::new(TunnelLink { tunnel: tunnel.clone(), intake: intake.clone() }))
            }
            _ => {
                let text = "the way that mail takes in batches is not there now; try again later";
                Err(Reply::defer(3, 5, text).because(format!("no batch way is called {hop}")))
            }
        }
    }
}

/// The way into a spool.
struct SpoolLink {
    spool: Arc<Spool>,
    /// Whether the batch is wrapped into mail.
    wraps: bool,
}

#[async_trait]
impl Link for SpoolLink {
    async fn transmit(&mut self, attempt: &Attempt) -> Vec<Outcome> {
        let all = attempt.destinations.len();
        if let Err(refused) = self.fits(attempt).await {
            return vec![refused; all];
        }
        let taken = |to: &&Destination| self.spool.parameters() != Parameters::None || to.mailbox.is_ascii();
        let recipients: Vec<Rcpt> = attempt.destinations.iter().filter(taken).map(rcpt).collect();
        let outcome = match recipients.is_empty() {
            true => no_utf8(),
            false => self.write(attempt, &recipients).await,
        };
        let of = |to: &Destination| if taken(&to) { outcome.clone() } else { no_utf8() };
        attempt.destinations.iter().map(of).collect()
    }

    fn is_reusable(&self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {}
}

impl SpoolLink {
    /// Whether a message may be in a batch.
    async fn fits(&self, attempt: &Attempt) -> Result<(), Outcome> {
        let envelope = &attempt.envelope;
        if envelope.body == BodyType::BinaryMime {
            let text = "a batch cannot hold a message without lines; send it in another encoding";
            return Err(Outcome::Failed(Reply::new(554, EnhancedStatus::new(5, 6, 1), text)));
        }
        if envelope.secrecy == Secrecy::Required {
            let text = "a batch travels without TLS; send the message without REQUIRETLS";
            return Err(Outcome::Failed(Reply::refuse(7, 30, text)));
        }
        let plain = self.spool.parameters() == Parameters::None;
        if plain && envelope.sender.mailbox().is_some_and(|sender| !sender.is_ascii()) {
            return Err(no_utf8());
        }
        if !(self.wraps || plain && envelope.smtputf8) {
            return Ok(());
        }
        let header = attempt.body.header(&*attempt.blobs, HEADER).await.map_err(|error| unwritten(&error))?;
        // A batch of a batch would go round for ever if its address led back here.
        if self.wraps && is_object(&header) {
            let text =
                "a batch cannot travel in a batch; send it to the address of its tunnel by another way";
            return Err(Outcome::Failed(Reply::new(554, EnhancedStatus::new(5, 4, 6), text)));
        }
        // RFC 6531 section 3.2; what only claims to need it goes.
        if plain && envelope.smtputf8 && !header.is_ascii() { Err(no_utf8()) } else { Ok(()) }
    }

    async fn write(&self, attempt: &Attempt, recipients: &[Rcpt]) -> Outcome {
        let mail = Mail::new((*attempt.envelope).clone());
        let body = attempt.body.reader(&*attempt.blobs);
        let arrival = match self.spool.parameters() {
            Parameters::None => Arrival::RelayedWithoutDsn,
            _ => Arrival::Relayed,
        };
        match self.spool.add(&mail, recipients, body).await {
            Ok(()) => {
                Outcome::Done(arrival, Reply::new(250, EnhancedStatus::new(2, 0, 0), "written into a batch"))
            }
            Err(error) => unwritten(&error),
        }
    }
}

fn no_utf8() -> Outcome {
    let text =
        "who reads the batch does not take SMTPUTF8; send the message with addresses and a header in ASCII";
    Outcome::Failed(Reply::new(553, EnhancedStatus::new(5, 6, 7), text))
}

fn unwritten(error: &dyn std::error::Error) -> Outcome {
    let reply = Reply::defer(3, 0, "the batch could not be written; try again later");
    Outcome::Deferred(reply.because(error.to_string()))
}

fn rcpt(destination: &Destination) -> Rcpt {
    let mut rcpt = Rcpt::new(ForwardPath::Mailbox(destination.mailbox.clone()));
    rcpt.notify = destination.recipient.notify;
    rcpt.original = destination.recipient.original.clone();
    rcpt
}
