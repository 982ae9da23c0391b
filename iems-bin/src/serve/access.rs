//! The doors at which mailboxes are read.

use std::sync::Arc;

use iems_access::{imap, pop3};
use iems_core::seam::sasl::Mechanism;
use iems_store::directory::PasswordOptions;
use iems_store::search::TextIndex;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Listener, Protocol};
use crate::exit::Failure;
use crate::site::{Door, Foundation};

/// A server at which mailboxes are read.
#[derive(Clone)]
pub(super) enum Reader {
    Pop3(Arc<pop3::Server>),
    Imap(Arc<imap::Server>),
}

impl Reader {
    /// Serves until told to stop.
    pub(super) async fn serve(self, shutdown: CancellationToken) {
        let (name, served) = match self {
            Self::Pop3(server) => ("POP3", server.serve(shutdown).await),
            Self::Imap(server) => ("IMAP", server.serve(shutdown).await),
        };
        if let Err(error) = served {
            tracing::error!(%error, "a listener for {name} stopped");
        }
    }

    /// Takes the bounds of `config` over, for connections from now on.
    pub(super) fn adjust(&self, config: &Config) {
        match self {
            Self::Pop3(server) => server.adjust(|options| pop3_bounds(config, options)),
            Self::Imap(server) => server.adjust(|options| imap_bounds(config, options)),
        }
    }

    fn door(&self, name: &'static str, bound: std::net::SocketAddr) -> Door {
        match self {
            Self::Pop3(server) => Door::new(name, bound, server.connections()),
            Self::Imap(server) => Door::new(name, bound, server.connections()),
        }
    }
}

/// What the servers of one process share.
pub(super) struct Readers<'a> {
    foundation: &'a Foundation,
    maildrops: Arc<pop3::Maildrops>,
    accounts: Arc<imap::Accounts>,
    secret: [u8; 32],
}

impl<'a> Readers<'a> {
    /// `secret` is that of made-up verifiers.
    pub(super) fn new(foundation: &'a Foundation, secret: [u8; 32]) -> Self {
        let maildrops = pop3::Maildrops::within(foundation.memory.clone(), foundation.directory.clone());
        let (memory, directory) = (foundation.memory.clone(), foundation.directory.clone());
        let accounts = imap::Accounts::within(memory, directory, index(foundation));
        Self { foundation, maildrops, accounts, secret }
    }

    /// The server of a listener that is bound.
    pub(super) fn server(
        &self,
        config: &Config,
        listener: &Listener,
        socket: pop3::Listener,
        (certificate, believed): (Option<pop3::TlsConfig>, Option<pop3::Believed>),
    ) -> Result<(Reader, Door), Failure> {
        let name = listener.protocol.name();
        let mut socket = socket.behind(listener.proxies.clone());
        if matches!(listener.protocol, Protocol::Pop3s | Protocol::Imaps) {
            socket = socket.implicit_tls();
        }
        let bound = socket.local_addr().unwrap_or(listener.address);
        let scope = format!("{name} {bound}");
        let limits = self.foundation.limits.clone();
        let reader = if matches!(listener.protocol, Protocol::Imap | Protocol::Imaps) {
            let mut options = imap::ServerOptions::new(config.hostname.as_str());
            self.auth(config, listener, &mut options.auth);
            options.auth.believed = believed;
            imap_bounds(config, &mut options);
            let server = imap::Server::new(options, vec![socket], self.accounts.clone(), certificate);
            Reader::Imap(Arc::new(server.map_err(Failure::config)?.sharing(limits, scope)))
        } else {
            let mut options = pop3::ServerOptions::new(config.hostname.as_str());
            self.auth(config, listener, &mut options.auth);
            options.auth.believed = believed;
            pop3_bounds(config, &mut options);
            let server = pop3::Server::new(options, vec![socket], self.maildrops.clone(), certificate);
            Reader::Pop3(Arc::new(server.map_err(Failure::config)?.sharing(limits, scope)))
        };
        let door = reader.door(name, bound);
        Ok((reader, door))
    }

    fn auth(&self, config: &Config, listener: &Listener, auth: &mut pop3::AuthOptions) {
        auth.without_tls = listener.cleartext_passwords;
        auth.secret = Some(self.secret);
        auth.iterations = PasswordOptions::default().scram_iterations;
        auth.mechanisms = mechanisms(config, listener);
    }
}

/// What makes searches in texts fast, if it is wanted.
#[cfg(feature = "search")]
fn index(foundation: &Foundation) -> Option<Arc<dyn TextIndex>> {
    foundation.searches.then(|| Arc::new(foundation.search.clone()) as Arc<dyn TextIndex>)
}

#[cfg(not(feature = "search"))]
fn index(_: &Foundation) -> Option<Arc<dyn TextIndex>> {
    None
}

/// Every mechanism that something stands behind.
pub(super) fn mechanisms(config: &Config, listener: &Listener) -> Vec<Mechanism> {
    let has = |mechanism: &Mechanism| match mechanism {
        Mechanism::External => listener.client.is_some(),
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => config.oauth.is_some(),
        Mechanism::CramMd5 => listener.protocol == Protocol::Odmr && !config.shared_secrets.is_empty(),
        _ => true,
    };
    Mechanism::ALL.into_iter().filter(has).collect()
}

/// `[limits]` and `grace` for POP3.
fn pop3_bounds(config: &Config, options: &mut pop3::ServerOptions) {
    options.limits.connections = config.limits.connections;
    options.limits.per_address = config.limits.connections_per_address;
    options.limits.errors = config.limits.errors;
    options.seen = config.imap.pop3_seen;
    options.uidl.clone_from(&config.imap.uidl);
    options.timeouts.idle = pop3::Timeouts::default().idle.max(config.limits.idle);
    options.timeouts.drain = config.grace;
}

/// The same for IMAP, and `[imap]`.
fn imap_bounds(config: &Config, options: &mut imap::ServerOptions) {
    options.limits.connections = config.limits.connections;
    options.limits.per_address = config.limits.connections_per_address;
    options.limits.errors = config.limits.errors;
    options.limits.message_size = config.settings.limits.message_size;
    options.limits.per_account = config.imap.per_account;
    options.limits.messages = config.imap.messages;
    options.timeouts.idle = config.imap.idle;
    options.unauthenticate = config.imap.unauthenticate;
    options.usual = config.imap.usual.clone();
    options.timeouts.drain = config.grace;
}
