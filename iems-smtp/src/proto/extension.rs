//! What a server can do: the lines of its reply to `EHLO` (RFC 5321 section 4.1.1.1), written and read.

use std::borrow::Cow;

use iems_core::seam::Timestamp;

use super::SessionLimits;

/// Service extensions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Extensions {
    /// `SIZE` (RFC 1870): the largest message in octets; 0 if no limit is told.
    pub size: Option<u64>,
    /// `PIPELINING` (RFC 2920).
    pub pipelining: bool,
    /// `8BITMIME` (RFC 6152).
    pub eight_bit_mime: bool,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `DSN` (RFC 3461).
    pub dsn: bool,
    /// `MT-PRIORITY` (RFC 6710).
    pub priority: bool,
    /// `ETRN` (RFC 1985).
    pub etrn: bool,
    /// `REQUIRETLS` (RFC 8689).
    pub require_tls: bool,
    /// `DELIVERBY` (RFC 2852): the least time in seconds; 0 if there is no such bound.
    pub deliver_by: Option<u64>,
    /// `FUTURERELEASE` (RFC 4865): how many seconds a message may be held, and until when. Not read of others: it is for
    /// submission.
    pub future_release: Option<(u64, Timestamp)>,
    /// `ATRN` (RFC 2645).
    pub atrn: bool,
    /// `CHUNKING` (RFC 3030).
    pub chunking: bool,
    /// `BINARYMIME` (RFC 3030).
    pub binary_mime: bool,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    pub enhanced_status_codes: bool,
    /// `STARTTLS` (RFC 3207).
    pub starttls: bool,
    /// `AUTH` (RFC 4954): the mechanisms, in upper case. Empty if there is none.
    pub auth: Vec<String>,
    /// `LIMITS` (RFC 9422): how much fits in a session and a transaction. Empty if nothing is told.
    pub limits: SessionLimits,
    /// `XFORWARD` (Postfix): the attributes that a host of the site may tell, in upper case. Empty if it is not offered.
    pub forward: Vec<String>,
}

impl Extensions {
    /// The lines, without codes, in the order in which they are written.
    pub fn lines(&self) -> impl Iterator<Item = Cow<'static, str>> {
        let plain = [
            (self.pipelining, "PIPELINING"),
            (self.eight_bit_mime, "8BITMIME"),
            (self.smtputf8, "SMTPUTF8"),
            (self.dsn, "DSN"),
            (self.priority, "MT-PRIORITY"),
            (self.etrn, "ETRN"),
            (self.require_tls, "REQUIRETLS"),
            (self.chunking, "CHUNKING"),
            (self.binary_mime, "BINARYMIME"),
            (self.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
            (self.starttls, "STARTTLS"),
            (self.atrn, "ATRN"),
        ];
        let by = self.deliver_by.map(|least| match least {
            0 => Cow::from("DELIVERBY"),
            least => Cow::from(format!("DELIVERBY {least}")),
        });
        let hold =
            self.future_release.map(|(most, until)| Cow::from(format!("FUTURERELEASE {most} {until}")));
        let size = self.size.map(|size| Cow::from(format!("SIZE {size}")));
        let auth = (!self.auth.is_empty()).then(|| Cow::from(format!("AUTH {}", self.auth.join(" "))));
        let limits = (!self.limits.is_empty()).then(|| Cow::from(format!("LIMITS{}", self.limits)));
        let plain = plain.into_iter().filter_map(|(has, word)| has.then_some(Cow::from(word)));
        let forward =
            (!self.forward.is_empty()).then(|| Cow::from(format!("XFORWARD {}", self.forward.join(" "))));
        size.into_iter().chain(limits).chain(plain).chain(by).chain(hold).chain(auth).chain(forward)
    }

    /// Reads the lines of a reply to `EHLO` behind the first, which is the server's name. Unknown ones are passed over.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut extensions = Self::default();
        lines.into_iter().for_each(|line| extensions.line(line));
        extensions
    }

    fn line(&mut self, line: &str) {
        // `AUTH=PLAIN` is how some servers of old wrote it.
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "SIZE" => self.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
            "LIMITS" => self.limits = SessionLimits::read(line),
            "PIPELINING" => self.pipelining = true,
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "MT-PRIORITY" => self.priority = true,
            "ETRN" => self.etrn = true,
            "REQUIRETLS" => self.require_tls = true,
            "DELIVERBY" => self.deliver_by = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
            "ATRN" => self.atrn = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "STARTTLS" => self.starttls = true,
            "XFORWARD" => self.forward = words.map(str::to_ascii_uppercase).take(20).collect(),
            "AUTH" => words.map(str::to_ascii_uppercase).for_each(|word| {
                if !self.auth.contains(&word) {
                    self.auth.push(word);
                }
            }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let all = Extensions {
            size: Some(1000),
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            dsn: true,
            priority: true,
            etrn: true,
            require_tls: true,
            atrn: true,
            deliver_by: Some(60),
            future_release: None,
            chunking: true,
            binary_mime: true,
            enhanced_status_codes: true,
            starttls: true,
            auth: vec!["PLAIN".into(), "SCRAM-SHA-256".into()],
            limits: SessionLimits { mail_max: Some(5), rcpt_max: Some(100), rcpt_domain_max: Some(1) },
            forward: vec!["NAME".into(), "ADDR".into()],
        };
        for extensions in [all, Extensions::default()] {
            let lines: Vec<_> = extensions.lines().collect();
            assert_eq!(Extensions::read(lines.iter().map(|l| l.as_ref())), extensions);
        }
    }

    #[test]
    fn reads_odd_spellings() {
        let read = Extensions::read(["size", "auth=login PLAIN", "AUTH LOGIN", "XFOO bar", "", "SIZE x"]);
        assert_eq!((read.size, read.auth), (Some(0), vec!["LOGIN".into(), "PLAIN".to_string()]));
    }
}
