//! A report: the JSON of RFC 8460 section 4, packed, and the message that carries it (section 5.3). Pure.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use iems_core::message::Mailbox;
use iems_core::seam::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::rows::{Counted, OfPolicy};

/// Who reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporting {
    /// The name of the organization.
    pub organization: String,
    /// Who is asked about a report: an address, or what people understand.
    pub contact: String,
    /// The author of reports.
    pub from: Mailbox,
}

/// A report about one domain and day.
pub(super) struct Report {
    pub(super) id: String,
    domain: String,
    start: Timestamp,
    end: Timestamp,
    /// The JSON, packed with gzip.
    pub(super) packed: Vec<u8>,
}

impl Report {
    /// The report of what was counted, by the host `hostname`. The same for the same count: sent twice, it is known again.
    pub(super) fn new(counted: &Counted, reporting: &Reporting, hostname: &str) -> Self {
        let (start, day) = (counted.day.start(), counted.day.0);
        let end = Timestamp::from_millis(start.as_millis() + 86_400_000 - 1000);
        let digest = Sha256::digest(format!("{day} {} {hostname}", counted.domain));
        let number: String = digest.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
        let id = format!("{day}.{number}@{hostname}");
        let policies: Vec<Value> = counted.policies.iter().map(policy).collect();
        let json = json!({
            "organization-name": reporting.organization,
            "date-range": { "start-datetime": date(start), "end-datetime": date(end) },
            "contact-info": reporting.contact,
            "report-id": id,
            "policies": policies,
        });
        let packed = pack(json.to_string().as_bytes());
        Self { id, domain: counted.domain.clone(), start, end, packed }
    }

    /// `submitter!domain!begin!end!number.json.gz` (section 5.1).
    fn file_name(&self, hostname: &str) -> String {
        let number = self.id.split(['.', '@']).nth(1).unwrap_or_default();
        format!("{hostname}!{}!{}!{}!{number}.json.gz", self.domain, self.start.as_secs(), self.end.as_secs())
    }

    /// The message to one reader (section 5.3).
    pub(super) fn message(
        &self,
        reporting: &Reporting,
        hostname: &str,
        to: &Mailbox,
        now: Timestamp,
    ) -> Vec<u8> {
        let (id, domain) = (&self.id, &self.domain);
        let boundary = format!("=_{}", id.split('@').next().unwrap_or_default());
        let text = format!(
            "This is a report about TLS sessions with the mail servers of {domain}\r\n\
             on {}, from {hostname}.\r\n\r\nThe attachment holds it as RFC 8460 has it.\r\n",
            date(self.start)
        );
        let file = self.file_name(hostname);
        let mut message = format!(
            "From: <{from}>\r\nTo: <{to}>\r\nDate: {}\r\nMessage-ID: <tls.{id}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {hostname}\r\n Report-ID: <{id}>\r\n\
             TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {hostname}\r\nTLS-Required: No\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{text}\r\n\
             --{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n",
            now.to_rfc5322(),
            from = reporting.from,
        )
        .into_bytes();
        for line in BASE64_STANDARD.encode(&self.packed).as_bytes().chunks(76) {
            message.extend_from_slice(line);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        message
    }
}

fn policy(of: &OfPolicy) -> Value {
    let seen = &of.policy;
    let mut policy = json!({ "policy-type": seen.kind.name(), "policy-domain": seen.domain });
    if !seen.strings.is_empty() {
        policy["policy-string"] = json!(seen.strings);
    }
    if !seen.hosts.is_empty() {
        policy["mx-host"] = json!(seen.hosts);
    }
    let failed: u64 = of.failures.iter().map(|(_, count)| count).sum();
    let mut told = json!({
        "policy": policy,
        "summary": { "total-successful-session-count": of.successes, "total-failure-session-count": failed },
    });
    let details: Vec<Value> = of
        .failures
        .iter()
        .map(|(failure, count)| {
            let mut detail = json!({ "result-type": failure.kind.name(), "failed-session-count": count });
            if let Some(host) = &failure.host {
                detail["receiving-mx-hostname"] = json!(host);
            }
            if let Some(ip) = failure.ip {
                detail["receiving-ip"] = json!(ip.to_string());
            }
            if !failure.text.is_empty() {
                detail["failure-reason-code"] = json!(failure.text);
            }
            detail
        })
        .collect();
    if !details.is_empty() {
        told["failure-details"] = json!(details);
    }
    told
}

/// RFC 3339 without fractions.
fn date(at: Timestamp) -> String {
    format!("{}Z", at.to_string().split('.').next().unwrap_or_default())
}

fn pack(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Into memory it cannot fail.
    let _ = encoder.write_all(octets);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::rows::Day;
    use super::super::{FailureKind, FailureSeen, PolicyKind, PolicySeen};
    use super::*;

    fn counted() -> Counted {
        let seen = |kind, strings: &[&str]| PolicySeen {
            kind,
            domain: "d.example".into(),
            strings: strings.iter().map(ToString::to_string).collect(),
            hosts: Vec::new(),
        };
        let failure = FailureSeen {
            kind: FailureKind::CertificateExpired,
            host: Some("mx.d.example".into()),
            ip: Some("192.0.2.1".parse().unwrap()),
            text: "expired".into(),
        };
        let sts = seen(PolicyKind::Sts, &["version: STSv1", "mode: testing"]);
        Counted {
            day: Day(20_000),
            domain: "d.example".into(),
            policies: vec![OfPolicy::new(sts, 3, vec![(failure, 2)])],
        }
    }

    fn reporting() -> Reporting {
        let from = "tls@us.example".parse().unwrap();
        Reporting { organization: "Us".into(), contact: "help@us.example".into(), from }
    }

    #[test]
    fn the_json_is_that_of_the_rfc() {
        let report = Report::new(&counted(), &reporting(), "mx.us.example");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&report.packed[..]).read_to_string(&mut text).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "organization-name": "Us",
            "date-range": { "start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z" },
            "contact-info": "help@us.example",
            "report-id": report.id,
            "policies": [{
                "policy": {
                    "policy-type": "sts", "policy-domain": "d.example",
                    "policy-string": ["version: STSv1", "mode: testing"],
                },
                "summary": { "total-successful-session-count": 3, "total-failure-session-count": 2 },
                "failure-details": [{
                    "result-type": "certificate-expired", "failed-session-count": 2,
                    "receiving-mx-hostname": "mx.d.example", "receiving-ip": "192.0.2.1",
                    "failure-reason-code": "expired",
                }],
            }],
        });
        assert_eq!(json, expected);
        assert_eq!(report.id, Report::new(&counted(), &reporting(), "mx.us.example").id, "known again");
    }

    #[test]
    fn the_message_is_a_report_of_its_type() {
        let report = Report::new(&counted(), &reporting(), "mx.us.example");
        let to = "tls-reports@d.example".parse().unwrap();
        let message = report.message(&reporting(), "mx.us.example", &to, Timestamp::from_millis(0));
        let text = String::from_utf8(message).unwrap();
        for line in [
            "From: <tls@us.example>\r\n",
            "To: <tls-reports@d.example>\r\n",
            "TLS-Report-Domain: d.example\r\n",
            "TLS-Report-Submitter: mx.us.example\r\n",
            "multipart/report; report-type=\"tlsrpt\"",
            "Content-Type: application/tlsrpt+gzip\r\n",
            "filename=\"mx.us.example!d.example!1728000000!1728086399!",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(
            text.lines().all(|line| line.len() < 200) && !text.replace("\r\n", "").contains(['\r', '\n'])
        );
    }
}
