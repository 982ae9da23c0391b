//! `[[listener]]`: where peers connect.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use iems_core::message::Domain;
use iems_core::receive::{AuthorMatch, Network, SenderMatch};
use iems_core::seam::CertificateMark;

use super::certificates::{Common, NamedCertificate, Pair};
use super::files::{Certificate, ClientCertificates, Look};
use super::problem::Notes;
use super::proofs::{Demand, client_certificates};
use super::protocol::{Protocol, SPOKEN};
use super::read::{At, need, section};
use super::senders::senders;

section! {
    /// One place where peers connect.
    WrittenListener {
        /// What is spoken.
        protocol: Protocol;
        /// Address and port.
        address: SocketAddr;
        /// A certificate for this listener alone.
        certificate: String;
        /// Its key.
        key: String;
        /// Whether passwords are taken without TLS from other machines.
        cleartext_passwords: bool = "false";
        /// Hosts that may say for whom they speak.
        xclient: Vec<Network> = "[]";
        /// Hosts of the site that may say where messages first came in.
        xforward: Vec<Network> = "[]";
        /// Whose reverse-paths are taken.
        sender_login: SenderMatch = r#""own""#;
        /// What follows where authors in the header section are not the account's.
        sender_header: AuthorMatch = r#""off""#;
        /// Proxies that say whose a connection is.
        proxies: Vec<Network> = "[]";
        /// Whether peers are asked for a certificate.
        client_certificates: Demand = r#""off""#;
        /// PEM: the authorities whose client certificates are believed.
        client_ca: String;
        /// Client certificates that are believed whoever signed them.
        client_fingerprints: Vec<CertificateMark> = "[]";
    }
}

/// The listeners, with their certificates.
pub(super) fn listeners(
    written: &[At<WrittenListener>],
    hostname: Option<&Domain>,
    common: &Common,
    (folder, look): (&Path, Look),
    notes: &mut Notes<'_>,
) -> Vec<Listener> {
    let mut taken = HashMap::new();
    let mut resolved = Vec::new();
    let host: Vec<String> = hostname.iter().map(ToString::to_string).collect();
    for listener in written {
        let protocol = need(listener.protocol.clone(), "protocol", "listener", &listener.span, notes);
        let address = need(listener.address.clone(), "address", "listener", &listener.span, notes);
        let own = Pair { certificate: &listener.certificate, key: &listener.key };
        let own = own.resolve("listener", &host, (folder, look), notes);
        let (Some(protocol), Some(address)) = (protocol, address) else { continue };
        if taken.insert(address, protocol).is_some() && address.port() != 0 {
            let span = listener.address.as_ref().and_then(|a| a.span.as_ref());
            notes.add(
                span,
                "listener.address",
                format!("listener.address: {address} is used by two listeners"),
            );
        }
        let others = if own.is_some() { Vec::new() } else { common.named.clone() };
        let certificate = own.or_else(|| common.default.clone());
        let cleartext_passwords = listener.cleartext_passwords.value;
        let proxies = proxies(listener, protocol, notes);
        let xclient = speakers(&listener.xclient, "listener.xclient", protocol, notes);
        let xforward = speakers(&listener.xforward, "listener.xforward", protocol, notes);
        let (senders, authors) = senders(&listener.sender_login, &listener.sender_header, protocol, notes);
        let asked =
            (&listener.client_certificates, listener.client_ca.as_ref(), &listener.client_fingerprints);
        let client = client_certificates(asked, certificate.is_some(), (folder, look), notes);
        let candidate = Listener {
            protocol,
            address,
            certificate,
            others,
            cleartext_passwords,
            proxies,
            xclient,
            xforward,
            senders,
            authors,
            client,
        };
        let is_noted = common.is_wrong || listener.certificate.is_some() || listener.key.is_some();
        usable(&candidate, is_noted, listener, notes);
        resolved.push(candidate);
    }
    resolved
}

/// Who says whose a connection is. That everybody may say so is never meant.
fn proxies(listener: &WrittenListener, protocol: Protocol, notes: &mut Notes<'_>) -> Vec<Network> {
    let (proxies, span) = (&listener.proxies.value, listener.proxies.span.as_ref());
    let key = "listener.proxies";
    if let Some(network) = proxies.iter().find(|network| network.is_everything()) {
        let message = format!(
            "{key}: \"{network}\" would let everybody pretend to be anybody; expected the addresses of your proxies"
        );
        notes.add(span, key, message);
    }
    if protocol == Protocol::Metrics && !proxies.is_empty() {
        notes.add(span, key, format!("{key}: expected none for metrics, which do not look at who asks"));
    }
    proxies.clone()
}

/// Who may say for whom it speaks, or where a message first came in, by SMTP and LMTP.
fn speakers(
    written: &At<Vec<Network>>,
    key: &str,
    protocol: Protocol,
    notes: &mut Notes<'_>,
) -> Vec<Network> {
    let (hosts, span) = (&written.value, written.span.as_ref());
    if let Some(network) = hosts.iter().find(|network| network.is_everything()) {
        let message = format!(
            "{key}: \"{network}\" would let everybody pretend to be anybody; expected the addresses of your own hosts"
        );
        notes.add(span, key, message);
    }
    let speaks = !matches!(protocol, Protocol::Metrics) && !protocol.reads();
    if !speaks && !hosts.is_empty() {
        notes.add(
            span,
            key,
            format!("{key}: expected none for {}, which has no such command", protocol.name()),
        );
    }
    hosts.clone()
}

/// Notes what makes a listener useless. That a certificate is missing is not said of one that was named, and is noted to be wrong.
fn usable(listener: &Listener, is_noted: bool, written: &WrittenListener, notes: &mut Notes<'_>) {
    let span = written.protocol.as_ref().and_then(|p| p.span.as_ref());
    let bare = listener.certificate.is_none() && !is_noted;
    let message = match listener.protocol {
        Protocol::Later(name) => {
            format!("listener.protocol: {name:?} is not part of this version; what is: {}", SPOKEN)
        }
        Protocol::Submissions | Protocol::Pop3s | Protocol::Imaps if bare => {
            "this listener speaks TLS from the start and needs a certificate: set `certificate` and `key` \
             here or in [tls]"
                .into()
        }
        Protocol::Submission | Protocol::Odmr | Protocol::Pop3 | Protocol::Imap
            if bare && !listener.cleartext_passwords && !listener.address.ip().is_loopback() =>
        {
            "nobody could log in: without TLS, passwords are taken from this machine only. Set `certificate` \
             and `key` here or in [tls], or `cleartext_passwords = true`"
                .into()
        }
        _ => return,
    };
    notes.add(span, "listener.protocol", message);
}

/// A place where peers connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Address and port.
    pub(crate) address: SocketAddr,
    /// Certificate and key, its own or the common one.
    pub(crate) certificate: Option<Certificate>,
    /// Certificates for peers that ask for certain hosts; none where it has one of its own.
    pub(crate) others: Vec<NamedCertificate>,
    /// Whether passwords are taken in the clear.
    pub(crate) cleartext_passwords: bool,
    /// Who may say for whom it speaks.
    pub(crate) xclient: Vec<Network>,
    /// Who may say where messages first came in.
    pub(crate) xforward: Vec<Network>,
    /// Whose reverse-paths are taken.
    pub(crate) senders: SenderMatch,
    /// What follows where authors are not the account's.
    pub(crate) authors: AuthorMatch,
    /// Who says whose a connection is.
    pub(crate) proxies: Vec<Network>,
    /// What is asked of a peer's certificate; nothing unless set.
    pub(crate) client: Option<ClientCertificates>,
}
