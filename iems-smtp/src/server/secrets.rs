//! Secrets that accounts share with this server, readable on both sides, for `CRAM-MD5` (RFC 2195). No password of a user belongs here.

use std::collections::HashMap;

use iems_core::message::Mailbox;
use iems_core::seam::sasl::Password;

/// Secrets by the addresses of their accounts. Default: none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SharedSecrets(HashMap<String, Password>);

impl SharedSecrets {
    /// With one for this account. Of two, the later one counts.
    #[must_use]
    pub fn with(mut self, account: &Mailbox, secret: Password) -> Self {
        self.0.insert(account.folded(), secret);
        self
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret of whoever calls itself so: by the whole address, without case.
    pub fn of(&self, login: &str) -> Option<&Password> {
        let mailbox: Mailbox = login.parse().ok()?;
        self.0.get(&mailbox.folded())
    }
}

impl std::fmt::Debug for SharedSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedSecrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_address_alone() {
        let secret = Password::from("s3cret".to_owned());
        let secrets = SharedSecrets::default().with(&"Ann@Example.org".parse().unwrap(), secret.clone());
        assert_eq!(secrets.of("ann@example.ORG"), Some(&secret));
        for other in ["ann", "bob@example.org", "", "ann@example.org/phone", "<ann@example.org>"] {
            assert_eq!(secrets.of(other), None, "{other}");
        }
        assert!(!format!("{secrets:?}").contains("s3cret"));
    }
}
