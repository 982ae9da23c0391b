//! The JSON of a report (RFC 8460 section 4.4). Keys that are not known are passed over; what only some senders leave out may be missing.

use serde::Deserialize;

use super::lenient::{Count, Date, Few, Text, Texts};
use super::model::{ReceivedFailure, ReceivedPolicy, ReceivedReport};

/// The most policies of a report.
const POLICIES: usize = 64;
/// The most details of one policy.
const DETAILS: usize = 256;
/// The most lines and hosts of one policy.
const LINES: usize = 32;
/// The most characters of a name or a reason.
const NAME: usize = 256;
/// The most characters of a word or an address.
const WORD: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    organization_name: Text<NAME>,
    date_range: Range,
    #[serde(default)]
    contact_info: Text<NAME>,
    report_id: Text<NAME>,
    policies: Few<OfPolicy, POLICIES>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Range {
    start_datetime: Date,
    end_datetime: Date,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct OfPolicy {
    policy: Policy,
    #[serde(default)]
    summary: Option<Summary>,
    #[serde(default)]
    failure_details: Few<Detail, DETAILS>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Policy {
    #[serde(default)]
    policy_type: Text<WORD>,
    #[serde(default)]
    policy_string: Texts<LINES>,
    #[serde(default)]
    policy_domain: Text<NAME>,
    #[serde(default)]
    mx_host: Texts<LINES>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    #[serde(default)]
    total_successful_session_count: Count,
    #[serde(default)]
    total_failure_session_count: Option<Count>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    #[serde(default)]
    result_type: Text<WORD>,
    #[serde(default)]
    sending_mta_ip: Text<WORD>,
    #[serde(default)]
    receiving_mx_hostname: Text<NAME>,
    #[serde(default)]
    receiving_mx_helo: Text<NAME>,
    #[serde(default)]
    receiving_ip: Text<WORD>,
    #[serde(default)]
    failed_session_count: Count,
    #[serde(default)]
    additional_information: Text<NAME>,
    #[serde(default)]
    failure_reason_code: Text<NAME>,
}

/// The report in `octets`, or why there is none, for people.
pub(super) fn parse(octets: &[u8]) -> Result<ReceivedReport, String> {
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    let written: Written = serde_json::from_slice(octets).map_err(|error| error.to_string())?;
    let Range { start_datetime: Date(start), end_datetime: Date(end) } = written.date_range;
    if written.report_id.0.is_empty() {
        return Err("it has no report-id".into());
    }
    if written.policies.items.is_empty() {
        return Err("it tells of no policy".into());
    }
    if end < start {
        return Err("it ends before it starts".into());
    }
    Ok(ReceivedReport {
        organization: written.organization_name.0,
        contact: written.contact_info.0,
        id: written.report_id.0,
        start,
        end,
        policies: written.policies.items.into_iter().map(policy).collect(),
        omitted: written.policies.more,
    })
}

fn policy(of: OfPolicy) -> ReceivedPolicy {
    let details: Vec<ReceivedFailure> = of.failure_details.items.into_iter().map(detail).collect();
    let told = details.iter().fold(0, |sum: u64, detail| sum.saturating_add(detail.sessions));
    let (successes, failures) = match of.summary {
        Some(summary) => (
            summary.total_successful_session_count.0,
            summary.total_failure_session_count.map_or(told, |count| count.0),
        ),
        None => (0, told),
    };
    ReceivedPolicy {
        kind: of.policy.policy_type.lower(),
        domain: of.policy.policy_domain.lower().trim_end_matches('.').to_owned(),
        strings: of.policy.policy_string.0,
        hosts: of.policy.mx_host.0,
        successes,
        failures,
        details,
        omitted: of.failure_details.more,
    }
}

fn detail(written: Detail) -> ReceivedFailure {
    ReceivedFailure {
        result: written.result_type.lower(),
        sending_ip: written.sending_mta_ip.0,
        host: written.receiving_mx_hostname.lower(),
        helo: written.receiving_mx_helo.0,
        receiving_ip: written.receiving_ip.0,
        sessions: written.failed_session_count.0,
        information: written.additional_information.0,
        reason: written.failure_reason_code.0,
    }
}
