//! What was counted for reports about TLS, and sending them before their time; what others reported.

use iems_core::message::Domain;
use iems_smtp::tlsrpt::received::{ReceivedFailure, ReceivedPolicy, Selection, Taken};
use iems_smtp::tlsrpt::{Counted, OfPolicy, Reporter};

use super::Site;
use crate::admin::answer::{FlawAnswer, TlsSessionsAnswer};
use crate::admin::received::{ReceivedAnswer, ReceivedFailureAnswer, ReceivedPolicyAnswer};
use crate::exit::Failure;

/// The most octets of reports in one answer; those of a usual day fit a hundred times.
const ROOM: usize = 32 << 20;

impl Site {
    fn reporter(&self) -> Result<&Reporter, Failure> {
        self.reporter.as_deref().ok_or_else(|| {
            Failure::unavailable("nothing is counted: reports need their author, `from` in [tls_reports]")
        })
    }

    pub(super) async fn tls_reports(
        &self,
        domain: Option<Domain>,
    ) -> Result<Vec<TlsSessionsAnswer>, Failure> {
        let all = self.reporter()?.waiting().await?;
        let wanted =
            |counted: &&Counted| domain.as_ref().is_none_or(|domain| domain.as_str() == counted.domain);
        let of =
            |counted: &Counted| counted.policies.iter().map(|of| answer(counted, of)).collect::<Vec<_>>();
        Ok(all.iter().filter(wanted).flat_map(of).collect())
    }

    /// Whether something is left for later.
    pub(super) async fn send_tls_reports(&self, today: bool) -> Result<bool, Failure> {
        Ok(self.reporter()?.send(&self.engine.intake(), today).await)
    }

    /// What others reported, the latest first.
    pub(super) async fn received_tls_reports(
        &self,
        wanted: Selection,
    ) -> Result<Vec<ReceivedAnswer>, Failure> {
        let all = self.receiver.list(&wanted).await?;
        let mut room = ROOM;
        let fits = |answer: &ReceivedAnswer| {
            let size = serde_json::to_vec(answer).map_or(usize::MAX, |json| json.len());
            room = room.saturating_sub(size);
            room > 0
        };
        Ok(all.into_iter().map(received).take_while(fits).collect())
    }
}

fn received(taken: Taken) -> ReceivedAnswer {
    let (good, bad) = taken.report.sessions();
    let (spf, spf_domain) = taken.spf.map(|spf| (spf.result, spf.domain)).unzip();
    ReceivedAnswer {
        received: taken.received.to_string(),
        message: taken.message,
        sender: taken.sender,
        spf,
        spf_domain,
        organization: taken.report.organization,
        contact: taken.report.contact,
        report_id: taken.report.id,
        start: taken.report.start.to_string(),
        end: taken.report.end.to_string(),
        good,
        bad,
        policies: taken.report.policies.into_iter().map(received_policy).collect(),
        omitted: taken.report.omitted,
    }
}

fn received_policy(of: ReceivedPolicy) -> ReceivedPolicyAnswer {
    ReceivedPolicyAnswer {
        policy: of.kind,
        domain: of.domain,
        strings: of.strings,
        hosts: of.hosts,
        good: of.successes,
        bad: of.failures,
        failures: of.details.into_iter().map(received_failure).collect(),
        omitted: of.omitted,
    }
}

fn received_failure(of: ReceivedFailure) -> ReceivedFailureAnswer {
    ReceivedFailureAnswer {
        result_type: of.result,
        sending_mta_ip: of.sending_ip,
        receiving_mx_hostname: of.host,
        receiving_mx_helo: of.helo,
        receiving_ip: of.receiving_ip,
        failed_session_count: of.sessions,
        additional_information: of.information,
        failure_reason_code: of.reason,
    }
}

fn answer(counted: &Counted, of: &OfPolicy) -> TlsSessionsAnswer {
    let failures = of.failures.iter().map(|(failure, count)| FlawAnswer {
        result: failure.kind.name().to_owned(),
        host: failure.host.clone(),
        reason: failure.text.clone(),
        sessions: *count,
    });
    TlsSessionsAnswer {
        day: counted.day.to_string(),
        domain: counted.domain.clone(),
        policy: of.policy.kind.name().to_owned(),
        good: of.successes,
        bad: of.failures.iter().map(|(_, count)| count).sum(),
        failures: failures.collect(),
    }
}
