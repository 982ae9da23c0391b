//! SIGHUP: the configuration is read and checked again; what the running server can take over takes effect, the rest
//! is named.

use std::sync::Arc;

use super::listeners::{Bounded, Secured};
use super::{limits, notify};
use crate::config::{self, Config, Loaded};
use crate::site::Site;
use crate::tls;

/// What can be replaced.
pub(super) struct Reload {
    certificates: Vec<Secured>,
    bounded: Vec<Bounded>,
}

impl Reload {
    /// The certificates in use, and the servers that have bounds.
    pub(super) fn new(certificates: Vec<Secured>, bounded: Vec<Bounded>) -> Self {
        Self { certificates, bounded }
    }

    /// Reads the file of `loaded` again. If anything is wrong with it, everything stays as it is.
    pub(super) fn run(&self, loaded: &mut Loaded, site: &Site) {
        notify::tell("RELOADING=1");
        match &loaded.file {
            None => self.reload_certificates(),
            Some(file) => match config::load_for_service(Some(file)) {
                Ok(new) => self.take_over(loaded, new, site),
                Err(failure) => tracing::error!("reload: nothing was changed: {failure}"),
            },
        }
        notify::tell("READY=1");
    }

    fn take_over(&self, loaded: &mut Loaded, new: Loaded, site: &Site) {
        self.reload_certificates();
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
        limits::raise_open_files(&loaded.config);
        self.bounded.iter().for_each(|server| server.adjust(&loaded.config));
        site.replace(&loaded.config);
        tracing::info!(
            "reload: routes, logins, relaying, queue, peers, reports, rules, limits, access, marks and certificates are those of the file"
        );
    }

    fn reload_certificates(&self) {
        for Secured { files, believer, handle, .. } in &self.certificates {
            match tls::server_config(files, believer.as_ref()) {
                Ok(fresh) => handle.store(Arc::clone(&fresh)),
                Err(why) => tracing::error!("reload: the certificate stays: {why}"),
            }
        }
    }
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
        ("[[listener]] or [tls] file names", old.listeners != new.listeners),
        ("[oauth]", old.oauth != new.oauth),
        ("[dns]", old.dns != new.dns),
        ("[client]", old.client != new.client),
        ("[tls_reports]", old.tls_reports != new.tls_reports),
        (
            "[[dnsbl]], [dnsbl_options] or [[matrix]]",
            old.dnsbl != new.dnsbl || old.dnsbl_options != new.dnsbl_options || old.matrix != new.matrix,
        ),
        ("[checks] (which are made), [greylist] or [probes]", old.checks != new.checks),
        ("[store]", old.cache != new.cache),
        ("[log]", old.log_format != new.log_format || old.log_level != new.log_level),
        ("[admin]", old.socket != new.socket),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(what, _)| what).collect()
}
