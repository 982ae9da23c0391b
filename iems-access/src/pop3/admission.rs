//! Who may connect: bounds on connections in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

/// The counts of one server.
pub(super) struct Admission {
    open: Mutex<Open>,
}

struct Open {
    /// The bounds: in all, and for one address.
    most: (usize, usize),
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
        Self { open: Mutex::new(Open { most: most(limits), all: 0, peers: HashMap::new() }) }
    }

    /// Other bounds from now on.
    pub(super) fn adjust(&self, limits: &Limits) {
        self.open().most = most(limits);
    }

    /// How many connections are open.
    pub(super) fn connections(&self) -> usize {
        self.open().all
    }

    /// Lets a peer in, or says why not.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Ticket, &'static str> {
        let peer = network(peer);
        let mut open = self.open();
        let (in_all, per_address) = open.most;
        if open.all >= in_all {
            return Err("Too many connections; try again later");
        }
        let from_peer = open.peers.entry(peer).or_default();
        if *from_peer >= per_address && !peer.is_loopback() {
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

fn most(limits: &Limits) -> (usize, usize) {
    (limits.connections, limits.per_address)
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
        admission.adjust(&Limits { connections: 1, ..limits });
        let _last = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.2").is_err(), "other bounds");
    }
}
