//! Who may connect: bounds on connections in all, from one address, and from one address in a minute.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use iems_core::message::{EnhancedStatus, Reply};
use iems_core::seam::{Clock, Timestamp};

use super::Limits;

const MINUTE: Duration = Duration::from_secs(60);

/// The counts of one server.
pub(super) struct Admission {
    limits: ArcSwap<Limits>,
    clock: Arc<dyn Clock>,
    open: AtomicUsize,
    peers: Mutex<HashMap<IpAddr, Peer>>,
}

/// What one address has.
struct Peer {
    open: usize,
    minute: Timestamp,
    in_minute: u32,
}

/// The right to one connection. Dropping it gives it back.
pub(super) struct Ticket {
    admission: Arc<Admission>,
    counted: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let limits = ArcSwap::from_pointee(limits);
        Self { limits, clock, open: AtomicUsize::new(0), peers: Mutex::new(HashMap::new()) }
    }

    /// Other bounds from now on.
    pub(super) fn adjust(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Lets a peer in, or says why not. `None` is a local program.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Ticket, Reply> {
        // The ticket exists from here on, so every way out gives back what was taken.
        let mut ticket = Ticket { admission: self.clone(), counted: None };
        let limits = self.limits.load();
        if self.open.fetch_add(1, Ordering::Relaxed) >= limits.connections {
            return Err(busy("too many connections; try again later"));
        }
        if let Some(address) = peer.map(network).filter(|a| limits.count_loopback || !a.is_loopback()) {
            self.count(address, &limits)?;
            ticket.counted = Some(address);
        }
        Ok(ticket)
    }

    fn count(&self, address: IpAddr, limits: &Limits) -> Result<(), Reply> {
        let now = self.clock.now();
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.entry(address).or_insert(Peer { open: 0, minute: now, in_minute: 0 });
        if now.since(peer.minute) >= MINUTE || peer.minute > now {
            (peer.minute, peer.in_minute) = (now, 0);
        }
        if peer.open >= limits.per_address {
            return Err(busy("too many connections from your address; close some first"));
        }
        if limits.per_address_minute > 0 && peer.in_minute >= limits.per_address_minute {
            return Err(busy("your address connects too often; wait a minute"));
        }
        peer.open += 1;
        peer.in_minute += 1;
        Ok(())
    }

    fn release(&self, address: IpAddr) {
        let now = self.clock.now();
        let limits = self.limits.load();
        let rate = limits.per_address_minute > 0;
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get_mut(&address) {
            peer.open = peer.open.saturating_sub(1);
            if peer.open == 0 && !rate {
                peers.remove(&address);
            }
        }
        // Addresses that only wait for their minute to end are swept out when they become many.
        if peers.len() > limits.connections.max(1024) * 2 {
            peers.retain(|_, peer| peer.open > 0 || now.since(peer.minute) < MINUTE);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.counted {
            self.admission.release(address);
        }
    }
}

fn busy(text: &str) -> Reply {
    Reply::new(421, EnhancedStatus::new(4, 3, 2), text)
}

/// What counts as one address: an IPv4 address, or an IPv6 /64, which one customer has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iems_core::seam::SystemClock;

    fn admission(limits: Limits) -> Arc<Admission> {
        Arc::new(Admission::new(limits, Arc::new(SystemClock)))
    }

    #[test]
    fn connections_in_all_and_per_address_are_bounded_and_given_back() {
        let limits = Limits { connections: 3, per_address: 2, ..Limits::default() };
        let admission = admission(limits);
        let one: Option<IpAddr> = Some("2001:db8::1".parse().unwrap());
        let same_network: Option<IpAddr> = Some("2001:db8::2".parse().unwrap());
        let first = admission.admit(one).unwrap();
        let second = admission.admit(same_network).unwrap();
        assert_eq!(admission.admit(one).err().unwrap().code, 421);
        let local = admission.admit(None).unwrap();
        assert_eq!(admission.admit(None).err().unwrap().code, 421);
        drop((first, second, local));
        assert!(admission.admit(one).is_ok());
        assert!(admission.peers.lock().unwrap().is_empty(), "nothing is kept");
    }

    #[test]
    fn loopback_counts_only_if_wanted() {
        let home: Option<IpAddr> = Some("::ffff:127.0.0.1".parse().unwrap());
        for (count_loopback, refused) in [(false, false), (true, true)] {
            let admission = admission(Limits { per_address: 1, count_loopback, ..Limits::default() });
            let _first = admission.admit(home).unwrap();
            assert_eq!(admission.admit(home).is_err(), refused);
        }
    }

    #[test]
    fn connecting_too_often_is_refused() {
        let admission = admission(Limits { per_address_minute: 2, ..Limits::default() });
        let peer: Option<IpAddr> = Some("192.0.2.1".parse().unwrap());
        assert!(admission.admit(peer).is_ok() && admission.admit(peer).is_ok());
        assert!(admission.admit(peer).is_err());
    }
}
