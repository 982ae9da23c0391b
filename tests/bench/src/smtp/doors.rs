//! The servers at whose door is knocked: each delivers into mailboxes of its own, as Debian ships it but for what is said here.

use std::net::SocketAddrV4;
use std::sync::Arc;

use iems_tests::iems::{HOST, Iems};
use iems_tests::peers::dovecot::Dovecot;
use iems_tests::peers::exim::{Exim, Wishes};
use iems_tests::peers::opensmtpd::OpenSmtpd;
use iems_tests::peers::postfix::Postfix;
use rustls::ClientConfig;

/// Who has mailboxes: `user1` to `user9`, all with the password `secret`.
pub(super) const DOMAIN: &str = "example.org";

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Iems,
    Postfix,
    Exim,
    OpenSmtpd,
}

impl Who {
    pub(super) const ALL: [Self; 4] = [Self::Iems, Self::Postfix, Self::Exim, Self::OpenSmtpd];

    /// For tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Iems => "iems",
            Self::Postfix => "Postfix",
            Self::Exim => "Exim",
            Self::OpenSmtpd => "OpenSMTPD",
        }
    }

    /// Whether its TLS works: Debian's OpenSMTPD breaks off each handshake.
    pub(super) fn speaks_tls(self) -> bool {
        self != Self::OpenSmtpd
    }

    /// Whether it has a process for each connection, so that thousands are out of the question.
    pub(super) fn forks(self) -> bool {
        matches!(self, Self::Postfix | Self::Exim)
    }
}

/// What keeps a server running.
enum Held {
    Iems(Box<Iems>),
    Postfix(Postfix, Dovecot),
    Exim(Exim),
    OpenSmtpd(OpenSmtpd),
}

/// A running server.
pub(super) struct Door {
    /// For mail from anybody.
    pub(super) at: SocketAddrV4,
    /// For mail from users.
    pub(super) submission: SocketAddrV4,
    /// What a client needs to trust it.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The name in its certificate.
    pub(super) name: &'static str,
    held: Held,
}

impl Door {
    /// Starts one with nothing in it. `crowded`: with the bounds on connections that it is shipped with, as far as they are known.
    pub(super) fn open(who: Who, crowded: bool) -> Self {
        match who {
            Who::Iems => {
                let mut site = Box::new(Iems::new());
                site.config.listeners = ["smtp", "submission"].map(str::to_owned).to_vec();
                site.config.more = "[log]\nlevel = \"error\"\n[limits]\nconnections = 12000\n".to_owned();
                site.write();
                let users: Vec<String> = (1..10).map(|n| format!("user{n}@{DOMAIN}")).collect();
                site.accounts(&users.iter().map(String::as_str).collect::<Vec<_>>());
                site.start();
                let (at, submission) = (site.at("smtp"), site.at("submission"));
                let tls = Some(site.certificates.client());
                Self { at, submission, tls, name: HOST, held: Held::Iems(site) }
            }
            Who::Postfix => {
                let dovecot = Dovecot::start();
                let logins = format!(
                    "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {}\nsmtpd_tls_auth_only = yes\n\
                     smtpd_tls_loglevel = 0\nsmtpd_client_connection_rate_limit = 0\n",
                    dovecot.auth().display()
                );
                let postfix = Postfix::start(&logins);
                let (at, tls) = (postfix.at, Some(postfix.certificates.client()));
                Self {
                    at,
                    submission: at,
                    tls,
                    name: "peer.example.org",
                    held: Held::Postfix(postfix, dovecot),
                }
            }
            Who::Exim => {
                let limit = if crowded { "smtp_accept_max = 20\n" } else { "" };
                let main = format!("{limit}log_selector =\nqueue_run_max = 1\n");
                let exim = Exim::start(&Wishes { main, logins: true, ..Wishes::default() });
                let (at, tls) = (exim.at, Some(exim.certificates.client()));
                Self { at, submission: at, tls, name: "peer.example.org", held: Held::Exim(exim) }
            }
            Who::OpenSmtpd => {
                let opensmtpd = OpenSmtpd::start(None);
                let at = opensmtpd.at;
                Self {
                    at,
                    submission: at,
                    tls: None,
                    name: "peer.example.org",
                    held: Held::OpenSmtpd(opensmtpd),
                }
            }
        }
    }

    /// The process ids of its masters.
    pub(super) fn roots(&mut self) -> Vec<u32> {
        match &mut self.held {
            Held::Iems(site) => vec![site.daemon().id()],
            Held::Postfix(postfix, dovecot) => vec![postfix.id(), dovecot.id()],
            Held::Exim(exim) => vec![exim.id()],
            Held::OpenSmtpd(opensmtpd) => vec![opensmtpd.id()],
        }
    }
}
