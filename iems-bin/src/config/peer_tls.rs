//! The keys of a `[[peer]]` and of `[client]` that are about TLS: how much, with which certificates, and where that was said.

use std::path::Path;

use iems_core::queue::PeerPattern;
use iems_core::route::Pattern;
use iems_smtp::client::{Authorities, CertificateName, Fingerprint, PeerWire, TlsLevel, TlsVersion};
use toml::Spanned;
use toml::de::DeValue;

use super::files::ReadTexts;
use super::leaf::words;
use super::peer::WrittenPeer;
use super::problem::Notes;
use super::read::{At, FromToml, mismatch};

/// Where files that a configuration names are, and how they are read.
pub(super) type Files<'a> = (&'a Path, ReadTexts);

words! {
    TlsLevel, "one of off, opportunistic, require, verify, dane, dane-only, fingerprint", {
        "off" => TlsLevel::None, "opportunistic" => TlsLevel::Opportunistic,
        "require" => TlsLevel::Encrypted, "verify" => TlsLevel::Verified, "dane" => TlsLevel::Dane,
        "dane-only" => TlsLevel::DaneOnly, "fingerprint" => TlsLevel::Pinned,
    };
    TlsVersion, "one of 1.2, 1.3", { "1.2" => TlsVersion::V1_2, "1.3" => TlsVersion::V1_3 };
}

/// Declares a type that is read from a string, whose own error says what is wrong.
macro_rules! from_str {
    ($($ty:ty, $expected:literal;)*) => { $(
        impl FromToml for $ty {
            const EXPECTED: &'static str = $expected;

            fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
                match value.get_ref().as_str().map(str::parse) {
                    Some(Ok(read)) => return Some(read),
                    Some(Err(error)) => notes.add(Some(&value.span()), key, format!("{key}: {error}")),
                    None => mismatch::<Self>(value, key, notes),
                }
                None
            }
        }
    )* };
}

from_str! {
    CertificateName, "a name such as \"mx.example.org\", or \".example.org\" for all below it";
    Fingerprint, "a SHA-256 fingerprint such as \"sha256:3b1f…\"";
}

/// What the keys of one entry add to what it inherits.
pub(super) fn apply(
    peer: &WrittenPeer,
    pattern: &PeerPattern,
    origin: &str,
    wire: &mut PeerWire,
    files: Files<'_>,
    notes: &mut Notes<'_>,
) {
    if let Some(level) = &peer.tls {
        wire.tls = Some(level.value);
        wire.tls_origin = Some(origin.to_owned());
        // Whoever writes a rule for this server knows what its password is worth; a rule for everybody knows of none.
        wire.password_unverified = *pattern != PeerPattern::Domain(Pattern::Any);
    }
    if let Some(minimum) = &peer.tls_minimum {
        wire.tls_minimum = Some(minimum.value);
    }
    if let Some(file) = &peer.tls_ca {
        wire.tls_authorities = authorities(file, "peer.tls_ca", files, notes);
        only_with("tls_ca", file, wire, &VERIFIED, notes);
    }
    if let Some(names) = &peer.tls_match {
        wire.tls_names = names.0.clone();
        only_with("tls_match", names, wire, &VERIFIED, notes);
    }
    if let Some(fingerprints) = &peer.tls_fingerprints {
        wire.tls_fingerprints = fingerprints.0.clone();
        only_with("tls_fingerprints", fingerprints, wire, &[TlsLevel::Pinned], notes);
    }
    if let Some(level) = peer.tls.as_ref().filter(|level| level.value == TlsLevel::Pinned)
        && wire.tls_fingerprints.is_empty()
    {
        let message = "peer.tls: \"fingerprint\" needs `tls_fingerprints`";
        notes.add(level.span.as_ref(), "peer.tls", message);
    }
}

/// Where a certificate is looked at by authorities and names: also where a login asks for it.
const VERIFIED: [TlsLevel; 2] = [TlsLevel::Verified, TlsLevel::Opportunistic];

/// Notes a key that would change nothing.
fn only_with<T>(name: &str, at: &At<T>, wire: &PeerWire, levels: &[TlsLevel], notes: &mut Notes<'_>) {
    let level = wire.tls.unwrap_or_default();
    if !levels.contains(&level) {
        let key = format!("peer.{name}");
        let message = format!("{key}: used only with tls = \"{}\", and it is \"{level}\"", levels[0]);
        notes.add(at.span.as_ref(), &key, message);
    }
}

/// The authorities of a PEM file; `None` where files are not looked at, or it is not good.
pub(super) fn authorities(
    file: &At<String>,
    key: &str,
    (folder, read): Files<'_>,
    notes: &mut Notes<'_>,
) -> Option<Authorities> {
    let path = folder.join(&file.value);
    let read = read(&path).and_then(|text| match text {
        Some(text) => Authorities::from_pem(text.as_bytes()).map(Some),
        None => Ok(None),
    });
    read.unwrap_or_else(|why| {
        notes.add(file.span.as_ref(), key, format!("{key}: {}: {why}", path.display()));
        None
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::Look;
    use super::super::load::understand;
    use super::*;
    use iems_core::message::NextHop;

    fn wire(text: &str, hop: &str) -> Result<PeerWire, String> {
        let text = format!("hostname = \"mx.example.test\"\n{text}");
        let config = understand(&text, "iems.toml".as_ref(), "/".as_ref(), Look::AWAY);
        let config = config.map_err(|error| error.to_string())?;
        Ok(config.wires.at(&NextHop::new(hop)).cloned().unwrap_or_default())
    }

    #[test]
    fn each_key_says_one_thing() {
        let hex = "ab".repeat(32);
        let text = format!(
            "[[peer]]\ndomain = \"*\"\ntls = \"require\"\ntls_minimum = \"1.3\"\n\
             [[peer]]\ndomain = \"a.example\"\ntls = \"verify\"\ntls_match = [\"mx.b.example\", \".c.example\"]\n\
             [[peer]]\ndomain = \"d.example\"\ntls = \"fingerprint\"\ntls_fingerprints = \"sha256:{hex}\"\n"
        );
        let any = wire(&text, "elsewhere.example").unwrap();
        assert_eq!((any.tls, any.password_unverified), (Some(TlsLevel::Encrypted), false));
        assert_eq!(any.tls_origin.as_deref(), Some("iems.toml:2 [[peer]] *"));
        let a = wire(&text, "a.example").unwrap();
        assert_eq!((a.tls, a.tls_minimum), (Some(TlsLevel::Verified), Some(TlsVersion::V1_3)));
        let names: Vec<String> = a.tls_names.iter().map(ToString::to_string).collect();
        assert_eq!((names, a.password_unverified), (vec!["mx.b.example".into(), ".c.example".into()], true));
        let d = wire(&text, "d.example").unwrap();
        assert_eq!(
            (d.tls, d.tls_fingerprints[0].to_string()),
            (Some(TlsLevel::Pinned), format!("sha256:{hex}"))
        );
    }

    #[test]
    fn what_would_change_nothing_is_a_mistake() {
        for (lines, wanted) in [
            ("tls = \"fingerprint\"", "needs `tls_fingerprints`"),
            ("tls_fingerprints = \"ab\"", "64 hexadecimal digits"),
            ("tls = \"require\"\ntls_match = \"mx.example\"", "used only with tls = \"verify\""),
            ("tls = \"dane\"\ntls_ca = \"ca.pem\"", "and it is \"dane\""),
            ("tls_match = \"*.example.org\"", ".example.org"),
            ("tls = \"required\"", "did you mean \"require\""),
            ("tls_minimum = \"1.1\"", "one of 1.2, 1.3"),
        ] {
            let error =
                wire(&format!("[[peer]]\ndomain = \"a.example\"\n{lines}\n"), "a.example").unwrap_err();
            assert!(error.contains(wanted), "{lines}: {error}");
        }
    }
}
