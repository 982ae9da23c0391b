//! The name of a peer: what its address points to, if that name points back (RFC 8601 section 2.7.3, `iprev`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use iems_core::seam::Resolver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Names of an address that are tried; more are not worth the questions.
const NAMES: usize = 4;

/// A look-up under way. Dropping it gives it up.
pub(super) struct Lookup {
    task: JoinHandle<Option<String>>,
    until: Instant,
}

impl Lookup {
    /// Starts, unless the address is one that the public DNS knows nothing of.
    pub(super) fn start(resolver: &Arc<dyn Resolver>, address: IpAddr, limit: Duration) -> Option<Self> {
        let address = address.to_canonical();
        if is_private(address) {
            return None;
        }
        let (resolver, until) = (resolver.clone(), Instant::now() + limit);
        let task =
            tokio::spawn(
                async move { timeout_at(until, confirmed(&*resolver, address)).await.ok().flatten() },
            );
        Some(Self { task, until })
    }

    /// The name, if it is known by now or within what is left of the time.
    pub(super) async fn finish(mut self) -> Option<String> {
        timeout_at(self.until, &mut self.task).await.ok()?.ok()?
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn confirmed(resolver: &dyn Resolver, address: IpAddr) -> Option<String> {
    for name in resolver.names(address).await.ok()?.records.into_iter().take(NAMES) {
        let there = resolver.addresses(&name).await.map(|answer| answer.records).unwrap_or_default();
        if there.iter().any(|found| found.to_canonical() == address) {
            return Some(name);
        }
    }
    None
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use iems_core::seam::{Answer, Mx, ResolveError};

    /// `192.0.2.1` has two names, of which the second points back; the names of others point elsewhere.
    struct Names;

    fn answer<T>(records: Vec<T>) -> Result<Answer<T>, ResolveError> {
        Ok(Answer { records, secure: false, ttl: Duration::ZERO })
    }

    #[async_trait]
    impl Resolver for Names {
        async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
            Err(ResolveError::NoName)
        }
        async fn addresses(&self, host: &str) -> Result<Answer<IpAddr>, ResolveError> {
            match host {
                "good.example" => answer(vec!["192.0.2.1".parse().unwrap()]),
                "slow.example" => std::future::pending().await,
                _ => Err(ResolveError::NoName),
            }
        }
        async fn txt(&self, _: &str) -> Result<Answer<String>, ResolveError> {
            Err(ResolveError::NoName)
        }
        async fn names(&self, ip: IpAddr) -> Result<Answer<String>, ResolveError> {
            match ip.to_string().as_str() {
                "192.0.2.1" => answer(vec!["forged.example".into(), "good.example".into()]),
                "192.0.2.3" => answer(vec!["slow.example".into()]),
                _ => answer(vec!["good.example".into()]),
            }
        }
    }

    async fn name(ip: &str) -> Option<String> {
        let resolver: Arc<dyn Resolver> = Arc::new(Names);
        Lookup::start(&resolver, ip.parse().unwrap(), Duration::from_millis(50))?.finish().await
    }

    #[tokio::test]
    async fn only_a_name_that_points_back_counts() {
        assert_eq!(name("192.0.2.1").await.as_deref(), Some("good.example"));
        assert_eq!(name("::ffff:192.0.2.1").await.as_deref(), Some("good.example"));
        assert_eq!(name("192.0.2.2").await, None);
        assert_eq!(name("192.0.2.3").await, None, "in time");
        assert_eq!(name("127.0.0.1").await, None);
    }
}
