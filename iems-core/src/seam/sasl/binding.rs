//! What binds an exchange to the channel it runs over (RFC 5056), so that nobody can pass it on to another channel.

use std::sync::Arc;

use crate::seam::PeerCertificate;
use crate::seam::certificate::end_point;

/// A mark that both ends of one channel know, and the ends of no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelBinding {
    /// Its name in the IANA registry of channel binding types.
    pub name: &'static str,
    /// The mark.
    pub data: Vec<u8>,
}

/// What the channel beneath a dialogue gives to its exchanges. The default is a channel that gives nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beneath {
    /// Its marks, the best first.
    pub bindings: Vec<ChannelBinding>,
    /// The certificate that the peer has shown.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Beneath {
    /// A channel with `exported`, 32 octets of its key material (RFC 9266; only of a channel whose keys are unique, as RFC 8446
    /// makes them), and `server`, the certificate of its server (RFC 5929 section 4).
    pub fn new(exported: Option<[u8; 32]>, server: Option<&[u8]>) -> Self {
        let exported = exported.map(|data| ChannelBinding { name: "tls-exporter", data: data.to_vec() });
        let server = server.and_then(end_point);
        let server = server.map(|data| ChannelBinding { name: "tls-server-end-point", data });
        Self { bindings: exported.into_iter().chain(server).collect(), certificate: None }
    }

    /// The same, with what the peer has shown.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Option<PeerCertificate>) -> Self {
        self.certificate = certificate.map(Arc::new);
        self
    }
}
