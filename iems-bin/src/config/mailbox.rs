//! `[[mailbox]]`: the mailboxes that are usual here.

use std::sync::Arc;

use iems_store::mailbox::{Provided, SpecialUse, UsualMailbox};

use super::leaf::words;
use super::problem::Notes;
use super::read::{At, FromToml, need, section};

/// The most entries: each costs a login one read.
const MOST: usize = 50;

section! {
    /// A usual mailbox, as written.
    WrittenMailbox {
        /// Its name.
        name: String;
        /// What it is for.
        special_use: SpecialUse;
        /// Whether it is made by itself.
        auto: Provided = r#""no""#;
    }
}

words! {
    SpecialUse, "one of archive, drafts, important, junk, sent, trash", {
        "archive" => SpecialUse::Archive, "drafts" => SpecialUse::Drafts, "important" => SpecialUse::Important,
        "junk" => SpecialUse::Junk, "sent" => SpecialUse::Sent, "trash" => SpecialUse::Trash,
    };
    Provided, "one of no, create, subscribe", {
        "no" => Provided::No, "create" => Provided::Made, "subscribe" => Provided::Subscribed,
    };
}

/// The usual mailboxes; those that most programs know where none is named.
pub(super) fn usual(written: &[At<WrittenMailbox>], notes: &mut Notes<'_>) -> Arc<[UsualMailbox]> {
    if written.is_empty() {
        return UsualMailbox::defaults().into();
    }
    if let Some(more) = written.get(MOST) {
        let message = format!("[[mailbox]]: expected at most {MOST}, found {}", written.len());
        notes.add(more.span.as_ref(), "mailbox", message);
    }
    let mut all: Vec<UsualMailbox> = Vec::new();
    for entry in written {
        let span = entry.name.as_ref().map_or(&entry.span, |name| &name.span).as_ref();
        let Some(path) = need(entry.name.clone(), "name", "mailbox", &entry.span, notes) else { continue };
        if !UsualMailbox::is_name(&path) {
            let message = format!(
                "mailbox.name: expected the name of a mailbox other than INBOX, without %, * or / at its ends, found {path:?}"
            );
            notes.add(span, "mailbox.name", message);
        }
        if all.iter().any(|one| one.path == path) {
            notes.add(
                span,
                "mailbox.name",
                format!("mailbox.name: {path:?} stands here twice; expected it once"),
            );
        }
        let special = entry.special_use.as_ref().map(|special| special.value);
        // Two with one use are alternatives: whichever a program makes first has it. Of two that make themselves, the
        // second never would.
        let provided = entry.auto.value;
        let taken = |one: &UsualMailbox| one.special.is_some() && one.special == special;
        if provided != Provided::No && all.iter().any(|one| taken(one) && one.provided != Provided::No) {
            let message = "mailbox.auto: another mailbox with this special_use makes itself; expected \"no\" for one of both";
            notes.add(entry.auto.span.as_ref(), "mailbox.auto", message);
        }
        all.push(UsualMailbox { path, special, provided });
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;

    #[test]
    fn usual_mailboxes_are_those_of_the_file_or_those_that_everybody_knows() {
        let read = |text: &str| {
            of(&format!("hostname = \"mx.example.test\"\n{text}")).map(|config| config.imap.usual)
        };
        assert_eq!(read("").unwrap()[..], UsualMailbox::defaults()[..]);
        let text = "[[mailbox]]\nname = \"Gesendet\"\nspecial_use = \"sent\"\nauto = \"subscribe\"\n[[mailbox]]\nname = \"Lists/All\"\n";
        let special = Some(SpecialUse::Sent);
        assert_eq!(
            read(text).unwrap()[..],
            [
                UsualMailbox { path: "Gesendet".into(), special, provided: Provided::Subscribed },
                UsualMailbox { path: "Lists/All".into(), special: None, provided: Provided::No },
            ]
        );
        for (text, said) in [
            ("[[mailbox]]\nauto = \"no\"\n", "needs the key \"name\""),
            ("[[mailbox]]\nname = \"inbox\"\n", "other than INBOX"),
            ("[[mailbox]]\nname = \"a*\"\n", "without %, *"),
            ("[[mailbox]]\nname = \"a\"\nspecial_use = \"trsh\"\n", "did you mean"),
            ("[[mailbox]]\nname = \"a\"\n[[mailbox]]\nname = \"a\"\n", "twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let two =
            |name| format!("[[mailbox]]\nname = \"{name}\"\nspecial_use = \"sent\"\nauto = \"create\"\n");
        assert!(read(&(two("a") + &two("b"))).unwrap_err().contains("another mailbox with this special_use"));
    }
}
