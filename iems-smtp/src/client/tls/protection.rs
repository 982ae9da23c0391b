//! How well a connection is protected, and why just so: for `explain`, and for whoever must not send over less.

/// What the certificate was found to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::client) enum Proof {
    /// Nothing: it was not looked at.
    #[default]
    Nothing,
    /// Not what it should be, which somebody wants to be told of, and nothing else.
    Flawed(String),
    /// Good for this name, by an authority that is believed (RFC 5280, RFC 6125).
    Pkix(String),
    /// The one that the DNS names (RFC 7672): the record.
    Dane(String),
    /// The one with this fingerprint.
    Pinned(String),
}

/// The protection of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::client) struct Protection {
    /// What TLS agreed on, `TLSv1.3 TLS13_AES_256_GCM_SHA384`; `None` in the clear.
    pub(in crate::client) agreed: Option<String>,
    /// What the certificate proved.
    pub(in crate::client) proof: Proof,
    /// Whether nobody could have given us another host's name: it is configured, proven by DNSSEC or named by a policy.
    pub(in crate::client) named: bool,
    /// Which policy asked for it, and where that was found.
    pub(in crate::client) basis: String,
}

impl Protection {
    /// Whether it is certain whom we talk to, under the name that we went by.
    pub(in crate::client) fn is_authenticated(&self) -> bool {
        self.agreed.is_some() && matches!(self.proof, Proof::Pkix(_) | Proof::Dane(_) | Proof::Pinned(_))
    }

    /// Whether a message that must not travel otherwise (RFC 8689 section 4.2.1) may go over it: the host is the right one, and
    /// its name the right one too.
    pub(in crate::client) fn meets_requiretls(&self) -> bool {
        self.is_authenticated() && self.named
    }

    /// In a few words: `TLSv1.3 TLS13_AES_256_GCM_SHA384, verified by DANE`.
    pub(in crate::client) fn short(&self) -> String {
        let Some(agreed) = &self.agreed else { return "in the clear".into() };
        match self.proof {
            Proof::Nothing | Proof::Flawed(_) => agreed.clone(),
            Proof::Pkix(_) => format!("{agreed}, verified by PKIX"),
            Proof::Dane(_) => format!("{agreed}, verified by DANE"),
            Proof::Pinned(_) => format!("{agreed}, verified by fingerprint"),
        }
    }

    /// All of it.
    pub(in crate::client) fn whole(&self) -> String {
        let agreed = self.agreed.as_deref().unwrap_or("in the clear");
        let proof = match &self.proof {
            Proof::Nothing if self.agreed.is_none() => String::new(),
            Proof::Nothing => "; certificate not looked at".into(),
            Proof::Flawed(why) => format!("; certificate not good: {why}"),
            Proof::Pkix(name) => format!("; certificate good for {name}"),
            Proof::Dane(record) => format!("; certificate matches {record}"),
            Proof::Pinned(fingerprint) => format!("; certificate has the fingerprint {fingerprint}"),
        };
        let whom = if self.meets_requiretls() { "; it is the right host" } else { "" };
        let basis = if self.basis.is_empty() { String::new() } else { format!("; policy: {}", self.basis) };
        format!("{agreed}{proof}{whom}{basis}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proven_under_a_certain_name_is_enough() {
        let mut protection = Protection { named: true, ..Protection::default() };
        assert_eq!((protection.short(), protection.meets_requiretls()), ("in the clear".into(), false));
        protection.agreed = Some("TLSv1.3".into());
        assert!(!protection.is_authenticated());
        for proof in [Proof::Pkix("mx".into()), Proof::Dane("3 1 1".into()), Proof::Pinned("ab".into())] {
            protection.proof = proof;
            assert!(protection.meets_requiretls());
        }
        protection.named = false;
        assert!(protection.is_authenticated() && !protection.meets_requiretls());
        protection.proof = Proof::Flawed("expired".into());
        assert!(!protection.is_authenticated());
    }
}
