//! `[checks]`, `[greylist]`, `[probes]`: which checks are made at the door, what follows from them, and how.
//!
//! What follows is said in the site's rules: those that refuse or defer stand before the rules of `[[policy]]`, so that none of
//! these hides them; those that only tag stand behind, so that each of these comes first.

use std::time::Duration;

use iems_core::message::{CheckResult, Domain};
use iems_core::preprocess::{Action, Policy, Rule, Scope};
use iems_core::queue::Rate;
use iems_core::receive::Network;
use iems_filters::greylist;

use super::leaf::{RateBound, words};
use super::problem::Notes;
use super::read::{At, FromToml, section};

section! {
    /// The checks, as written.
    WrittenChecks {
        /// Reverse names.
        iprev: Word = r#""off""#;
        /// What the peer calls itself.
        helo: Word = r#""off""#;
        /// SPF.
        spf: Word = r#""off""#;
        /// Whether the sender's domain takes mail.
        sender_domain: Word = r#""off""#;
        /// Whether a stranger sends as one of our domains.
        sender_own: Word = r#""off""#;
        /// Whether the sender's site answers.
        sender_site: Word = r#""off""#;
        /// Whether the sender's address exists.
        sender_callback: Word = r#""off""#;
        /// Whether the next hop takes the recipient.
        recipient_forward: Word = r#""off""#;
        /// Whether the message has been here, or has passed too many systems.
        loops: Word = r#""refuse""#;
        /// Whether the peer comes back.
        greylist: Word = r#""off""#;
        /// What follows where a check that refuses or defers could not be made.
        trouble: Trouble = r#""accept""#;
        /// Whether loopback, private and link-local addresses are judged like others.
        private: bool = "false";
        /// Whether results are told in a header field.
        authentication_results: bool = "true";
        /// The name under which they are told.
        authserv_id: Domain;
    }

    /// Greylisting.
    WrittenGreylist {
        /// How long the first attempt is put off.
        delay: Duration = r#""5m""#;
        /// Until when the second one must come.
        window: Duration = r#""2d""#;
        /// How long whoever has passed is known.
        lifetime: Duration = r#""36d""#;
        /// After how many a source is known itself.
        known_after: u32 = "5";
        /// Who is never put off.
        except: Vec<Network> = "[]";
    }

    /// Questions to other systems.
    WrittenProbes {
        /// How long one may take.
        timeout: Duration = r#""10s""#;
        /// How long "yes" about a sender is kept.
        sender_good: Duration = r#""1d""#;
        /// How long "no" is.
        sender_bad: Duration = r#""2h""#;
        /// How many go to one domain.
        sender_rate: RateBound = r#""10/1m""#;
        /// The least doubt about a message whose sender is called back.
        callback_doubt: f32 = "1.0";
        /// How long "yes" about a recipient is kept.
        recipient_good: Duration = r#""31d""#;
        /// When it is asked again.
        recipient_good_refresh: Duration = r#""7d""#;
        /// How long "no" is kept.
        recipient_bad: Duration = r#""3d""#;
        /// When it is asked again.
        recipient_bad_refresh: Duration = r#""3h""#;
    }
}

/// What follows from a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is not made.
    Off,
    /// It is made, and what it finds is written down.
    Note,
    /// The message tells of it.
    Tag,
    /// The message goes into the junk folder.
    Junk,
    /// The sender is asked to come again.
    Defer,
    /// The sender is told no.
    Refuse,
}

/// What follows where a check could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    Accept,
    /// The sender is asked to come again.
    Defer,
}

words! {
    Word, "one of off, note, tag, junk, defer, refuse", {
        "off" => Word::Off, "note" => Word::Note, "tag" => Word::Tag, "junk" => Word::Junk,
        "defer" => Word::Defer, "refuse" => Word::Refuse,
    };
    Trouble, "one of accept, defer", { "accept" => Trouble::Accept, "defer" => Trouble::Defer };
}

impl Word {
    fn action(self) -> Option<Action> {
        match self {
            Self::Off | Self::Note => None,
            Self::Tag => Some(Action::Tag),
            Self::Junk => Some(Action::Junk),
            Self::Defer => Some(Action::Defer),
            Self::Refuse => Some(Action::Refuse),
        }
    }
}

/// Which checks are made, and how. What follows from them stands in the site's policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checks {
    /// The names of those that are made, as the matrix knows them.
    pub(crate) made: Vec<&'static str>,
    /// Whether private addresses are judged.
    pub(crate) private: bool,
    /// The name under which results are told, if they are.
    pub(crate) authserv_id: Option<String>,
    /// Greylisting.
    pub(crate) greylist: greylist::Settings,
    /// Questions about senders.
    pub(crate) senders: iems_filters::probe::Settings,
    /// The least doubt for a call-back.
    pub(crate) doubt: f32,
    /// Questions about recipients.
    pub(crate) recipients: iems_filters::probe::Settings,
}

impl Checks {
    /// Whether a check is made.
    pub(crate) fn makes(&self, name: &str) -> bool {
        self.made.contains(&name)
    }
}

/// Each check: its name, that of its rules, and what was chosen.
fn chosen(written: &WrittenChecks) -> [(&'static str, &'static str, &At<Word>); 9] {
    [
        ("iprev", "iprev", &written.iprev),
        ("helo", "helo", &written.helo),
        ("spf", "spf/*", &written.spf),
        ("sender/domain", "sender/domain", &written.sender_domain),
        ("sender/own", "sender/own", &written.sender_own),
        ("sender/site", "sender/site", &written.sender_site),
        ("sender/callback", "sender/callback", &written.sender_callback),
        ("recipient/forward", "recipient/forward", &written.recipient_forward),
        ("greylist", "greylist", &written.greylist),
    ]
}

/// What the sections mean.
pub(super) fn resolve(
    (written, grey, probes): (&WrittenChecks, &WrittenGreylist, &WrittenProbes),
    hostname: Option<&Domain>,
    notes: &mut Notes<'_>,
) -> Checks {
    let made: Vec<_> =
        chosen(written).into_iter().filter(|c| c.2.value != Word::Off).map(|(name, ..)| name).collect();
    if !matches!(written.greylist.value, Word::Off | Word::Note | Word::Defer) {
        let message = "checks.greylist: expected \"off\", \"note\" or \"defer\": whoever is put off is asked to come again, no more";
        notes.add(written.greylist.span.as_ref(), "checks.greylist", message);
    }
    if written.loops.value == Word::Off {
        let message = "checks.loops: expected \"note\", \"tag\", \"junk\", \"defer\" or \"refuse\": loops are always looked for";
        notes.add(written.loops.span.as_ref(), "checks.loops", message);
    }
    if grey.delay.value >= grey.window.value {
        let message =
            "greylist.window: must be longer than greylist.delay, or nobody could come back in time";
        notes.add(grey.window.span.as_ref().or(grey.delay.span.as_ref()), "greylist.window", message);
    }
    let told =
        made.iter().any(|name| matches!(*name, "spf" | "iprev")) && written.authentication_results.value;
    let own = written.authserv_id.as_ref().map(|id| &id.value).or(hostname);
    Checks {
        made,
        private: written.private.value,
        authserv_id: own.filter(|_| told).map(Domain::to_string),
        greylist: greylist(grey),
        senders: senders(probes),
        doubt: probes.callback_doubt.value,
        recipients: recipients(probes),
    }
}

fn greylist(written: &WrittenGreylist) -> greylist::Settings {
    let mut settings = greylist::Settings::default();
    settings.delay = written.delay.value;
    settings.window = written.window.value;
    settings.lifetime = written.lifetime.value;
    settings.known_after = written.known_after.value;
    settings.except = written.except.value.clone();
    settings
}

fn senders(written: &WrittenProbes) -> iems_filters::probe::Settings {
    let mut settings = iems_filters::probe::Settings::senders();
    settings.timeout = written.timeout.value;
    settings.good = written.sender_good.value;
    settings.bad = written.sender_bad.value;
    settings.per_domain = match written.sender_rate.0 {
        Some(Rate { count, per, .. }) => (count, per),
        None => (u32::MAX, Duration::from_secs(1)),
    };
    settings
}

fn recipients(written: &WrittenProbes) -> iems_filters::probe::Settings {
    let mut settings = iems_filters::probe::Settings::recipients();
    settings.timeout = written.timeout.value;
    settings.good = written.recipient_good.value;
    settings.refresh_good = Some(written.recipient_good_refresh.value);
    settings.bad = written.recipient_bad.value;
    settings.refresh_bad = Some(written.recipient_bad_refresh.value);
    settings
}

/// The site's rules: those of `[[policy]]`, between those of the checks.
pub(super) fn policy(written: &WrittenChecks, own: Policy) -> Policy {
    let mut rules: Vec<Rule> = Vec::new();
    for (_, check, word) in chosen(written) {
        let Some(action) = word.action() else { continue };
        rules.extend(rules_of(check, action, written.trouble.value));
    }
    // That what goes round in circles is refused, the engine sees to as long as no rule speaks of it.
    if written.loops.value != Word::Refuse {
        let action = written.loops.value.action().unwrap_or(Action::Accept);
        rules.extend(rules_of("loop", action, Trouble::Accept));
    }
    // Strict ones first: within the site's rules the first that matches counts.
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.action));
    let (strict, mild): (Vec<_>, Vec<_>) = rules.into_iter().partition(|rule| rule.action >= Action::Defer);
    let site = |policy: Policy, rule| policy.rule(Scope::Site, rule);
    let strict = strict.into_iter().fold(Policy::new(), site).and(&own);
    mild.into_iter().fold(strict, site)
}

fn rules_of(check: &str, action: Action, trouble: Trouble) -> Vec<Rule> {
    let rule = |results: &[CheckResult], score, action| Rule {
        check: check.into(),
        results: results.to_vec(),
        score,
        action,
    };
    // An address without a name is no `fail` for RFC 8601, and means the same.
    let results: &[CheckResult] = match check {
        "iprev" => &[CheckResult::Fail, CheckResult::PermError],
        _ => &[CheckResult::Fail],
    };
    let mut rules = vec![rule(results, None, action)];
    if check == "spf/*" && action < Action::Defer {
        // Softfail.
        rules.push(rule(&[CheckResult::Neutral], Some(1.0), action));
    }
    if action >= Action::Defer && trouble == Trouble::Defer {
        rules.push(rule(&[CheckResult::TempError], None, Action::Defer));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::super::of;

    fn rules(text: &str) -> Vec<String> {
        let config = of(&format!("hostname = \"mx.example.test\"\n{text}")).unwrap();
        config.settings.policy.rules().map(|(_, rule)| rule.to_string()).collect()
    }

    #[test]
    fn nothing_is_checked_unless_asked_for() {
        let config = of("hostname = \"mx.example.test\"").unwrap();
        assert!(config.checks.made.is_empty() && config.settings.policy.is_empty());
        assert_eq!(config.checks.authserv_id, None);
    }

    #[test]
    fn strict_rules_come_first_and_mild_ones_last() {
        let text = "[checks]\niprev = \"tag\"\nspf = \"refuse\"\nhelo = \"note\"\ngreylist = \"defer\"\nsender_own = \"junk\"\n\
                    trouble = \"defer\"\n[[policy]]\ncheck = \"dnsbl/*\"\naction = \"tag\"\n";
        assert_eq!(
            rules(text),
            [
                "spf/*=fail → refuse",
                "spf/*=temperror → defer",
                "greylist=fail → defer",
                "greylist=temperror → defer",
                "dnsbl/*=fail → tag",
                "sender/own=fail → junk",
                "iprev=fail|permerror → tag",
            ]
        );
        assert_eq!(
            rules("[checks]\nloops = \"junk\"\nspf = \"refuse\"\n"),
            ["spf/*=fail → refuse", "loop=fail → junk"]
        );
        assert_eq!(
            rules("[checks]\nloops = \"note\"\niprev = \"tag\"\n"),
            ["iprev=fail|permerror → tag", "loop=fail → accept"]
        );
        assert_eq!(
            rules("[checks]\nspf = \"tag\"\n"),
            ["spf/*=fail → tag", "spf/*=neutral with a score of 1 or more → tag"]
        );
        let config = of(&format!("hostname = \"mx.example.test\"\n{text}")).unwrap();
        assert_eq!(config.checks.made, ["iprev", "helo", "spf", "sender/own", "greylist"]);
        assert_eq!(config.checks.authserv_id.as_deref(), Some("mx.example.test"));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let error = |text: &str| of(&format!("hostname = \"mx.example.test\"\n{text}")).unwrap_err();
        assert!(error("[checks]\ngreylist = \"refuse\"\n").contains(":3:12: checks.greylist: expected"));
        assert!(error("[checks]\nloops = \"off\"\n").contains("loops are always looked for"));
        assert!(error("[checks]\nspf = \"reject\"\n").contains("did you mean"));
        assert!(error("[checks]\nsfp = \"tag\"\n").contains("did you mean \"spf\""));
        assert!(error("[greylist]\ndelay = \"3d\"\n").contains("greylist.window: must be longer"));
    }
}
