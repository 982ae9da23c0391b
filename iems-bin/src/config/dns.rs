//! `[dns]`: whom we ask for names, and when an answer counts as proven. Trust anchors are read and checked with the
//! configuration.

use std::net::SocketAddr;
use std::path::Path;

use iems_smtp::resolver::{Anchors, Dnssec};

use super::files::ReadTexts;
use super::leaf::{NameServer, words};
use super::problem::Notes;
use super::read::{FromToml, section};

section! {
    /// Name servers.
    WrittenDns {
        /// Asked in order; the system's unless set.
        servers: Vec<NameServer>;
        /// Who finds out whether answers are proven.
        dnssec: Word;
        /// The file with the keys that validation starts from; the root's own unless set.
        trust_anchor: String;
    }
}

/// Whom we ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dns {
    /// Name servers; the system's if empty.
    pub(crate) servers: Vec<SocketAddr>,
    /// Who finds out whether answers are proven; by where the servers are, if not said.
    pub(crate) dnssec: Option<Dnssec>,
}

/// Who finds out whether answers are proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// We do.
    Validate,
    /// The servers.
    Trust,
    /// Nobody.
    Off,
}

words! {
    Word, "one of validate, trust, off", {
        "validate" => Word::Validate, "trust" => Word::Trust, "off" => Word::Off,
    };
}

/// What the section means.
pub(super) fn resolve(written: &WrittenDns, folder: &Path, read: ReadTexts, notes: &mut Notes<'_>) -> Dns {
    let servers: Vec<SocketAddr> =
        written.servers.as_ref().map_or_else(Vec::new, |list| list.iter().map(|server| server.0).collect());
    let word = written.dnssec.as_ref().map(|word| word.value);
    if let Some(file) = written.trust_anchor.as_ref().filter(|_| word != Some(Word::Validate)) {
        let message = "dns.trust_anchor: used only with dnssec = \"validate\"";
        notes.add(file.span.as_ref(), "dns.trust_anchor", message);
    }
    let far = servers.iter().find(|server| !server.ip().to_canonical().is_loopback());
    if let (Some(Word::Trust), Some(far), Some(at)) = (word, far, &written.dnssec) {
        let message = format!(
            "dns.dnssec: whoever can change what {far} answers on the way here can change what is believed; \
             \"trust\" is for a resolver on this machine"
        );
        notes.warn(at.span.as_ref(), "dns.dnssec", message);
    }
    let dnssec = word.map(|word| match word {
        Word::Validate => Dnssec::Validate(anchors(written, folder, read, notes)),
        Word::Trust => Dnssec::Trust,
        Word::Off => Dnssec::Off,
    });
    Dns { servers, dnssec }
}

/// The keys of the file, or those of the root.
fn anchors(written: &WrittenDns, folder: &Path, read: ReadTexts, notes: &mut Notes<'_>) -> Anchors {
    let Some(file) = &written.trust_anchor else { return Anchors::default() };
    let path = folder.join(&file.value);
    let read = read(&path).and_then(|text| match text {
        Some(text) => text.parse().map(Some).map_err(|error| format!("{error}")),
        None => Ok(None),
    });
    match read {
        Ok(anchors) => anchors.unwrap_or_default(),
        Err(why) => {
            let message = format!("dns.trust_anchor: {}: {why}", path.display());
            notes.add(file.span.as_ref(), "dns.trust_anchor", message);
            Anchors::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Look;
    use super::super::load::understand;
    use super::*;

    const KEY: &str = ". DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==";

    fn read(text: &str, look: Look) -> Result<Dns, String> {
        let text = format!("hostname = \"mx.example.test\"\n[dns]\n{text}");
        understand(&text, "iems.toml".as_ref(), "/".as_ref(), look)
            .map(|config| config.dns)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_proven_unless_somebody_is_asked_to() {
        assert_eq!(read("", Look::AWAY).unwrap().dnssec, None);
        assert_eq!(read("dnssec = \"off\"", Look::AWAY).unwrap().dnssec, Some(Dnssec::Off));
        let root = read("dnssec = \"validate\"", Look::AWAY).unwrap().dnssec;
        assert_eq!(root, Some(Dnssec::Validate(Anchors::default())));
        let near = "servers = [\"127.0.0.1\"]\ndnssec = \"trust\"";
        assert_eq!(read(near, Look::AWAY).unwrap().dnssec, Some(Dnssec::Trust));
    }

    #[test]
    fn anchors_come_from_a_file_that_holds_some() {
        let own = Look { texts: |_| Ok(Some(KEY.into())), ..Look::AWAY };
        let text = "dnssec = \"validate\"\ntrust_anchor = \"root.key\"";
        let dns = read(text, own).unwrap();
        assert_eq!(dns.dnssec, Some(Dnssec::Validate(KEY.parse().unwrap())));
        let empty = Look { texts: |_| Ok(Some("nothing".into())), ..Look::AWAY };
        let error = read(text, empty).unwrap_err();
        assert!(error.contains("iems.toml:4") && error.contains("/root.key: line 1"), "{error}");
        let error = read("trust_anchor = \"root.key\"", own).unwrap_err();
        assert!(error.contains("only with dnssec = \"validate\""), "{error}");
    }
}
