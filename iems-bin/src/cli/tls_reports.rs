//! `iems tls-reports`: what is counted for reports about TLS, and sending them now.

use std::path::Path;

use clap::Subcommand;
use iems_core::message::Domain;

use super::output::{Table, say, show};
use crate::admin::answer::TlsSessionsAnswer;
use crate::admin::ask;
use crate::admin::request::Request;
use crate::exit::Failure;

/// Reports to other systems about TLS with them (RFC 8460).
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems tls-reports list --domain example.org\n  iems tls-reports send\n\nThey are sent by themselves every night; nothing is counted without [tls_reports]."
)]
pub(super) enum Args {
    /// Show what was counted and is not reported yet
    List {
        /// Only about this domain
        #[arg(long)]
        domain: Option<Domain>,
        /// As JSON: an array of counts, one for each day, domain and policy
        #[arg(long)]
        json: bool,
    },
    /// Send what earlier days have left now, and not at night
    Send {
        /// Also what was counted today until now; the rest of the day makes another report
        #[arg(long)]
        today: bool,
    },
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::List { domain, json } => {
                let all: Vec<TlsSessionsAnswer> = ask(file, Request::TlsReportsList { domain })?;
                show(&all, json, |all| table(all))
            }
            Self::Send { today } => match ask(file, Request::TlsReportsSend { today })? {
                true => say("some reports could not be sent and are tried again; the log says why"),
                false => say("all reports that somebody wants are on their way"),
            },
        }
    }
}

fn table(all: &[TlsSessionsAnswer]) -> String {
    let mut table = Table::new(&["DAY", "DOMAIN", "POLICY", "GOOD", "BAD", "WHY"]);
    for one in all {
        let why: Vec<String> = one
            .failures
            .iter()
            .map(|flaw| {
                let host = flaw.host.as_deref().map(|host| format!(" at {host}")).unwrap_or_default();
                format!("{} x {}{host}: {}", flaw.sessions, flaw.result, flaw.reason)
            })
            .collect();
        let (day, domain, policy) = (one.day.clone(), one.domain.clone(), one.policy.clone());
        table.row([day, domain, policy, one.good.to_string(), one.bad.to_string(), why.join("; ")]);
    }
    table.to_string()
}
