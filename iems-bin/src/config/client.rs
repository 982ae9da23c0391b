//! `[client]` and `[tls_reports]`: how mail leaves, and what other systems are told about TLS with them.

use iems_smtp::client::TlsLevel;
use iems_smtp::tlsrpt::Reporting;

use super::peer_tls::{Files, authorities};
use super::problem::Notes;
use super::read::At;
use super::resolved::Client;
use super::written::{Client as Written, File};

/// How mail leaves, where no `[[peer]]` says otherwise.
pub(super) fn client(written: &Written, files: Files<'_>, notes: &mut Notes<'_>) -> Client {
    if written.tls.value == TlsLevel::Pinned {
        let message = "client.tls: fingerprints are those of one server: set \"fingerprint\" in its [[peer]]";
        notes.add(written.tls.span.as_ref(), "client.tls", message);
    }
    let place = written.tls.span.as_ref().map(|span| notes.place(Some(span), "client.tls"));
    let ca = written.tls_ca.as_ref();
    Client {
        tls: written.tls.value,
        tls_origin: place.unwrap_or_else(|| "default".into()),
        tls_minimum: written.tls_minimum.value,
        authorities: ca.and_then(|file| authorities(file, "client.tls_ca", files, notes)),
        mta_sts: written.mta_sts.value,
        source: written.source.as_ref().map(|source| source.value),
    }
}

/// Who tells other systems about TLS with them.
pub(super) fn tls_reports(file: &File, notes: &mut Notes<'_>) -> Option<Reporting> {
    let written = &file.tls_reports;
    let other = [(&written.organization, "organization"), (&written.contact, "contact")];
    match (&written.from, other.iter().find_map(|(value, name)| value.as_ref().map(|value| (value, name)))) {
        (Some(from), _) => {
            let (from, hostname) = (from.value.clone(), file.hostname.as_ref().map(|name| name.to_string()));
            let text = |value: &Option<At<String>>| value.as_ref().map(|text| text.value.clone());
            let organization = text(&written.organization).or(hostname).unwrap_or_default();
            let contact = text(&written.contact).unwrap_or_else(|| from.to_string());
            Some(Reporting { organization, contact, from })
        }
        (None, Some((value, name))) => {
            let key = format!("tls_reports.{name}");
            notes.add(value.span.as_ref(), &key, format!("{key}: reports need their author: set `from`"));
            None
        }
        (None, None) => None,
    }
}
