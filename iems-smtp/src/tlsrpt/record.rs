//! Where a domain wants its reports: the TXT record of `_smtp._tls.DOMAIN` (RFC 8460 section 3). Pure.

use iems_core::message::Mailbox;

use crate::https::Url;

/// The most places that are told.
const MOST: usize = 5;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// By mail.
    Mail(Mailbox),
    /// By HTTPS.
    Https(Url),
}

/// The places; `None` unless exactly one record is of this kind and right.
pub(super) fn places(records: &[String]) -> Option<Vec<Place>> {
    let mut ours = records.iter().filter(|record| {
        let rest = record.strip_prefix("v=TLSRPTv1");
        rest.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
    });
    let record = ours.next().filter(|_| ours.next().is_none())?;
    let mut fields = record.split(';').filter_map(|field| field.trim().split_once('='));
    let (_, list) = fields.find(|(key, _)| key.trim_end() == "rua")?;
    let places: Vec<Place> = list.split(',').filter_map(|uri| place(uri.trim())).take(MOST).collect();
    (!places.is_empty()).then_some(places)
}

fn place(uri: &str) -> Option<Place> {
    match uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("mailto:")) {
        Some(_) => {
            let address = uri[7..].split('?').next().unwrap_or_default();
            plain(address)?.parse().ok().map(Place::Mail)
        }
        None => uri.parse().ok().map(Place::Https),
    }
}

/// An address without its percent signs (RFC 6068 section 2).
fn plain(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, tail)) = rest.split_first() {
        rest = tail;
        if *octet == b'%' {
            let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
            octets.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &rest[2..];
        } else {
            octets.push(*octet);
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[&str]) -> Option<Vec<String>> {
        let records: Vec<String> = records.iter().map(ToString::to_string).collect();
        let shown = |place: &Place| match place {
            Place::Mail(mailbox) => mailbox.to_string(),
            Place::Https(url) => format!("{}:{}{}", url.host, url.port, url.target),
        };
        places(&records).map(|places| places.iter().map(shown).collect())
    }

    #[test]
    fn places_are_read() {
        let one = of(&["v=TLSRPTv1;rua=mailto:reports@example.com", "v=spf1 -all"]).unwrap();
        assert_eq!(one, ["reports@example.com"]);
        let two =
            of(&["v=TLSRPTv1; rua=https://r.example/tls?x=y , MAILTO:a%2Bb@example.com?subject=s"]).unwrap();
        assert_eq!(two, ["r.example:443/tls?x=y", "a+b@example.com"]);
    }

    #[test]
    fn what_is_no_record() {
        for records in [
            &[][..],
            &["v=TLSRPTv1"],
            &["v=TLSRPTv1; rua=ftp://x"],
            &["v=TLSRPTv1; rua=mailto:nobody"],
            &["v=TLSRPTv1; rua=mailto:a%0d%0ab@example.com"],
            &["v=TLSRPTv2; rua=mailto:a@example.com"],
            &["v=TLSRPTv1; rua=mailto:a@example.com", "v=TLSRPTv1; rua=mailto:b@example.com"],
        ] {
            assert_eq!(of(records), None, "{records:?}");
        }
    }
}
