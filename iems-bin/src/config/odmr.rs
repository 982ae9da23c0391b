//! `[[odmr]]`: mail that waits until an account collects it (RFC 2645).

use std::path::Path;

use iems_core::Settings;
use iems_core::message::{ChannelId, Domain, Mailbox, NextHop};
use iems_core::route::{Pattern, Via};
use iems_core::seam::sasl::Password;
use iems_smtp::server::SharedSecrets;

use super::files::Look;
use super::listener::WrittenListener;
use super::problem::Notes;
use super::protocol::Protocol;
use super::read::{At, need, section};

/// The channel in which it waits.
pub(crate) const CHANNEL: &str = "odmr";

section! {
    /// Who collects what, as written.
    WrittenOdmr {
        /// The account.
        account: Mailbox;
        /// What it collects.
        domains: Vec<Domain> = "[]";
        /// What it shares with us, for CRAM-MD5.
        secret_file: String;
    }
}

/// Takes mail for all these domains, lets it wait, and lets the accounts have it. What they share with us to prove who they are.
pub(super) fn resolve(
    (written, listeners): (&[At<WrittenOdmr>], &[At<WrittenListener>]),
    (folder, look): (&Path, Look),
    settings: &mut Settings,
    notes: &mut Notes<'_>,
) -> SharedSecrets {
    let (mut secrets, mut shared) = (SharedSecrets::default(), Vec::new());
    let mut seen: Vec<&Domain> = Vec::new();
    for entry in written {
        let Some(account) = need(entry.account.clone(), "account", "odmr", &entry.span, notes) else {
            continue;
        };
        if let Some(named) = &entry.secret_file {
            if shared.contains(&account.folded()) {
                let message =
                    format!("odmr.secret_file: {account} has two of them; expected one for an account");
                notes.add(named.span.as_ref(), "odmr.secret_file", message);
            }
            shared.push(account.folded());
            if let Some(secret) = secret(&folder.join(&named.value), named.span.as_ref(), look, notes) {
                secrets = secrets.with(&account, secret);
            }
        }
        if entry.domains.value.is_empty() {
            notes.add(entry.span.as_ref(), "odmr.domains", "odmr.domains: expected at least one domain");
        }
        for domain in &entry.domains.value {
            let span = entry.domains.span.as_ref();
            if seen.contains(&domain) {
                let message =
                    format!("odmr.domains: {domain} is collected twice; expected one account for a domain");
                notes.add(span, "odmr.domains", message);
            }
            seen.push(domain);
            if settings.routes.entries().any(|(pattern, _)| *pattern == Pattern::Exactly(domain.clone())) {
                let message =
                    format!("odmr.domains: there is a [[route]] for {domain}; expected one or the other");
                notes.add(span, "odmr.domains", message);
            }
            let hop = Some(NextHop::new(domain.as_str()));
            let via = Via::Channel { channel: ChannelId::new(CHANNEL), hop };
            settings.routes =
                std::mem::take(&mut settings.routes).with(Pattern::Exactly(domain.clone()), via);
            settings.relay.domains.push(Pattern::Exactly(domain.clone()));
            settings.collectors = std::mem::take(&mut settings.collectors).with(&account, domain.clone());
        }
    }
    let listens = listeners.iter().any(|l| l.protocol.as_ref().is_some_and(|p| p.value == Protocol::Odmr));
    if let (Some(first), false) = (written.first(), listens) {
        let message =
            "[[odmr]]: nobody can collect it; expected a [[listener]] with protocol = \"odmr\" (port 366)";
        notes.warn(first.span.as_ref(), "odmr", message.to_owned());
    }
    secrets
}

/// The least length of a secret, in characters: whoever listens can try others at home, as fast as their machines are.
const SECRET: usize = 16;

fn secret(
    file: &Path,
    span: Option<&std::ops::Range<usize>>,
    look: Look,
    notes: &mut Notes<'_>,
) -> Option<Password> {
    let key = "odmr.secret_file";
    match (look.secret)(file) {
        Ok(Some(secret)) if secret.chars().count() < SECRET => {
            let message = format!("{key}: expected a secret of at least {SECRET} characters");
            notes.add(span, key, message);
            None
        }
        Ok(secret) => secret.map(Password::from),
        Err(why) => {
            notes.add(span, key, format!("{key}: {why}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::of;

    const SITE: &str = r#"
        hostname = "mx.example.test"
        [[listener]]
        protocol = "odmr"
        address = "127.0.0.1:366"
        [[odmr]]
        account = "branch@example.test"
        domains = ["branch.example", "other.example"]
        "#;

    #[test]
    fn mail_for_the_domains_waits_for_the_account() {
        let config = of(SITE).unwrap();
        let account = "branch@example.test".parse().unwrap();
        let domains: Vec<_> =
            config.settings.collectors.of(&account).iter().map(ToString::to_string).collect();
        assert_eq!(domains, ["branch.example", "other.example"]);
        let (_, via) = config.settings.routes.named(&"branch.example".parse().unwrap()).unwrap();
        assert!(format!("{via:?}").contains("odmr"), "{via:?}");
        assert!(config.warnings.is_empty() && config.shared_secrets.is_empty(), "{:?}", config.warnings);
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        let wrong = |from: &str, to: &str| of(&SITE.replacen(from, to, 1)).unwrap_err();
        let more = |text: &str| of(&format!("{SITE}{text}")).unwrap_err();
        let second = "[[odmr]]\naccount = \"x@example.test\"\n";
        let shared = "domains = [\"a.example\"]\nsecret_file = \"s\"\n";
        for (problems, told) in [
            (wrong("account = \"branch@example.test\"", ""), "[[odmr]] needs the key \"account\""),
            (wrong("branch@example.test", "branch"), "odmr.account"),
            (wrong("domains = [\"branch.example\", \"other.example\"]", ""), "expected at least one domain"),
            (wrong("other.example", "branch.example"), "branch.example is collected twice"),
            (wrong("account =", "acount ="), "did you mean \"account\"?"),
            (more(&format!("{second}domains = [\"branch.example\"]\n")), "expected one account for a domain"),
            (more("[[route]]\ndomain = \"branch.example\"\nvia = \"mx\"\n"), "there is a [[route]] for"),
            (
                more(&format!("{second}{shared}{second}{}", shared.replace("a.ex", "b.ex"))),
                "x@example.test has two of them",
            ),
        ] {
            assert!(problems.contains(told), "{told}: {problems}");
        }
        let warned = of(&SITE.replace("\"odmr\"", "\"smtp\"")).unwrap().warnings;
        assert!(warned[0].message.contains("nobody can collect it"), "{warned:?}");
    }

    #[test]
    fn a_secret_is_long_enough_and_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("iems.toml");
        let read = |secret: Option<&str>| {
            std::fs::write(&file, format!("{SITE}secret_file = \"shared\"\n")).unwrap();
            match secret {
                Some(secret) => std::fs::write(dir.path().join("shared"), secret).unwrap(),
                None => std::fs::remove_file(dir.path().join("shared")).unwrap(),
            }
            crate::config::load_for_service(Some(&file)).map(|loaded| loaded.config)
        };
        let config = read(Some("correct horse battery\n")).unwrap();
        let secret = config.shared_secrets.of("Branch@example.test").expect("a secret");
        assert_eq!(secret.as_str(), "correct horse battery");
        for (secret, told) in [
            (Some("too short\n"), "at least 16 characters"),
            (Some("\n"), "whose first line"),
            (None, "shared"),
        ] {
            let problems = read(secret).map(|_| ()).unwrap_err().to_string();
            assert!(problems.contains(told) && problems.contains("odmr.secret_file"), "{problems}");
        }
    }
}
