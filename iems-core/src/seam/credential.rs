//! What an account was proved with, and for what that is good: data only.
//!
//! An account may have several credentials: its main password, and others with names (“app passwords”), each for some services.
//! [`sasl::Exchange`](super::sasl::Exchange) sees to it that none is taken for a service that it is not good for.

use std::sync::Arc;

/// What an account was proved with. The default is its main one, good for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Its name; `None` for the main one.
    pub name: Option<Arc<str>>,
    /// For what it is good.
    pub services: Services,
}

/// Services, by the words that servers have for themselves (see [`sasl::Entropy::service`](super::sasl::Entropy::service)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Services {
    /// All of them.
    #[default]
    All,
    /// These, and no others.
    Only(Arc<[Box<str>]>),
    /// All but these.
    Without(Arc<[Box<str>]>),
}

impl Services {
    /// Whether this one is among them.
    pub fn contains(&self, service: &str) -> bool {
        let named = |list: &[Box<str>]| list.iter().any(|name| **name == *service);
        match self {
            Self::All => true,
            Self::Only(list) => named(list),
            Self::Without(list) => !named(list),
        }
    }
}

impl Credential {
    /// Whether it counts as wrong here: a main password that is not taken for this service must not be found out by guessing at it.
    /// Whoever has one with a name is told that it is for other services.
    pub fn is_barred(&self, service: &str) -> bool {
        self.name.is_none() && !self.services.contains(service)
    }
}

/// A login, and the credential that it names: `ann@example.org/phone`. No domain holds a slash, and no login without a domain
/// names a credential, so that nothing else can be meant.
pub fn split_login(login: &str) -> (&str, Option<&str>) {
    match login.rsplit_once('/') {
        Some((whole, name)) if whole.contains('@') && !name.contains('@') => (whole, Some(name)),
        _ => (login, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_behind_the_domain_names_a_credential() {
        for (login, split) in [
            ("ann@example.org", ("ann@example.org", None)),
            ("ann@example.org/phone", ("ann@example.org", Some("phone"))),
            ("a/b@example.org", ("a/b@example.org", None)),
            ("a/b@example.org/c", ("a/b@example.org", Some("c"))),
            ("\"a@b/c\"@example.org", ("\"a@b/c\"@example.org", None)),
            ("ann/phone", ("ann/phone", None)),
            ("ann@example.org/", ("ann@example.org", Some(""))),
        ] {
            assert_eq!(split_login(login), split, "{login}");
        }
    }

    #[test]
    fn services_are_all_some_or_all_but_some() {
        let list: Arc<[Box<str>]> = ["mail".into()].into();
        for (services, mail, other) in [
            (Services::All, true, true),
            (Services::Only(list.clone()), true, false),
            (Services::Without(list), false, true),
        ] {
            assert_eq!((services.contains("mail"), services.contains("other")), (mail, other));
        }
    }
}
