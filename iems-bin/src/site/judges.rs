//! The judges of a site, from its configuration, in the order in which they run: what costs nothing and what others build on
//! comes first.

use std::collections::HashMap;
use std::sync::Arc;

use iems_core::Builder;
use iems_core::deliver::Channel as _;
use iems_core::message::ChannelId;
use iems_core::preprocess::{Cell, Matrix, Preprocessor};
use iems_core::seam::{Directory, Prober};
use iems_filters::authres::AuthenticationResults;
use iems_filters::dnsbl::{self, Dnsbl};
use iems_filters::forward::RecipientForward;
use iems_filters::greylist::Greylist;
use iems_filters::helo::{self, Helo};
use iems_filters::iprev::{self, Iprev};
use iems_filters::sender::{
    CallbackSettings, DomainSettings, SenderCallback, SenderDomain, SenderOwn, SenderSite,
};
use iems_filters::spf::{self, Spf};
use iems_smtp::tlsrpt::received::{AGENT, ReportJudge};

use super::assemble::Foundation;
use crate::config::{About, Config};
use crate::exit::Failure;

/// Adds the judges.
pub(super) fn add(mut builder: Builder, site: &Foundation, config: &Config) -> Result<Builder, Failure> {
    let mut all: Vec<Arc<dyn Preprocessor>> = Vec::new();
    all.extend(lists(config, site)?.map(|judge| Arc::new(judge) as Arc<dyn Preprocessor>));
    all.extend(of_peers(config, site));
    all.extend(of_senders(config, site));
    all.extend(of_recipients(config, site));
    for judge in all {
        let matrix = matrix(config, judge.id());
        builder = builder.preprocessor(judge, matrix);
    }
    if let Some(batch) = site.batch.as_ref().filter(|_| !config.batch.tunnels_in.is_empty()) {
        builder = builder.preprocessor(Arc::new(batch.judge()), Matrix::everywhere());
    }
    if !config.tls_reports_in.addresses.is_empty() {
        let matrix = Matrix::everywhere().cell("*", "*", Cell::Skip).cell("*", AGENT, Cell::Run);
        builder = builder.preprocessor(Arc::new(ReportJudge::new(site.receiver.clone())), matrix);
    }
    // It tells what the others found, so it is the last.
    if let Some(id) = &config.checks.authserv_id {
        builder = builder.preprocessor(Arc::new(AuthenticationResults::new(id)), Matrix::everywhere());
    }
    Ok(builder)
}

/// On which flows a judge runs: everywhere, but for the cells of the configuration.
fn matrix(config: &Config, judge: &str) -> Matrix {
    config.matrix.iter().filter(|cell| cell.judge == judge).fold(Matrix::everywhere(), |matrix, cell| {
        matrix.cell(cell.input, cell.output, if cell.run { Cell::Run } else { Cell::Skip })
    })
}

/// The judge that asks DNS lists, if there are any.
fn lists(config: &Config, site: &Foundation) -> Result<Option<Dnsbl>, Failure> {
    if config.dnsbl.is_empty() {
        return Ok(None);
    }
    let mut settings = dnsbl::Settings::default();
    settings.private = config.dnsbl_options.private;
    settings.authenticated = config.dnsbl_options.authenticated;
    settings.timeout = config.dnsbl_options.timeout;
    for list in &config.dnsbl {
        let about = match list.about {
            About::Address => dnsbl::About::Address,
            About::Sender => dnsbl::About::Sender,
            About::Hello => dnsbl::About::Hello,
        };
        let list = dnsbl::List::new(list.zone.clone(), about).map_err(Failure::config)?.score(list.score);
        settings.lists.push(list);
    }
    Ok(Some(Dnsbl::new(settings, site.resolver.clone(), site.clock.clone())))
}

fn of_peers(config: &Config, site: &Foundation) -> Vec<Arc<dyn Preprocessor>> {
    let (checks, hostname) = (&config.checks, config.hostname.as_str());
    let (resolver, clock) = (|| site.resolver.clone(), || site.clock.clone());
    let mut judges: Vec<Arc<dyn Preprocessor>> = Vec::new();
    if checks.makes("iprev") {
        let mut settings = iprev::Settings::default();
        settings.private = checks.private;
        judges.push(Arc::new(Iprev::new(settings, resolver(), clock())));
    }
    if checks.makes("helo") {
        let mut settings = helo::Settings::default();
        settings.hostname = hostname.into();
        judges.push(Arc::new(Helo::new(settings, resolver(), clock())));
    }
    if checks.makes("spf") {
        let mut settings = spf::Settings::default();
        settings.hostname = hostname.into();
        settings.private = checks.private;
        judges.push(Arc::new(Spf::new(settings, resolver(), clock())));
    }
    judges
}

fn of_senders(config: &Config, site: &Foundation) -> Vec<Arc<dyn Preprocessor>> {
    let checks = &config.checks;
    let directory = || site.directory.clone() as Arc<dyn Directory>;
    let (resolver, clock) = (|| site.resolver.clone(), || site.clock.clone());
    let (names, store) = (|| (resolver(), directory()), || site.store.storage().store);
    let mut judges: Vec<Arc<dyn Preprocessor>> = Vec::new();
    if checks.makes("sender/domain") {
        let mut settings = DomainSettings::default();
        settings.private = checks.private;
        judges.push(Arc::new(SenderDomain::new(settings, resolver(), directory(), clock())));
    }
    if checks.makes("sender/own") {
        judges.push(Arc::new(SenderOwn::new(config.hostname.as_str(), directory())));
    }
    // The sender's systems are asked over the channel that a report would take.
    let Some(prober) = probers(site).remove(&ChannelId::new("smtp")) else { return judges };
    if checks.makes("sender/site") {
        let judge = SenderSite::new(checks.senders.clone(), names(), prober.clone(), store(), clock());
        judges.push(Arc::new(judge.with_private(checks.private)));
    }
    if checks.makes("sender/callback") {
        let mut settings = CallbackSettings::default();
        settings.doubt = checks.doubt;
        settings.private = checks.private;
        let settings = (settings, checks.senders.clone());
        judges.push(Arc::new(SenderCallback::new(settings, names(), prober, store(), clock())));
    }
    judges
}

fn of_recipients(config: &Config, site: &Foundation) -> Vec<Arc<dyn Preprocessor>> {
    let checks = &config.checks;
    let (store, clock) = (|| site.store.storage().store, || site.clock.clone());
    let mut judges: Vec<Arc<dyn Preprocessor>> = Vec::new();
    if checks.makes("recipient/forward") {
        let settings = checks.recipients.clone();
        judges.push(Arc::new(RecipientForward::new(settings, probers(site), store(), clock())));
    }
    if checks.makes("greylist") {
        judges.push(Arc::new(Greylist::new(checks.greylist.clone(), store(), clock())));
    }
    judges
}

/// Who asks other systems, for each channel.
fn probers(site: &Foundation) -> HashMap<ChannelId, Arc<dyn Prober>> {
    let prober = |client: &Arc<iems_smtp::client::SmtpClient>| {
        (client.id().clone(), client.clone() as Arc<dyn Prober>)
    };
    site.clients.iter().map(prober).collect()
}
