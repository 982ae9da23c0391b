//! Submission by any user of the machine: who it is, and what of the administration is open to them.

use iems_core::message::{Domain, Mailbox, ReversePath};

use super::request::Letter;

/// What is done with a sender that is not the user's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherSender {
    /// It stays, and a field tells who wrote it.
    Mark,
    /// It becomes the user's own, and a field tells so.
    Own,
}

/// How users submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubmitRules {
    /// Our name: users are at it.
    pub(crate) hostname: Domain,
    /// Users who may name any sender, as root and the server's user may.
    pub(crate) trusted: Vec<String>,
    /// What is done with senders of others.
    pub(crate) other_sender: OtherSender,
}

/// Somebody at the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// The login name, or `uid-1234` where there is none.
    pub(super) name: String,
    /// Whether any sender may be named.
    pub(super) trusted: bool,
}

impl SubmitRules {
    /// Who has this number; `own` is the server's.
    pub(super) fn user(&self, uid: u32, own: u32) -> User {
        let name = crate::mail::login_of(uid).unwrap_or_else(|| format!("uid-{uid}"));
        let trusted = uid == 0 || uid == own || self.trusted.contains(&name);
        User { name, trusted }
    }

    /// What a user may submit: the letter as it goes on, and a field to put in front of it.
    pub(super) fn apply(&self, user: &User, mut letter: Letter) -> (Letter, Option<String>) {
        let ReversePath::Mailbox(sender) = &letter.envelope.sender else { return (letter, None) };
        let Ok(own) = format!("{}@{}", user.name, self.hostname).parse::<Mailbox>() else {
            return (letter, None);
        };
        if user.trusted || sender.folded() == own.folded() {
            return (letter, None);
        }
        // An address is printable and short; its local part may be quoted, and then hold what looks like another field's end.
        let shown: String = sender.to_string().chars().filter(|c| !c.is_control()).take(320).collect();
        let field = format!(
            "X-Authentication-Warning: {}: {} set sender to\r\n\t<{shown}> using -f\r\n",
            self.hostname, user.name
        );
        if self.other_sender == OtherSender::Own {
            letter.envelope.sender = ReversePath::Mailbox(own);
        }
        (letter, Some(field))
    }
}

#[cfg(test)]
mod tests {
    use iems_core::message::Envelope;

    use super::*;

    #[test]
    fn a_sender_of_somebody_else_is_told_of_or_replaced() {
        let rules = |other_sender| SubmitRules {
            hostname: "mx.example.test".parse().unwrap(),
            trusted: vec!["list".into()],
            other_sender,
        };
        let letter =
            |from: &str| Letter { envelope: Envelope::new(from.parse().unwrap()), recipients: Vec::new() };
        let user = |name: &str| User { name: name.into(), trusted: false };
        for from in ["<>", "<ann@MX.example.test>"] {
            let (after, field) = rules(OtherSender::Own).apply(&user("ann"), letter(from));
            assert_eq!((after, field), (letter(from), None));
        }
        let other = letter("<boss@example.test>");
        let (after, field) = rules(OtherSender::Mark).apply(&user("ann"), other.clone());
        assert_eq!(after, other);
        assert_eq!(
            field.as_deref(),
            Some(
                "X-Authentication-Warning: mx.example.test: ann set sender to\r\n\t<boss@example.test> using -f\r\n"
            )
        );
        let (after, field) = rules(OtherSender::Own).apply(&user("ann"), other.clone());
        assert_eq!(after.envelope.sender.to_string(), "ann@mx.example.test");
        assert!(field.is_some());
        let root = rules(OtherSender::Own).user(0, 1000);
        assert_eq!((root.name.as_str(), root.trusted), ("root", true));
        assert_eq!(rules(OtherSender::Own).apply(&root, other.clone()), (other, None));
        assert_eq!(rules(OtherSender::Mark).user(4_000_000, 1000), user("uid-4000000"));
        assert!(rules(OtherSender::Mark).user(1000, 1000).trusted);
    }
}
