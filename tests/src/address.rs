//! Loopback addresses that nobody else uses: the process id chooses a /24 inside 127/8, a counter the
//! last octet. Stories in several processes and threads never fight for a port, so ports can be fixed,
//! even 25, where the DNS says so.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

static NEXT: AtomicU8 = AtomicU8::new(1);

/// An address that this test process has not used before.
///
/// # Panics
/// After 250 of them.
pub fn fresh() -> Ipv4Addr {
    let last = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(last <= 250, "out of loopback addresses");
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 128 | (high & 0x7f), low, last)
}
