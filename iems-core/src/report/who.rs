//! Who hears what: a pure function from what there is to tell, and what kind of message it is about, to the letters that
//! are written and the silence that is kept. A notice never causes a notice that could come back to it:
//!
//! | message | its failure is told to |
//! |---|---|
//! | with a sender | the sender, as far as `NOTIFY` asks for it |
//! | without a sender, or a report of ours | the postmaster, unless it was tagged as spam |
//! | a report about spam, a notice to the postmaster | nobody |

use super::event::Silence;
use super::told::{Action, Told};
use crate::message::{Kind, Mailbox, ReversePath};
use crate::queue::Message;

/// One letter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Letter {
    /// What it is.
    pub(super) kind: Kind,
    /// Who reads it.
    pub(super) to: Mailbox,
    /// What it tells; never empty.
    pub(super) told: Vec<Told>,
}

/// What follows from what there is to tell.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Plan {
    pub(super) letters: Vec<Letter>,
    /// What nobody is told, and why.
    pub(super) silence: Vec<(Action, Silence)>,
}

/// Plans the letters about `message`. `postmaster` hears of double bounces, if anybody; `automatic`: see
/// [`Told::is_wanted`].
pub(super) fn plan(message: &Message, told: &[Told], postmaster: Option<&Mailbox>, automatic: bool) -> Plan {
    let failed = || told.iter().filter(|told| told.action == Action::Failed);
    match (message.kind, &message.envelope.sender) {
        (Kind::SpamReport, _) => silent(failed(), Silence::SpamReport),
        (Kind::Notice, _) => silent(failed(), Silence::Notice),
        (Kind::Ordinary, ReversePath::Mailbox(sender)) => to_sender(sender, told, automatic),
        (Kind::Ordinary | Kind::Report, _) => match postmaster {
            Some(postmaster) => escalate(postmaster, failed()),
            None => silent(failed(), Silence::NoSender),
        },
    }
}

fn silent<'a>(mut told: impl Iterator<Item = &'a Told>, why: Silence) -> Plan {
    let silence = told.next().map(|first| (first.action, why));
    Plan { letters: Vec::new(), silence: silence.into_iter().collect() }
}

fn to_sender(sender: &Mailbox, told: &[Told], automatic: bool) -> Plan {
    let (wanted, unwanted): (Vec<&Told>, Vec<&Told>) =
        told.iter().partition(|told| told.is_wanted(automatic));
    let mut plan = silent(unwanted.into_iter(), Silence::Unwanted);
    let (spam, other): (Vec<&Told>, Vec<&Told>) = wanted.into_iter().partition(|told| told.is_spam());
    for (kind, told) in [(Kind::Report, other), (Kind::SpamReport, spam)] {
        if !told.is_empty() {
            plan.letters.push(Letter { kind, to: sender.clone(), told: once_each(told) });
        }
    }
    plan
}

fn escalate<'a>(postmaster: &Mailbox, failed: impl Iterator<Item = &'a Told>) -> Plan {
    let (spam, other): (Vec<&Told>, Vec<&Told>) = failed.partition(|told| told.is_spam());
    let mut plan = silent(spam.into_iter(), Silence::NoSender);
    if !other.is_empty() {
        plan.letters.push(Letter { kind: Kind::Notice, to: postmaster.clone(), told: once_each(other) });
    }
    plan
}

/// An address that leads to several others is told of once for each action and status: the sender knows of one only.
fn once_each(all: Vec<&Told>) -> Vec<Told> {
    let mut once: Vec<Told> = Vec::with_capacity(all.len());
    let mut seen = std::collections::HashSet::new();
    for told in all {
        let words = told.words().map(|reply| &reply.text);
        if seen.insert((told.mailbox(), told.action, told.status(), words)) {
            once.push(told.clone());
        }
    }
    once.sort_by_key(|told| told.action);
    once
}

#[cfg(test)]
mod tests {
    use super::super::tests::{destination, message};
    use super::*;
    use crate::message::{Notify, Reply};
    use crate::preprocess;

    fn failed(to: &str) -> Told {
        Told::new(Action::Failed, &destination(to, to), &Reply::refuse(1, 1, "no"))
    }

    fn tagged(to: &str) -> Told {
        let mut destination = destination(to, to);
        destination.decision.action = preprocess::Action::Tag;
        Told::new(Action::Failed, &destination, &Reply::refuse(1, 1, "no"))
    }

    fn never(to: &str) -> Told {
        let mut destination = destination(to, to);
        destination.recipient.notify = Some(Notify::NEVER);
        Told::new(Action::Failed, &destination, &Reply::refuse(1, 1, "no"))
    }

    /// Kind, reader and number of recipients of each letter, and the reasons of silence.
    fn planned(
        kind: Kind,
        sender: &str,
        told: &[Told],
        postmaster: bool,
    ) -> (Vec<(Kind, String, usize)>, Vec<Silence>) {
        let postmaster = postmaster.then(|| "p@here.example".parse().unwrap());
        let message = Message { kind, ..message(sender) };
        let plan = plan(&message, told, postmaster.as_ref(), false);
        let letters = plan.letters.iter().map(|l| (l.kind, l.to.to_string(), l.told.len())).collect();
        (letters, plan.silence.into_iter().map(|(_, why)| why).collect())
    }

    #[test]
    fn a_sender_hears_of_all_that_failed_together_and_of_spam_apart() {
        let told =
            [failed("b@x.example"), tagged("c@x.example"), failed("d@x.example"), never("e@x.example")];
        let (letters, silence) = planned(Kind::Ordinary, "ann@x.example", &told, true);
        let ann = "ann@x.example".to_owned();
        assert_eq!(letters, [(Kind::Report, ann.clone(), 2), (Kind::SpamReport, ann, 1)]);
        assert_eq!(silence, [Silence::Unwanted]);
    }

    #[test]
    fn of_spam_only_the_end_is_told_unless_the_sender_asked_for_more() {
        let mut late = tagged("c@x.example");
        late.action = Action::Delayed;
        let (letters, silence) = planned(Kind::Ordinary, "ann@x.example", &[late.clone()], true);
        assert_eq!((letters, silence), (vec![], vec![Silence::Unwanted]));
        late.action = Action::Failed;
        assert_eq!(planned(Kind::Ordinary, "ann@x.example", &[late], true).0[0].0, Kind::SpamReport);
    }

    #[test]
    fn what_has_no_sender_goes_to_the_postmaster_whatever_notify_says() {
        for kind in [Kind::Ordinary, Kind::Report] {
            let told = [never("b@x.example"), tagged("c@x.example")];
            let (letters, silence) = planned(kind, "", &told, true);
            assert_eq!(letters, [(Kind::Notice, "p@here.example".into(), 1)]);
            assert_eq!(silence, [Silence::NoSender], "spam is never escalated");
            let (letters, silence) = planned(kind, "", &told, false);
            assert_eq!((letters, silence), (vec![], vec![Silence::NoSender]));
        }
    }

    #[test]
    fn a_report_about_spam_and_a_notice_end_in_silence() {
        for (kind, why) in [(Kind::SpamReport, Silence::SpamReport), (Kind::Notice, Silence::Notice)] {
            for sender in ["", "ann@x.example"] {
                assert_eq!(planned(kind, sender, &[failed("b@x.example")], true), (vec![], vec![why]));
            }
        }
    }

    #[test]
    fn nothing_to_tell_is_no_silence_either() {
        let delivered = Told::new(
            Action::Delivered,
            &destination("b@x.example", "b@x.example"),
            &Reply::new(250, "2.0.0".parse().unwrap(), "ok"),
        );
        assert_eq!(planned(Kind::Report, "", &[delivered], true), (vec![], vec![]));
    }

    #[test]
    fn an_address_that_leads_to_several_is_told_of_once() {
        let to = |reached: &str| {
            Told::new(Action::Failed, &destination("team@x.example", reached), &Reply::refuse(1, 1, reached))
        };
        let told = [to("a@x.example"), to("b@x.example")];
        assert_eq!(planned(Kind::Ordinary, "ann@x.example", &told, true).0[0].2, 1);
    }
}
