//! Policies as reports describe them (RFC 8460 section 4.4).

use std::sync::Arc;

use iems_core::seam::Association;

use super::need::Host;
use crate::sts::Policy;
use crate::tlsrpt::{PolicyKind, PolicySeen};

/// TLSA records of a host, as they stand in the DNS.
pub(super) fn tlsa(base: &str, host: Host<'_>, records: &[Association]) -> Arc<PolicySeen> {
    let text = |record: &Association| {
        let hex: String = record.data.iter().map(|octet| format!("{octet:02X}")).collect();
        format!("{} {} {} {hex}", record.usage, record.selector, record.matching)
    };
    let mut strings: Vec<String> = records.iter().map(text).collect();
    strings.sort();
    let hosts = vec![host.name.trim_end_matches('.').to_ascii_lowercase()];
    Arc::new(PolicySeen { kind: PolicyKind::Tlsa, domain: base.to_ascii_lowercase(), strings, hosts })
}

/// A policy of MTA-STS.
pub(super) fn sts(domain: &str, policy: &Policy) -> Arc<PolicySeen> {
    let (strings, hosts) = (policy.lines(), policy.hosts.clone());
    Arc::new(PolicySeen { kind: PolicyKind::Sts, domain: domain.to_owned(), strings, hosts })
}

/// None.
pub(super) fn nothing(domain: &str) -> Arc<PolicySeen> {
    let (strings, hosts) = (Vec::new(), Vec::new());
    Arc::new(PolicySeen { kind: PolicyKind::NoPolicyFound, domain: domain.to_owned(), strings, hosts })
}
