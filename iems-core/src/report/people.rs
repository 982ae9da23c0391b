//! What people read: the text of the language, filled. Values from outside are single lines of a part whose end nobody
//! else can know, so they can neither become a field nor end the part.

use std::fmt::Write as _;

use super::compose::Draft;
use super::encode::one_line;
use super::template::{Place, Template};
use super::text::{Language, Words};
use super::told::{Action, Told};
use crate::message::Kind;
use crate::seam::Timestamp;

/// How many recipients a text names; the part for programs has all.
const NAMED: usize = 50;

/// The longest reason, in characters.
const REASON: usize = 600;

/// The text.
pub(super) fn text(draft: &Draft<'_>) -> String {
    let mut text = fill(&draft.language.opening, draft, &[]);
    for (words, told) in chapters(draft) {
        text.push_str("\n\n");
        text.push_str(&fill(&words.text, draft, &told));
    }
    text.push('\n');
    text
}

/// The subject: that of the worst news.
pub(super) fn subject(draft: &Draft<'_>) -> String {
    chapters(draft).first().map(|(words, told)| fill(&words.subject, draft, told)).unwrap_or_default()
}

/// The recipients by what is told of them, the worst first, with the words for it.
fn chapters<'a>(draft: &Draft<'a>) -> Vec<(&'a Words, Vec<&'a Told>)> {
    let language: &Language = draft.language;
    let with =
        |is: fn(Action) -> bool| -> Vec<&Told> { draft.told.iter().filter(|told| is(told.action)).collect() };
    let failed = if draft.kind == Kind::Notice { &language.double_bounce } else { &language.failed };
    let all = [
        (failed, with(|action| action == Action::Failed)),
        (&language.delayed, with(|action| action == Action::Delayed)),
        (&language.delivered, with(Action::is_success)),
    ];
    all.into_iter().filter(|(_, told)| !told.is_empty()).collect()
}

fn fill(template: &Template, draft: &Draft<'_>, told: &[&Told]) -> String {
    template.fill(|place| match place {
        Place::Host => draft.host.to_owned(),
        Place::Id => draft.id.to_string(),
        Place::Arrived => moment(draft.message.arrived),
        Place::Until => moment(told.iter().filter_map(|told| told.until).max().unwrap_or(draft.now)),
        Place::Recipients => recipients(draft.language, told),
        Place::Count => told.len().to_string(),
        Place::Since => moment(draft.now),
    })
}

/// A moment for people of any language: `2026-09-21 14:13 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(date), Some(time)) => format!("{date} {time} UTC"),
        _ => text,
    }
}

/// Addresses, those with the same reason together.
fn recipients(language: &Language, told: &[&Told]) -> String {
    let mut groups: Vec<(Option<String>, Vec<&Told>)> = Vec::new();
    for one in told.iter().take(NAMED) {
        let reason = reason(language, one);
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, group)) => group.push(one),
            None => groups.push((reason, vec![one])),
        }
    }
    let mut text = String::new();
    for (reason, group) in groups {
        for told in group {
            let _ = writeln!(text, "  <{}>", one_line(&told.mailbox().to_string()));
        }
        if let Some(reason) = reason {
            let _ = writeln!(text, "    {}", wrap(&reason));
        }
    }
    if told.len() > NAMED {
        let count = told.len() - NAMED;
        let _ = writeln!(text, "  {}", language.more.fill(|_| count.to_string()));
    }
    text.trim_end().to_owned()
}

/// Why, if there is anything to say.
fn reason(language: &Language, told: &Told) -> Option<String> {
    match told.words() {
        Some(reply) => Some(one_line(&reply.to_string()).chars().take(REASON).collect()),
        None if told.action.is_success() => None,
        None => Some(format!("{} {}", told.status(), language.elsewhere)),
    }
}

/// Keeps lines short, where words are.
fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if width > 0 && width + word.chars().count() > 70 {
            wrapped.push_str("\n    ");
            width = 0;
        } else if width > 0 {
            wrapped.push(' ');
        }
        wrapped.push_str(word);
        width += word.chars().count() + 1;
    }
    wrapped
}
