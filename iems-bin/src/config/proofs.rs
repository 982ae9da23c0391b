//! What proves a peer besides a password: client certificates of a listener, and tokens.

use std::path::Path;
use std::time::Duration;

use iems_core::seam::CertificateMark;

use super::files::{ClientCertificates, Look, OAuth};
use super::leaf::words;
use super::problem::Notes;
use super::read::{At, FromToml, need, section};

section! {
    /// Tokens that are taken instead of passwords.
    WrittenOAuth {
        /// JSON Web Key Set: the keys that tokens are signed with.
        keys: String;
        /// Who issues them.
        issuer: String;
        /// For whom they are issued.
        audience: String;
        /// The claim with the login.
        claim: String = r#""email""#;
        /// How far clocks may differ.
        leeway: Duration = r#""60s""#;
    }
}

/// Whether peers are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// They are not.
    Off,
    /// They are, and may have none, or one that is not believed.
    Optional,
    /// Without one that is believed there is no handshake.
    Required,
}

words! {
    Demand, "one of off, optional, required", {
        "off" => Demand::Off, "optional" => Demand::Optional, "required" => Demand::Required,
    };
}

/// What a listener asks of a peer's certificate.
pub(super) fn client_certificates(
    (demand, ca, marks): (&At<Demand>, Option<&At<String>>, &At<Vec<CertificateMark>>),
    has_tls: bool,
    (folder, look): (&Path, Look),
    notes: &mut Notes<'_>,
) -> Option<ClientCertificates> {
    if demand.value == Demand::Off {
        let idle = ca.and_then(|ca| ca.span.as_ref()).or(marks.span.as_ref());
        if ca.is_some() || !marks.is_empty() {
            let message = "listener.client_ca and client_fingerprints say nothing while `client_certificates` is \"off\": \
                           set it to \"optional\" or \"required\"";
            notes.add(idle, "listener.client_ca", message.to_owned());
        }
        return None;
    }
    let required = demand.value == Demand::Required;
    let mut wrong =
        |message: &str| notes.add(demand.span.as_ref(), "listener.client_certificates", message.to_owned());
    if !has_tls {
        wrong(
            "listener.client_certificates: without TLS nobody shows one; set `certificate` and `key` here or in [tls]",
        );
        return None;
    }
    if required && ca.is_none() && marks.is_empty() {
        wrong("listener.client_certificates: nobody could connect; set `client_ca` or `client_fingerprints`");
        return None;
    }
    let wanted =
        ClientCertificates { required, ca: ca.map(|ca| folder.join(&ca.value)), marks: marks.value.clone() };
    if let Err(why) = (look.client)(&wanted) {
        notes.add(
            ca.and_then(|ca| ca.span.as_ref()),
            "listener.client_ca",
            format!("listener.client_ca: {why}"),
        );
        return None;
    }
    Some(wanted)
}

/// How tokens are looked into, if they are.
pub(super) fn oauth(
    written: &WrittenOAuth,
    (folder, look): (&Path, Look),
    notes: &mut Notes<'_>,
) -> Option<OAuth> {
    let Some(keys) = &written.keys else {
        if let Some(idle) = written.issuer.as_ref().or(written.audience.as_ref()) {
            notes.add(idle.span.as_ref(), "oauth", "oauth: no token is taken without `keys`".to_owned());
        }
        return None;
    };
    let issuer = need(written.issuer.clone(), "issuer", "oauth", &keys.span, notes);
    let audience = need(written.audience.clone(), "audience", "oauth", &keys.span, notes);
    let wanted = OAuth {
        keys: folder.join(&keys.value),
        issuer: issuer?,
        audience: audience?,
        claim: written.claim.value.clone(),
        leeway: written.leeway.value,
    };
    if let Err(why) = (look.tokens)(&wanted) {
        notes.add(keys.span.as_ref(), "oauth.keys", format!("oauth.keys: {why}"));
        return None;
    }
    Some(wanted)
}
