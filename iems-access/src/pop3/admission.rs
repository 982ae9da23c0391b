//! Who may connect: bounds on connections in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

/// The counts of one server.
pub(super) struct Admission {
    connections: usize,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    peers: HashMap<IpAddr, usize>,
}

/// The right to one connection. Dropping it gives it back.
pub(super) struct Ticket {
    admission: Arc<Admission>,
    peer: IpAddr,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let (connections, per_address) = (limits.connections, limits.per_address);
        Self { connections, per_address, open: Mutex::default() }
    }

    /// How many connections are open.
    pub(super) fn connections(&self) -> usize {
        self.open().all
    }

    /// Lets a peer in, or says why not.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Ticket, &'static str> {
        let peer = network(peer);
        let mut open = self.open();
        if open.all >= self.connections {
            return Err("Too many connections; try again later");
        }
        let from_peer = open.peers.entry(peer).or_default();
        if *from_peer >= self.per_address && !peer.is_loopback() {
            return Err("Too many connections from your address; close some first");
        }
        *from_peer += 1;
        open.all += 1;
        Ok(Ticket { admission: self.clone(), peer })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.peers.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.peers.remove(&self.peer);
            }
        }
    }
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

    #[test]
    fn connections_are_bounded_and_given_back() {
        let limits = Limits { connections: 3, per_address: 2, ..Limits::default() };
        let admission = Arc::new(Admission::new(&limits));
        let admit = |peer: &str| admission.admit(peer.parse().unwrap());
        let first = (admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap());
        assert!(admit("2001:db8::3").is_err(), "one network");
        let home = admit("127.0.0.1").unwrap();
        assert!(admit("127.0.0.1").is_err(), "all together");
        drop(first);
        let homes = (admit("127.0.0.1").unwrap(), admit("::ffff:127.0.0.1").unwrap());
        drop((home, homes));
        assert!(admission.open().peers.is_empty(), "nothing is kept");
    }
}
