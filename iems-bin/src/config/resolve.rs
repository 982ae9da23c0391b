//! From the file as written to what holds: what is missing, what contradicts, what belongs together.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use iems_core::Settings;
use iems_core::health::Marks;
use iems_core::message::{ChannelId, CheckResult};
use iems_core::preprocess::{Action, Policy, Rule, Scope};
use iems_core::queue::Peer;
use iems_core::receive::{Network, Relay};
use iems_core::route::Pattern;
use iems_smtp::client::{Logins, PeerWires};

use super::batch;
use super::certificates::{Common, Inspect, Pair, common};
use super::client::{client, tls_reports, tls_reports_in};
use super::peer::peers;
use super::peer_tls::Files;
use super::problem::Notes;
use super::proofs::client_certificates;
use super::read::At;
use super::reports::{self, ReadTexts};
use super::resolved::{Cell, ClientCertificates, Config, Dnsbl, DnsblOptions, Limits, Listener, OAuth};
use super::route::{ReadPassword, routes};
use super::source::sources;
use super::tunnel::{ReadKeys, ReadSecret};
use super::written::{self, File, Protocol};

type Span = Option<Range<usize>>;

/// How files that the configuration names are looked at.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Certificates.
    pub(super) certificate: Inspect,
    /// Authorities of client certificates.
    pub(super) client: fn(&ClientCertificates) -> Result<(), String>,
    /// Keys of tokens.
    pub(super) tokens: fn(&OAuth) -> Result<(), String>,
    /// Texts of reports.
    pub(super) texts: ReadTexts,
    /// Passwords.
    pub(super) password: ReadPassword,
    /// Passwords for mailboxes elsewhere.
    pub(super) secret: ReadSecret,
    /// Keys of tunnels.
    pub(super) keys: ReadKeys,
}

impl Look {
    /// Not at all.
    pub(super) const AWAY: Self = Self {
        certificate: |_, _| Ok(Vec::new()),
        client: |_| Ok(()),
        tokens: |_| Ok(()),
        texts: |_| Ok(None),
        password: |_| Ok(None),
        secret: |_| Ok(None),
        keys: |_| Ok(None),
    };
}

/// The configuration that `file` means, or `None` after noting why there is none.
pub(super) fn resolve(file: File, folder: &Path, look: Look, notes: &mut Notes<'_>) -> Option<Config> {
    let data = folder.join(&file.data.value);
    let socket =
        file.admin.socket.as_ref().map_or_else(|| data.join("admin.sock"), |s| folder.join(&s.value));
    let common = common(&file, (folder, look), notes);
    let listeners = listeners(&file, &common, (folder, look), notes);
    let ((mut settings, wires), dnsbl) =
        (settings(&file, (folder, look.texts), notes), dnsbl(&file.dnsbl, notes));
    let logins: Logins;
    (settings.routes, logins) = routes(&file.route, folder, look.password, notes);
    let batch = batch::resolve(&file, (folder, look), &data, notes);
    batch::check_routes(&file.route, &settings.routes, &batch, notes);
    let shared_secrets = super::odmr::resolve(&file, (folder, look), &mut settings, notes);
    settings.reports = reports::resolve(&file, folder, look.texts, notes);
    if let Err(why) = crate::log::check_level(&file.log.level) {
        notes.add(
            file.log.level.span.as_ref(),
            "log.level",
            format!("log.level: {why}; expected error, warn, info, debug or trace"),
        );
    }
    if !batch.tunnels_in.is_empty() {
        settings.policy = batch::policy().and(&settings.policy);
    }
    let tls_reports_in = tls_reports_in(&file, &settings.routes, notes);
    if !tls_reports_in.addresses.is_empty() {
        settings.policy = super::client::only_reports().and(&settings.policy);
    }
    let imap = super::imap::imap(&file, notes);
    Some(Config {
        hostname: need(file.hostname.clone(), "hostname", "", &None, notes)?,
        postmaster: file.postmaster.as_ref().map(|postmaster| postmaster.value.clone()),
        login_domain: file.login_domain.as_ref().map(|domain| domain.value.clone()),
        grace: file.grace.value,
        threads: file.threads.as_ref().map(|threads| threads.value.min(1024) as usize),
        listeners,
        acme: super::certificates::acme(&file, (folder, look.texts), notes),
        tls_minimum: file.tls.minimum.value,
        oauth: super::proofs::oauth(&file, (folder, look), notes),
        dns: super::dns::resolve(&file.dns, folder, look.texts, notes),
        settings,
        batch,
        submit: super::submit::resolve(&file, folder, notes),
        wires,
        logins,
        shared_secrets,
        client: client(&file.client, (folder, look.texts), notes),
        tls_reports: tls_reports(&file, notes),
        tls_reports_in,
        limits: limits(&file.limits),
        rates: super::limit::limits(&file.limit, notes),
        access: super::limit::access(&file.access, notes),
        dnsbl,
        dnsbl_options: dnsbl_options(&file.dnsbl_options),
        checks: super::checks::resolve(
            (&file.checks, &file.greylist, &file.probes),
            file.hostname.as_ref().map(|hostname| &hostname.value),
            notes,
        ),
        matrix: matrix(&file.matrix, notes),
        delivery: super::quota::delivery(&file.delivery, &imap.usual),
        imap,
        search: super::search::search(&file.search, folder, &data, notes),
        quota: super::quota::quota(&file.quota, notes),
        cache: usize::try_from(file.store.cache.0).unwrap_or(usize::MAX),
        verify: false,
        log_format: file.log.format.value,
        log_level: file.log.level.value.clone(),
        socket,
        data,
        warnings: notes.warnings(),
    })
}

/// Who may relay. That everybody may is never meant.
fn relay(written: &written::Relay, notes: &mut Notes<'_>) -> Relay {
    let relay = Relay { networks: written.networks.value.clone(), domains: written.domains.value.clone() };
    let open = "would make this an open relay";
    if let Some(network) = relay.networks.iter().find(|network| network.is_everything()) {
        let message =
            format!("relay.networks: \"{network}\" {open}; expected the networks of your own machines");
        notes.add(written.networks.span.as_ref(), "relay.networks", message);
    }
    if relay.domains.contains(&Pattern::Any) {
        let message = format!(
            "relay.domains: \"*\" {open}; expected domains such as \"example.org\" or \"*.example.org\""
        );
        notes.add(written.domains.span.as_ref(), "relay.domains", message);
    }
    relay
}

/// What the engine can take over while it runs.
fn settings(file: &File, files: Files<'_>, notes: &mut Notes<'_>) -> (Settings, PeerWires) {
    let mut settings = Settings::default();
    settings.relay = relay(&file.relay, notes);
    settings.policy = super::checks::policy(&file.checks, policy(&file.policy, notes));
    settings.channel_policies = channel_policies(&file.channel_policy, notes);
    settings.limits.message_size = file.limits.message.0;
    settings.limits.recipients = file.limits.recipients.value as usize;
    (settings.limits.hops, settings.limits.own_hops) = (file.limits.hops.value, file.limits.own_hops.value);
    settings.concurrency = file.queue.attempts.value as usize;
    if let Some(span) = &file.queue.attempts.span {
        settings.concurrency_origin = notes.place(Some(span), "queue.attempts");
    }
    settings.history = file.queue.history.value;
    settings.sources = sources(&file.source, notes);
    let (peers, wires) = peers(&file.peer, default_peer(&file.queue, notes), files, notes);
    settings.peers = peers;
    settings.marks = marks(file, notes);
    (settings, wires)
}

/// Where trouble begins.
fn marks(file: &File, notes: &mut Notes<'_>) -> Marks {
    let mut marks = Marks::default();
    marks.disk_low = file.store.low.as_ref().map(|size| size.0);
    marks.memory_high = file.limits.memory.as_ref().map(|size| size.0);
    marks.commit_slow = file.store.slow.value;
    if marks.commit_slow.is_zero() {
        let message = "store.slow: expected a duration longer than nothing, such as \"5s\"";
        notes.add(file.store.slow.span.as_ref(), "store.slow", message);
    }
    marks
}

/// The value, or a note that the key is missing in its section, unless what stands there is noted already.
pub(super) fn need<T: Clone>(
    value: Option<At<T>>,
    name: &str,
    section: &str,
    span: &Span,
    notes: &mut Notes<'_>,
) -> Option<T> {
    let key = super::read::below(section, name);
    let start = span.as_ref().map_or(0, |span| span.start);
    if value.is_none() && !notes.has(&key, start) {
        let place = if section.is_empty() { "the file".to_owned() } else { format!("[[{section}]]") };
        notes.add(span.as_ref(), &key, format!("{place} needs the key {name:?}"));
    }
    value.map(|at| at.value)
}

fn listeners(
    file: &File,
    common: &Common,
    (folder, look): (&Path, Look),
    notes: &mut Notes<'_>,
) -> Vec<Listener> {
    let mut taken = HashMap::new();
    let mut resolved = Vec::new();
    let host: Vec<String> = file.hostname.iter().map(|hostname| hostname.value.to_string()).collect();
    for listener in &file.listener.value {
        let protocol = need(listener.protocol.clone(), "protocol", "listener", &listener.span, notes);
        let address = need(listener.address.clone(), "address", "listener", &listener.span, notes);
        let own = Pair { certificate: &listener.certificate, key: &listener.key };
        let own = own.resolve("listener", &host, (folder, look), notes);
        let (Some(protocol), Some(address)) = (protocol, address) else { continue };
        if taken.insert(address, protocol).is_some() && address.port() != 0 {
            let span = listener.address.as_ref().and_then(|a| a.span.as_ref());
            notes.add(
                span,
                "listener.address",
                format!("listener.address: {address} is used by two listeners"),
            );
        }
        let others = if own.is_some() { Vec::new() } else { common.named.clone() };
        let certificate = own.or_else(|| common.default.clone());
        let cleartext_passwords = listener.cleartext_passwords.value;
        let proxies = proxies(listener, protocol, notes);
        let xclient = speakers(&listener.xclient, "listener.xclient", protocol, notes);
        let xforward = speakers(&listener.xforward, "listener.xforward", protocol, notes);
        let (senders, authors) = super::senders::senders(listener, protocol, notes);
        let client = client_certificates(listener, certificate.is_some(), (folder, look), notes);
        let candidate = Listener {
            protocol,
            address,
            certificate,
            others,
            cleartext_passwords,
            proxies,
            xclient,
            xforward,
            senders,
            authors,
            client,
        };
        usable(&candidate, listener, notes);
        resolved.push(candidate);
    }
    resolved
}

/// Who says whose a connection is. That everybody may say so is never meant.
fn proxies(listener: &written::Listener, protocol: Protocol, notes: &mut Notes<'_>) -> Vec<Network> {
    let (proxies, span) = (&listener.proxies.value, listener.proxies.span.as_ref());
    let key = "listener.proxies";
    if let Some(network) = proxies.iter().find(|network| network.is_everything()) {
        let message = format!(
            "{key}: \"{network}\" would let everybody pretend to be anybody; expected the addresses of your proxies"
        );
        notes.add(span, key, message);
    }
    if protocol == Protocol::Metrics && !proxies.is_empty() {
        notes.add(span, key, format!("{key}: expected none for metrics, which do not look at who asks"));
    }
    proxies.clone()
}

/// Who may say for whom it speaks, or where a message first came in, by SMTP and LMTP.
fn speakers(
    written: &At<Vec<Network>>,
    key: &str,
    protocol: Protocol,
    notes: &mut Notes<'_>,
) -> Vec<Network> {
    let (hosts, span) = (&written.value, written.span.as_ref());
    if let Some(network) = hosts.iter().find(|network| network.is_everything()) {
        let message = format!(
            "{key}: \"{network}\" would let everybody pretend to be anybody; expected the addresses of your own hosts"
        );
        notes.add(span, key, message);
    }
    let speaks = !matches!(protocol, Protocol::Metrics) && !protocol.reads();
    if !speaks && !hosts.is_empty() {
        notes.add(
            span,
            key,
            format!("{key}: expected none for {}, which has no such command", protocol.name()),
        );
    }
    hosts.clone()
}

/// Notes what makes a listener useless.
fn usable(listener: &Listener, written: &written::Listener, notes: &mut Notes<'_>) {
    let span = written.protocol.as_ref().and_then(|p| p.span.as_ref());
    let bare = listener.certificate.is_none();
    let message = match listener.protocol {
        Protocol::Later(name) => {
            format!("listener.protocol: {name:?} is not part of this version; what is: {}", written::SPOKEN)
        }
        Protocol::Submissions | Protocol::Pop3s | Protocol::Imaps if bare => {
            "this listener speaks TLS from the start and needs a certificate: set `certificate` and `key` \
             here or in [tls]"
                .into()
        }
        Protocol::Submission | Protocol::Odmr | Protocol::Pop3 | Protocol::Imap
            if bare && !listener.cleartext_passwords && !listener.address.ip().is_loopback() =>
        {
            "nobody could log in: without TLS, passwords are taken from this machine only. Set `certificate` \
             and `key` here or in [tls], or `cleartext_passwords = true`"
                .into()
        }
        _ => return,
    };
    notes.add(span, "listener.protocol", message);
}

/// What holds for destinations of which no `[[peer]]` says anything else.
fn default_peer(written: &written::Queue, notes: &mut Notes<'_>) -> Peer {
    let mut peer = Peer::default();
    peer.concurrency = written.per_hop.value as usize;
    peer.initial_concurrency = peer.initial_concurrency.min(peer.concurrency);
    peer.schedule.retry = retry(&written.retry, "queue.retry", notes);
    peer.schedule.expire = written.expire.value;
    peer.schedule.warn = Some(written.warn.value).filter(|warn| !warn.is_zero());
    let spans = [&written.per_hop.span, &written.retry.span, &written.expire.span, &written.warn.span];
    if let Some(span) = spans.into_iter().flatten().min_by_key(|span| span.start) {
        peer.origin = notes.place(Some(span), "[queue]");
    }
    peer
}

/// Waits between attempts: at least one, each longer than nothing.
pub(super) fn retry(waits: &At<Vec<Duration>>, key: &str, notes: &mut Notes<'_>) -> Vec<Duration> {
    if waits.is_empty() || waits.iter().any(Duration::is_zero) {
        let message = format!("{key}: expected at least one duration, each longer than nothing");
        notes.add(waits.span.as_ref(), key, message);
    }
    waits.value.clone()
}

fn limits(written: &written::Limits) -> Limits {
    Limits {
        connections: written.connections.value as usize,
        connections_per_address: written.connections_per_address.value as usize,
        errors: written.errors.value,
        greeting_delay: written.greeting_delay.value.min(Duration::from_secs(60)),
        idle: written.idle.value,
        future_release: written.future_release.value,
        verify: written.vrfy.value,
        deliver_by_minimum: written.deliver_by_minimum.value,
    }
}

fn dnsbl(written: &[At<written::Dnsbl>], notes: &mut Notes<'_>) -> Vec<Dnsbl> {
    let mut lists: Vec<Dnsbl> = Vec::new();
    for list in written {
        let Some(zone) = need(list.zone.clone(), "zone", "dnsbl", &list.span, notes) else { continue };
        let about = list.about.value;
        if lists.iter().any(|known| known.zone == zone && known.about == about) {
            let span = list.zone.as_ref().and_then(|z| z.span.as_ref());
            notes.add(span, "dnsbl.zone", format!("dnsbl.zone: {zone} is asked twice about the same"));
        }
        lists.push(Dnsbl { zone, about, score: list.score.value });
    }
    lists
}

fn dnsbl_options(written: &written::DnsblOptions) -> DnsblOptions {
    DnsblOptions {
        private: written.private.value,
        authenticated: written.authenticated.value,
        timeout: written.timeout.value,
    }
}

fn matrix(written: &[At<written::Matrix>], notes: &mut Notes<'_>) -> Vec<Cell> {
    let cell = |cell: &At<written::Matrix>| {
        let run = need(cell.run.clone(), "run", "matrix", &cell.span, notes)?;
        Some(Cell { judge: cell.judge.0, input: cell.input.0, output: cell.output.0, run })
    };
    written.iter().filter_map(cell).collect()
}

fn policy(written: &[At<written::Policy>], notes: &mut Notes<'_>) -> Policy {
    written.iter().fold(Policy::new(), |policy, p| {
        let parts = (&p.check, &p.results.value[..], p.score.as_ref(), &p.action);
        match rule(parts, (&p.span, "policy"), notes) {
            Some(rule) => policy.rule(Scope::Site, rule),
            None => policy,
        }
    })
}

fn channel_policies(
    written: &[At<written::ChannelPolicy>],
    notes: &mut Notes<'_>,
) -> HashMap<ChannelId, Policy> {
    let mut policies: HashMap<ChannelId, Policy> = HashMap::new();
    for p in written {
        let place = (&p.span, "channel_policy");
        let channel = need(p.channel.clone(), "channel", place.1, place.0, notes);
        let rule = rule((&p.check, &p.results.value[..], p.score.as_ref(), &p.action), place, notes);
        if let (Some(channel), Some(rule)) = (channel, rule) {
            let policy = policies.entry(ChannelId::new(channel.0)).or_default();
            *policy = std::mem::take(policy).rule(Scope::Channel, rule);
        }
    }
    policies
}

/// Check, results, least score and action, as written.
type RuleParts<'a> = (&'a Option<At<String>>, &'a [CheckResult], Option<&'a At<f32>>, &'a Option<At<Action>>);

fn rule(
    (check, results, score, action): RuleParts<'_>,
    (span, section): (&Span, &str),
    notes: &mut Notes<'_>,
) -> Option<Rule> {
    let check = need(check.clone(), "check", section, span, notes);
    let action = need(action.clone(), "action", section, span, notes);
    let score = score.map(|score| score.value);
    Some(Rule { check: check?, results: results.to_vec(), score, action: action? })
}
