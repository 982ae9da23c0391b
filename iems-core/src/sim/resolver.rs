//! Simulated names: records that a test sets, and the ways in which name servers fail.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::Dice;
use crate::seam::{Answer, Mx, ResolveError, Resolver};

/// How the servers of one name behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NameTrouble {
    /// They answer.
    #[default]
    None,
    /// They say that they failed (`SERVFAIL`).
    Failing,
    /// They do not answer until the question is given up after this time.
    Silent(Duration),
    /// In so many of a thousand cases they claim that the name does not exist.
    Flipping(u64),
    /// The signatures are wrong (DNSSEC): nothing counts.
    Bogus,
}

/// A resolver with records of its own.
#[derive(Debug)]
pub struct SimResolver {
    dice: Dice,
    names: Mutex<BTreeMap<String, Name>>,
    pointers: Mutex<BTreeMap<IpAddr, Vec<String>>>,
}

#[derive(Debug, Clone, Default)]
struct Name {
    mx: Vec<Mx>,
    addresses: Vec<IpAddr>,
    txt: Vec<String>,
    trouble: NameTrouble,
}

impl SimResolver {
    /// A resolver that knows no name.
    pub fn new(dice: Dice) -> Self {
        Self { dice, names: Mutex::default(), pointers: Mutex::default() }
    }

    /// `host` takes mail for `domain`, at this preference.
    pub fn add_mx(&self, domain: &str, preference: u16, host: &str) {
        self.change(domain, |name| {
            name.mx.push(Mx { preference, host: host.into() });
            name.mx.sort_by_key(|mx| mx.preference);
        });
    }

    /// `host` has this address.
    pub fn add_address(&self, host: &str, ip: IpAddr) {
        self.change(host, |name| name.addresses.push(ip));
        let mut pointers = self.pointers.lock().unwrap_or_else(PoisonError::into_inner);
        pointers.entry(ip).or_default().push(host.into());
    }

    /// `name` has this text.
    pub fn add_txt(&self, name: &str, text: &str) {
        self.change(name, |name| name.txt.push(text.into()));
    }

    /// How the servers of `name` behave from now on.
    pub fn set_trouble(&self, name: &str, trouble: NameTrouble) {
        self.change(name, |name| name.trouble = trouble);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Name)) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        change(names.entry(name.to_ascii_lowercase()).or_default());
    }

    async fn ask<T>(
        &self,
        name: &str,
        records: impl Fn(Name) -> Vec<T> + Send,
    ) -> Result<Answer<T>, ResolveError> {
        let known = {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names.get(&name.to_ascii_lowercase()).cloned()
        };
        let name = known.ok_or(ResolveError::NoName)?;
        let temporary = |what: &str| ResolveError::Temporary(what.into());
        match name.trouble {
            NameTrouble::Failing => return Err(temporary("the servers failed")),
            NameTrouble::Bogus => return Err(temporary("bogus signatures")),
            NameTrouble::Silent(patience) => {
                tokio::time::sleep(patience).await;
                return Err(temporary("no answer in time"));
            }
            NameTrouble::Flipping(permille) if self.dice.chance(permille) => {
                return Err(ResolveError::NoName);
            }
            NameTrouble::None | NameTrouble::Flipping(_) => {}
        }
        match records(name) {
            none if none.is_empty() => Err(ResolveError::NoRecords),
            records => Ok(Answer { records, secure: false, ttl: Duration::from_secs(300) }),
        }
    }
}

#[async_trait]
impl Resolver for SimResolver {
    async fn mx(&self, domain: &str) -> Result<Answer<Mx>, ResolveError> {
        self.ask(domain, |name| name.mx).await
    }

    async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError> {
        self.ask(host, |name| name.addresses).await
    }

    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        self.ask(name, |name| name.txt).await
    }

    async fn names(&self, ip: IpAddr) -> Result<Answer<String>, ResolveError> {
        let pointers = self.pointers.lock().unwrap_or_else(PoisonError::into_inner);
        let records = pointers.get(&ip).cloned().ok_or(ResolveError::NoName)?;
        Ok(Answer { records, secure: false, ttl: Duration::from_secs(300) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn names_fail_in_the_ways_they_are_told_to() {
        let resolver = SimResolver::new(Dice::new(1));
        resolver.add_mx("a.example", 20, "two.a.example");
        resolver.add_mx("A.example", 10, "one.a.example");
        assert_eq!(resolver.mx("a.example").await.unwrap().records[0].host, "one.a.example");
        assert_eq!(resolver.txt("a.example").await, Err(ResolveError::NoRecords));
        assert_eq!(resolver.mx("b.example").await, Err(ResolveError::NoName));
        resolver.set_trouble("a.example", NameTrouble::Silent(Duration::from_secs(5)));
        let start = tokio::time::Instant::now();
        assert!(resolver.mx("a.example").await.unwrap_err().is_temporary());
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        resolver.set_trouble("a.example", NameTrouble::Flipping(500));
        let mut answers = [0, 0];
        for _ in 0..100 {
            answers[usize::from(resolver.mx("a.example").await.is_ok())] += 1;
        }
        assert!(answers.iter().all(|count| *count > 20), "{answers:?}");
    }
}
