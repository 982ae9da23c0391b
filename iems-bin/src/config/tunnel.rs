//! `[[tunnel_out]]`, `[[tunnel_in]]` and `[[collect]]`: mail in batches over ordinary mail, and mail out of mailboxes elsewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use iems_core::message::{Domain, Mailbox};
use iems_core::route::Pattern;
use iems_smtp::batch::{
    AccountSettings, Destination, Key, Parameters, Protection, SpoolSettings, TunnelInSettings,
    TunnelOutSettings,
};

use super::batch::{Batch, Names, Ways};
use super::files::Look;
use super::leaf::{Size, words};
use super::problem::Notes;
use super::read::{At, FromToml, need, positive, section};

section! {
    /// A tunnel that mail leaves by.
    WrittenTunnelOut {
        /// The name that routes call it by.
        name: String;
        /// The address of the other end.
        to: Mailbox;
        /// Who hears of batches that the other end refuses.
        from: Mailbox;
        /// The file with the key.
        key_file: String;
        /// Whether bodies go unencoded where that is possible.
        eight_bit: bool = "false";
        /// The most messages of a batch.
        messages: u32 = "1000";
        /// The size at which a batch is whole.
        size: Size = r#""8MiB""#;
        /// How long a batch waits for more messages.
        age: Duration = r#""1m""#;
    }

    /// The near end of a tunnel.
    WrittenTunnelIn {
        /// What people call it.
        name: String;
        /// Its address.
        address: Mailbox;
        /// The file with the keys.
        key_file: String;
        /// How long a signature holds.
        window: Duration = r#""7d""#;
        /// After which time what could not be taken is refused.
        expire: Duration = r#""1d""#;
        /// To which domains its mail may go.
        domains: Vec<Pattern>;
        /// From which domains its mail may be.
        senders: Vec<Pattern> = r#"["*"]"#;
    }

    /// A mailbox elsewhere that mail is collected from.
    WrittenCollect {
        /// What people call it.
        name: String;
        /// The server.
        host: String;
        /// Its port.
        port: u32;
        /// How the connection is protected.
        tls: CollectTls = r#""implicit""#;
        /// The login.
        user: String;
        /// The file with the password.
        password_file: String;
        /// How often it is looked at.
        interval: Duration = r#""5m""#;
        /// Whether what is taken is deleted there.
        delete: bool = "true";
        /// Whether only batches are taken.
        batches: bool = "false";
        /// The most messages taken in one session.
        messages: u32 = "500";
        /// Who gets the mail.
        to: Mailbox;
        /// Fields that say who gets the mail.
        fields: Vec<String> = "[]";
        /// The domains of those who may get it so.
        domains: Vec<Pattern> = "[]";
    }
}

/// How the connection to a mailbox elsewhere is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CollectTls(Protection);

words! {
    CollectTls, "one of implicit, starttls, none", {
        "implicit" => CollectTls(Protection::Implicit), "starttls" => CollectTls(Protection::Upgrade),
        "none" => CollectTls(Protection::None),
    };
}

/// The longest a signature may hold: names of messages are kept for longer.
const LONGEST: Duration = Duration::from_secs(21 * 86_400);
/// A tunnel that mail leaves by; without a key where files are not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TunnelWay {
    /// How its batches are made.
    pub(crate) spool: SpoolSettings,
    /// The address of the other end.
    pub(crate) to: Mailbox,
    /// What becomes of them.
    pub(crate) tunnel: Option<TunnelOutSettings>,
}

/// Adds tunnels and mailboxes to the ways.
pub(super) fn resolve(
    ways: &Ways<'_>,
    (folder, look): (&Path, Look),
    data: &Path,
    (batch, names): (&mut Batch, &mut Names),
    notes: &mut Notes<'_>,
) {
    for way in ways.tunnel_out {
        batch.tunnels_out.extend(tunnel_out(way, ways.hostname, (folder, look), data, names, notes));
    }
    for way in ways.tunnel_in {
        batch.tunnels_in.extend(tunnel_in(way, ways.recipients, (folder, look), names, notes));
    }
    for way in ways.collect {
        batch.accounts.extend(account(way, (folder, look), names, notes));
    }
}

fn keys(
    written: Option<&At<String>>,
    section: &str,
    (folder, look): (&Path, Look),
    notes: &mut Notes<'_>,
) -> Vec<Key> {
    let Some(file) = written else { return Vec::new() };
    match (look.keys)(&folder.join(&file.value)) {
        Ok(keys) => keys.unwrap_or_default(),
        Err(why) => {
            let key = format!("{section}.key_file");
            notes.add(file.span.as_ref(), &key, format!("{key}: {why}"));
            Vec::new()
        }
    }
}

fn tunnel_out(
    way: &At<WrittenTunnelOut>,
    hostname: Option<&Domain>,
    files: (&Path, Look),
    data: &Path,
    names: &mut Names,
    notes: &mut Notes<'_>,
) -> Option<TunnelWay> {
    let section = "tunnel_out";
    let name = names.take(way.name.as_ref(), section, &way.span, notes);
    let to = need(way.to.clone(), "to", section, &way.span, notes);
    need(way.key_file.clone(), "key_file", section, &way.span, notes);
    let keys = keys(way.key_file.as_ref(), section, files, notes);
    let (name, to, hostname) = (name?, to?, hostname?);
    let from = way.from.as_ref().map(|from| from.value.clone());
    let from = from.or_else(|| format!("postmaster@{hostname}").parse().ok())?;
    let folder: PathBuf = data.join("batch").join(&name);
    let mut spool = SpoolSettings::new(&name, folder, hostname.as_str());
    (spool.messages, spool.age) = (u64::from(way.messages.value), way.age.value);
    spool.size = way.size.value.0;
    spool.parameters = Parameters::All; // nobody else can be at the other end
    let tunnel = keys.into_iter().next().map(|key| {
        let mut tunnel = TunnelOutSettings::new(to.clone(), from, key);
        tunnel.eight_bit = way.eight_bit.value;
        tunnel
    });
    Some(TunnelWay { spool, to, tunnel })
}

fn tunnel_in(
    way: &At<WrittenTunnelIn>,
    recipients: usize,
    files: (&Path, Look),
    names: &mut Names,
    notes: &mut Notes<'_>,
) -> Option<TunnelInSettings> {
    let section = "tunnel_in";
    let name = names.take(way.name.as_ref(), section, &way.span, notes);
    let address = need(way.address.clone(), "address", section, &way.span, notes);
    let domains = need(way.domains.clone(), "domains", section, &way.span, notes);
    need(way.key_file.clone(), "key_file", section, &way.span, notes);
    let keys = keys(way.key_file.as_ref(), section, files, notes);
    if way.window.is_zero() || way.window.value > LONGEST {
        let window = "a duration of up to \"21d\", and longer than mail is on its way";
        notes.expected(way.window.span.as_ref(), "tunnel_in.window", window);
    }
    let mut settings = TunnelInSettings::new(&name?, address?, keys);
    (settings.window, settings.expire) = (way.window.value, way.expire.value);
    settings.terms.domains = domains?;
    settings.terms.senders = way.senders.value.clone();
    settings.terms.limits.recipients = recipients;
    Some(settings)
}

fn account(
    way: &At<WrittenCollect>,
    (folder, look): (&Path, Look),
    names: &mut Names,
    notes: &mut Notes<'_>,
) -> Option<AccountSettings> {
    let section = "collect";
    let name = names.take(way.name.as_ref(), section, &way.span, notes);
    let host = need(way.host.clone(), "host", section, &way.span, notes);
    let user = need(way.user.clone(), "user", section, &way.span, notes);
    let to = need(way.to.clone(), "to", section, &way.span, notes);
    need(way.password_file.clone(), "password_file", section, &way.span, notes);
    positive(&way.interval, "collect.interval", notes);
    let password = password(way.password_file.as_ref(), folder, look, notes);
    let destination = destination(way, to, notes);
    let (name, host, user) = (name?, host?, user?);
    let protection = way.tls.value.0;
    let local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if protection == Protection::None && !local {
        let message = "collect.tls: \"none\" tells the password and the mail to whoever listens on the way to this server";
        notes.warn(way.tls.span.as_ref(), "collect.tls", message);
    }
    if user.contains(char::is_control) {
        let message = "collect.user: expected a login without control characters";
        notes.add(way.user.as_ref().and_then(|user| user.span.as_ref()), "collect.user", message);
    }
    let usual = if protection == Protection::Implicit { 995 } else { 110 };
    let port = way.port.as_ref().map_or(Some(usual), |port| u16::try_from(port.value).ok());
    if port.is_none() {
        let span = way.port.as_ref().and_then(|port| port.span.as_ref());
        notes.expected(span, "collect.port", "a port from 1 to 65535");
    }
    let mut settings = AccountSettings::new(&name, &host, &user, &password, destination?);
    (settings.port, settings.protection) = (port?, protection);
    (settings.interval, settings.delete) = (way.interval.value, way.delete.value);
    (settings.batches, settings.messages) = (way.batches.value, way.messages.value as usize);
    Some(settings)
}

fn password(file: Option<&At<String>>, folder: &Path, look: Look, notes: &mut Notes<'_>) -> String {
    let Some(file) = file else { return String::new() };
    match (look.secret)(&folder.join(&file.value)) {
        Ok(password) => password.unwrap_or_default(),
        Err(why) => {
            let key = "collect.password_file";
            notes.add(file.span.as_ref(), key, format!("{key}: {why}"));
            String::new()
        }
    }
}

fn destination(way: &At<WrittenCollect>, to: Option<Mailbox>, notes: &mut Notes<'_>) -> Option<Destination> {
    let to = to?;
    if way.fields.is_empty() {
        if !way.domains.is_empty() {
            let message =
                "collect.domains: these are the domains of recipients that `fields` name; set `fields`, too";
            notes.add(way.domains.span.as_ref(), "collect.domains", message);
        }
        return Some(Destination::To(to));
    }
    if way.domains.is_empty() {
        let message = "collect.fields: say in `domains` for which recipients these are believed, such as [\"example.org\"]";
        notes.add(way.fields.span.as_ref(), "collect.fields", message);
    }
    let names = way.fields.value.clone();
    Some(Destination::Fields { names, domains: way.domains.value.clone(), otherwise: to })
}

#[cfg(test)]
mod tests {
    use iems_smtp::batch::{Destination, Protection};

    use crate::config::of;

    const WAYS: &str = r#"
        hostname = "mx.example.test"
        [[tunnel_out]]
        name = "branch"
        to = "batch@branch.example"
        key_file = "tunnel.key"
        [[route]]
        domain = "inner.example"
        via = "batch:branch"
        [[tunnel_in]]
        name = "from-branch"
        address = "batch@example.test"
        key_file = "tunnel.key"
        domains = ["example.test"]
        [[collect]]
        name = "provider"
        host = "pop.example.net"
        user = "ann"
        password_file = "pop.password"
        to = "ann@example.test"
        fields = ["Delivered-To"]
        domains = ["example.test"]
        "#;

    #[test]
    fn tunnels_and_mailboxes_are_understood() {
        let batch = of(WAYS).unwrap().batch;
        assert_eq!(batch.tunnels_out[0].spool.folder.to_str(), Some("/iems-data/batch/branch"));
        assert_eq!(batch.tunnels_in[0].terms.domains, ["example.test".parse().unwrap()]);
        let account = &batch.accounts[0];
        assert_eq!((account.port, account.protection), (995, Protection::Implicit));
        assert!(
            matches!(&account.destination, Destination::Fields { otherwise, .. } if otherwise.to_string() == "ann@example.test")
        );
    }

    #[test]
    fn what_is_wrong_with_them_is_told() {
        let wrong = |from: &str, to: &str| of(&WAYS.replacen(from, to, 1)).unwrap_err();
        for (from, to, told) in [
            ("domains = [\"example.test\"]", "", "[[tunnel_in]] needs the key \"domains\""),
            ("key_file = \"tunnel.key\"", "", "[[tunnel_out]] needs the key \"key_file\""),
            ("batch:branch", "batch:from-branch", "found \"from-branch\": did you mean \"branch\"?"),
            ("batch@branch.example", "batch@inner.example", "leads back into this tunnel"),
            ("host = \"pop.example.net\"", "host = \"x\"\ntls = \"stls\"", "one of implicit, starttls, none"),
            ("host = \"pop.example.net\"", "host = \"x\"\nport = 70000", "a port from 1 to 65535"),
            ("fields = [\"Delivered-To\"]", "", "set `fields`, too"),
        ] {
            let problems = wrong(from, to);
            assert!(problems.contains(told), "{problems}");
        }
        let warned = of(&WAYS.replace("user = \"ann\"", "user = \"ann\"\ntls = \"none\"")).unwrap().warnings;
        assert!(warned[0].message.contains("whoever listens"), "{warned:?}");
    }

    #[test]
    fn keys_stand_in_lines() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            crate::config::files::read_keys(&file)
                .map(|keys| keys.unwrap_or_default().into_iter().map(|key| key.id).collect::<Vec<_>>())
        };
        let secret = "0123456789abcdef0123456789abcdef";
        assert_eq!(read(&format!("# new\nb {secret}\na  {secret}x\n")).unwrap(), ["b", "a"]);
        for (text, told) in [
            ("", "found none"),
            ("a", "in each line"),
            ("a short", "at least 32"),
            (&format!("a/b {secret}"), "letters"),
        ] {
            assert!(read(text).unwrap_err().contains(told), "{text}");
        }
    }
}
