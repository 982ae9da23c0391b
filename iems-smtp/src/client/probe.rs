//! Questions without a message: whether a server is there, and whether it would take an address (RFC 5321 section 3.3,
//! up to RCPT and no further).
//!
//! Always from the null reverse-path: whoever is asked must be able to answer without asking back, and a server that
//! refuses it refuses reports. The connection is not kept.

use std::sync::Arc;

use async_trait::async_trait;
use iems_core::message::{Envelope, ForwardPath, Mailbox, NextHop, Reply, ReversePath};
use iems_core::seam::{Probe, Prober};

use super::connect::{self, Connected};
use super::trouble::Phase;
use super::{Client, SmtpClient};
use crate::proto::{Command, Mail, Rcpt};

#[async_trait]
impl Prober for SmtpClient {
    async fn reach(&self, hop: &NextHop) -> Result<(), Reply> {
        let connected = connect::open(&self.client, hop).await?;
        tokio::spawn(leave(self.client.clone(), connected));
        Ok(())
    }

    async fn ask(&self, hop: &NextHop, mailbox: &Mailbox) -> Probe {
        let mut connected = match connect::open(&self.client, hop).await {
            Ok(connected) => connected,
            Err(reply) => return Probe::Unknown(reply),
        };
        let (probe, open) = question(&self.client, &mut connected, mailbox).await;
        if open {
            tokio::spawn(leave(self.client.clone(), connected));
        }
        probe
    }
}

/// MAIL and RCPT, one after the other: a server that is only asked is not hurried. With the answer, whether the
/// connection is still good.
async fn question(client: &Client, connected: &mut Connected, mailbox: &Mailbox) -> (Probe, bool) {
    if !mailbox.is_ascii() && !connected.extensions.smtputf8 {
        let text = format!("host {} does not support SMTPUTF8, and cannot be asked", connected.peer.name);
        return (Probe::Unknown(Reply::defer(6, 7, text)), true);
    }
    let mut envelope = Envelope::new(ReversePath::Null);
    envelope.smtputf8 = !mailbox.is_ascii();
    match say(client, connected, &Command::Mail(Box::new(Mail::new(envelope))), Phase::Mail).await {
        Ok(reply) if reply.code / 100 == 2 => {}
        // What is refused here is the question, not the address.
        Ok(reply) => return (Probe::Unknown(reply), true),
        Err(lost) => return (Probe::Unknown(lost), false),
    }
    let rcpt = Rcpt::new(ForwardPath::Mailbox(mailbox.clone()));
    match say(client, connected, &Command::Rcpt(Box::new(rcpt)), Phase::Rcpt).await {
        Ok(reply) if reply.code / 100 == 2 => (Probe::Takes(reply), true),
        Ok(reply) if reply.code / 100 == 5 => (Probe::Refuses(reply), true),
        Ok(reply) => (Probe::Unknown(reply), true),
        Err(lost) => (Probe::Unknown(lost), false),
    }
}

async fn say(
    client: &Client,
    connected: &mut Connected,
    command: &Command,
    phase: Phase,
) -> Result<Reply, Reply> {
    let (wire, peer, timeouts) = (&mut connected.wire, &connected.peer, &client.settings.timeouts);
    let line = format!("{command}\r\n");
    wire.write([line.into()].into(), timeouts.block).await.map_err(|error| peer.lost(&error, phase))?;
    let response = wire.read(phase.limit(timeouts)).await.map_err(|error| peer.lost(&error, phase))?;
    match response.code / 100 {
        2 | 4 | 5 => Ok(peer.said(&response, phase)),
        _ => Err(peer.out_of_turn(&response, phase)),
    }
}

/// Says goodbye, as far as the server listens. Nobody waits for it.
async fn leave(client: Arc<Client>, mut connected: Connected) {
    let limit = client.settings.timeouts.quit;
    let line = format!("{}\r\n", Command::Quit);
    if connected.wire.write([line.into()].into(), limit).await.is_ok() {
        let _ = connected.wire.read(limit).await;
    }
}
