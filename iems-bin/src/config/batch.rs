//! `[[batch_in]]` and `[[batch_out]]`: folders over which mail travels in batches; and all batch ways together.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use iems_core::message::{ChannelId, CheckResult, Domain, NextHop};
use iems_core::preprocess::{Action, Policy, Rule, Scope};
use iems_core::route::{Pattern, RouteTable, Via};
use iems_smtp::batch::{
    AccountSettings, CHANNEL, FolderInSettings, Parameters, SpoolSettings, TunnelInSettings,
};

use super::files::Look;
use super::leaf::{Size, words};
use super::problem::{Notes, nearest};
use super::read::{At, FromToml, need, positive, section};
use super::route::WrittenRoute;
use super::tunnel::{self, TunnelWay, WrittenCollect, WrittenTunnelIn, WrittenTunnelOut};

section! {
    /// A folder that batches come from.
    WrittenBatchIn {
        /// What people call it.
        name: String;
        /// The folder.
        folder: String;
        /// How often it is looked at.
        interval: Duration = r#""10s""#;
        /// When a batch that could not be taken whole is tried again.
        retry: Duration = r#""5m""#;
        /// After which time what could not be taken is refused.
        expire: Duration = r#""1d""#;
        /// How long batches that are done with are kept.
        keep: Duration = r#""7d""#;
        /// The largest batch, unpacked.
        size: Size = r#""1GiB""#;
        /// To which domains its mail may go.
        domains: Vec<Pattern> = r#"["*"]"#;
        /// From which domains its mail may be.
        senders: Vec<Pattern> = r#"["*"]"#;
    }

    /// A folder that batches are fetched from.
    WrittenBatchOut {
        /// The name that routes call it by.
        name: String;
        /// The folder.
        folder: String;
        /// Whether batches are packed.
        gzip: bool = "false";
        /// The most messages of a batch.
        messages: u32 = "1000";
        /// The size at which a batch is whole.
        size: Size = r#""16MiB""#;
        /// How long a batch waits for more messages.
        age: Duration = r#""1m""#;
        /// Which parameters its readers take.
        parameters: ReaderTakes = r#""usual""#;
    }
}

/// Which parameters of commands the readers of batches take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReaderTakes(Parameters);

words! {
    ReaderTakes, "one of none, usual, all", {
        "none" => ReaderTakes(Parameters::None), "usual" => ReaderTakes(Parameters::Usual),
        "all" => ReaderTakes(Parameters::All),
    };
}

/// The ways on which mail travels in batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Folders that batches come from.
    pub(crate) inputs: Vec<FolderInSettings>,
    /// Folders that batches are fetched from.
    pub(crate) outputs: Vec<SpoolSettings>,
    /// Tunnels that mail leaves by.
    pub(crate) tunnels_out: Vec<TunnelWay>,
    /// Near ends of tunnels.
    pub(crate) tunnels_in: Vec<TunnelInSettings>,
    /// Mailboxes elsewhere.
    pub(crate) accounts: Vec<AccountSettings>,
}

impl Batch {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

type Span = Option<Range<usize>>;

/// Names that are given, each once.
#[derive(Default)]
pub(super) struct Names {
    known: Vec<String>,
}

impl Names {
    /// The name of a way: it is part of file names and next hops.
    pub(super) fn take(
        &mut self,
        name: Option<&At<String>>,
        section: &str,
        span: &Span,
        notes: &mut Notes<'_>,
    ) -> Option<String> {
        let given = need(name.cloned(), "name", section, span, notes)?;
        let (key, place) = (format!("{section}.name"), name.and_then(|name| name.span.as_ref()));
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !(1..=32).contains(&given.len()) || !given.bytes().all(plain) {
            let message =
                format!("{key}: expected up to 32 lower-case letters, digits and hyphens, found {given:?}");
            notes.add(place, &key, message);
        } else if self.known.contains(&given) {
            notes.add(place, &key, format!("{key}: two batch ways are called {given:?}"));
        } else {
            self.known.push(given.clone());
            return Some(given);
        }
        None
    }
}

/// The sections as written, and what of the rest of the file they need.
pub(super) struct Ways<'a> {
    pub(super) batch_in: &'a [At<WrittenBatchIn>],
    pub(super) batch_out: &'a [At<WrittenBatchOut>],
    pub(super) tunnel_out: &'a [At<WrittenTunnelOut>],
    pub(super) tunnel_in: &'a [At<WrittenTunnelIn>],
    pub(super) collect: &'a [At<WrittenCollect>],
    /// Our name.
    pub(super) hostname: Option<&'a Domain>,
    /// The most recipients of a message.
    pub(super) recipients: usize,
}

/// All of them.
pub(super) fn resolve(
    ways: &Ways<'_>,
    (folder, look): (&Path, Look),
    data: &Path,
    notes: &mut Notes<'_>,
) -> Batch {
    let (mut batch, mut names) = (Batch::default(), Names::default());
    for way in ways.batch_in {
        let name = names.take(way.name.as_ref(), "batch_in", &way.span, notes);
        let place = need(way.folder.clone(), "folder", "batch_in", &way.span, notes);
        positive(&way.interval, "batch_in.interval", notes);
        positive(&way.retry, "batch_in.retry", notes);
        let (Some(name), Some(place)) = (name, place) else { continue };
        let mut settings = FolderInSettings::new(&name, folder.join(place));
        (settings.interval, settings.retry) = (way.interval.value, way.retry.value);
        (settings.expire, settings.keep) = (way.expire.value, way.keep.value);
        settings.size = way.size.value.0;
        settings.terms.domains = way.domains.value.clone();
        settings.terms.senders = way.senders.value.clone();
        settings.terms.limits.recipients = ways.recipients;
        batch.inputs.push(settings);
    }
    let hello = ways.hostname.map_or_else(String::new, ToString::to_string);
    for way in ways.batch_out {
        let name = names.take(way.name.as_ref(), "batch_out", &way.span, notes);
        let place = need(way.folder.clone(), "folder", "batch_out", &way.span, notes);
        let (Some(name), Some(place)) = (name, place) else { continue };
        let mut settings = SpoolSettings::new(&name, folder.join(place), &hello);
        (settings.gzip, settings.parameters) = (way.gzip.value, way.parameters.value.0);
        (settings.messages, settings.age) = (u64::from(way.messages.value), way.age.value);
        settings.size = way.size.value.0;
        batch.outputs.push(settings);
    }
    tunnel::resolve(ways, (folder, look), data, (&mut batch, &mut names), notes);
    batch
}

/// What nobody signed who may never gets into a tunnel: the sender hears it at once.
pub(super) fn policy() -> Policy {
    let rule =
        Rule { check: CHANNEL.into(), results: vec![CheckResult::Fail], score: None, action: Action::Refuse };
    Policy::new().rule(Scope::Site, rule)
}

/// Notes routes that lead to a way that is not there.
pub(super) fn check_routes(
    routes: &[At<WrittenRoute>],
    table: &RouteTable,
    batch: &Batch,
    notes: &mut Notes<'_>,
) {
    let spools = batch.outputs.iter().chain(batch.tunnels_out.iter().map(|way| &way.spool));
    let known: Vec<&str> = spools.map(|way| way.name.as_str()).collect();
    for way in &batch.tunnels_out {
        let Some((domain, via)) = table.at(way.to.domain()) else { continue };
        let back = |channel: &ChannelId, hop: &NextHop| {
            channel.as_str() == CHANNEL && hop.as_str() == way.spool.name
        };
        if matches!(via, Via::Channel { channel, hop: Some(hop) } if back(channel, hop)) {
            let message = format!(
                "tunnel_out.to: the route for {domain} leads back into this tunnel; expected an address that mail reaches by another way"
            );
            notes.add(None, "tunnel_out.to", message);
        }
    }
    for (_, via) in table.entries() {
        let Via::Channel { channel, hop: Some(hop) } = via else { continue };
        if channel.as_str() != CHANNEL || known.contains(&hop.as_str()) {
            continue;
        }
        let written = routes.iter().find(|route| route.via.as_ref().is_some_and(|at| at.value == *via));
        let span = written.and_then(|route| route.via.as_ref()).and_then(|via| via.span.as_ref());
        let near = nearest(hop.as_str(), &known).map_or_else(
            || "there is none: add a [[batch_out]] or [[tunnel_out]]".into(),
            |near| format!("did you mean {near:?}?"),
        );
        notes.add(
            span,
            "route.via",
            format!(
                "route.via: expected the name of a [[batch_out]] or [[tunnel_out]], found {:?}: {near}",
                hop.as_str()
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::of;

    const WAYS: &str = r#"
        hostname = "mx.example.test"
        [[batch_in]]
        name = "uucp"
        folder = "in"
        domains = ["example.test"]
        [[batch_out]]
        name = "branch"
        folder = "/var/spool/branch"
        gzip = true
        age = "5m"
        [[route]]
        domain = "branch.example"
        via = "batch:branch"
        "#;

    #[test]
    fn folders_are_understood() {
        let config = of(WAYS).unwrap();
        let (from, to) = (&config.batch.inputs[0], &config.batch.outputs[0]);
        assert_eq!((from.name.as_str(), from.folder.to_str()), ("uucp", Some("/in")));
        assert_eq!(from.terms.domains, ["example.test".parse().unwrap()]);
        assert_eq!((to.hello.as_str(), to.gzip, to.age.as_secs()), ("mx.example.test", true, 300));
        let (_, via) = config.settings.routes.at(&"branch.example".parse().unwrap()).unwrap();
        assert_eq!(format!("{via:?}"), r#"Channel { channel: batch, hop: Some(branch) }"#);
    }

    #[test]
    fn what_is_wrong_with_them_is_told() {
        let wrong = |from: &str, to: &str| of(&WAYS.replace(from, to)).unwrap_err();
        for (from, to, told) in [
            ("batch:branch", "batch:brench", "found \"brench\": did you mean \"branch\"?"),
            ("\"uucp\"", "\"branch\"", "two batch ways are called \"branch\""),
            ("\"uucp\"", "\"../x\"", "expected up to 32 lower-case letters"),
            ("folder = \"in\"", "", "[[batch_in]] needs the key \"folder\""),
            ("gzip = true", "parameters = \"some\"", "one of none, usual, all"),
            ("gzip", "zip", "unknown key \"zip\" in [batch_out]: did you mean \"gzip\"?"),
            ("folder = \"in\"", "folder = \"in\"\ninterval = \"0s\"", "longer than nothing"),
        ] {
            let problems = wrong(from, to);
            assert!(problems.contains(told), "{problems}");
        }
    }
}
