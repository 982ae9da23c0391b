//! Which certificates listeners show: `[tls]`, `[[certificate]]`, and those of single listeners.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use iems_core::message::{Domain, Mailbox};
use iems_core::route::Pattern;
use iems_smtp::client::{Authorities, TlsVersion};

use super::files::{Certificate, Look};
use super::peer_tls::Files;
use super::problem::Notes;
use super::read::{At, section};

section! {
    /// The certificate.
    WrittenTls {
        /// PEM: the certificate, then its issuers.
        certificate: String;
        /// PEM: the private key.
        key: String;
        /// The least version of TLS.
        minimum: TlsVersion = r#""1.2""#;
    }

    /// A certificate for whoever asks for certain hosts.
    WrittenCertificate {
        /// PEM: the certificate, then its issuers.
        certificate: String;
        /// PEM: the private key.
        key: String;
        /// Whether we get it ourselves.
        acme: bool = "false";
        /// The hosts; those that the certificate names unless set.
        names: Vec<Pattern> = "[]";
    }

    /// The authority that certificates are got from.
    WrittenAcme {
        /// Where its directory is.
        directory: String = r#""https://acme-v02.api.letsencrypt.org/directory""#;
        /// Whom it writes to.
        email: Mailbox;
        /// Whether its terms are agreed to.
        accept_terms: bool = "false";
        /// Where it looks whether hosts are ours.
        address: SocketAddr = r#""0.0.0.0:80""#;
        /// PEM: authorities that are believed for the directory, besides those of Mozilla.
        ca: String;
    }
}

/// A certificate and its key, as written.
pub(super) struct Pair<'a> {
    pub(super) certificate: &'a Option<At<String>>,
    pub(super) key: &'a Option<At<String>>,
}

impl Pair<'_> {
    /// The files, if both are named and of use. What is wrong with them is noted.
    pub(super) fn resolve(
        &self,
        section: &str,
        hosts: &[String],
        (folder, look): (&Path, Look),
        notes: &mut Notes<'_>,
    ) -> Option<Certificate> {
        let (span, message) = match (self.certificate, self.key) {
            (None, None) => return None,
            (Some(c), None) => (&c.span, format!("{section}: a certificate needs its `key`")),
            (None, Some(k)) => (&k.span, format!("{section}: a key needs its `certificate`")),
            (Some(c), Some(k)) => {
                let files = Certificate { certificate: folder.join(&c.value), key: folder.join(&k.value) };
                let key = format!("{section}.certificate");
                match (look.certificate)(&files, hosts) {
                    Ok(dangers) => {
                        let said = dangers.into_iter().map(|danger| format!("{key}: {danger}"));
                        said.for_each(|danger| notes.warn(c.span.as_ref(), &key, danger));
                        return Some(files);
                    }
                    Err(why) => (&c.span, format!("{key}: {why}")),
                }
            }
        };
        notes.add(span.as_ref(), section, message);
        None
    }
}

/// The certificate of listeners that have none of their own, and those for certain hosts.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) default: Option<Certificate>,
    pub(super) named: Vec<NamedCertificate>,
    /// There should be one, and what is wrong with it is noted.
    pub(super) is_wrong: bool,
}

/// What `[tls]` and the `[[certificate]]`s say.
pub(super) fn common(
    hostname: Option<&Domain>,
    (tls, written): (&WrittenTls, &[At<WrittenCertificate>]),
    data: &Path,
    place: (&Path, Look),
    notes: &mut Notes<'_>,
) -> Common {
    let host: Vec<String> = hostname.iter().map(ToString::to_string).collect();
    let default = Pair { certificate: &tls.certificate, key: &tls.key };
    let default = default.resolve("tls", &host, place, notes);
    let mut named = Vec::new();
    for entry in written {
        named.extend(match entry.acme.value {
            true => managed(entry, data, notes),
            false => one(entry, place, notes),
        });
    }
    twice(written, notes);
    if default.is_none() && tls.certificate.is_none() {
        unnamed_host(&named, hostname, notes);
    }
    let default = default.or_else(|| named.first().map(|first| first.files.clone()));
    let is_wrong =
        default.is_none() && (tls.certificate.is_some() || tls.key.is_some() || !written.is_empty());
    Common { default, named, is_wrong }
}

fn one(
    written: &At<WrittenCertificate>,
    place: (&Path, Look),
    notes: &mut Notes<'_>,
) -> Option<NamedCertificate> {
    let names = &written.names;
    if names.contains(&Pattern::Any) {
        let message =
            "certificate.names: \"*\" is no host; the certificate for everybody else is that of [tls]";
        notes.add(names.span.as_ref(), "certificate.names", message);
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    if written.certificate.is_none() && written.key.is_none() {
        let message = "a [[certificate]] needs `certificate` and `key`";
        notes.add(written.span.as_ref(), "certificate", message);
        return None;
    }
    let pair = Pair { certificate: &written.certificate, key: &written.key };
    let files = pair.resolve("certificate", &names, place, notes)?;
    Some(NamedCertificate { names, files, managed: false })
}

/// One that we get ourselves.
fn managed(written: &At<WrittenCertificate>, data: &Path, notes: &mut Notes<'_>) -> Option<NamedCertificate> {
    let mut wrong = |span: Option<&std::ops::Range<usize>>, message: &str| {
        notes.add(
            span.or(written.acme.span.as_ref()),
            "certificate.acme",
            format!("certificate.acme: {message}"),
        );
    };
    if cfg!(not(feature = "acme")) {
        wrong(None, "this program was built without ACME (the feature `acme`)");
    }
    if let Some(file) = written.certificate.as_ref().or(written.key.as_ref()) {
        wrong(file.span.as_ref(), "its files are kept in the data folder; leave `certificate` and `key` out");
    }
    let mut names = Vec::new();
    for name in &written.names.value {
        match name {
            Pattern::Exactly(domain) => names.push(domain.to_string()),
            _ => wrong(written.names.span.as_ref(), "a wildcard cannot be had by http-01; name each host"),
        }
    }
    let Some(first) = names.first() else {
        wrong(written.names.span.as_ref(), "expected the hosts it is for in `names`");
        return None;
    };
    let file = |end: &str| data.join("acme").join(format!("{first}.{end}"));
    Some(NamedCertificate {
        files: Certificate { certificate: file("pem"), key: file("key") },
        names,
        managed: true,
    })
}

/// The authority, where any certificate is got from it.
pub(super) fn acme(
    written: &WrittenAcme,
    certificates: &[At<WrittenCertificate>],
    files: Files<'_>,
    notes: &mut Notes<'_>,
) -> Option<Acme> {
    let wanted = certificates.iter().find(|certificate| certificate.acme.value)?;
    if !written.accept_terms.value {
        let message = "acme.accept_terms: read the terms of the authority (`meta.termsOfService` in its directory), and set it to true if \
                       you agree";
        let span = written.accept_terms.span.as_ref().or(wanted.acme.span.as_ref());
        notes.add(span, "acme.accept_terms", message);
    }
    if !written.directory.starts_with("https://") {
        let message = "acme.directory: expected a URL that begins with https://";
        notes.add(written.directory.span.as_ref(), "acme.directory", message);
    }
    let authorities =
        written.ca.as_ref().and_then(|ca| super::peer_tls::authorities(ca, "acme.ca", files, notes));
    Some(Acme {
        directory: written.directory.value.clone(),
        email: written.email.as_ref().map(|email| email.value.clone()),
        address: written.address.value,
        authorities,
    })
}

/// Two entries with the same files are a slip of the pen. Two for the same host may be of different kinds (RSA and ECDSA).
fn twice(written: &[At<WrittenCertificate>], notes: &mut Notes<'_>) {
    let mut seen = HashMap::new();
    for entry in written {
        let Some(file) = &entry.certificate else { continue };
        if seen.insert(file.value.clone(), ()).is_some() {
            let message = format!("certificate.certificate: \"{}\" has an entry already", file.value);
            notes.add(file.span.as_ref(), "certificate.certificate", message);
        }
    }
}

/// Without `[tls]`, whoever asks for no host, or for ours, gets the first one.
fn unnamed_host(named: &[NamedCertificate], hostname: Option<&Domain>, notes: &mut Notes<'_>) {
    let (Some(hostname), false) = (hostname, named.is_empty()) else { return };
    let host = hostname.to_string();
    let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let is_for = |name: &String| *name == host || Some(name) == parent.as_ref();
    let known = named.iter().any(|one| one.names.is_empty() || one.names.iter().any(is_for));
    if !known {
        let message =
            format!("no certificate is for hostname, {host}: other servers get the first [[certificate]]");
        notes.warn(None, "certificate.names", message);
    }
}

/// An authority that gives certificates (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    /// Where its directory is.
    pub(crate) directory: String,
    /// Whom it writes to.
    pub(crate) email: Option<Mailbox>,
    /// Where it looks whether hosts are ours.
    pub(crate) address: SocketAddr,
    /// Who is believed for the directory, besides those of Mozilla.
    pub(crate) authorities: Option<Authorities>,
}

#[cfg(feature = "acme")]
impl Acme {
    /// Its host, for the name of a file.
    pub(crate) fn short(&self) -> String {
        let host = self.directory.trim_start_matches("https://").split('/').next().unwrap_or_default();
        host.chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
            .collect()
    }
}

/// A certificate for peers that ask for certain hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedCertificate {
    /// The hosts, in lower case, or `*.` and a domain; those that it names if empty.
    pub(crate) names: Vec<String>,
    /// Where it is.
    pub(crate) files: Certificate,
    /// Whether the server gets it itself.
    pub(crate) managed: bool,
}

#[cfg(test)]
mod tests {
    use super::super::of;

    #[test]
    fn what_makes_no_sense_is_said() {
        let error = |text: &str| of(&format!("hostname = \"mx.example.test\"\n{text}")).unwrap_err();
        let pair = "[[certificate]]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n";
        assert!(
            error("[[certificate]]\nnames = [\"a.example\"]\n").contains("needs `certificate` and `key`")
        );
        assert!(error("[[certificate]]\ncertificate = \"a.pem\"\n").contains("needs its `key`"));
        assert!(
            error(&format!("{pair}names = [\"*\"]\n")).contains(":5:9: certificate.names: \"*\" is no host")
        );
        assert!(error(&format!("{pair}{pair}")).contains("has an entry already"));
        assert!(error("[tls]\nminimum = \"1.1\"\n").contains("one of 1.2, 1.3"));
        let ours = "[[certificate]]\nacme = true\n";
        let agreed = "[acme]\naccept_terms = true\n";
        assert!(error(&format!("{ours}{agreed}")).contains("expected the hosts it is for in `names`"));
        assert!(
            error(&format!("{ours}names = [\"a.example\"]\n")).contains("acme.accept_terms: read the terms")
        );
        assert!(
            error(&format!("{ours}names = [\"*.example\"]\n{agreed}")).contains("a wildcard cannot be had")
        );
        assert!(
            error(&format!("{ours}names = [\"a.example\"]\nkey = \"x\"\n{agreed}"))
                .contains("leave `certificate` and `key` out")
        );
        assert!(
            error(&format!("{ours}names = [\"a.example\"]\n{agreed}directory = \"http://x\"\n"))
                .contains("begins with https://")
        );
        assert!(error(&format!("{pair}hosts = []\n")).contains("unknown key \"hosts\""));
    }

    #[test]
    fn listeners_show_what_is_for_them() {
        let text = "hostname = \"mx.example.test\"\n[[listener]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:25\"\n\
                    [[listener]]\nprotocol = \"pop3s\"\naddress = \"127.0.0.1:995\"\ncertificate = \"own.pem\"\nkey = \"own.key\"\n\
                    [[certificate]]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nnames = [\"a.example\"]\n";
        let config = of(text).unwrap();
        let [smtp, pop3s] = &config.listeners[..] else { panic!("two listeners") };
        assert_eq!(
            smtp.certificate.as_ref().unwrap().key,
            std::path::Path::new("/a.key"),
            "the first is for everybody"
        );
        assert_eq!((smtp.others.len(), pop3s.others.len()), (1, 0));
        assert!(config.warnings[0].message.contains("no certificate is for hostname"));
        let config = of(&format!("{text}[tls]\ncertificate = \"t.pem\"\nkey = \"t.key\"\n")).unwrap();
        assert_eq!(config.listeners[0].certificate.as_ref().unwrap().key, std::path::Path::new("/t.key"));
        assert!(config.warnings.is_empty());
    }
}
