//! `sender_login` and `sender_header` of a `[[listener]]`: who may send as whom.

use iems_core::receive::{AuthorMatch, SenderMatch};

use super::leaf::words;
use super::problem::Notes;
use super::protocol::Protocol;
use super::read::{At, FromToml};

words! {
    SenderMatch, "one of off, own, strict", {
        "off" => SenderMatch::Off, "own" => SenderMatch::Own, "strict" => SenderMatch::Strict,
    };
    AuthorMatch, "one of off, tag, refuse", {
        "off" => AuthorMatch::Off, "tag" => AuthorMatch::Tag, "refuse" => AuthorMatch::Refuse,
    };
}

/// What holds at a listener. Where nobody sends, or nobody has a login, a key that is set would change nothing.
pub(super) fn senders(
    sender_login: &At<SenderMatch>,
    sender_header: &At<AuthorMatch>,
    protocol: Protocol,
    notes: &mut Notes<'_>,
) -> (SenderMatch, AuthorMatch) {
    let sends = matches!(protocol, Protocol::Smtp | Protocol::Submission | Protocol::Submissions);
    let spans =
        [("listener.sender_login", &sender_login.span), ("listener.sender_header", &sender_header.span)];
    for (key, span) in spans {
        if let Some(span) = span.as_ref().filter(|_| !sends) {
            let message = format!(
                "{key}: nobody logs in to send by {}; set it at smtp, submission or submissions",
                protocol.name()
            );
            notes.add(Some(span), key, message);
        }
    }
    (sender_login.value, sender_header.value)
}

#[cfg(test)]
mod tests {
    use iems_core::receive::{AuthorMatch, SenderMatch};

    fn of(keys: &str) -> Result<crate::config::Config, String> {
        crate::config::of(&format!(
            "hostname = \"mx.example.org\"\n[[listener]]\naddress = \"127.0.0.1:2525\"\n{keys}\n"
        ))
    }

    #[test]
    fn only_ones_own_unless_said_otherwise() {
        let of = |keys| of(keys).map(|config| (config.listeners[0].senders, config.listeners[0].authors));
        assert_eq!(of("protocol = \"smtp\"").unwrap(), (SenderMatch::Own, AuthorMatch::Off));
        let both = of("protocol = \"smtp\"\nsender_login = \"strict\"\nsender_header = \"tag\"");
        assert_eq!(both.unwrap(), (SenderMatch::Strict, AuthorMatch::Tag));
        let error = of("protocol = \"lmtp\"\nsender_header = \"tag\"").unwrap_err();
        assert!(error.contains("sender_header: nobody logs in to send by lmtp"), "{error}");
        let error = of("protocol = \"smtp\"\nsender_login = \"strikt\"").unwrap_err();
        assert!(error.contains("did you mean \"strict\""), "{error}");
    }
}
