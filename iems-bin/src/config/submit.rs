//! `[submit]`: how users of this machine submit mail.

use std::path::{Path, PathBuf};

use iems_core::message::Domain;

use super::leaf::words;
use super::problem::Notes;
use super::read::{FromToml, section};
use crate::admin::submit::{OtherSender, SubmitRules};

section! {
    /// Submission by users of the machine.
    WrittenSubmit {
        /// The socket.
        socket: String;
        /// Users who may name any sender.
        trusted: Vec<String> = "[]";
        /// What is done with a sender that is not the user's own.
        other_sender: OtherSender = r#""mark""#;
    }
}

words! {
    OtherSender, "one of mark, own", { "mark" => OtherSender::Mark, "own" => OtherSender::Own };
}

/// The socket and what holds there, if there is one.
pub(super) fn resolve(
    written: &WrittenSubmit,
    hostname: Option<&Domain>,
    folder: &Path,
    notes: &mut Notes<'_>,
) -> Option<(PathBuf, SubmitRules)> {
    let Some(socket) = &written.socket else {
        let span = written.trusted.span.as_ref().or(written.other_sender.span.as_ref());
        if span.is_some() {
            notes.add(span, "submit.socket", "submit.socket: [submit] does nothing without a `socket`");
        }
        return None;
    };
    if !cfg!(unix) {
        notes.add(socket.span.as_ref(), "submit.socket", "submit.socket: this system has no such sockets");
    }
    let rules = SubmitRules {
        hostname: hostname?.clone(),
        trusted: written.trusted.value.clone(),
        other_sender: written.other_sender.value,
    };
    Some((folder.join(&socket.value), rules))
}

#[cfg(test)]
mod tests {
    use super::super::of;

    #[test]
    fn users_submit_through_a_socket_or_not_at_all() {
        let with = |text: &str| of(&format!("hostname = \"mx.example.test\"\n{text}"));
        assert!(with("").unwrap().submit.is_none());
        let (socket, rules) =
            with("[submit]\nsocket = \"submit.sock\"\ntrusted = [\"list\"]\n").unwrap().submit.unwrap();
        assert_eq!((socket.to_str(), rules.trusted), (Some("/submit.sock"), vec!["list".to_owned()]));
        for (text, told) in [
            ("trusted = [\"x\"]", "does nothing without a `socket`"),
            ("socket = \"s\"\nother_sender = \"marc\"", "did you mean \"mark\"?"),
            ("sokket = \"s\"", "did you mean \"socket\"?"),
        ] {
            let problems = with(&format!("[submit]\n{text}\n")).unwrap_err();
            assert!(problems.contains(told), "{problems}");
        }
    }
}
