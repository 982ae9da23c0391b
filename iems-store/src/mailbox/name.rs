//! Names of mailboxes: what may be one, and its parts.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use super::MailboxError;

/// The form in which names are kept (RFC 9051 section 5.1, RFC 5198 section 3).
const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();

/// What stands between a mailbox's name and its parent's.
pub const DELIMITER: char = '/';
/// How many names a path may have.
pub const MAX_DEPTH: usize = 20;
/// The longest part of a path, in octets.
pub const MAX_PART: usize = 255;
/// Below it, mail programs see what others share: no account has a mailbox of this name, or below it, for its own.
pub const OTHERS: &str = "Other Users";
/// The longest path, in octets.
pub const MAX_PATH: usize = 900;

/// The parts of a path, each below the one before. A delimiter at the end says only that something is to be below it
/// (RFC 9051 section 6.3.4) and is left out.
pub(super) fn parts(path: &str) -> Result<Vec<&str>, MailboxError> {
    let path = path.strip_suffix(DELIMITER).unwrap_or(path);
    if path.len() > MAX_PATH {
        return Err(MailboxError::BadName("it is longer than 900 octets"));
    }
    let parts: Vec<_> = path.split(DELIMITER).collect();
    if parts.len() > MAX_DEPTH {
        return Err(MailboxError::BadName("it has more than 20 levels"));
    }
    for part in &parts {
        check(part)?;
    }
    Ok(parts)
}

/// The parts of the path of a mailbox that is to be made.
pub(super) fn new_parts(path: &str) -> Result<Vec<&str>, MailboxError> {
    match parts(path)? {
        parts if parts.first() == Some(&OTHERS) => {
            Err(MailboxError::BadName("\"Other Users\" is where mailboxes of others are shown"))
        }
        parts => Ok(parts),
    }
}

/// A name with its letters composed (Unicode normalization form C): two that look alike are one.
pub fn composed(name: &str) -> Cow<'_, str> {
    if name.is_ascii() { Cow::Borrowed(name) } else { NFC.normalize(name) }
}

fn check(part: &str) -> Result<(), MailboxError> {
    if part.is_empty() {
        return Err(MailboxError::BadName("a part of it is empty"));
    }
    if part.len() > MAX_PART {
        return Err(MailboxError::BadName("a part of it is longer than 255 octets"));
    }
    if part.contains(is_bad) {
        return Err(MailboxError::BadName("it has a control character, % or *"));
    }
    match composed(part) == part {
        true => Ok(()),
        false => Err(MailboxError::BadName("its letters are not composed")),
    }
}

/// Wildcards of LIST, and what clients and terminals take for something else.
fn is_bad(c: char) -> bool {
    c.is_control() || matches!(c, '%' | '*' | '\u{2028}' | '\u{2029}' | '\u{FEFF}')
}

/// A part of a path that is as near to `name` as may be: `_` for what no mailbox can have.
pub(crate) fn fit_name(name: &str) -> String {
    match name {
        "" => "_".into(),
        _ => composed(name).replace(|c| is_bad(c) || c == DELIMITER, "_"),
    }
}

/// Whether a path is INBOX, whatever its case (RFC 9051 section 5.1).
pub(super) fn is_inbox(path: &str) -> bool {
    path.eq_ignore_ascii_case("INBOX")
}

/// The path in the one spelling that is kept: INBOX in upper case, no delimiter at the end.
pub(super) fn canonical(parts: &[&str]) -> String {
    let mut path = parts.join("/");
    if parts.first().is_some_and(|first| is_inbox(first)) {
        path.replace_range(..5, "INBOX");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_composed() {
        assert_eq!(composed("u\u{308}/A\u{30a}/\u{212b}"), "\u{fc}/\u{c5}/\u{c5}");
        assert!(
            matches!(composed("\u{fc}"), Cow::Borrowed(_)) && matches!(composed("a"), Cow::Borrowed("a"))
        );
        assert_eq!(fit_name("u\u{308}/*"), "\u{fc}__");
    }

    #[test]
    fn a_path_has_parts_or_is_refused() {
        assert_eq!(parts("a/b c/ü").unwrap(), ["a", "b c", "ü"]);
        assert_eq!(parts("a/").unwrap(), ["a"]);
        assert_eq!(canonical(&parts("inbox/x").unwrap()), "INBOX/x");
        for bad in ["", "/", "/a", "a//b", "a\nb", "a*", "%", "a\u{7f}", "u\u{308}"] {
            assert!(parts(bad).is_err(), "{bad:?}");
        }
        assert!(parts(&"a/".repeat(21)).is_err());
        assert!(parts(&"a".repeat(256)).is_err());
        assert!(parts(&format!("{0}/{0}/{0}/{0}", "a".repeat(250))).is_err());
    }
}
