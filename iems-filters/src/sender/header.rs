//! What a header section says about what kind of message it is: bulk and automatic mail has senders that nobody answers.

/// Why a message is one that nobody asks back about, if it is (RFC 2369, RFC 3834 section 5, `Precedence`).
pub(super) fn bulk(header: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    let fields = text.split('\n').filter(|line| !line.starts_with([' ', '\t']));
    for (name, value) in fields.filter_map(|line| line.split_once(':')) {
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim().to_ascii_lowercase();
        let is_bulk = match name.as_str() {
            "precedence" => matches!(value.as_str(), "bulk" | "list" | "junk"),
            "auto-submitted" => !value.is_empty() && !value.starts_with("no"),
            "feedback-id" => true,
            list => list.starts_with("list-"),
        };
        if is_bulk {
            return Some(name);
        }
    }
    None
}

/// Whether an address is one of a machine: of a list, or made for one message (VERP, BATV, SRS).
pub(super) fn is_machine(local: &str) -> bool {
    let local = local.to_ascii_lowercase();
    let begins = [
        "owner-",
        "bounce",
        "noreply",
        "no-reply",
        "donotreply",
        "mailer-daemon",
        "prvs=",
        "srs0",
        "srs1",
        "btv1==",
    ];
    let ends = ["-request", "-bounces", "-owner", "-bounce"];
    begins.iter().any(|part| local.starts_with(part))
        || ends.iter().any(|part| local.ends_with(part))
        || local.contains('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_mail_says_so() {
        for header in [
            "List-Id: x\r\n",
            "Subject: a\r\nPRECEDENCE: Bulk\r\n",
            "Auto-Submitted: auto-replied\r\n",
            "List-Unsubscribe:\r\n <mailto:x@y>\r\n",
        ] {
            assert!(bulk(header.as_bytes()).is_some(), "{header}");
        }
        for header in [
            "Subject: List-Id: x\r\n",
            "Auto-Submitted: no\r\n",
            "X: y\r\n List-Id: z\r\n",
            "Precedence: first-class\r\n",
        ] {
            assert_eq!(bulk(header.as_bytes()), None, "{header}");
        }
    }

    #[test]
    fn addresses_of_machines_are_known() {
        for local in [
            "owner-list",
            "list-bounces",
            "bounce+ann=our.example",
            "prvs=123=bob",
            "NoReply",
            "SRS0=a=b=c=d",
        ] {
            assert!(is_machine(local), "{local}");
        }
        for local in ["bob", "ann.owner", "bob+tag", "request"] {
            assert!(!is_machine(local), "{local}");
        }
    }
}
