//! SIGHUP: the configuration is read and checked again; what the running server can take over takes effect, the rest
//! is named.

use std::sync::Arc;

use super::listeners::Bounded;
use super::{limits, notify};
use crate::config::{self, Config, Listener, Loaded};
use crate::log::Level;
use crate::site::Site;
use crate::tls::Kept;

/// What can be replaced.
pub(super) struct Reload {
    certificates: Arc<Kept>,
    bounded: Vec<Bounded>,
    level: Level,
}

impl Reload {
    /// The certificates in use, the servers that have bounds, and the log.
    pub(super) fn new(certificates: Arc<Kept>, bounded: Vec<Bounded>, level: Level) -> Self {
        Self { certificates, bounded, level }
    }

    /// Reads the file of `loaded` again. If anything is wrong with it, everything stays as it is.
    pub(super) fn run(&self, loaded: &mut Loaded, site: &Site) {
        notify::tell("RELOADING=1");
        match &loaded.file {
            None => self.certificates.refresh(),
            Some(file) => match config::load_for_service(Some(file)) {
                Ok(new) => self.take_over(loaded, new, site),
                Err(failure) => tracing::error!("reload: nothing was changed: {failure}"),
            },
        }
        notify::tell("READY=1");
    }

    fn take_over(&self, loaded: &mut Loaded, new: Loaded, site: &Site) {
        new.warn();
        for what in needs_restart(&loaded.config, &new.config) {
            tracing::warn!("reload: a change of {what} takes effect after a restart");
        }
        // What needs a restart stays as it runs, so that the next reload names it again.
        loaded.config.settings = new.config.settings;
        loaded.config.limits = new.config.limits;
        loaded.config.rates = new.config.rates;
        loaded.config.access = new.config.access;
        loaded.config.grace = new.config.grace;
        loaded.config.wires = new.config.wires;
        loaded.config.logins = new.config.logins;
        loaded.config.tls_minimum = new.config.tls_minimum;
        loaded.config.log_level = new.config.log_level;
        let listeners = loaded.config.listeners.iter_mut();
        for (ours, theirs) in
            listeners.zip(new.config.listeners).filter(|(ours, theirs)| is_same(ours, theirs))
        {
            (ours.certificate, ours.others) = (theirs.certificate, theirs.others);
        }
        self.certificates.take_over(&loaded.config);
        limits::raise_open_files(&loaded.config);
        self.bounded.iter().for_each(|server| server.adjust(&loaded.config));
        site.replace(&loaded.config);
        self.level.set(&loaded.config);
        tracing::info!(
            "reload: routes, logins, relaying, queue, peers, reports, rules, limits, access, marks, certificates and the level of the log are those of the file"
        );
    }
}

/// Whether they differ at most in the certificates they show.
fn is_same(ours: &Listener, theirs: &Listener) -> bool {
    let (certificate, others) = (ours.certificate.clone(), ours.others.clone());
    let has_one = theirs.certificate.is_some() == certificate.is_some();
    has_one && *ours == Listener { certificate, others, ..theirs.clone() }
}

fn same_listeners(ours: &[Listener], theirs: &[Listener]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs))
}

/// The keys whose change the running server does not take over.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let changed = [
        ("hostname", old.hostname != new.hostname),
        (
            "postmaster or login_domain",
            old.postmaster != new.postmaster || old.login_domain != new.login_domain,
        ),
        ("data", old.data != new.data),
        ("threads", old.threads != new.threads),
        ("[[listener]]", !same_listeners(&old.listeners, &new.listeners)),
        ("[acme]", old.acme != new.acme),
        ("[oauth]", old.oauth != new.oauth),
        ("[dns]", old.dns != new.dns),
        ("[client]", old.client != new.client),
        ("[tls_reports]", old.tls_reports != new.tls_reports || old.tls_reports_in != new.tls_reports_in),
        (
            "[[dnsbl]], [dnsbl_options] or [[matrix]]",
            old.dnsbl != new.dnsbl || old.dnsbl_options != new.dnsbl_options || old.matrix != new.matrix,
        ),
        ("[checks] (which are made), [greylist] or [probes]", old.checks != new.checks),
        ("[[batch_in]], [[batch_out]], [[tunnel_in]], [[tunnel_out]] or [[collect]]", old.batch != new.batch),
        (
            "[imap], [pop3], [[mailbox]], [quota] or [delivery]",
            old.imap != new.imap || old.quota != new.quota || old.delivery != new.delivery,
        ),
        ("[store]", old.cache != new.cache),
        ("[search]", old.search != new.search),
        ("[[odmr]] (a secret)", old.shared_secrets != new.shared_secrets),
        ("log.format", old.log_format != new.log_format),
        ("[submit]", old.submit != new.submit),
        ("[admin]", old.socket != new.socket),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(what, _)| what).collect()
}
