//! From a next hop to a server that is ready for messages: which hosts, which addresses, TLS or not, as whom.
//!
//! Tries one address after another, up to a bound, and says why if none will do: permanently only
//! where every host that could take the mail said so (RFC 5321 section 5.1).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use iems_core::message::{Domain, EnhancedStatus, NextHop, Reply, Secrecy};
use iems_core::seam::sasl::ChannelBinding;
use iems_core::seam::{Endpoint, Stream};
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tracing::debug;

use super::Client;
use super::hop::Hop;
use super::mx::{self, Exchangers};
use super::peer::Terms;
use super::session::{AuthError, Hello, HelloError, HelloStep, Starttls};
use super::settings::TlsLevel;
use super::target::{Flaw, Target, no_starttls};
use super::tls::{HandshakeError, Need, Protection, Way};
use super::trouble::{Peer, Phase};
use super::wire::Wire;
use crate::proto::{Command, Extensions, Response};
use crate::sts::Found;
use crate::tlsrpt::{FailureSeen, PolicyKind, PolicySeen};

/// A server that is ready for messages.
pub(super) struct Connected {
    pub(super) wire: Wire,
    pub(super) peer: Peer,
    pub(super) extensions: Extensions,
    /// The terms it was opened on.
    pub(super) terms: Terms,
    /// Whether it is for delivery within this machine.
    is_home: bool,
}

/// Why one address does not do.
enum Failure {
    /// It cannot be used; the reply says whether ever.
    Reply(Reply),
    /// TLS was offered, and failed.
    Handshake(Reply),
}

/// What went wrong so far.
#[derive(Default)]
struct Failures {
    tries: usize,
    /// Whether a host did not do because of what its domain publishes.
    unkept: bool,
    temporary: Option<Reply>,
    permanent: Option<Reply>,
}

impl Failures {
    fn add(&mut self, reply: Reply) {
        debug!(%reply, cause = reply.cause, "next hop not usable");
        let place = if reply.code / 100 == 5 { &mut self.permanent } else { &mut self.temporary };
        *place = Some(reply);
    }

    fn into_reply(self) -> Reply {
        self.temporary.or(self.permanent).unwrap_or_else(|| Reply::defer(4, 1, "no host could be tried"))
    }
}

impl Connected {
    /// Whether a message may go over it that must be protected all the way (RFC 8689 section 4.2.1): the server is the right one, and
    /// will not pass it on otherwise. What is delivered within this machine goes no further.
    pub(super) fn keeps_secrets(&self) -> bool {
        let promised = self.extensions.require_tls && self.peer.protection.meets_requiretls();
        promised || self.is_home
    }

    /// Whether we have logged in there.
    pub(super) fn is_known(&self) -> bool {
        self.terms.login.is_some()
    }
}

/// Makes a connection ready that the peer, called `name`, has opened to us, and on which it takes mail now (RFC 2645 section 5).
pub(super) async fn turned(
    client: &Client,
    hop: &NextHop,
    stream: Box<dyn Stream>,
    name: String,
) -> Result<Connected, Reply> {
    let mut terms = client.terms(hop);
    terms.login = None;
    let peer = Peer { name, host: None, protection: Protection::default() };
    let mut wire = Wire::new(stream);
    let mut hello = Hello::new(client.settings.protocol, &terms.hello, Starttls::None);
    loop {
        let step;
        (hello, step) =
            hear(client, hello, &mut wire, &peer).await.map_err(|(failure, _)| failure.into_reply())?;
        let HelloStep::Say(command) = step else {
            return Ok(Connected { wire, peer, extensions: hello.into_extensions(), terms, is_home: false });
        };
        let line = Bytes::from(format!("{command}\r\n"));
        let written = wire.write([line].into(), client.settings.timeouts.hello).await;
        written.map_err(|error| peer.lost(&error, hello.phase()))?;
    }
}

/// Opens a connection to whoever takes mail for `hop`.
pub(super) async fn open(client: &Client, hop: &NextHop) -> Result<Connected, Reply> {
    open_for(client, hop, Secrecy::Usual).await
}

/// The same for a message that must be protected: of the hosts only one will do that [keeps secrets](Connected::keeps_secrets). For one
/// whose sender waives that, any will, where none does as the domain wants it.
pub(super) async fn open_for(client: &Client, hop: &NextHop, secrecy: Secrecy) -> Result<Connected, Reply> {
    let terms = &client.terms(hop).for_secrecy(secrecy);
    let parsed: Hop = hop.as_str().parse().map_err(|error: super::HopError| {
        Reply::refuse(4, 4, "the route leads nowhere").because(error.to_string())
    })?;
    let (lmtp, port) = (client.is_lmtp(), client.port());
    match parsed {
        Hop::Domain(domain) if !lmtp => {
            let exchangers = mx::exchangers(domain.as_str(), client).await?;
            let sts = policy_of(client, terms, &domain).await;
            let Exchangers { hosts, signed, proven } = exchangers;
            let way = Way { domain: Some(&domain), signed, proven, sts: sts.as_ref() };
            first(client, terms, &mx::order(hosts, &*client.random), port, way).await
        }
        Hop::Address(ip, None) => {
            let address = SocketAddr::new(ip.to_canonical(), port);
            alone(client, terms, Endpoint::Tcp(address)).await
        }
        Hop::Domain(host) => named(first(client, terms, &[host.as_str().to_owned()], port, CONFIGURED).await),
        Hop::Host(host, port) => {
            named(first(client, terms, &[host.as_str().to_owned()], port, CONFIGURED).await)
        }
        Hop::Address(ip, Some(port)) => {
            let address = SocketAddr::new(ip.to_canonical(), port);
            named(alone(client, terms, Endpoint::Tcp(address)).await)
        }
        Hop::Local(path) => named(alone(client, terms, Endpoint::Local(path)).await),
    }
}

/// What a domain asks for by MTA-STS, where that counts. What is broken is counted here, once for each link.
async fn policy_of(client: &Client, terms: &Terms, domain: &Domain) -> Option<Found> {
    let sts = client.settings.sts.as_ref().filter(|_| terms.tls.level == TlsLevel::Opportunistic)?;
    let found = sts.find(domain.as_str()).await;
    if let (Found::Broken(kind, text), Some(tally)) = (&found, &client.settings.tally) {
        let (strings, hosts, domain) = (Vec::new(), Vec::new(), domain.as_str().to_owned());
        let policy = Arc::new(PolicySeen { kind: PolicyKind::Sts, domain: domain.clone(), strings, hosts });
        let failure = FailureSeen { kind: *kind, host: None, ip: None, text: text.clone() };
        tally.count(&domain, &policy, Some(failure));
    }
    Some(found)
}

/// The host itself was named.
const CONFIGURED: Way<'static> = Way { domain: None, signed: false, proven: true, sts: None };

async fn alone(client: &Client, terms: &Terms, endpoint: Endpoint) -> Result<Connected, Reply> {
    let target = Target::new(client, terms, endpoint, (None, true), CONFIGURED).await?;
    reach(client, &target).await
}

/// A host that the administrator named: that it does not exist, or wants nothing from us, is a mistake to be mended
/// while mail waits.
fn named(result: Result<Connected, Reply>) -> Result<Connected, Reply> {
    result.map_err(|reply| match reply.is_temporary() {
        true => reply,
        false => Reply { code: 451, enhanced: reply.enhanced.with_class(4), ..reply },
    })
}

/// The first address of the first host that will do.
async fn first(
    client: &Client,
    terms: &Terms,
    hosts: &[String],
    port: u16,
    way: Way<'_>,
) -> Result<Connected, Reply> {
    let mut failures = Failures::default();
    let reached = one_of(client, terms, hosts, port, (way, false), &mut failures).await;
    match reached {
        Some(connected) => Ok(connected),
        None if failures.unkept && terms.may_waive() => {
            // RFC 8689 section 4.2.2: what is published is followed, and is no reason to fail.
            failures.tries = 0;
            let reached = one_of(client, terms, hosts, port, (way, true), &mut failures).await;
            reached.ok_or_else(|| failures.into_reply())
        }
        None => Err(failures.into_reply()),
    }
}

/// The first that will do, as the domain wants it or, if that is `waived`, as it comes.
async fn one_of(
    client: &Client,
    terms: &Terms,
    hosts: &[String],
    port: u16,
    (way, waived): (Way<'_>, bool),
    failures: &mut Failures,
) -> Option<Connected> {
    for host in hosts {
        let (addresses, proven) = match mx::addresses(host, &*client.resolver).await {
            Ok(addresses) => addresses,
            Err(reply) => {
                failures.add(reply);
                continue;
            }
        };
        for ip in addresses {
            if failures.tries >= client.settings.tries {
                return None;
            }
            failures.tries += 1;
            let endpoint = Endpoint::Tcp(SocketAddr::new(ip, port));
            let target = match waived {
                true => Ok(Target::waived(terms, endpoint, host, way)),
                false => Target::new(client, terms, endpoint, (Some(host), proven), way).await,
            };
            let target = match target {
                Ok(target) => target,
                Err(reply) => {
                    // The same holds for its other addresses.
                    failures.unkept = true;
                    failures.add(reply);
                    break;
                }
            };
            match reach(client, &target).await {
                Ok(connected) => return Some(connected),
                Err(reply) => {
                    failures.unkept |= target.need.starttls == Starttls::Required && is_about_tls(&reply);
                    failures.add(reply);
                }
            }
        }
    }
    None
}

/// Whether it is TLS for which a host does not do (RFC 3463 section 3.8).
fn is_about_tls(reply: &Reply) -> bool {
    reply.enhanced.subject() == 7
}

/// One address: with TLS as far as needed, and once more without it where TLS was only worth a try.
async fn reach(client: &Client, target: &Target<'_>) -> Result<Connected, Reply> {
    match once(client, &target.need, target).await {
        Ok(connected) if target.terms.secrecy == Secrecy::Required && !connected.keeps_secrets() => {
            Err(not_secret(client, connected).await)
        }
        Ok(connected) => Ok(connected),
        Err(Failure::Handshake(reply))
            if target.need.starttls == Starttls::Opportunistic
                && (target.terms.login.is_none() || target.is_unheard()) =>
        {
            debug!(%reply, "TLS failed; trying in the clear");
            let need = target.need.in_the_clear("TLS failed");
            once(client, &need, target).await.map_err(Failure::into_reply)
        }
        Err(failure) => Err(failure.into_reply()),
    }
}

/// Takes leave of a server that is not good enough, and says why it is not.
async fn not_secret(client: &Client, mut connected: Connected) -> Reply {
    let limit = client.settings.timeouts.quit;
    if connected.wire.write([format!("{}\r\n", Command::Quit).into()].into(), limit).await.is_ok() {
        let _ = connected.wire.read(limit).await;
    }
    let (peer, offered) = (&connected.peer, connected.extensions.require_tls);
    let why = match (peer.protection.agreed.is_some(), offered) {
        (false, _) => "it offers no TLS",
        (true, false) => "it does not offer REQUIRETLS",
        (true, true) => "nothing proves that it is the right host (DNSSEC, MTA-STS or a rule of ours)",
    };
    let text = format!("the sender wants the message protected all the way (REQUIRETLS), and {why}");
    // RFC 8689 section 4.2.1.
    let detail = if peer.protection.agreed.is_some() { 30 } else { 10 };
    let reply = peer.failed(550, EnhancedStatus::new(5, 7, detail), &text);
    reply.because(peer.protection.whole())
}

impl Failure {
    fn into_reply(self) -> Reply {
        match self {
            Self::Reply(reply) | Self::Handshake(reply) => reply,
        }
    }
}

async fn once(client: &Client, need: &Need, target: &Target<'_>) -> Result<Connected, Failure> {
    let mut peer = target.peer();
    peer.protection = Protection { basis: need.basis.clone(), named: need.named, ..Protection::default() };
    let mut wire = Wire::new(dial(client, target, &peer).await.map_err(Failure::Reply)?);
    let identity = target.identity(&peer).map_err(Failure::Reply)?;
    let protocol = client.settings.protocol;
    let mut hello = Hello::new(protocol, &target.terms.hello, need.starttls).with_identity(identity);
    loop {
        let mut step;
        (hello, step) = match hear(client, hello, &mut wire, &peer).await {
            Ok(heard) => heard,
            Err((failure, no_tls)) => {
                if no_tls {
                    target.count(client, need.counted.as_ref(), Some(no_starttls()));
                }
                return Err(failure);
            }
        };
        if step == HelloStep::Handshake {
            let (name, stream) = (target.server_name(), wire.into_stream());
            let secured = secure(client, need, name, stream, &mut peer).await;
            let flaw = match &secured {
                Ok((_, flaw)) => flaw.clone().or_else(|| need.flaw.clone()),
                Err((_, flaw)) => Some(flaw.clone()),
            };
            target.count(client, need.counted.as_ref(), flaw);
            let bindings;
            ((wire, bindings), _) = secured.map_err(|(failure, _)| failure)?;
            step = hello.secured(bindings);
        }
        let line = match step {
            HelloStep::Say(command) => format!("{command}\r\n").into(),
            HelloStep::Tell(secret) => Bytes::from_owner(secret),
            HelloStep::Handshake | HelloStep::Ready => {
                if peer.protection.agreed.is_none() && need.starttls != Starttls::None {
                    target.count(client, need.counted.as_ref(), Some(no_starttls()));
                }
                client.sessions.ready(&peer.protection);
                let mut extensions = hello.into_extensions();
                extensions.require_tls &= peer.protection.agreed.is_some();
                // Whom it was opened for changes nothing for those that follow.
                let terms = target.terms.clone().for_secrecy(Secrecy::Usual);
                let is_home = target.is_home(client);
                return Ok(Connected { wire, peer, extensions, terms, is_home });
            }
        };
        let written = wire.write([line].into(), client.settings.timeouts.hello).await;
        written.map_err(|error| Failure::Reply(peer.lost(&error, hello.phase())))?;
    }
}

async fn dial(client: &Client, target: &Target<'_>, peer: &Peer) -> Result<Box<dyn Stream>, Reply> {
    let from = match &target.endpoint {
        Endpoint::Tcp(to) => target.terms.source(to),
        Endpoint::Local(_) => None,
    };
    let why =
        match timeout(client.settings.timeouts.connect, client.dialer.dial(&target.endpoint, from)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
    Err(peer.failed(451, EnhancedStatus::new(4, 4, 1), &format!("cannot connect: {why}")))
}

/// Reads one reply and asks the session what it means. Why not, and whether that it has no TLS is the reason.
async fn hear(
    client: &Client,
    hello: Hello,
    wire: &mut Wire,
    peer: &Peer,
) -> Result<(Hello, HelloStep), (Failure, bool)> {
    let phase = hello.phase();
    let failed = |reply| (Failure::Reply(reply), false);
    let response = wire.read(phase.limit(&client.settings.timeouts)).await;
    let response = response.map_err(|error| failed(peer.lost(&error, phase)))?;
    let (hello, step) = understand(hello, response, peer).await.map_err(failed)?;
    match step {
        Ok(step) => Ok((hello, step)),
        Err(error) => {
            // Whoever refuses waits for QUIT (RFC 5321 section 3.1), and whoever asked for an answer within AUTH for `*`
            // before that (RFC 4954 section 4); whether it comes through matters to nobody here.
            let asked = matches!(&error, HelloError::Login(AuthError::Exchange(_)));
            let line = format!("{}{}\r\n", if asked { "*\r\n" } else { "" }, Command::Quit);
            let _ = wire.write([line.into()].into(), client.settings.timeouts.quit).await;
            let no_tls = error == HelloError::NoTls;
            Err((Failure::Reply(describe(error, peer)), no_tls))
        }
    }
}

/// What a reply means. Within AUTH that may take a second of computing, which keeps nobody else waiting.
async fn understand(
    mut hello: Hello,
    response: Response,
    peer: &Peer,
) -> Result<(Hello, Result<HelloStep, HelloError>), Reply> {
    if hello.phase() != Phase::Auth {
        let step = hello.reply(response);
        return Ok((hello, step));
    }
    let work = tokio::task::spawn_blocking(move || {
        let step = hello.reply(response);
        (hello, step)
    });
    work.await.map_err(|error| {
        let reply = peer.failed(451, EnhancedStatus::new(4, 3, 0), "the login could not be computed");
        reply.because(error.to_string())
    })
}

fn describe(error: HelloError, peer: &Peer) -> Reply {
    match error {
        HelloError::Refused(response, phase) => peer.said(&response, phase),
        HelloError::OutOfTurn(response, phase) => peer.out_of_turn(&response, phase),
        HelloError::Login(error) => peer.unknown(&error),
        HelloError::NoTls => {
            let reply = peer.failed(451, EnhancedStatus::new(4, 7, 4), "TLS is required, and it offers none");
            reply.because(format!("policy: {}", peer.protection.basis))
        }
    }
}

/// Does the handshake, and notes what came of it.
async fn secure(
    client: &Client,
    need: &Need,
    name: Option<ServerName<'static>>,
    stream: Box<dyn Stream>,
    peer: &mut Peer,
) -> Result<((Wire, Vec<ChannelBinding>), Option<Flaw>), (Failure, Flaw)> {
    let done = match name {
        None => Err(HandshakeError::new("there is no name to ask for")),
        Some(name) => {
            let handshake = client.tls.connect(need, name, stream);
            match timeout(client.settings.timeouts.handshake, handshake).await {
                Ok(done) => done,
                Err(_) => Err(HandshakeError::new("no answer in time")),
            }
        }
    };
    match done {
        Ok(secured) => {
            peer.protection.agreed = Some(secured.agreed);
            peer.protection.proof = secured.proof;
            let channel = (Wire::new(secured.stream), secured.bindings);
            Ok((channel, secured.flaw.map(|flaw| (flaw.kind, flaw.text))))
        }
        Err(HandshakeError { kind, text }) => {
            client.sessions.failed();
            let reply = peer.failed(451, EnhancedStatus::new(4, 7, 5), &format!("TLS failed: {text}"));
            let failure = Failure::Handshake(reply.because(format!("{kind}; policy: {}", need.basis)));
            Err((failure, (kind, text)))
        }
    }
}
