//! The file as written: every section with its keys, types and defaults. `docs/config.md` explains
//! each; a test keeps the two alike. What values mean together is decided in `resolve`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use iems_core::message::{CheckResult, Domain, Mailbox};
use iems_core::preprocess::Action;
use iems_core::receive::{AuthorMatch, Network, SenderMatch};
use iems_core::report::DoubleBounces;
use iems_core::route::{Pattern, Via};
use iems_core::seam::CertificateMark;
use iems_smtp::client::{TlsLevel, TlsVersion};
use iems_smtp::server::Verify;

use super::batch::{WrittenBatchIn, WrittenBatchOut};
use super::certificates::{WrittenAcme, WrittenCertificate};
use super::checks::{WrittenChecks, WrittenGreylist, WrittenProbes};
use super::dns::Word;
use super::leaf::{NameServer, Size, words};
use super::limit::{WrittenAccess, WrittenLimit};
use super::mailbox::WrittenMailbox;
use super::odmr::WrittenOdmr;
use super::peer::WrittenPeer;
use super::read::{At, FromToml, section};
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
        listener: Vec<At<Listener>> = "[]";
        /// The certificate of all listeners that have none of their own.
        tls: Tls = "{}";
        /// Certificates for peers that ask for certain hosts.
        certificate: Vec<At<WrittenCertificate>> = "[]";
        /// The authority that certificates are got from.
        acme: WrittenAcme = "{}";
        /// Logins by token.
        oauth: OAuth = "{}";
        /// Whom we ask for names.
        dns: Dns = "{}";
        /// Who may send to the world through us without a password.
        relay: Relay = "{}";
        /// Where mail for a domain goes.
        route: Vec<At<Route>> = "[]";
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
        queue: Queue = "{}";
        /// What holds for one destination.
        peer: Vec<At<WrittenPeer>> = "[]";
        /// How fast senders and tenants may go, and what goes before what.
        source: Vec<At<WrittenSource>> = "[]";
        /// What senders and the postmaster are told.
        reports: Reports = "{}";
        /// Who reads reports in another language.
        report_language: Vec<At<ReportLanguage>> = "[]";
        /// How mail leaves by SMTP and LMTP.
        client: Client = "{}";
        /// What other systems are told about TLS with them.
        tls_reports: TlsReports = "{}";
        /// Bounds for peers.
        limits: Limits = "{}";
        /// How much who may do.
        limit: Vec<At<WrittenLimit>> = "[]";
        /// Who may come in at all.
        access: Vec<At<WrittenAccess>> = "[]";
        /// DNS lists to ask.
        dnsbl: Vec<At<Dnsbl>> = "[]";
        /// How DNS lists are asked.
        dnsbl_options: DnsblOptions = "{}";
        /// What is checked at the door.
        checks: WrittenChecks = "{}";
        /// How greylisting is done.
        greylist: WrittenGreylist = "{}";
        /// How other systems are asked.
        probes: WrittenProbes = "{}";
        /// On which flows judges run.
        matrix: Vec<At<Matrix>> = "[]";
        /// The site's rules about verdicts.
        policy: Vec<At<Policy>> = "[]";
        /// What is done with verdicts for output channels that cannot decide.
        channel_policy: Vec<At<ChannelPolicy>> = "[]";
        /// How much accounts may hold.
        quota: Quota = "{}";
        /// IMAP.
        imap: Imap = "{}";
        /// Searching texts.
        search: Search = "{}";
        /// POP3.
        pop3: Pop3 = "{}";
        /// The mailboxes that are usual here.
        mailbox: Vec<At<WrittenMailbox>> = "[]";
        /// How local mail is delivered.
        delivery: Delivery = "{}";
        /// The store.
        store: Store = "{}";
        /// The log.
        log: Log = "{}";
        /// Submission by users of the machine.
        submit: WrittenSubmit = "{}";
        /// Administration.
        admin: Admin = "{}";
    }

    /// One place where peers connect.
    Listener {
        /// What is spoken.
        protocol: Protocol;
        /// Address and port.
        address: SocketAddr;
        /// A certificate for this listener alone.
        certificate: String;
        /// Its key.
        key: String;
        /// Whether passwords are taken without TLS from other machines.
        cleartext_passwords: bool = "false";
        /// Hosts that may say for whom they speak.
        xclient: Vec<Network> = "[]";
        /// Hosts of the site that may say where messages first came in.
        xforward: Vec<Network> = "[]";
        /// Whose reverse-paths are taken.
        sender_login: SenderMatch = r#""own""#;
        /// What follows where authors in the header section are not the account's.
        sender_header: AuthorMatch = r#""off""#;
        /// Proxies that say whose a connection is.
        proxies: Vec<Network> = "[]";
        /// Whether peers are asked for a certificate.
        client_certificates: Demand = r#""off""#;
        /// PEM: the authorities whose client certificates are believed.
        client_ca: String;
        /// Client certificates that are believed whoever signed them.
        client_fingerprints: Vec<CertificateMark> = "[]";
    }

    /// The certificate.
    Tls {
        /// PEM: the certificate, then its issuers.
        certificate: String;
        /// PEM: the private key.
        key: String;
        /// The least version of TLS.
        minimum: TlsVersion = r#""1.2""#;
    }

    /// Tokens that are taken instead of passwords.
    OAuth {
        /// JSON Web Key Set: the keys that tokens are signed with.
        keys: String;
        /// Who issues them.
        issuer: String;
        /// For whom they are issued.
        audience: String;
        /// The claim with the login.
        claim: String = r#""email""#;
        /// How far clocks may differ.
        leeway: Duration = r#""60s""#;
    }

    /// Name servers.
    Dns {
        /// Asked in order; the system's unless set.
        servers: Vec<NameServer>;
        /// Who finds out whether answers are proven.
        dnssec: Word;
        /// The file with the keys that validation starts from; the root's own unless set.
        trust_anchor: String;
    }

    /// Relaying.
    Relay {
        /// From where mail to the world is taken without a password.
        networks: Vec<Network> = "[]";
        /// To which domains anybody may send through us.
        domains: Vec<Pattern> = "[]";
    }

    /// One route.
    Route {
        /// For which domains.
        domain: Pattern;
        /// The way.
        via: Via;
        /// As whom we log in there.
        user: String;
        /// The file with the password.
        password_file: String;
    }

    /// The queue.
    Queue {
        /// How long to wait after each failed attempt; the last one repeats.
        retry: Vec<Duration> = r#"["1m", "5m", "15m", "1h", "4h"]"#;
        /// When delivery is given up.
        expire: Duration = r#""5d""#;
        /// When the sender is told of a delay.
        warn: Duration = r#""4h""#;
        /// The most connections to one next hop.
        per_hop: u32 = "20";
        /// The most attempts at once, in all.
        attempts: u32 = "200";
        /// How long the story of a finished message is kept.
        history: Duration = r#""7d""#;
    }

    /// Reports.
    Reports {
        /// Who hears of messages without a sender that fail.
        double_bounces: DoubleBounces = r#""postmaster""#;
        /// How many of them are told one by one within an hour.
        double_bounce_rate: u32 = "10";
        /// The largest message that is returned whole.
        return_message: Size = r#""64KiB""#;
        /// The most of a header section that is returned.
        return_header: Size = r#""16KiB""#;
        /// How long a report about spam is tried.
        spam_expire: Duration = r#""4h""#;
        /// The language of reports.
        language: String = r#""en""#;
        /// Files with texts of one's own.
        texts: Vec<At<String>> = "[]";
    }

    /// A language for the readers at a domain.
    ReportLanguage {
        /// For which domains.
        domain: Pattern;
        /// The language.
        language: String;
    }

    /// Outgoing connections.
    Client {
        /// How much TLS other servers are owed.
        tls: TlsLevel = r#""opportunistic""#;
        /// The least version of TLS towards them.
        tls_minimum: TlsVersion = r#""1.2""#;
        /// Authorities that are believed besides those of Mozilla.
        tls_ca: String;
        /// Whether domains are asked for a policy of MTA-STS.
        mta_sts: bool = "true";
        /// The local address to connect from.
        source: IpAddr;
    }

    /// Reports about TLS.
    TlsReports {
        /// Their author; nobody is told unless set.
        from: Mailbox;
        /// Our name in them.
        organization: String;
        /// Who is asked about them.
        contact: String;
        /// The addresses at which those of others arrive.
        receive: Vec<Mailbox> = "[]";
        /// How long these are kept.
        keep: Duration = r#""90d""#;
    }

    /// Bounds for peers.
    Limits {
        /// The largest message.
        message: Size = r#""50MiB""#;
        /// Recipients of one message.
        recipients: u32 = "1000";
        /// Connections of one listener.
        connections: u32 = "10000";
        /// Connections from one address to one listener.
        connections_per_address: u32 = "100";
        /// Systems that a message may have passed.
        hops: u32 = "100";
        /// Times that it may have passed this one.
        own_hops: u32 = "10";
        /// Refused commands before a peer is disconnected.
        errors: u32 = "20";
        /// How long a peer may stay silent.
        idle: Duration = r#""5m""#;
        /// How long a peer waits for its greeting.
        greeting_delay: Duration = r#""0s""#;
        /// How long a submitted message may be held, if its sender wishes.
        future_release: Duration = r#""7d""#;
        /// The least time in which a message may have to be delivered or returned.
        deliver_by_minimum: Duration = r#""0s""#;
        /// To whom `VRFY` says which mailboxes there are.
        vrfy: Verify = r#""off""#;
        /// Memory of the process over which no more connections and messages are taken.
        memory: Size;
    }

    /// One DNS list.
    Dnsbl {
        /// The zone.
        zone: Domain;
        /// What it is asked about.
        about: About = r#""address""#;
        /// The score of a listing.
        score: f32 = "5.0";
    }

    /// How DNS lists are asked.
    DnsblOptions {
        /// Whether loopback, private and link-local addresses are asked about.
        private: bool = "false";
        /// Whether peers with an account are judged.
        authenticated: bool = "false";
        /// How long all questions about one message may take.
        timeout: Duration = r#""5s""#;
    }

    /// One cell of the channel action matrix.
    Matrix {
        /// The judge.
        judge: Judge = r#""dnsbl""#;
        /// The input channel.
        input: Input = r#""*""#;
        /// The output channel or agent.
        output: Output = r#""*""#;
        /// Whether it runs.
        run: bool;
    }

    /// One rule about verdicts.
    Policy {
        /// Which check.
        check: String;
        /// Which results.
        results: Vec<CheckResult> = r#"["fail"]"#;
        /// The least score.
        score: f32;
        /// What is done.
        action: Action;
    }

    /// One rule for an output channel.
    ChannelPolicy {
        /// The channel.
        channel: OutputChannel;
        /// Which check.
        check: String;
        /// Which results.
        results: Vec<CheckResult> = r#"["fail"]"#;
        /// The least score.
        score: f32;
        /// What is done.
        action: Action;
    }

    /// Quotas.
    Quota {
        /// The most octets of an account.
        storage: Size;
        /// The most messages of an account.
        messages: u32;
        /// The share of a limit, in percent, at which its owner is warned.
        warn_at: u32 = "90";
        /// How long mail is taken over the limit.
        grace: Duration = r#""0s""#;
        /// How far over it, in percent.
        grace_extra: u32 = "10";
        /// Whether senders are asked to try again.
        temporary: bool = "false";
    }

    /// IMAP.
    Imap {
        /// Connections of one account at once.
        connections_per_account: u32 = "100";
        /// Messages of a mailbox that can be opened.
        messages: u32 = "2000000";
        /// How long a session may be silent.
        idle: Duration = r#""30m""#;
        /// Whether others may log in over the same connection.
        unauthenticate: bool = "false";
    }

    /// Searching texts.
    Search {
        /// Whether there is an index.
        index: bool = "true";
        /// Its folder.
        folder: String;
        /// Memory for indexing.
        memory: Size = r#""32MiB""#;
    }

    /// POP3.
    Pop3 {
        /// Whether what was read counts as read.
        mark_seen: bool = "true";
    }

    /// Local delivery.
    Delivery {
        /// Whether a second message with the same Message-ID is dropped.
        drop_duplicates: bool = "false";
        /// Whether a subaddress makes its mailbox.
        make_mailboxes: bool = "false";
    }

    /// The store.
    Store {
        /// Memory for its cache.
        cache: Size = r#""16MiB""#;
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

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// SMTP from other servers.
    Smtp,
    /// Submission by users, STARTTLS (RFC 6409).
    Submission,
    /// Submission by users, TLS from the start (RFC 8314).
    Submissions,
    /// Mail that accounts collect (RFC 2645).
    Odmr,
    /// LMTP (RFC 2033).
    Lmtp,
    /// POP3, STLS.
    Pop3,
    /// POP3, TLS from the start.
    Pop3s,
    /// IMAP, STARTTLS.
    Imap,
    /// IMAP, TLS from the start.
    Imaps,
    /// Numbers for Prometheus over HTTP.
    Metrics,
    /// A protocol whose name is kept for later.
    Later(&'static str),
}

impl Protocol {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Odmr => "odmr",
            Self::Lmtp => "lmtp",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Metrics => "metrics",
            Self::Later(name) => name,
        }
    }

    /// Whether mailboxes are read by it.
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Self::Pop3 | Self::Pop3s | Self::Imap | Self::Imaps)
    }
}

/// Whether peers are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// They are not.
    Off,
    /// They are, and may have none, or one that is not believed.
    Optional,
    /// Without one that is believed there is no handshake.
    Required,
}

/// What a DNS list is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The peer's address.
    Address,
    /// The domain of the envelope sender.
    Sender,
    /// The name the peer gave.
    Hello,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A judge, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judge(pub(crate) &'static str);

/// An input channel, or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Input(pub(crate) &'static str);

/// An output channel or agent, or `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output(pub(crate) &'static str);

/// An output channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputChannel(pub(crate) &'static str);

words! {
    Protocol, "one of smtp, submission, submissions, odmr, lmtp, pop3, pop3s, imap, imaps, metrics", {
        "smtp" => Protocol::Smtp, "submission" => Protocol::Submission,
        "submissions" => Protocol::Submissions, "odmr" => Protocol::Odmr, "lmtp" => Protocol::Lmtp,
        "pop3" => Protocol::Pop3, "pop3s" => Protocol::Pop3s, "metrics" => Protocol::Metrics,
        "imap" => Protocol::Imap, "imaps" => Protocol::Imaps,
        "http" => Protocol::Later("http"), "https" => Protocol::Later("https"),
    };
    Demand, "one of off, optional, required", {
        "off" => Demand::Off, "optional" => Demand::Optional, "required" => Demand::Required,
    };
    About, "one of address, sender, hello", {
        "address" => About::Address, "sender" => About::Sender, "hello" => About::Hello,
    };
    Verify, "one of off, authenticated, local", {
        "off" => Verify::Off, "authenticated" => Verify::Authenticated, "local" => Verify::Local,
    };
    LogFormat, "one of text, json", { "text" => LogFormat::Text, "json" => LogFormat::Json };
    Judge, "one of dnsbl, iprev, helo, spf, sender/domain, sender/own, sender/site, sender/callback, recipient/forward, greylist", {
        "dnsbl" => Judge("dnsbl"), "iprev" => Judge("iprev"), "helo" => Judge("helo"), "spf" => Judge("spf"),
        "sender/domain" => Judge("sender/domain"), "sender/own" => Judge("sender/own"),
        "sender/site" => Judge("sender/site"), "sender/callback" => Judge("sender/callback"),
        "recipient/forward" => Judge("recipient/forward"), "greylist" => Judge("greylist"),
    };
    Input, "one of *, smtp, submission, lmtp, sendmail, batch", {
        "*" => Input("*"), "smtp" => Input("smtp"), "submission" => Input("submission"),
        "lmtp" => Input("lmtp"), "sendmail" => Input("sendmail"), "batch" => Input("batch"),
    };
    Output, "one of *, smtp, lmtp, batch, local", {
        "*" => Output("*"), "smtp" => Output("smtp"), "lmtp" => Output("lmtp"), "local" => Output("local"),
        "batch" => Output("batch"),
    };
    OutputChannel, "one of smtp, lmtp, batch", {
        "smtp" => OutputChannel("smtp"), "lmtp" => OutputChannel("lmtp"),
        "batch" => OutputChannel("batch"),
    };
}

/// The protocols of this version, for messages.
pub(super) const SPOKEN: &str =
    "smtp, submission, submissions, odmr, lmtp, pop3, pop3s, imap, imaps, metrics";
