//! A policy: the text at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`, and the record that says there is one
//! (RFC 8461 sections 3.1 and 3.2). Pure.

use serde::{Deserialize, Serialize};

/// The longest that a policy is kept, in seconds (RFC 8461 section 3.2).
const LONGEST: u64 = 31_557_600;
/// The most `mx` lines.
const MOST_HOSTS: usize = 512;

/// What a domain asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// No mail to hosts that fail.
    Enforce,
    /// Mail as if there were no policy; failures are reported.
    Testing,
    /// Nothing any more.
    None,
}

impl Mode {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What is asked for.
    pub mode: Mode,
    /// How long it holds, in seconds.
    pub max_age: u64,
    /// The hosts: `mx.example.org`, or `*.example.org` for names with one label more.
    pub hosts: Vec<String>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// Says, for people, what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
        let (mut version, mut mode, mut max_age, mut hosts) = (None, None, None, Vec::new());
        let lines =
            text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).trim_matches([' ', '\t']));
        for line in lines.filter(|line| !line.is_empty()) {
            let (key, value) =
                line.split_once(':').ok_or_else(|| format!("{:?} is no field", short(line)))?;
            let value = value.trim_matches([' ', '\t']);
            match key.trim_end_matches([' ', '\t']) {
                // Of several, the first counts (section 3.2).
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" => hosts.push(host(value)?),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err("its version is not STSv1".into());
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            other => return Err(format!("its mode is {:?}", short(other.unwrap_or_default()))),
        };
        let digits =
            max_age.filter(|age| (1..=10).contains(&age.len()) && age.bytes().all(|b| b.is_ascii_digit()));
        let max_age = digits.and_then(|age| age.parse::<u64>().ok()).ok_or("its max_age is no number")?;
        if hosts.len() > MOST_HOSTS {
            return Err(format!("it names more than {MOST_HOSTS} hosts"));
        }
        if hosts.is_empty() && mode != Mode::None {
            return Err("it names no host".into());
        }
        Ok(Self { mode, max_age: max_age.min(LONGEST), hosts })
    }

    /// Whether it names this host (section 4.1).
    pub fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
            }
            None => *pattern == host,
        })
    }

    /// Its lines, as reports want them (RFC 8460 section 4.4).
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {}", self.mode.name())];
        lines.extend(self.hosts.iter().map(|host| format!("mx: {host}")));
        lines.push(format!("max_age: {}", self.max_age));
        lines
    }
}

fn host(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text).trim_end_matches('.');
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match name.len() <= 253 && name.split('.').all(label) {
        true => Ok(text.trim_end_matches('.').to_ascii_lowercase()),
        false => Err(format!("{:?} is no host name", short(text))),
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The id that the TXT records of `_mta-sts.DOMAIN` give (section 3.1); `None` unless exactly one of them is right.
pub(super) fn id(records: &[String]) -> Option<String> {
    let mut policies = records.iter().filter(|record| {
        let rest = record.strip_prefix("v=STSv1");
        rest.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
    });
    let record = policies.next().filter(|_| policies.next().is_none())?;
    let mut fields = record.split(';').filter_map(|field| field.trim_matches([' ', '\t']).split_once('='));
    let (_, id) = fields.find(|(key, _)| *key == "id")?;
    let good = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    good.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n";

    #[test]
    fn a_policy_is_read() {
        let policy = Policy::parse(GOOD.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        assert_eq!(policy, Policy::parse(GOOD.replace("\r\n", "\n").as_bytes()).unwrap());
        assert_eq!(policy, Policy::parse(policy.lines().join("\n").as_bytes()).unwrap());
        let odd = format!("mode:enforce\nfuture: x\n{GOOD}mode: none");
        assert_eq!(Policy::parse(odd.as_bytes()).unwrap().mode, Mode::Enforce, "the first counts");
        let none = Policy::parse(b"version: STSv1\nmode: none\nmax_age: 9999999999").unwrap();
        assert_eq!((none.mode, none.max_age), (Mode::None, LONGEST));
    }

    #[test]
    fn what_is_no_policy() {
        for (from, to) in [
            ("STSv1", "STSv2"),
            ("version: STSv1\r\n", ""),
            ("enforce", "enforced"),
            ("mode: enforce\r\n", ""),
            ("604800", "-1"),
            ("604800", ""),
            ("604800", "99999999999"),
            ("mx1.example.org", "mx1..example.org"),
            ("mx: *.example.net", "mx: a.*.example.net"),
            ("mx: mx1.example.org\r\nmx: *.example.net\r\n", ""),
            ("mode: ", "mode "),
        ] {
            assert!(Policy::parse(GOOD.replace(from, to).as_bytes()).is_err(), "{from} {to}");
        }
        assert!(Policy::parse(b"").is_err() && Policy::parse(&[0xff]).is_err());
    }

    #[test]
    fn a_star_is_one_label() {
        let policy = Policy::parse(GOOD.as_bytes()).unwrap();
        for host in ["mx1.example.org", "MX1.example.org.", "a.example.net"] {
            assert!(policy.allows(host), "{host}");
        }
        for host in ["mx2.example.org", "example.net", "a.b.example.net", ".example.net", "aexample.net", ""]
        {
            assert!(!policy.allows(host), "{host}");
        }
    }

    #[test]
    fn ids() {
        let of = |records: &[&str]| id(&records.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["v=STSv1; id=20160831085700Z;"]).as_deref(), Some("20160831085700Z"));
        assert_eq!(of(&["v=STSv1 ;id=a", "v=spf1 -all"]).as_deref(), Some("a"));
        assert_eq!(of(&["v=STSv1; x=y; id=b"]).as_deref(), Some("b"));
        let long = format!("v=STSv1; id={}", "a".repeat(33));
        for records in [
            &[][..],
            &["v=STSv1; id=a", "v=STSv1; id=b"],
            &["v=STSv1;"],
            &["v=STSv10; id=a"],
            &["v=STSv1; id=a-b"],
            &[&long],
        ] {
            assert_eq!(of(records), None, "{records:?}");
        }
    }
}
