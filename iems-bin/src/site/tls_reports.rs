//! What was counted for reports about TLS, and sending them before their time.

use iems_core::message::Domain;
use iems_smtp::tlsrpt::{Counted, OfPolicy, Reporter};

use super::Site;
use crate::admin::answer::{FlawAnswer, TlsSessionsAnswer};
use crate::exit::Failure;

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
