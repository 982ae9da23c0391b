//! What a message says about itself wherever it arrives: which letter of the simulation it is, and whether it
//! is whole; or, if it is a report, about whom it tells what.

use serde::{Deserialize, Serialize};

/// A message as it arrived somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Seen {
    /// A letter: its number, the digest of its octets from the marking field on, and what stood in front of that.
    Letter {
        /// See [`letter`].
        number: u64,
        /// BLAKE3.
        digest: [u8; 32],
        /// The field names in front, in order.
        front: Vec<String>,
    },
    /// A delivery status notification about a letter.
    Report {
        /// The letter it is about.
        about: Option<u64>,
        /// What it tells of each recipient.
        told: Vec<Told>,
    },
    /// A notice to the postmaster: about a letter without a sender, about a report, or about many.
    Notice {
        /// The letter it is about.
        about: Option<u64>,
        /// What it tells of each recipient.
        told: Vec<Told>,
    },
    /// None of these: something was changed on the way.
    Stranger,
}

/// What a report tells of one recipient (RFC 3464 section 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// `Final-Recipient`.
    pub recipient: String,
    /// `Action`.
    pub action: String,
    /// `Status`.
    pub status: String,
}

/// The field that marks a letter.
const MARK: &str = "X-Sim: ";

/// The text of letter `number`, of about `size` octets.
pub fn letter(number: u64, sender: &str, size: usize) -> Vec<u8> {
    let head = format!("{MARK}{number}\r\nFrom: <{sender}>\r\nSubject: letter {number}\r\n\r\n");
    let mut text = head.into_bytes();
    let line = format!("Line of letter {number}, as long as the others are.\r\n");
    while text.len() < size {
        text.extend_from_slice(line.as_bytes());
    }
    text.extend_from_slice(format!("End of letter {number}.\r\n").as_bytes());
    text
}

/// The digest that [`Seen::Letter`] has if `text` arrived unchanged.
pub fn digest(text: &[u8]) -> [u8; 32] {
    *blake3::hash(text).as_bytes()
}

impl Seen {
    /// Reads a whole message.
    pub fn read(octets: &[u8]) -> Self {
        let head_end = memchr::memmem::find(octets, b"\r\n\r\n").map_or(octets.len(), |at| at + 2);
        let head = String::from_utf8_lossy(&octets[..head_end]);
        let (mut at, mut front) = (0, Vec::new());
        for line in head.split_inclusive("\r\n") {
            if let Some(number) = line.strip_prefix(MARK) {
                let number = number.trim_end().parse();
                return number.map_or(Self::Stranger, |number| Self::Letter {
                    number,
                    digest: digest(&octets[at..]),
                    front,
                });
            }
            if let Some((name, _)) = line.split_once(':').filter(|_| !line.starts_with([' ', '\t'])) {
                front.push(name.to_owned());
            }
            at += line.len();
        }
        let (about, told) = report(&String::from_utf8_lossy(octets));
        match () {
            () if head.contains("\r\nAuto-Submitted: auto-generated\r\n") => Self::Notice { about, told },
            () if head.contains("multipart/report") => Self::Report { about, told },
            () => Self::Stranger,
        }
    }
}

/// The letter that a report is about, and what it tells.
fn report(text: &str) -> (Option<u64>, Vec<Told>) {
    let after = |part: &str, name: &str| {
        let (_, rest) = part.split_once(name)?;
        rest.split("\r\n").next().map(|value| value.trim().to_owned())
    };
    // What is returned may be a report itself.
    let returned = ["message/rfc822", "text/rfc822-headers"].map(|kind| format!("\r\nContent-Type: {kind}"));
    let own = returned.iter().filter_map(|kind| text.find(kind)).min().unwrap_or(text.len());
    let mut told = Vec::new();
    for part in text[..own].split("Final-Recipient: ").skip(1) {
        let recipient = part.split("\r\n").next().unwrap_or_default();
        let recipient = recipient.split_once(';').map_or(recipient, |(_, address)| address.trim()).to_owned();
        let field = |name| after(part, name).unwrap_or_default();
        told.push(Told { recipient, action: field("\r\nAction: "), status: field("\r\nStatus: ") });
    }
    let about = after(text, &format!("\r\n{MARK}")).and_then(|number| number.parse().ok());
    (about, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_known_whatever_stands_in_front_and_not_if_it_is_cut() {
        let text = letter(17, "a@here.example", 500);
        let arrived = [b"Received: by x;\r\n\tnow\r\n".as_slice(), &text].concat();
        let Seen::Letter { number, digest: got, front } = Seen::read(&arrived) else { panic!("no letter") };
        assert_eq!((number, got, front), (17, digest(&text), vec!["Received".to_owned()]));
        let Seen::Letter { digest: cut, .. } = Seen::read(&arrived[..arrived.len() - 1]) else { panic!() };
        assert_ne!(cut, got);
    }

    #[test]
    fn a_report_names_its_letter_and_its_recipients() {
        let text = "Content-Type: multipart/report\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: \
                    rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.4.7\r\n\r\nX: y\r\n\r\nX-Sim: 9\r\n";
        let Seen::Report { about, told } = Seen::read(text.as_bytes()) else { panic!("no report") };
        assert_eq!((about, told.len()), (Some(9), 1));
        assert_eq!((told[0].recipient.as_str(), told[0].status.as_str()), ("a@b.example", "5.4.7"));
    }
}
