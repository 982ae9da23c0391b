//! Where mail goes in these cases: loopback addresses that the watchful sink answers at once or slowly, and a port where
//! nobody answers.

use std::fmt::Write as _;

use crate::sink::SLOW_NET;

/// Second octets of addresses: answered at once, and by nobody.
const FAST_NET: u8 = 121;
const DEAD_NET: u8 = 123;

/// Destinations of each spread: `d0` to `d999`.
pub(super) const SPREAD: usize = 1000;
/// One in so many of [`FAR`] is slow.
pub(super) const ONE_SLOW_IN: usize = 10;

/// The domain above destinations of which one in ten is slow.
pub(super) const FAR: &str = "far.test";
/// The domain above destinations where nobody answers.
pub(super) const DEAD: &str = "dead.test";
/// The domain above destinations that answer at once.
pub(super) const NEAR: &str = "near.test";
/// One destination that answers at once.
pub(super) const ONE: &str = "one.test";
/// One destination that is slow.
pub(super) const TAR: &str = "tar.test";

/// One destination: its domain, and the host and port behind it.
pub(super) struct Place {
    pub(super) domain: String,
    pub(super) host: String,
    pub(super) port: u16,
}

/// All destinations, for a sink at this port. The next port is closed.
pub(super) fn all(port: u16) -> Vec<Place> {
    let mut places = Vec::new();
    let mut place = |domain: String, net: u8, third: usize, number: usize, port: u16| {
        let host = format!("127.{net}.{}.{}", third + number / 250, 1 + number % 250);
        places.push(Place { domain, host, port });
    };
    place(ONE.to_owned(), FAST_NET, 200, 0, port);
    place(TAR.to_owned(), SLOW_NET, 200, 0, port);
    for n in 0..SPREAD {
        let far = if n.is_multiple_of(ONE_SLOW_IN) { SLOW_NET } else { FAST_NET };
        place(format!("d{n}.{FAR}"), far, 0, n, port);
        place(format!("d{n}.{NEAR}"), FAST_NET, 100, n, port);
        place(format!("d{n}.{DEAD}"), DEAD_NET, 0, n, port + 1);
    }
    places
}

/// The hop of a destination, in the words of iems.
pub(super) fn hop(domain: &str, port: u16) -> String {
    let found = all(port).into_iter().find(|place| place.domain == domain);
    found.map_or_else(String::new, |place| format!("smtp:[{}]:{}", place.host, place.port))
}

/// All destinations as a transport table of Postfix.
pub(super) fn transports(port: u16) -> String {
    all(port).iter().fold(String::new(), |mut text, place| {
        let _ = writeln!(text, "{} smtp:[{}]:{}", place.domain, place.host, place.port);
        text
    })
}
