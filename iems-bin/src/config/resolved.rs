//! The configuration as the program works with it: checked, complete, paths absolute.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use iems_core::Settings;
use iems_core::limits::{AccessRule, Limit};
use iems_core::message::{Domain, Mailbox};
use iems_core::receive::{AuthorMatch, Network, SenderMatch};
use iems_core::seam::CertificateMark;
use iems_smtp::client::{Authorities, Logins, PeerWires, TlsLevel, TlsVersion};
use iems_smtp::server::{SharedSecrets, Verify};

use iems_smtp::tlsrpt::Reporting;
use iems_store::agent::AgentOptions;
use iems_store::directory::QuotaOptions;

use super::batch::Batch;
use super::checks::Checks;
use super::dns::Dns;
use super::problem::Problem;
use crate::admin::submit::SubmitRules;

use super::written::{About, LogFormat, Protocol};

/// All of it.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Our name.
    pub(crate) hostname: Domain,
    /// The folder with everything that is kept.
    pub(crate) data: PathBuf,
    /// Who gets mail for the postmaster, if the directory does not say.
    pub(crate) postmaster: Option<Mailbox>,
    /// The domain of logins without one.
    pub(crate) login_domain: Option<Domain>,
    /// How long a stop waits.
    pub(crate) grace: Duration,
    /// Worker threads, if not as many as processors.
    pub(crate) threads: Option<usize>,
    /// Where peers connect.
    pub(crate) listeners: Vec<Listener>,
    /// The authority that certificates are got from, if any are.
    pub(crate) acme: Option<Acme>,
    /// The least version of TLS at listeners.
    pub(crate) tls_minimum: TlsVersion,
    /// How tokens are looked into, if they are.
    pub(crate) oauth: Option<OAuth>,
    /// Whom we ask for names.
    pub(crate) dns: Dns,
    /// What the engine can take over while it runs: routes, relaying, queue, peers, rules, bounds.
    pub(crate) settings: Settings,
    /// Ways on which mail travels in batches.
    pub(crate) batch: Batch,
    /// Where users of this machine submit, and what holds there.
    pub(crate) submit: Option<(PathBuf, SubmitRules)>,
    /// Who is spoken to in another way than `client` says.
    pub(crate) wires: PeerWires,
    /// As whom we log in where; empty unless the files with the passwords were read.
    pub(crate) logins: Logins,
    /// What accounts that collect mail share with us (`[[odmr]]`).
    pub(crate) shared_secrets: SharedSecrets,
    /// Outgoing connections.
    pub(crate) client: Client,
    /// What other systems are told about TLS with them, if they are.
    pub(crate) tls_reports: Option<Reporting>,
    /// Where what others tell about TLS with us arrives.
    pub(crate) tls_reports_in: ReportsIn,
    /// Bounds for peers.
    pub(crate) limits: Limits,
    /// How much who may do.
    pub(crate) rates: Vec<Limit>,
    /// Who may come in at all.
    pub(crate) access: Vec<AccessRule>,
    /// DNS lists.
    pub(crate) dnsbl: Vec<Dnsbl>,
    /// How they are asked.
    pub(crate) dnsbl_options: DnsblOptions,
    /// What is checked at the door.
    pub(crate) checks: Checks,
    /// On which flows judges run: cells of the matrix.
    pub(crate) matrix: Vec<Cell>,
    /// What holds for IMAP and POP3.
    pub(crate) imap: super::imap::ImapSettings,
    /// What holds for searching texts.
    pub(crate) search: super::search::SearchSettings,
    /// How much accounts may hold.
    pub(crate) quota: QuotaOptions,
    /// How local mail is delivered.
    pub(crate) delivery: AgentOptions,
    /// Memory for the cache of the store, in octets.
    pub(crate) cache: usize,
    /// Whether the index of the store is read whole when it is opened, which no file says: commands that check it want that.
    pub(crate) verify: bool,
    /// How the log is written.
    pub(crate) log_format: LogFormat,
    /// How much is written.
    pub(crate) log_level: String,
    /// The administration socket.
    pub(crate) socket: PathBuf,
    /// What is dangerous, and not wrong.
    pub(crate) warnings: Vec<Problem>,
}

/// Reports of others about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportsIn {
    /// The addresses at which they arrive.
    pub(crate) addresses: Vec<Mailbox>,
    /// How long they are kept.
    pub(crate) keep: Duration,
}

/// A place where peers connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Address and port.
    pub(crate) address: SocketAddr,
    /// Certificate and key, its own or the common one.
    pub(crate) certificate: Option<Certificate>,
    /// Certificates for peers that ask for certain hosts; none where it has one of its own.
    pub(crate) others: Vec<NamedCertificate>,
    /// Whether passwords are taken in the clear.
    pub(crate) cleartext_passwords: bool,
    /// Who may say for whom it speaks.
    pub(crate) xclient: Vec<Network>,
    /// Who may say where messages first came in.
    pub(crate) xforward: Vec<Network>,
    /// Whose reverse-paths are taken.
    pub(crate) senders: SenderMatch,
    /// What follows where authors are not the account's.
    pub(crate) authors: AuthorMatch,
    /// Who says whose a connection is.
    pub(crate) proxies: Vec<Network>,
    /// What is asked of a peer's certificate; nothing unless set.
    pub(crate) client: Option<ClientCertificates>,
}

/// What is asked of a peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientCertificates {
    /// Whether there is no handshake without one that is believed.
    pub(crate) required: bool,
    /// PEM: the authorities that are believed.
    pub(crate) ca: Option<PathBuf>,
    /// Certificates that are believed whoever signed them.
    pub(crate) marks: Vec<CertificateMark>,
}

/// How tokens are looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OAuth {
    /// The file with the keys.
    pub(crate) keys: PathBuf,
    /// Who issues tokens.
    pub(crate) issuer: String,
    /// For whom.
    pub(crate) audience: String,
    /// The claim with the login.
    pub(crate) claim: String,
    /// How far clocks may differ.
    pub(crate) leeway: Duration,
}

/// Two PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Certificate {
    /// The chain.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
}

/// An authority that gives certificates (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    /// Where its directory is.
    pub(crate) directory: String,
    /// Whom it writes to.
    pub(crate) email: Option<Mailbox>,
    /// Where it looks whether hosts are ours.
    pub(crate) address: SocketAddr,
    /// Who is believed for the directory, besides those of Mozilla.
    pub(crate) authorities: Option<Authorities>,
}

#[cfg(feature = "acme")]
impl Acme {
    /// Its host, for the name of a file.
    pub(crate) fn short(&self) -> String {
        let host = self.directory.trim_start_matches("https://").split('/').next().unwrap_or_default();
        host.chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
            .collect()
    }
}

/// A certificate for peers that ask for certain hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedCertificate {
    /// The hosts, in lower case, or `*.` and a domain; those that it names if empty.
    pub(crate) names: Vec<String>,
    /// Where it is.
    pub(crate) files: Certificate,
    /// Whether the server gets it itself.
    pub(crate) managed: bool,
}

/// Outgoing connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    /// How much TLS is owed.
    pub(crate) tls: TlsLevel,
    /// Where that was said.
    pub(crate) tls_origin: String,
    /// The least version.
    pub(crate) tls_minimum: TlsVersion,
    /// Authorities that are believed besides those of Mozilla.
    pub(crate) authorities: Option<Authorities>,
    /// Whether domains are asked for a policy of MTA-STS.
    pub(crate) mta_sts: bool,
    /// The local address.
    pub(crate) source: Option<IpAddr>,
}

/// Bounds for peers that the listeners keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections of one listener.
    pub(crate) connections: usize,
    /// Connections from one address.
    pub(crate) connections_per_address: usize,
    /// Refused commands.
    pub(crate) errors: u32,
    /// How long a peer waits for its greeting.
    pub(crate) greeting_delay: Duration,
    /// Silence.
    pub(crate) idle: Duration,
    /// How long a submitted message may be held.
    pub(crate) future_release: Duration,
    /// To whom `VRFY` says which mailboxes there are.
    pub(crate) verify: Verify,
    /// The least time in which a message may have to be delivered or returned.
    pub(crate) deliver_by_minimum: Duration,
}

/// How DNS lists are asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DnsblOptions {
    /// Whether private addresses are asked about.
    pub(crate) private: bool,
    /// Whether peers with an account are judged.
    pub(crate) authenticated: bool,
    /// How long all questions may take.
    pub(crate) timeout: Duration,
}

/// A cell of the channel action matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The judge.
    pub(crate) judge: &'static str,
    /// The input channel, or `*`.
    pub(crate) input: &'static str,
    /// The output channel, or `*`.
    pub(crate) output: &'static str,
    /// Whether it runs.
    pub(crate) run: bool,
}

/// A DNS list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dnsbl {
    /// The zone.
    pub(crate) zone: Domain,
    /// What it is asked about.
    pub(crate) about: About,
    /// The score of a listing.
    pub(crate) score: f32,
}
