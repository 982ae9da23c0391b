//! What there is to tell about one recipient, and how much of it may be told: the address that an alias or forward leads
//! to, and the words of the system there, stay with us (RFC 3464 section 4.2).

use crate::deliver::Destination;
use crate::message::{EnhancedStatus, Mailbox, Notify, OriginalRecipient, Remote, Reply};
use crate::preprocess;
use crate::seam::Timestamp;

/// What became of a recipient, in the words of RFC 3464 section 2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Action {
    /// It will never arrive.
    Failed,
    /// It has not arrived yet.
    Delayed,
    /// It is in the mailbox.
    Delivered,
    /// It went to a system that will not tell us more.
    Relayed,
    /// It went on to several addresses.
    Expanded,
}

impl Action {
    /// The word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }

    /// Whether it is good news.
    pub(crate) const fn is_success(self) -> bool {
        matches!(self, Self::Delivered | Self::Relayed | Self::Expanded)
    }
}

/// What there is to tell about one recipient.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) action: Action,
    destination: Destination,
    pub(crate) reply: Reply,
    /// When delivery will be given up, where it is still tried.
    pub(crate) until: Option<Timestamp>,
    /// Whether an attempt brought it; else its time was over while it waited.
    pub(crate) tried: bool,
    /// Whether everybody hears of it who did not forbid it.
    insisted: bool,
}

impl Told {
    pub(crate) fn new(action: Action, destination: &Destination, reply: &Reply) -> Self {
        Self {
            action,
            destination: destination.clone(),
            reply: reply.clone(),
            until: None,
            tried: true,
            insisted: false,
        }
    }

    /// The same, with the time at which delivery will be given up.
    pub(crate) fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// The same, where no attempt brought it.
    pub(crate) fn untried(mut self) -> Self {
        self.tried = false;
        self
    }

    /// The same, for everybody who did not forbid it (RFC 2852 section 4).
    pub(crate) fn insisted(mut self) -> Self {
        self.insisted = true;
        self
    }

    /// The recipient as the sender gave it.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.destination.recipient.mailbox
    }

    /// What the sender called the recipient before anybody forwarded the message.
    pub(crate) fn original(&self) -> Option<&OriginalRecipient> {
        self.destination.recipient.original.as_ref()
    }

    /// Whether the sender wants to hear of this. `automatic`: the message is from a program or a list. They, and the
    /// likely forged sender of spam, hear of delays only if they asked (RFC 3461 section 4.1 leaves delays to us where
    /// `NOTIFY` is missing).
    pub(crate) fn is_wanted(&self, automatic: bool) -> bool {
        let recipient = &self.destination.recipient;
        if self.insisted {
            return recipient.notify() != Notify::NEVER;
        }
        match self.action {
            Action::Failed => recipient.notify().failure,
            Action::Delayed => {
                let asked = recipient.notify.is_some();
                recipient.notify().delay && (asked || !(automatic || self.is_spam()))
            }
            Action::Delivered | Action::Relayed | Action::Expanded => recipient.notify().success,
        }
    }

    /// Whether the message was tagged as spam for this recipient.
    pub(crate) fn is_spam(&self) -> bool {
        matches!(self.destination.decision.action, preprocess::Action::Tag | preprocess::Action::Junk)
    }

    /// The status.
    pub(crate) fn status(&self) -> EnhancedStatus {
        self.reply.enhanced
    }

    /// The reply, if it may be told.
    pub(crate) fn words(&self) -> Option<&Reply> {
        (!self.leads_elsewhere()).then_some(&self.reply)
    }

    /// What another system said, if it may be told.
    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.words().and_then(|reply| reply.remote.as_deref())
    }

    /// Whether the message went to another address than the sender's: through an alias or a forward. A subaddress is
    /// the same mailbox.
    pub(crate) fn leads_elsewhere(&self) -> bool {
        let (asked, reached) = (self.mailbox(), &self.destination.mailbox);
        let asked_local = asked.local().as_str().to_lowercase();
        let reached_local = reached.local().as_str().to_lowercase();
        let same_local = match &self.destination.detail {
            Some(detail) => asked_local == format!("{reached_local}+{}", detail.to_lowercase()),
            None => asked_local == reached_local,
        };
        !(same_local && asked.domain() == reached.domain())
    }
}
