//! The configuration as the program works with it: checked, complete, paths absolute.

use std::path::PathBuf;
use std::time::Duration;

use iems_core::Settings;
use iems_core::limits::{AccessRule, Limit};
use iems_core::message::{Domain, Mailbox};
use iems_smtp::client::{Logins, PeerWires, TlsVersion};
use iems_smtp::server::SharedSecrets;
use iems_smtp::tlsrpt::Reporting;
use iems_store::agent::AgentOptions;
use iems_store::directory::QuotaOptions;

use super::batch::Batch;
use super::certificates::Acme;
use super::checks::Checks;
use super::client::{Client, ReportsIn};
use super::dns::Dns;
use super::dnsbl::{Dnsbl, DnsblOptions};
use super::files::OAuth;
use super::imap::ImapSettings;
use super::limits::Limits;
use super::listener::Listener;
use super::policy::Cell;
use super::problem::Problem;
use super::search::SearchSettings;
use super::written::LogFormat;
use crate::admin::submit::SubmitRules;

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
    pub(crate) imap: ImapSettings,
    /// What holds for searching texts.
    pub(crate) search: SearchSettings,
    /// How much accounts may hold.
    pub(crate) quota: QuotaOptions,
    /// How local mail is delivered.
    pub(crate) delivery: AgentOptions,
    /// Memory for the index of the store, in octets; unless said, it follows the machine's.
    pub(crate) cache: Option<usize>,
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
