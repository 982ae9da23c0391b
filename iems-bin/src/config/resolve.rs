//! From the file as written to what holds: what is missing, what contradicts, what belongs together.

use std::net::IpAddr;
use std::path::Path;

use iems_core::Settings;
use iems_core::health::Marks;
use iems_core::receive::Relay;
use iems_core::route::Pattern;
use iems_smtp::client::{Logins, PeerWires};

use super::batch::Ways;
use super::files::Look;
use super::peer::peers;
use super::peer_tls::Files;
use super::problem::Notes;
use super::queue::default_peer;
use super::read::{need, positive};
use super::resolved::Config;
use super::route::routes;
use super::source::sources;
use super::written::{self, File};
use super::{
    batch, certificates, checks, client, dns, dnsbl, imap, limit, limits, listener, odmr, policy, proofs,
    quota, reports, search, submit,
};

/// The configuration that `file` means, or `None` after noting why there is none.
pub(super) fn resolve(file: File, folder: &Path, look: Look, notes: &mut Notes<'_>) -> Option<Config> {
    let data = folder.join(&file.data.value);
    let socket =
        file.admin.socket.as_ref().map_or_else(|| data.join("admin.sock"), |s| folder.join(&s.value));
    let hostname = file.hostname.as_ref().map(|hostname| &hostname.value);
    let common = certificates::common(hostname, (&file.tls, &file.certificate), &data, (folder, look), notes);
    let listeners = listener::listeners(&file.listener, hostname, &common, (folder, look), notes);
    let (mut settings, wires) = settings(&file, (folder, look.texts), notes);
    let dnsbl = dnsbl::dnsbl(&file.dnsbl, notes);
    let logins: Logins;
    (settings.routes, logins) = routes(&file.route, folder, look.password, notes);
    let batch = batch::resolve(&ways(&file), (folder, look), &data, notes);
    batch::check_routes(&file.route, &settings.routes, &batch, notes);
    let shared_secrets = odmr::resolve((&file.odmr, &file.listener), (folder, look), &mut settings, notes);
    settings.reports = reports::resolve((&file.reports, &file.report_language), folder, look.texts, notes);
    if let Err(why) = crate::log::filter(&file.log.level) {
        notes.add(file.log.level.span.as_ref(), "log.level", format!("log.level: {why}"));
    }
    if hostname.is_some_and(|hostname| hostname.to_string().parse::<IpAddr>().is_ok()) {
        let name = "a name that the DNS has for this machine, such as \"mx.example.org\"";
        notes.expected(file.hostname.as_ref().and_then(|at| at.span.as_ref()), "hostname", name);
    }
    if !batch.tunnels_in.is_empty() {
        settings.policy = batch::policy().and(&settings.policy);
    }
    let tls_reports_in = client::tls_reports_in(&file.tls_reports, &file.tunnel_in, &settings.routes, notes);
    if !tls_reports_in.addresses.is_empty() {
        settings.policy = client::only_reports().and(&settings.policy);
    }
    let imap = imap::imap((&file.imap, &file.pop3), &file.mailbox, notes);
    Some(Config {
        postmaster: file.postmaster.as_ref().map(|postmaster| postmaster.value.clone()),
        login_domain: file.login_domain.as_ref().map(|domain| domain.value.clone()),
        grace: file.grace.value,
        threads: file.threads.as_ref().map(|threads| threads.value.min(1024) as usize),
        listeners,
        acme: certificates::acme(&file.acme, &file.certificate, (folder, look.texts), notes),
        tls_minimum: file.tls.minimum.value,
        oauth: proofs::oauth(&file.oauth, (folder, look), notes),
        dns: dns::resolve(&file.dns, folder, look.texts, notes),
        settings,
        batch,
        submit: submit::resolve(&file.submit, hostname, folder, notes),
        wires,
        logins,
        shared_secrets,
        client: client::client(&file.client, (folder, look.texts), notes),
        tls_reports: client::tls_reports(&file.tls_reports, hostname, notes),
        tls_reports_in,
        limits: limits::limits(&file.limits),
        rates: limit::limits(&file.limit, notes),
        access: limit::access(&file.access, notes),
        dnsbl,
        dnsbl_options: dnsbl::dnsbl_options(&file.dnsbl_options),
        checks: checks::resolve((&file.checks, &file.greylist, &file.probes), hostname, notes),
        matrix: policy::matrix(&file.matrix, notes),
        delivery: quota::delivery(&file.delivery, &imap.usual),
        imap,
        search: search::search(&file.search, folder, &data, notes),
        quota: quota::quota(&file.quota, notes),
        cache: file.store.cache.as_ref().map(|size| usize::try_from(size.0).unwrap_or(usize::MAX)),
        verify: false,
        log_format: file.log.format.value,
        log_level: file.log.level.value.clone(),
        socket,
        data,
        warnings: notes.warnings(),
        // Last, so that without it everything else that is wrong is said all the same.
        hostname: need(file.hostname.clone(), "hostname", "", &None, notes)?,
    })
}

/// What batches are made of.
fn ways(file: &File) -> Ways<'_> {
    Ways {
        batch_in: &file.batch_in,
        batch_out: &file.batch_out,
        tunnel_out: &file.tunnel_out,
        tunnel_in: &file.tunnel_in,
        collect: &file.collect,
        hostname: file.hostname.as_ref().map(|hostname| &hostname.value),
        recipients: file.limits.recipients.value as usize,
    }
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
    settings.policy = checks::policy(&file.checks, policy::policy(&file.policy, notes));
    settings.channel_policies = policy::channel_policies(&file.channel_policy, notes);
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
    positive(&file.store.slow, "store.slow", notes);
    marks
}
