//! The file as written: all sections. Each stands with its keys, types and defaults in the file of its name, the small ones
//! here. `docs/config.md` explains them; a test keeps the two alike. What values mean together is decided in `resolve`.

use std::time::Duration;

use iems_core::message::{Domain, Mailbox};
use iems_core::receive::Network;
use iems_core::route::Pattern;

use super::batch::{WrittenBatchIn, WrittenBatchOut};
use super::certificates::{WrittenAcme, WrittenCertificate, WrittenTls};
use super::checks::{WrittenChecks, WrittenGreylist, WrittenProbes};
use super::client::{WrittenClient, WrittenTlsReports};
use super::dns::WrittenDns;
use super::dnsbl::{WrittenDnsbl, WrittenDnsblOptions};
use super::imap::{WrittenImap, WrittenPop3};
use super::leaf::{Size, words};
use super::limit::{WrittenAccess, WrittenLimit};
use super::limits::WrittenLimits;
use super::listener::WrittenListener;
use super::mailbox::WrittenMailbox;
use super::odmr::WrittenOdmr;
use super::peer::WrittenPeer;
use super::policy::{WrittenChannelPolicy, WrittenMatrix, WrittenPolicy};
use super::proofs::WrittenOAuth;
use super::queue::WrittenQueue;
use super::quota::{WrittenDelivery, WrittenQuota};
use super::read::{At, FromToml, section};
use super::reports::{WrittenReportLanguage, WrittenReports};
use super::route::WrittenRoute;
use super::search::WrittenSearch;
use super::source::WrittenSource;
use super::submit::WrittenSubmit;
use super::tunnel::{WrittenCollect, WrittenTunnelIn, WrittenTunnelOut};

section! {
    /// The whole file.
    File {
        /// Our name in greetings, `Received` and reports.
        hostname: Domain;
        /// The folder with everything that is kept.
        data: String = r#""iems-data""#;
        /// Who gets mail for the postmaster.
        postmaster: Mailbox;
        /// The domain of logins without one.
        login_domain: Domain;
        /// How long a stop waits for sessions and attempts under way.
        grace: Duration = r#""30s""#;
        /// Worker threads; as many as there are processors unless set.
        threads: u32;
        /// Where peers connect.
        listener: Vec<At<WrittenListener>> = "[]";
        /// The certificate of all listeners that have none of their own.
        tls: WrittenTls = "{}";
        /// Certificates for peers that ask for certain hosts.
        certificate: Vec<At<WrittenCertificate>> = "[]";
        /// The authority that certificates are got from.
        acme: WrittenAcme = "{}";
        /// Logins by token.
        oauth: WrittenOAuth = "{}";
        /// Whom we ask for names.
        dns: WrittenDns = "{}";
        /// Who may send to the world through us without a password.
        relay: Relay = "{}";
        /// Where mail for a domain goes.
        route: Vec<At<WrittenRoute>> = "[]";
        /// Folders that batches come from.
        batch_in: Vec<At<WrittenBatchIn>> = "[]";
        /// Folders that batches are fetched from.
        batch_out: Vec<At<WrittenBatchOut>> = "[]";
        /// Tunnels that mail leaves by.
        tunnel_out: Vec<At<WrittenTunnelOut>> = "[]";
        /// Near ends of tunnels.
        tunnel_in: Vec<At<WrittenTunnelIn>> = "[]";
        /// Mailboxes elsewhere that mail is collected from.
        collect: Vec<At<WrittenCollect>> = "[]";
        /// Mail that waits until an account collects it.
        odmr: Vec<At<WrittenOdmr>> = "[]";
        /// How long and how often delivery is tried.
        queue: WrittenQueue = "{}";
        /// What holds for one destination.
        peer: Vec<At<WrittenPeer>> = "[]";
        /// How fast senders and tenants may go, and what goes before what.
        source: Vec<At<WrittenSource>> = "[]";
        /// What senders and the postmaster are told.
        reports: WrittenReports = "{}";
        /// Who reads reports in another language.
        report_language: Vec<At<WrittenReportLanguage>> = "[]";
        /// How mail leaves by SMTP and LMTP.
        client: WrittenClient = "{}";
        /// What other systems are told about TLS with them.
        tls_reports: WrittenTlsReports = "{}";
        /// Bounds for peers.
        limits: WrittenLimits = "{}";
        /// How much who may do.
        limit: Vec<At<WrittenLimit>> = "[]";
        /// Who may come in at all.
        access: Vec<At<WrittenAccess>> = "[]";
        /// DNS lists to ask.
        dnsbl: Vec<At<WrittenDnsbl>> = "[]";
        /// How DNS lists are asked.
        dnsbl_options: WrittenDnsblOptions = "{}";
        /// What is checked at the door.
        checks: WrittenChecks = "{}";
        /// How greylisting is done.
        greylist: WrittenGreylist = "{}";
        /// How other systems are asked.
        probes: WrittenProbes = "{}";
        /// On which flows judges run.
        matrix: Vec<At<WrittenMatrix>> = "[]";
        /// The site's rules about verdicts.
        policy: Vec<At<WrittenPolicy>> = "[]";
        /// What is done with verdicts for output channels that cannot decide.
        channel_policy: Vec<At<WrittenChannelPolicy>> = "[]";
        /// How much accounts may hold.
        quota: WrittenQuota = "{}";
        /// IMAP.
        imap: WrittenImap = "{}";
        /// Searching texts.
        search: WrittenSearch = "{}";
        /// POP3.
        pop3: WrittenPop3 = "{}";
        /// The mailboxes that are usual here.
        mailbox: Vec<At<WrittenMailbox>> = "[]";
        /// How local mail is delivered.
        delivery: WrittenDelivery = "{}";
        /// The store.
        store: Store = "{}";
        /// The log.
        log: Log = "{}";
        /// Submission by users of the machine.
        submit: WrittenSubmit = "{}";
        /// Administration.
        admin: Admin = "{}";
    }

    /// Relaying.
    Relay {
        /// From where mail to the world is taken without a password.
        networks: Vec<Network> = "[]";
        /// To which domains anybody may send through us.
        domains: Vec<Pattern> = "[]";
    }

    /// The store.
    Store {
        /// Memory for its cache.
        cache: Size;
        /// Room under which no messages from outside are taken.
        low: Size;
        /// How long a commit may take before storage counts as slow.
        slow: Duration = r#""5s""#;
    }

    /// The log.
    Log {
        /// How it is written.
        format: LogFormat = r#""text""#;
        /// How much is written.
        level: String = r#""info""#;
    }

    /// Administration.
    Admin {
        /// The socket.
        socket: String;
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

words! {
    LogFormat, "one of text, json", { "text" => LogFormat::Text, "json" => LogFormat::Json };
}

#[cfg(test)]
mod tests {
    use super::File;
    use crate::config::read::{FromToml, TOP};

    #[test]
    fn the_keys_of_the_top_are_those_that_are_no_sections() {
        let keys = File::KEYS.iter().filter(|key| key.inner.is_empty()).map(|key| key.name);
        assert!(keys.eq(TOP), "{TOP:?}");
    }
}
