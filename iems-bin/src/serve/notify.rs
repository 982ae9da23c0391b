//! Telling a service manager how far we are (`sd_notify(3)`): one datagram, and nobody minds if it is lost.

/// Sends a state such as `READY=1` to the socket in `NOTIFY_SOCKET`, if there is one.
#[cfg(target_os = "linux")]
pub(super) fn tell(state: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(&name),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::debug!(%error, state, "the service manager was not told");
    }
}

/// Nobody to tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn tell(_state: &str) {}
