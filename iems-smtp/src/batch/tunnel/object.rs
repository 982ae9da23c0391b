//! What the header section of a message says of the batch in it.

use super::decode::Encoding;
use super::seal::{FIELD, Seal, SealError};

/// The most of a header section that is read, in octets.
pub(crate) const HEADER: u64 = 256 * 1024;

/// A message of the type `application/batch-SMTP`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// How its body is encoded; `None` if that is not known here.
    pub(super) encoding: Option<Encoding>,
    /// `required-extensions` of RFC 2442: what who carries it out must know.
    pub(super) required: Vec<String>,
    /// Who made it.
    pub(super) seal: Result<Seal, SealError>,
}

/// Whether a message with this header section is a batch.
pub(crate) fn is_object(header: &[u8]) -> bool {
    Object::read(header).is_some()
}

impl Object {
    /// What a header section says, if the message is a batch. One field of each kind: whoever is sent two could take the other.
    pub(super) fn read(header: &[u8]) -> Option<Self> {
        let (mut media, mut encoding, mut seal) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in fields(header) {
            match name.as_str() {
                "content-type" => media.push(value),
                "content-transfer-encoding" => encoding.push(value),
                name if name.eq_ignore_ascii_case(FIELD) => seal.push(value),
                _ => {}
            }
        }
        let (kind, parameters) = media.first().map(|value| parameters(value))?;
        if !kind.eq_ignore_ascii_case("application/batch-smtp") {
            return None;
        }
        let required = parameters.iter().find(|(name, _)| name == "required-extensions");
        let words = required.map_or("", |(_, value)| value).split([',', ' ']);
        let required = words.filter(|word| !word.is_empty()).map(str::to_ascii_uppercase).collect();
        let encoding = match &encoding[..] {
            _ if media.len() > 1 => None,
            [] => Some(Encoding::Plain),
            [one] => Encoding::named(one.trim()),
            _ => None,
        };
        let seal = match &seal[..] {
            [] => Err(SealError::Missing),
            [one] => Seal::read(one),
            _ => Err(SealError::Unreadable),
        };
        Some(Self { encoding, required, seal })
    }
}

/// Names in lower case and unfolded values, in order.
pub(crate) fn fields(header: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(header);
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.split("\r\n") {
        if line.is_empty() {
            break;
        }
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some((_, value))) => value.push_str(line),
            _ => {
                if let Some((name, value)) = line.split_once(':') {
                    fields.push((name.trim_end().to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }
    fields
}

/// A value and its parameters (RFC 2045 section 5.1), names in lower case. Comments are not looked for: no generator writes any.
pub(crate) fn parameters(value: &str) -> (&str, Vec<(String, String)>) {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let mut found = Vec::new();
    while let Some((name, behind)) = rest.split_once('=') {
        let (mut value, mut chars) = (String::new(), behind.trim_start().char_indices());
        let behind = behind.trim_start();
        let quoted = behind.starts_with('"');
        if quoted {
            chars.next();
        }
        let mut end = behind.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if quoted => value.extend(chars.next().map(|(_, c)| c)),
                '"' if quoted => {
                    end = at + 1;
                    break;
                }
                ';' if !quoted => {
                    end = at;
                    break;
                }
                c => value.push(c),
            }
        }
        let name = name.trim().trim_start_matches(';').trim().to_ascii_lowercase();
        found.push((name, value.trim().to_owned()));
        rest = behind.get(end..).unwrap_or_default();
        rest = rest.trim_start().strip_prefix(';').unwrap_or(rest);
    }
    (kind.trim(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_known_by_their_header() {
        let read = |header: &str| Object::read(header.replace('\n', "\r\n").as_bytes());
        let object = read(
            "Subject: x\nContent-type: Application/Batch-SMTP;\n\trequired-extensions=\"8bitmime, DSN\"; x=y\n\
             Content-Transfer-Encoding: BASE64\n\nContent-Type: text/plain\n",
        )
        .unwrap();
        assert_eq!(object.encoding, Some(Encoding::Base64));
        assert_eq!(object.required, ["8BITMIME", "DSN"]);
        assert_eq!(object.seal, Err(SealError::Missing));
        assert!(read("Content-Type: text/plain\n\nx").is_none() && read("").is_none());
        let two = read("Content-Type: application/batch-SMTP\nContent-Type: text/plain\n\n").unwrap();
        assert_eq!(two.encoding, None);
        let twice = format!("Content-Type: application/batch-SMTP\n{FIELD}: v=1\n{FIELD}: v=1\n\n");
        assert_eq!(read(&twice).unwrap().seal, Err(SealError::Unreadable));
        for odd in ["a=\"", "=;=;;", "required-extensions", "x=\"\\", "\"=\"=\"", "é=é;"] {
            assert!(read(&format!("Content-Type: application/batch-SMTP; {odd}\n\n")).is_some(), "{odd}");
        }
    }
}
