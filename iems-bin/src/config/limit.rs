//! `[[limit]]` and `[[access]]`: how much who may do, and who may come in at all.

use std::time::Duration;

use iems_core::limits::{Access, AccessRule, Act, Bound, Budget, CertificateRule, Limit, Per, Terms};
use iems_core::receive::Network;
use iems_core::route::Pattern;
use iems_core::seam::CertificateMark;
use toml::Spanned;
use toml::de::DeValue;

use super::leaf::{OneOrMore, duration, size, words};
use super::problem::Notes;
use super::read::{At, FromToml, mismatch, need, section};

section! {
    /// One limit, as written.
    WrittenLimit {
        /// What is counted.
        of: Act;
        /// For whom.
        per: Per;
        /// How much.
        most: Most;
        /// How long something is delayed at most before it is refused.
        slow: Duration = r#""0s""#;
        /// How long whoever hits it too often is banned.
        ban: Duration;
        /// Hits that are let pass before.
        ban_after: u32;
        /// At which listeners.
        on: OneOrMore<Kind>;
        /// Who does not count.
        except: Vec<Network> = r#"["127.0.0.0/8", "::1"]"#;
    }

    /// One rule about who may come in, as written.
    WrittenAccess {
        /// The peer's address.
        network: OneOrMore<Network>;
        /// The peer's name.
        host: OneOrMore<Pattern>;
        /// The certificate that the peer has shown.
        certificate: OneOrMore<CertificateMark>;
        /// Whose that certificate is.
        subject: OneOrMore<String>;
        /// Who signed it.
        issuer: OneOrMore<String>;
        /// At which listeners.
        on: OneOrMore<Kind>;
        /// What is done.
        action: Does;
        /// How late a slow peer is answered.
        delay: Duration;
        /// What the peer is told.
        text: String;
    }
}

/// A bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most(Bound);

impl FromToml for Most {
    const EXPECTED: &'static str = "a number and a time such as \"100/1h\", \"5/1s\" or, of octets, \"2GiB/1d\"; or, of connections at once, a number such as 20";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        let read = match value.get_ref() {
            DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok().map(Bound::AtOnce),
            DeValue::String(text) => budget(text).map(Bound::Budget),
            _ => None,
        };
        if read.is_none() {
            mismatch::<Self>(value, key, notes);
        }
        read.map(Self)
    }
}

fn budget(text: &str) -> Option<Budget> {
    let (count, per) = text.split_once('/')?;
    let per = per.trim();
    let per = duration(per).or_else(|| duration(&format!("1{per}")))?;
    let longest = Duration::from_secs(31 * 86_400);
    (!per.is_zero() && per <= longest).then_some(Budget::new(size(count)?, per))
}

/// A kind of listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(&'static str);

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Allow,
    Deny,
    Defer,
    Slow,
}

words! {
    Act, "one of connections, messages, recipients, octets, failures, breaches", {
        "connections" => Act::Connection, "messages" => Act::Message, "recipients" => Act::Recipient,
        "octets" => Act::Octets, "failures" => Act::Failure, "breaches" => Act::Breach,
    };
    Per, "one of all, address, network, account, login", {
        "all" => Per::All, "address" => Per::Address, "network" => Per::Network,
        "account" => Per::Account, "login" => Per::Login,
    };
    Kind, "one of smtp, submission, submissions, lmtp, pop3, pop3s, imap, imaps", {
        "smtp" => Kind("smtp"), "submission" => Kind("submission"), "submissions" => Kind("submissions"),
        "lmtp" => Kind("lmtp"), "pop3" => Kind("pop3"), "pop3s" => Kind("pop3s"),
        "imap" => Kind("imap"), "imaps" => Kind("imaps"),
    };
    Does, "one of allow, deny, defer, slow", {
        "allow" => Does::Allow, "deny" => Does::Deny, "defer" => Does::Defer, "slow" => Does::Slow,
    };
}

/// The word for whom a limit counts.
const fn per_name(per: Per) -> &'static str {
    match per {
        Per::Address => "address",
        Per::Network => "network",
        Per::Account => "account",
        Per::Login => "login",
        _ => "all",
    }
}

fn kinds(on: Option<&At<OneOrMore<Kind>>>) -> Vec<&'static str> {
    on.iter().flat_map(|on| on.0.iter().map(|kind| kind.0)).collect()
}

/// All limits. What each is called says what it is.
pub(super) fn limits(written: &[At<WrittenLimit>], notes: &mut Notes<'_>) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for one in written {
        let of = need(one.of.clone(), "of", "limit", &one.span, notes);
        let per = need(one.per.clone(), "per", "limit", &one.span, notes);
        let most = need(one.most.clone(), "most", "limit", &one.span, notes);
        let (Some(of), Some(per), Some(Most(bound))) = (of, per, most) else { continue };
        let on = kinds(one.on.as_ref());
        let mut name = format!("{} per {}, {bound}", of.name(), per_name(per));
        if !on.is_empty() {
            name += &format!(" on {}", on.join("+"));
        }
        if limits.iter().any(|limit| *limit.name == name) {
            notes.add(one.span.as_ref(), "limit", format!("[[limit]]: there are two for {name}"));
        }
        if matches!(bound, Bound::AtOnce(_)) && of != Act::Connection {
            let message = "limit.most: only connections are bounded at once; expected a number and a time such as \"100/1h\"";
            notes.add(one.most.as_ref().and_then(|most| most.span.as_ref()), "limit.most", message);
        }
        if let (Some(after), None) = (&one.ban_after, &one.ban) {
            let message = "limit.ban_after: a ban needs its length, such as `ban = \"1h\"`";
            notes.add(after.span.as_ref(), "limit.ban_after", message);
        }
        let mut limit = Limit::new(name, of, per, bound)
            .at(notes.place(one.span.as_ref(), "[[limit]]"))
            .slowing(one.slow.value.min(LONGEST_DELAY))
            .excepting(one.except.value.clone())
            .only(on.into_iter().map(Box::from));
        if one.slow.value > LONGEST_DELAY {
            let message = "limit.slow: a peer that waits over 60s gives up; expected at most \"60s\"";
            notes.add(one.slow.span.as_ref(), "limit.slow", message);
        }
        if let Some(ban) = &one.ban {
            if ban.is_zero() {
                let span = "a duration longer than nothing, such as \"1h\"";
                notes.expected(ban.span.as_ref(), "limit.ban", span);
            }
            let after = one.ban_after.as_ref().map_or(10, |after| after.value);
            limit = limit.banning(Terms { after, span: ban.value });
        }
        limits.push(limit);
    }
    limits
}

/// The longest that a peer is let wait.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What a rule says of certificates. One key is enough: a certificate of a name is not at once one of a fingerprint.
fn certificates(one: &WrittenAccess, notes: &mut Notes<'_>) -> Vec<CertificateRule> {
    let spans = [
        one.certificate.as_ref().and_then(|at| at.span.as_ref()),
        one.subject.as_ref().and_then(|at| at.span.as_ref()),
        one.issuer.as_ref().and_then(|at| at.span.as_ref()),
    ];
    let set: Vec<_> = spans.iter().flatten().collect();
    if let [_, second, ..] = set[..] {
        let message =
            "[[access]]: `certificate`, `subject` and `issuer` each name certificates; expected one of them";
        notes.add(Some(second), "access", message);
    }
    for (list, key) in [(&one.subject, "access.subject"), (&one.issuer, "access.issuer")] {
        if let Some(at) = list.as_ref().filter(|at| at.0.iter().any(|like| like.trim_matches('*').is_empty()))
        {
            let message = format!(
                "{key}: would be everybody with a certificate; expected a name such as \"CN=relay.example.org,O=*\""
            );
            notes.add(at.span.as_ref(), key, message);
        }
    }
    let marks = one.certificate.iter().flat_map(|at| at.0.iter().map(|mark| CertificateRule::Mark(*mark)));
    let subjects = one
        .subject
        .iter()
        .flat_map(|at| at.0.iter().map(|like| CertificateRule::Subject(like.as_str().into())));
    let issuers = one
        .issuer
        .iter()
        .flat_map(|at| at.0.iter().map(|like| CertificateRule::Issuer(like.as_str().into())));
    marks.chain(subjects).chain(issuers).collect()
}

/// All rules, in their order.
pub(super) fn access(written: &[At<WrittenAccess>], notes: &mut Notes<'_>) -> Vec<AccessRule> {
    let mut rules = Vec::new();
    for one in written {
        let Some(does) = need(one.action.clone(), "action", "access", &one.span, notes) else { continue };
        let certificates = certificates(one, notes);
        if one.network.is_none() && one.host.is_none() && certificates.is_empty() {
            let message = "[[access]] needs a `network`, a `host` or a certificate; \"0.0.0.0/0\" and \"::/0\" are everybody";
            notes.add(one.span.as_ref(), "access", message);
        }
        let action = match (does, &one.delay) {
            (Does::Slow, delay) => Access::Slow(delay.as_ref().map_or(Duration::from_secs(5), |d| d.value)),
            (_, Some(delay)) => {
                notes.add(
                    delay.span.as_ref(),
                    "access.delay",
                    "access.delay: only `action = \"slow\"` delays",
                );
                continue;
            }
            (Does::Allow, None) => Access::Allow,
            (Does::Deny, None) => Access::Deny,
            (Does::Defer, None) => Access::Defer,
        };
        if matches!(action, Access::Slow(delay) if delay > LONGEST_DELAY) {
            let message = "access.delay: a peer that waits over 60s gives up; expected at most \"60s\"";
            notes.add(one.delay.as_ref().and_then(|delay| delay.span.as_ref()), "access.delay", message);
        }
        if let Some(text) = one.text.as_ref().filter(|_| matches!(does, Does::Allow | Does::Slow)) {
            let message = "access.text: nobody is turned away by this rule, so nobody reads it";
            notes.add(text.span.as_ref(), "access.text", message);
        }
        rules.push(AccessRule {
            origin: notes.place(one.span.as_ref(), "[[access]]").into(),
            networks: one.network.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
            hosts: one.host.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
            certificates,
            only: kinds(one.on.as_ref()).into_iter().map(str::to_owned).collect(),
            action,
            text: one.text.as_ref().map(|text| text.value.clone()),
        });
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<crate::config::Config, String> {
        crate::config::of(&format!("hostname = \"mx.example.org\"\n{text}"))
    }

    #[test]
    fn limits_are_named_by_what_they_are() {
        let config = of(
            "[[limit]]\nof = \"octets\"\nper = \"account\"\nmost = \"2GiB/1d\"\nslow = \"5s\"\nban = \"1h\"\n\
            [[limit]]\nof = \"connections\"\nper = \"network\"\nmost = 20\non = \"smtp\"\n",
        );
        let config = config.unwrap();
        let names: Vec<&str> = config.rates.iter().map(|limit| &*limit.name).collect();
        assert_eq!(
            names,
            ["octets per account, 2147483648/1d", "connections per network, 20 at once on smtp"]
        );
        assert!(config.rates[0].origin.starts_with("test.toml:2"), "{}", config.rates[0].origin);
        assert_eq!(config.rates[0].ban, Some(Terms { after: 10, span: Duration::from_secs(3600) }));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, wanted) in [
            (
                "[[limit]]\nof = \"messages\"\nper = \"all\"\nmost = 5\n",
                "only connections are bounded at once",
            ),
            ("[[limit]]\nof = \"message\"\nper = \"all\"\nmost = \"5/1h\"\n", "did you mean \"messages\""),
            (
                "[[limit]]\nof = \"messages\"\nper = \"all\"\nmost = \"5/0s\"\n",
                "expected a number and a time",
            ),
            (
                "[[limit]]\nof = \"messages\"\nper = \"all\"\nmost = \"5/1h\"\nban_after = 3\n",
                "a ban needs its length",
            ),
            ("[[limit]]\nper = \"all\"\nmost = \"5/1h\"\n", "needs the key \"of\""),
            ("[[access]]\naction = \"deny\"\n", "needs a `network`, a `host` or a certificate"),
            ("[[access]]\nsubject = \"*\"\naction = \"allow\"\n", "would be everybody"),
            (
                "[[access]]\nsubject = \"CN=x\"\nissuer = \"CN=y\"\naction = \"allow\"\n",
                "expected one of them",
            ),
            ("[[access]]\ncertificate = \"ab\"\naction = \"allow\"\n", "64 hexadecimal digits"),
            (
                "[[access]]\nnetwork = \"10.0.0.0/8\"\naction = \"deny\"\ndelay = \"5s\"\n",
                "only `action = \"slow\"`",
            ),
            ("[[access]]\nnetwork = \"10.0.0.0/8\"\naction = \"allow\"\ntext = \"hi\"\n", "nobody reads it"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
