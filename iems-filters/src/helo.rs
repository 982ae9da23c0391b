//! The peer's name: is what it says in EHLO or HELO a name it may have? (RFC 5321 sections 2.3.5 and 4.1.4)
//!
//! On the path: `preprocess`, at the reverse-path. That the name belongs to another address than the peer's is noted and
//! never counted: RFC 5321 section 4.1.4 forbids to refuse mail for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iems_core::message::{CheckResult, Domain, Verdict};
use iems_core::preprocess::{Findings, Preprocessor, Stage, Subject};
use iems_core::seam::{Clock, ResolveError, Resolver};

use crate::common::{is_stranger, line, only, verdict, within};

/// What may be chosen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// Our own name, which no stranger has.
    pub hostname: String,
    /// How long the questions may take. Default 10 s.
    pub timeout: Duration,
    /// How strongly our own name, or somebody else's address, speaks against a message. Default 5: only forgers give it.
    pub forged: f32,
    /// How strongly a word that is no name of a host does. Default 3: old printers give some, servers do not.
    pub malformed: f32,
    /// How strongly a name that does not exist does. Default 2: servers in private networks give such names.
    pub unknown: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            timeout: Duration::from_secs(10),
            forged: 5.0,
            malformed: 3.0,
            unknown: 2.0,
        }
    }
}

/// The judge: gives one verdict, `helo`.
///
/// | the name | result |
/// |---|---|
/// | has the peer's address, or is a literal of it | `pass` |
/// | exists, with other addresses | `neutral` |
/// | is ours; is a literal of another address; is no name, or one without a domain; does not exist | `fail` |
/// | nobody answers | `temperror` |
pub struct Helo {
    settings: Settings,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
}

/// What the name is, as far as it says so itself.
#[derive(Debug, PartialEq)]
enum Form {
    Name(Domain),
    Literal(IpAddr),
    Bare(IpAddr),
    Single,
    Nothing,
}

fn form(helo: &str) -> Form {
    if let Ok(ip) = helo.parse::<IpAddr>() {
        return Form::Bare(ip);
    }
    match helo.strip_suffix('.').unwrap_or(helo).parse::<Domain>() {
        Ok(domain) => match domain.literal() {
            Some(ip) => Form::Literal(ip),
            None if domain.as_str().contains('.') => Form::Name(domain),
            None => Form::Single,
        },
        Err(_) => Form::Nothing,
    }
}

impl Helo {
    /// A judge that asks through `resolver`.
    pub fn new(settings: Settings, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self { settings, resolver, clock }
    }

    async fn judge(&self, helo: &str, peer: IpAddr) -> Verdict {
        let settings = &self.settings;
        let quoted = line(helo);
        let fail = |score, why: &str| verdict("helo", CheckResult::Fail, score, format!("{quoted} {why}"));
        match form(helo) {
            Form::Nothing => fail(settings.malformed, "is no name of a host"),
            Form::Single => fail(settings.malformed, "has no domain"),
            Form::Bare(_) => fail(settings.malformed, "is a bare address, without the brackets of a literal"),
            Form::Literal(ip) if ip.to_canonical() == peer => {
                verdict("helo", CheckResult::Pass, 0.0, format!("{quoted} is the peer's address"))
            }
            Form::Literal(_) => fail(settings.forged, &format!("is not the peer's address, {peer}")),
            Form::Name(name) if name.as_str().eq_ignore_ascii_case(&settings.hostname) => {
                fail(settings.forged, "is our own name")
            }
            Form::Name(name) => self.look_up(&name, peer).await,
        }
    }

    async fn look_up(&self, name: &Domain, peer: IpAddr) -> Verdict {
        let found = |result, score, why: &str| verdict("helo", result, score, format!("{name} {why}"));
        match self.resolver.addresses(name.as_str()).await {
            Ok(answer) if answer.records.iter().any(|ip| ip.to_canonical() == peer) => {
                found(CheckResult::Pass, 0.0, "has the peer's address")
            }
            Ok(_) => found(CheckResult::Neutral, 0.0, &format!("has other addresses than {peer}")),
            Err(error) if error.is_temporary() => found(
                CheckResult::TempError,
                0.0,
                &format!("cannot be looked up: {}", line(&error.to_string())),
            ),
            Err(ResolveError::NoName) => found(CheckResult::Fail, self.settings.unknown, "does not exist"),
            // A domain that takes mail is a name of the mail system, if not of a host.
            Err(_) => match self.resolver.mx(name.as_str()).await {
                Ok(_) => found(CheckResult::Neutral, 0.0, "has mail exchangers, and no address"),
                Err(error) if error.is_temporary() => {
                    let why = format!("cannot be looked up: {}", line(&error.to_string()));
                    found(CheckResult::TempError, 0.0, &why)
                }
                Err(_) => found(CheckResult::Fail, self.settings.unknown, "has no address"),
            },
        }
    }
}

#[async_trait]
impl Preprocessor for Helo {
    fn id(&self) -> &str {
        "helo"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Mail]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let (Some(peer), true) = (subject.connection.ip(), is_stranger(subject)) else {
            return Findings::default();
        };
        let judged = self.judge(&subject.connection.helo, peer);
        let late = || verdict("helo", CheckResult::TempError, 0.0, "no answer in time");
        only(within(&*self.clock, self.settings.timeout, judged).await.unwrap_or_else(late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Hands, Peer, Zone};

    async fn judged(helo: &str) -> String {
        let zone = Zone::default()
            .with("mail.far.example", "A", &["192.0.2.7"])
            .with("other.example", "A", &["192.0.2.9"])
            .with("domain.example", "MX", &["mail.far.example"])
            .with("empty.example", "TXT", &["x"])
            .with("silent.example", "A", &["!"]);
        let settings = Settings { hostname: "mx.our.example".into(), ..Settings::default() };
        let judge = Helo::new(settings, Arc::new(zone), Arc::new(Hands::default()));
        Peer::new().hello(helo).judged(&judge, Stage::Mail).await
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_is() {
        for (helo, wanted) in [
            ("mail.far.example", "helo=pass 0 mail.far.example has the peer's address"),
            ("Mail.Far.Example.", "helo=pass 0 mail.far.example has the peer's address"),
            ("[192.0.2.7]", "helo=pass 0 [192.0.2.7] is the peer's address"),
            ("other.example", "helo=neutral 0 other.example has other addresses than 192.0.2.7"),
            ("domain.example", "helo=neutral 0 domain.example has mail exchangers, and no address"),
            ("[192.0.2.8]", "helo=fail 5 [192.0.2.8] is not the peer's address, 192.0.2.7"),
            ("MX.our.example", "helo=fail 5 MX.our.example is our own name"),
            ("192.0.2.7", "helo=fail 3 192.0.2.7 is a bare address, without the brackets of a literal"),
            ("localhost", "helo=fail 3 localhost has no domain"),
            ("", "helo=fail 3  is no name of a host"),
            ("a b.example", "helo=fail 3 a b.example is no name of a host"),
            ("missing.example", "helo=fail 2 missing.example does not exist"),
            ("empty.example", "helo=fail 2 empty.example has no address"),
        ] {
            assert_eq!(judged(helo).await, wanted);
        }
        assert!(
            judged("silent.example").await.starts_with("helo=temperror 0 silent.example cannot be looked up")
        );
    }
}
