//! `iems tls-reports`: what is counted for reports about TLS, and sending them now; what others report.

use std::path::Path;

use std::time::Duration;

use clap::Subcommand;
use iems_core::message::Domain;
use iems_core::seam::{Clock as _, SystemClock, Timestamp};

use super::output::{Table, say, show};
use crate::admin::answer::TlsSessionsAnswer;
use crate::admin::ask;
use crate::admin::received::{ReceivedAnswer, ReceivedFailureAnswer};
use crate::admin::request::Request;
use crate::config::duration;
use crate::exit::Failure;

/// Reports about TLS (RFC 8460): ours to other systems, and theirs to us.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems tls-reports list --domain example.org\n  iems tls-reports send\n  iems tls-reports received --since 7d --failed\n\nOurs are sent by themselves every night; nothing is counted without `from` in [tls_reports], nothing received without `receive`."
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
    /// Show what other systems reported about TLS with us, the latest first
    Received {
        /// Only reports that tell of this domain
        #[arg(long)]
        domain: Option<Domain>,
        /// Only those that arrived since then: so long ago, such as 7d, or a day, such as 2027-01-31
        #[arg(long, value_name = "WHEN", value_parser = when)]
        since: Option<When>,
        /// Only those that tell of sessions that were not as they should be
        #[arg(long)]
        failed: bool,
        /// At most so many
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// As JSON: an array of reports
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
            Self::Received { domain, since, failed, limit, json } => {
                let since = since.map(|since| since.moment(SystemClock.now()));
                let request = Request::TlsReportsReceived { domain, since, failed, most: limit.into() };
                let all: Vec<ReceivedAnswer> = ask(file, request)?;
                show(&all, json, |all| received(all))
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

/// A moment, or how long ago.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Ago(Duration),
    At(Timestamp),
}

impl When {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => {
                let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(span))
            }
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    let day = || format!("{text}T00:00:00Z").parse().ok();
    let at = || text.parse().ok().or_else(day).map(When::At);
    let when = duration(text).map(When::Ago).or_else(at);
    when.ok_or_else(|| "expected a time such as 7d, 2027-01-31 or 2027-01-31T08:00:00Z".into())
}

fn received(all: &[ReceivedAnswer]) -> String {
    let mut table = Table::new(&["FROM", "TO", "BY", "SPF", "DOMAIN", "POLICY", "GOOD", "BAD", "WHY"]);
    for report in all {
        let spf = match (&report.spf, &report.spf_domain) {
            (Some(spf), Some(domain)) => format!("{spf} {domain}"),
            _ => "-".into(),
        };
        for of in &report.policies {
            let mut why: Vec<String> = of.failures.iter().map(failure).collect();
            if of.omitted > 0 {
                why.push(format!("and {} more reasons", of.omitted));
            }
            let (start, end) = (report.start.clone(), report.end.clone());
            let (by, spf) = (report.organization.clone(), spf.clone());
            let (domain, policy) = (of.domain.clone(), of.policy.clone());
            let why = why.join("; ");
            table.row([
                minute(&start),
                minute(&end),
                by,
                spf,
                domain,
                policy,
                of.good.to_string(),
                of.bad.to_string(),
                why,
            ]);
        }
    }
    table.to_string()
}

/// Date and time to the minute.
fn minute(moment: &str) -> String {
    moment.get(..16).unwrap_or(moment).to_owned()
}

fn failure(of: &ReceivedFailureAnswer) -> String {
    let mut text = format!("{} x {}", of.failed_session_count, of.result_type);
    let says = [
        (" at ", &of.receiving_mx_hostname),
        (" ", &of.receiving_ip),
        (" from ", &of.sending_mta_ip),
        (": ", &of.failure_reason_code),
        (" ", &of.additional_information),
    ];
    for (before, words) in says.into_iter().filter(|(_, words)| !words.is_empty()) {
        text.push_str(before);
        text.push_str(words);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spans_days_or_moments() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let of = |text: &str| when(text).map(|when| when.moment(now).to_string());
        assert_eq!(of("1h").unwrap(), "2026-09-21T13:13:20.000Z");
        assert_eq!(of("2026-09-01").unwrap(), "2026-09-01T00:00:00.000Z");
        assert_eq!(of("2026-09-01T12:00:00+02:00").unwrap(), "2026-09-01T10:00:00.000Z");
        assert!(of("soon").is_err() && of("").is_err());
    }
}
