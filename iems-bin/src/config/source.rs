//! `[[source]]`: how fast senders and tenants may go, and what goes before what.

use iems_core::queue::{AddressPattern, Priority, Sources};
use iems_core::route::Pattern;

use super::leaf::RateBound;
use super::problem::Notes;
use super::read::{At, section};

section! {
    /// One source, as written.
    WrittenSource {
        /// What these senders send.
        sender: AddressPattern;
        /// What travels on behalf of these domains of ours.
        tenant: Pattern;
        /// What goes to these recipients.
        recipient: AddressPattern;
        /// Messages in a time.
        rate: RateBound;
        /// What goes before what.
        priority: Priority;
    }
}

/// Whom an entry speaks about.
#[derive(Debug, Clone, PartialEq)]
enum Of {
    Sender(AddressPattern),
    Tenant(Pattern),
    Recipient(AddressPattern),
}

/// All entries.
pub(super) fn sources(written: &[At<WrittenSource>], notes: &mut Notes<'_>) -> Sources {
    let (mut sources, mut seen) = (Sources::new(), Vec::new());
    for source in written {
        let Some(of) = of(source, notes) else { continue };
        if seen.contains(&of) {
            notes.add(source.span.as_ref(), "source", "[[source]]: there are two for the same");
        }
        if source.rate.is_none() && source.priority.is_none() && !noted(source, &["rate", "priority"], notes)
        {
            complain(source, "needs a `rate` or a `priority`", notes);
        }
        sources = add(sources, &of, source, notes);
        seen.push(of);
    }
    sources
}

/// Exactly one of three keys says whom it is about.
fn of(source: &At<WrittenSource>, notes: &mut Notes<'_>) -> Option<Of> {
    let sender = source.sender.as_ref().map(|at| Of::Sender(at.value.clone()));
    let tenant = source.tenant.as_ref().map(|at| Of::Tenant(at.value.clone()));
    let recipient = source.recipient.as_ref().map(|at| Of::Recipient(at.value.clone()));
    let mut named = [sender, tenant, recipient].into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(of), None) => return Some(of),
        (None, _) if noted(source, &["sender", "tenant", "recipient"], notes) => {}
        _ => {
            complain(source, "needs one of the keys `sender`, `tenant` and `recipient`, and only one", notes)
        }
    }
    None
}

/// Whether one of these keys is there, and could not be read.
fn noted(source: &At<WrittenSource>, keys: &[&str], notes: &Notes<'_>) -> bool {
    let start = source.span.as_ref().map_or(0, |span| span.start);
    keys.iter().any(|key| notes.has(&format!("source.{key}"), start))
}

fn complain(source: &At<WrittenSource>, what: &str, notes: &mut Notes<'_>) {
    notes.add(source.span.as_ref(), "source", format!("[[source]] {what}"));
}

fn add(mut sources: Sources, of: &Of, source: &At<WrittenSource>, notes: &mut Notes<'_>) -> Sources {
    if let Some(rate) = &source.rate {
        let place = |key: &str, pattern: &dyn std::fmt::Display| {
            notes.place(source.span.as_ref(), &format!("[[source]] {key} {pattern}"))
        };
        sources = match of {
            Of::Sender(pattern) => {
                sources.with_sender_rate(pattern, rate.0).decided_at(&place("sender", pattern))
            }
            Of::Tenant(pattern) => {
                sources.with_tenant_rate(pattern, rate.0).decided_at(&place("tenant", pattern))
            }
            Of::Recipient(_) => {
                let message =
                    "source.rate: recipients have no rate; the rate of a destination stands in its [[peer]]";
                notes.add(rate.span.as_ref(), "source.rate", message);
                sources
            }
        };
    }
    match (of, &source.priority) {
        (_, None) => sources,
        (Of::Sender(pattern), Some(priority)) => sources.with_sender_priority(pattern, priority.value),
        (Of::Tenant(pattern), Some(priority)) => sources.with_tenant_priority(pattern, priority.value),
        (Of::Recipient(pattern), Some(priority)) => sources.with_recipient_priority(pattern, priority.value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::understand;

    #[test]
    fn rates_and_priorities_reach_the_engine() {
        let text = r#"
            hostname = "mx.example.test"
            [[source]]
            sender = "*"
            rate = "10/1m"
            [[source]]
            sender = "news@example.org"
            rate = "none"
            priority = -5
            [[source]]
            tenant = "example.org"
            rate = "1000/1h"
            [[source]]
            recipient = "*.hospital.example"
            priority = 5
            "#;
        let config =
            understand(text, "iems.toml".as_ref(), "/".as_ref(), crate::config::files::Look::AWAY).unwrap();
        let sources = &config.settings.sources;
        let tenant = "example.org".parse().unwrap();
        let rates = |sender: &str| {
            let rates = sources.rate(sender, Some(&tenant));
            (rates.sender.map(|rate| rate.to_string()), rates.tenant.map(|rate| rate.to_string()))
        };
        assert_eq!(rates("ann@example.org"), (Some("10/1m".into()), Some("1000/1h".into())));
        assert_eq!(rates("news@example.org"), (None, Some("1000/1h".into())));
        let to = "er@a.hospital.example".parse().unwrap();
        assert_eq!(sources.priority("ann@example.org", None, &to).get(), 5);
        assert_eq!(sources.priority("news@example.org", None, &to).get(), -5);
    }
}
