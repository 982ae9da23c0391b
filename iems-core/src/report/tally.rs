//! What reports told, counted.

use std::ops::AddAssign;

use serde::Serialize;

use super::told::Action;
use crate::message::Kind;

/// What senders and the postmaster were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reported {
    /// Reports to senders.
    pub reports: u64,
    /// Those of them about messages tagged as spam.
    pub spam: u64,
    /// Recipients whose failure a sender was told.
    pub failed: u64,
    /// Recipients whose delay a sender was told.
    pub delayed: u64,
    /// Recipients whose delivery a sender was told.
    pub delivered: u64,
    /// Recipients whose message went on to a system that tells no more.
    pub relayed: u64,
    /// Recipients whose message went on to several others.
    pub expanded: u64,
    /// Notices to the postmaster.
    pub notices: u64,
    /// Failures of messages without a sender that were not told one by one.
    pub summed: u64,
}

impl Reported {
    /// One letter that tells of these.
    pub(super) fn letter(kind: Kind, actions: impl Iterator<Item = Action>) -> Self {
        if kind == Kind::Notice {
            return Self { notices: 1, ..Self::default() };
        }
        let mut letter = Self { reports: 1, spam: u64::from(kind == Kind::SpamReport), ..Self::default() };
        for action in actions {
            *match action {
                Action::Failed => &mut letter.failed,
                Action::Delayed => &mut letter.delayed,
                Action::Delivered => &mut letter.delivered,
                Action::Relayed => &mut letter.relayed,
                Action::Expanded => &mut letter.expanded,
            } += 1;
        }
        letter
    }
}

impl AddAssign for Reported {
    fn add_assign(&mut self, other: Self) {
        self.reports += other.reports;
        self.spam += other.spam;
        self.failed += other.failed;
        self.delayed += other.delayed;
        self.delivered += other.delivered;
        self.relayed += other.relayed;
        self.expanded += other.expanded;
        self.notices += other.notices;
        self.summed += other.summed;
    }
}
