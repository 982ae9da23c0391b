//! `[[odmr]]`: mail that waits until an account collects it (RFC 2645).

use iems_core::Settings;
use iems_core::message::{ChannelId, Domain, Mailbox, NextHop};
use iems_core::route::{Pattern, Via};

use super::problem::Notes;
use super::read::section;
use super::resolve::need;
use super::written::{File, Protocol};

/// The channel in which it waits.
pub(crate) const CHANNEL: &str = "odmr";

section! {
    /// Who collects what, as written.
    WrittenOdmr {
        /// The account.
        account: Mailbox;
        /// What it collects.
        domains: Vec<Domain> = "[]";
    }
}

/// Takes mail for all these domains, lets it wait, and lets the accounts have it.
pub(super) fn resolve(file: &File, settings: &mut Settings, notes: &mut Notes<'_>) {
    let mut seen: Vec<&Domain> = Vec::new();
    for entry in file.odmr.iter() {
        let Some(account) = need(entry.account.clone(), "account", "odmr", &entry.span, notes) else {
            continue;
        };
        if entry.domains.value.is_empty() {
            notes.add(entry.span.as_ref(), "odmr.domains", "odmr.domains: expected at least one domain");
        }
        for domain in &entry.domains.value {
            let span = entry.domains.span.as_ref();
            if seen.contains(&domain) {
                let message =
                    format!("odmr.domains: {domain} is collected twice; expected one account for a domain");
                notes.add(span, "odmr.domains", message);
            }
            seen.push(domain);
            if settings.routes.entries().any(|(pattern, _)| *pattern == Pattern::Exactly(domain.clone())) {
                let message =
                    format!("odmr.domains: there is a [[route]] for {domain}; expected one or the other");
                notes.add(span, "odmr.domains", message);
            }
            let hop = Some(NextHop::new(domain.as_str()));
            let via = Via::Channel { channel: ChannelId::new(CHANNEL), hop };
            settings.routes =
                std::mem::take(&mut settings.routes).with(Pattern::Exactly(domain.clone()), via);
            settings.relay.domains.push(Pattern::Exactly(domain.clone()));
            settings.collectors = std::mem::take(&mut settings.collectors).with(&account, domain.clone());
        }
    }
    let listens =
        file.listener.iter().any(|l| l.protocol.as_ref().is_some_and(|p| p.value == Protocol::Odmr));
    if let (Some(first), false) = (file.odmr.iter().next(), listens) {
        let message =
            "[[odmr]]: nobody can collect it; expected a [[listener]] with protocol = \"odmr\" (port 366)";
        notes.warn(first.span.as_ref(), "odmr", message.to_owned());
    }
}
