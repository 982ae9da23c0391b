//! The entrance: how a peer is let in, by the rules of the site, by what a trusted host says of it, and by whether it can wait.

use std::net::IpAddr;
use std::time::Duration;

use iems_core::limits::{Access, Act, Decision, Host, Shown, Who};
use iems_core::message::{EnhancedStatus, Reply};
use iems_core::seam::Account;
use tokio::time::timeout;

use super::{COMMAND, Peer};
use crate::server::Security;
use crate::server::reverse::Lookup;
use crate::server::serve::Shared;
use crate::server::wire::Wire;

/// What a trusted host says of whom it speaks for.
pub(super) struct Known {
    /// The name of its address, if anything is said of it.
    pub(super) name: Option<Option<String>>,
    /// What it calls itself.
    pub(super) helo: Option<String>,
    /// Whether it speaks ESMTP.
    pub(super) extended: Option<bool>,
    /// Who it has proved to be.
    pub(super) account: Option<Account>,
}

pub(super) fn who(scope: &str, address: Option<IpAddr>) -> Who<'_> {
    Who { scope, address, ..Who::default() }
}

/// How a peer is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Welcome {
    /// No rule knows it.
    Guest,
    /// A rule lets it in.
    Friend,
    /// A rule makes it wait.
    Slow(Duration),
}

/// Whether a peer talks before it is greeted. It waits for its greeting as long as the options say.
pub(super) async fn early(shared: &Shared, peer: Peer, wire: &mut Wire) -> bool {
    let delay = shared.options.greeting_delay;
    if delay.is_zero() || peer.address.is_none() || peer.security == Security::Implicit {
        return false;
    }
    let talk = std::future::poll_fn(|cx| wire.poll_fill(cx, COMMAND));
    matches!(timeout(delay, talk).await, Ok(Ok(octets)) if octets > 0)
}

pub(super) fn talked_early(shared: &Shared, peer: Peer) -> Reply {
    let who = who(&shared.scope, peer.address.map(|address| address.ip()));
    match shared.limits.take(Act::Breach, &who, 1) {
        Ok(_) => Reply::new(
            554,
            EnhancedStatus::new(5, 5, 1),
            "you talked before the greeting; connect again and wait for it",
        ),
        Err(hit) => hit.reply(),
    }
}

/// How somebody comes in.
pub(super) struct Entrance {
    /// How it is let in, or why it is turned away.
    pub(super) access: Result<Welcome, Reply>,
    /// Its name, if the rules wanted to know it.
    pub(super) host: Option<String>,
    /// Whether the rules wait for a certificate.
    pub(super) waits: bool,
}

/// What the rules of the site say of a peer.
pub(super) async fn enter(
    shared: &Shared,
    peer: Peer,
    lookup: &mut Option<Lookup>,
    (known, shown): (Option<&Known>, Shown<'_>),
) -> Entrance {
    let who = who(&shared.scope, peer.address.map(|address| address.ip()));
    let of = |decision: Decision, host| {
        let waits = decision == Decision::AskCertificate;
        Entrance { access: welcome(decision), host, waits }
    };
    if let Some(Known { name: Some(name), .. }) = known {
        let host = name.as_deref().map_or(Host::None, Host::Is);
        return of(shared.limits.access_with(&who, host, Shown::None), name.clone());
    }
    let decision = shared.limits.access_with(&who, Host::Unasked, shown);
    if decision != Decision::AskHost {
        return of(decision, None);
    }
    let host = match lookup.take() {
        Some(lookup) => lookup.finish().await,
        None => None,
    };
    let asked = host.as_deref().map_or(Host::None, Host::Is);
    of(shared.limits.access_with(&who, asked, shown), host)
}

/// The same once all is known.
pub(super) fn decide(
    shared: &Shared,
    address: Option<IpAddr>,
    host: Option<&str>,
    shown: Shown<'_>,
) -> Result<Welcome, Reply> {
    let host = host.map_or(Host::None, Host::Is);
    welcome(shared.limits.access_with(&who(&shared.scope, address), host, shown))
}

fn welcome(decision: Decision) -> Result<Welcome, Reply> {
    match decision {
        Decision::Rule(rule) => match (rule.reply(), rule.action) {
            (Some(reply), _) => Err(reply),
            (None, Access::Slow(delay)) => Ok(Welcome::Slow(delay)),
            _ => Ok(Welcome::Friend),
        },
        _ => Ok(Welcome::Guest),
    }
}
