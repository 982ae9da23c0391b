//! The doors: every listener of the configuration bound, with its certificate, before anything starts.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use iems_access::pop3;
use iems_core::deliver::Channel;
use iems_core::message::ChannelId;
use iems_smtp::server::{Listener as SmtpListener, Mode, Server, ServerOptions};
use iems_store::directory::PasswordOptions;

use super::access::{Reader, Readers, mechanisms};
use crate::config::{Config, Listener, Protocol};
use crate::exit::Failure;
use crate::site::{Door, Foundation};
use crate::tls::{self, Kept};

/// A server whose bounds can change.
pub(super) enum Bounded {
    Smtp(Arc<Server>),
    Reader(Reader),
}

impl Bounded {
    /// Takes the bounds of `config` over, for connections from now on.
    pub(super) fn adjust(&self, config: &Config) {
        match self {
            Self::Smtp(server) => server.adjust(|options| smtp_bounds(config, options)),
            Self::Reader(reader) => reader.adjust(config),
        }
    }
}

/// All doors, bound and not yet open.
#[derive(Default)]
pub(super) struct Doors {
    /// Those through which messages come in.
    pub(super) inputs: Vec<Arc<dyn Channel>>,
    /// Those at which mailboxes are read.
    pub(super) mailboxes: Vec<Reader>,
    /// The servers of both kinds, to be told of other bounds.
    pub(super) bounded: Vec<Bounded>,
    /// Those that give numbers.
    pub(super) metrics: Vec<std::net::TcpListener>,
    /// What is told of each but those that give numbers.
    pub(super) told: Vec<Door>,
    /// Protocol and address of each.
    pub(super) named: Vec<(String, String)>,
}

impl Doors {
    /// Binds them all.
    pub(super) fn open(
        config: &Config,
        foundation: &Foundation,
        certificates: &Kept,
    ) -> Result<Self, Failure> {
        let mut doors = Self::default();
        let secret = secret(config)?;
        let readers = Readers::new(foundation, secret);
        for (at, listener) in config.listeners.iter().enumerate() {
            let (certificate, believed) = certificates.of(at);
            let (name, address) = (listener.protocol.name(), listener.address);
            let cannot = |error: std::io::Error| cannot_listen(name, address, &error);
            let bound = match listener.protocol {
                Protocol::Metrics => {
                    let socket = std::net::TcpListener::bind(address).map_err(cannot)?;
                    let bound = socket.local_addr().map_err(cannot)?;
                    doors.metrics.push(socket);
                    bound
                }
                protocol if protocol.reads() => {
                    let socket = pop3::Listener::bind(address).map_err(cannot)?;
                    let bound = socket.local_addr().map_err(cannot)?;
                    let (reader, door) = readers.server(config, listener, socket, (certificate, believed))?;
                    doors.told.push(door);
                    doors.bounded.push(Bounded::Reader(reader.clone()));
                    doors.mailboxes.push(reader);
                    bound
                }
                _ => {
                    let mut socket = SmtpListener::bind(address)
                        .map_err(cannot)?
                        .behind(listener.proxies.clone())
                        .trusting(listener.xclient.clone())
                        .forwarding_from(listener.xforward.clone());
                    if listener.protocol == Protocol::Submissions {
                        socket = socket.implicit_tls();
                    }
                    let bound = socket.local_addr().unwrap_or(address);
                    let mut options = smtp_options(config, listener, secret);
                    options.auth.believed = believed;
                    let (directory, resolver) = (foundation.directory.clone(), foundation.resolver.clone());
                    let clock = foundation.clock.clone();
                    let server = Server::new(options, vec![socket], directory, resolver, clock, certificate);
                    let server = server.map_err(Failure::config)?;
                    let mut server = server.sharing(foundation.limits.clone(), format!("{name} {bound}"));
                    if let Some(client) = foundation.clients.first() {
                        server = server.turning(client.clone());
                    }
                    doors.told.push(Door::new(name, bound, server.connections()));
                    let server = Arc::new(server);
                    doors.bounded.push(Bounded::Smtp(server.clone()));
                    doors.inputs.push(server);
                    bound
                }
            };
            tracing::info!(protocol = name, address = %bound, "listening");
            doors.named.push((name.to_owned(), bound.to_string()));
        }
        Ok(doors)
    }
}

/// Whoever gets certificates, if any are to be got, and where the authority looks.
#[cfg(feature = "acme")]
pub(super) fn orders(
    config: &Config,
    foundation: &Foundation,
    certificates: &Arc<Kept>,
) -> Result<Option<(crate::acme::Orders, std::net::TcpListener)>, Failure> {
    let Some(wanted) = &config.acme else { return Ok(None) };
    let socket = std::net::TcpListener::bind(wanted.address);
    let socket = socket.map_err(|error| cannot_listen("acme", wanted.address, &error))?;
    let (resolver, random) = (foundation.resolver.clone(), foundation.random.clone());
    let orders = crate::acme::Orders::new(wanted, &config.data, certificates.clone(), (resolver, random))?;
    Ok(Some((orders, socket)))
}

fn smtp_options(config: &Config, listener: &Listener, secret: [u8; 32]) -> ServerOptions {
    let (mode, channel) = match listener.protocol {
        Protocol::Lmtp => (Mode::Lmtp, "lmtp"),
        Protocol::Submission | Protocol::Submissions => (Mode::Submission, "submission"),
        Protocol::Odmr => (Mode::Collection, crate::config::ODMR),
        _ => (Mode::Relay, "smtp"),
    };
    let mut options = ServerOptions::new(mode, ChannelId::new(channel), config.hostname.as_str());
    (options.senders, options.authors) = (listener.senders, listener.authors);
    options.auth.without_tls = listener.cleartext_passwords;
    options.auth.secret = Some(secret);
    options.auth.iterations = PasswordOptions::default().scram_iterations;
    options.auth.mechanisms = mechanisms(config, listener);
    if listener.protocol == Protocol::Odmr {
        options.auth.shared_secrets = config.shared_secrets.clone();
    }
    smtp_bounds(config, &mut options);
    options
}

/// `[limits]` and `grace` for SMTP and LMTP.
fn smtp_bounds(config: &Config, options: &mut ServerOptions) {
    options.max_size = config.settings.limits.message_size;
    options.limits.connections = config.limits.connections;
    options.limits.per_address = config.limits.connections_per_address;
    options.limits.recipients = config.settings.limits.recipients;
    options.limits.hard_errors = config.limits.errors;
    options.limits.soft_errors = config.limits.errors / 2;
    if options.mode == Mode::Relay {
        options.greeting_delay = config.limits.greeting_delay;
    }
    if options.mode == Mode::Submission {
        options.future_release = config.limits.future_release;
    }
    options.verify = config.limits.verify;
    options.deliver_by_minimum = config.limits.deliver_by_minimum;
    options.timeouts.command = config.limits.idle;
    options.timeouts.drain = config.grace;
}

/// The secret from which verifiers for unknown logins are made: kept, so that they stay the same.
fn secret(config: &Config) -> Result<[u8; 32], Failure> {
    let path = config.data.join("scram.secret");
    if let Ok(known) = std::fs::read(&path)
        && let Ok(secret) = known.try_into()
    {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|e| Failure::system(format!("no random numbers: {e}")))?;
    tls::private_file(&path, &secret)?;
    Ok(secret)
}

fn cannot_listen(protocol: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    let place = format!("cannot listen on {address} ({protocol})");
    match error.kind() {
        ErrorKind::AddrInUse => Failure::unavailable(format!(
            "{place}: another program has this address, perhaps another iems or the system's mail server. Stop it, or \
             choose another `address` for this [[listener]]"
        )),
        ErrorKind::PermissionDenied => Failure::forbidden(format!(
            "{place}: not allowed. Ports below 1024 need a right: start as root, or give the program the capability \
             CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
        )),
        ErrorKind::AddrNotAvailable => {
            Failure::unavailable(format!("{place}: this machine does not have the address {}", address.ip()))
        }
        _ => Failure::unavailable(format!("{place}: {error}")),
    }
}
