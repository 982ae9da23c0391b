//! The servers that are measured, each durable and on the same disk: iems and Postfix, relaying into the sink
//! or delivering to mailboxes (Postfix with Dovecot's LMTP).

use std::net::SocketAddr;

use iems_tests::iems::Iems;
use iems_tests::peers::dovecot::Dovecot;
use iems_tests::peers::postfix::Postfix;

/// Mailboxes in local delivery: `user1` to `user9`.
pub(crate) const DOMAIN: &str = "bench.test";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// iems relays.
    IemsRelay,
    /// Postfix relays.
    PostfixRelay,
    /// iems delivers into its own mailboxes.
    IemsLocal,
    /// Postfix hands over to Dovecot by LMTP.
    PostfixDovecot,
}

impl Kind {
    /// For tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IemsRelay => "iems, relay",
            Self::PostfixRelay => "Postfix, relay",
            Self::IemsLocal => "iems, mailboxes",
            Self::PostfixDovecot => "Postfix + Dovecot LMTP",
        }
    }

    /// Whether mail stays here.
    pub(crate) fn local(self) -> bool {
        matches!(self, Self::IemsLocal | Self::PostfixDovecot)
    }
}

/// A running server.
pub(crate) enum Server {
    Iems(Box<Iems>),
    Postfix(Postfix),
    Both(Postfix, Dovecot),
}

impl Server {
    /// Starts one with nothing in it; relays send to `sink`.
    pub(crate) fn start(kind: Kind, sink: SocketAddr) -> Self {
        let relay = format!("relayhost = [{}]:{}\ndefault_transport = smtp", sink.ip(), sink.port());
        match kind {
            Kind::IemsRelay => Self::iems(|site| site.config.route("*", format!("smtp:{sink}"))),
            Kind::IemsLocal => Self::iems(|site| {
                let users: Vec<String> = (1..10).map(|n| format!("user{n}@{DOMAIN}")).collect();
                site.accounts(&users.iter().map(String::as_str).collect::<Vec<_>>());
            }),
            Kind::PostfixRelay => Self::Postfix(Postfix::start(&format!("{relay}\n{}", quiet()))),
            Kind::PostfixDovecot => {
                let dovecot = Dovecot::start();
                let socket = dovecot.socket().display().to_string();
                let local = format!(
                    "virtual_mailbox_domains = {DOMAIN}\nvirtual_mailbox_maps = static:all\nvirtual_transport = lmtp:unix:{socket}"
                );
                Self::Both(Postfix::start(&format!("{local}\n{}", quiet())), dovecot)
            }
        }
    }

    fn iems(prepare: impl FnOnce(&mut Iems)) -> Self {
        let mut site = Box::new(Iems::new());
        // The same as Postfix has by default: twenty connections to one next hop; nobody speaks TLS here.
        site.config.tls = false;
        site.config.listeners = vec!["smtp".to_owned()];
        site.config.more = "[log]\nlevel = \"warn\"\n".to_owned();
        site.config.retry = vec!["1m".to_owned()];
        site.write();
        prepare(&mut site);
        site.start();
        Self::Iems(site)
    }

    /// Where it takes mail.
    pub(crate) fn at(&self) -> SocketAddr {
        match self {
            Self::Iems(site) => site.at("smtp").into(),
            Self::Postfix(postfix) | Self::Both(postfix, _) => postfix.at.into(),
        }
    }

    /// The process ids of its masters.
    pub(crate) fn roots(&mut self) -> Vec<u32> {
        match self {
            Self::Iems(site) => vec![site.daemon().id()],
            Self::Postfix(postfix) => vec![postfix.id()],
            Self::Both(postfix, dovecot) => vec![postfix.id(), dovecot.id()],
        }
    }

    /// How many messages are in its mailboxes.
    pub(crate) fn delivered(&self) -> usize {
        match self {
            Self::Postfix(_) => 0,
            Self::Both(_, dovecot) => dovecot.count(),
            Self::Iems(site) => {
                let list = site.admin(&["account", "list", "--json"]).good().json();
                let counts = list.as_array().into_iter().flatten().filter_map(|a| a["messages"].as_u64());
                counts.sum::<u64>() as usize
            }
        }
    }
}

/// What Debian's Postfix would do, without TLS on either side.
fn quiet() -> &'static str {
    "smtpd_tls_security_level = none\nsmtp_tls_security_level = none\nsmtpd_tls_loglevel = 0\nsmtp_tls_loglevel = 0\n\
     minimal_backoff_time = 300s\nmaximal_backoff_time = 4000s\nqueue_run_delay = 300s\n"
}
