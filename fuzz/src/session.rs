//! The server's dialogue: any octets, in any pieces, have one outcome, and every message accepted has its end.

use std::sync::Arc;

use bytes::BytesMut;
use iems_core::message::{ChannelId, QueueId, Reply};
use iems_core::receive::Receipt;
use iems_core::seam::Account;
use iems_smtp::proto::data::LineEnds;
use iems_smtp::server::session::{Event, Link, Session};
use iems_smtp::server::{Mode, ServerOptions};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
    b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nBDAT 3\r\nx\r\nBDAT 2 LAST\r\n\r\nRSET\r\n",
    b"LHLO a\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<b@c>\r\nRCPT TO:<d@e>\r\nDATA\r\n..\r\n.\r\n",
    b"EHLO a\r\nAUTH PLAIN AHVzZXIAcGVuY2ls\r\nMAIL FROM:<a@b> SIZE=9999\r\nVRFY a\r\nHELP\r\n",
    b"EHLO a\r\nAUTH LOGIN\r\ndXNlcg==\r\n*\r\nBDAT 5\r\nQUIT\r\nSTARTTLS\r\nNOOP\r\n",
    b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nDATA\r\na\n.\r\nMAIL FROM:<evil@b>\r\n\r\n.\r\n",
];

/// Longest line that may wait for its end.
const BUFFERED: usize = 12_288;

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    said: Vec<u8>,
    messages: Vec<Vec<u8>>,
    events: Vec<&'static str>,
}

/// The dialogue in every mode.
pub(crate) fn run(octets: &[u8]) {
    for mode in [Mode::Relay, Mode::Submission, Mode::Lmtp, Mode::Collection] {
        let whole = talk(mode, std::iter::once(octets));
        assert_eq!(talk(mode, pieces(octets)), whole, "pieces make a difference");
        for line in whole.said.split_inclusive(|octet| *octet == b'\n') {
            let text = String::from_utf8_lossy(line);
            let coded =
                line.len() > 5 && line[..3].iter().all(u8::is_ascii_digit) && b" -".contains(&line[3]);
            assert!(coded && line.ends_with(b"\r\n") && line.len() <= 512, "said {text:?}");
        }
        for message in &whole.messages {
            let mut ends = LineEnds::default();
            ends.feed(message);
            assert!(!ends.is_broken(true), "a bare line end passed");
        }
    }
}

fn talk<'a>(mode: Mode, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut options = ServerOptions::new(mode, ChannelId::new("fuzz"), "mx.example.org");
    options.max_size = 200;
    options.auth.enabled = true;
    options.auth.secret = Some([1; 32]);
    let link = Link { tls: false, tls_available: false, local: true };
    let mut session = Session::new(Arc::new(options), link, Arc::new(|| Some([7; 18])));
    session.greet(Ok(()));
    let (mut input, mut outcome, mut message) = (BytesMut::new(), Outcome::default(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(event) = session.next(&mut input) {
            let mut next = Some(event);
            while let Some(event) = next {
                next = answer(&mut session, event, &mut message, &mut outcome);
            }
        }
        assert!(outcome.events.last() == Some(&"close") || input.len() <= BUFFERED, "unbounded");
    }
    outcome.said.extend_from_slice(&session.output().split());
    outcome
}

/// An engine that takes all but every message with an `x` in it.
fn answer(
    session: &mut Session,
    event: Event,
    message: &mut Vec<u8>,
    outcome: &mut Outcome,
) -> Option<Event> {
    outcome.events.push(match &event {
        Event::Octets(octets) => {
            message.extend_from_slice(octets);
            return None;
        }
        Event::Hello(_) => "hello",
        Event::Mail(_) => "mail",
        Event::Rcpt(_) => "rcpt",
        Event::EndOfData => "end",
        Event::Close => "close",
        Event::Turn(_) => "turn",
        _ => "other",
    });
    match event {
        Event::Hello(_) => {
            message.clear();
            session.hello(Ok(()));
        }
        Event::Mail(_) => session.mail(Ok(None)),
        Event::Rcpt(_) => session.rcpt(Ok(())),
        Event::Turn(_) => session.turned(Ok(2)),
        Event::Collect(_) => session.collecting(Ok(())),
        Event::Verify(_) => session.verified(Ok(None)),
        Event::EndOfData => {
            let refused = message.contains(&b'x');
            outcome.messages.push(std::mem::take(message));
            if refused {
                session.committed(Err(&Reply::refuse(7, 1, "not that")));
                return None;
            }
            session.committed(Ok(&Receipt { id: QueueId::from_bytes([0; 16]), recipients: vec![Ok(()); 2] }));
        }
        Event::Reset => message.clear(),
        Event::Password { login, .. } => {
            let mailbox = format!("{login}@example.org").parse().ok();
            return session.password(Ok(mailbox.map(Account::new)));
        }
        Event::Verifier { .. } => return session.verifier(Ok(None)),
        Event::Secret { .. } => return session.secret(Ok(None)),
        Event::Certificate { .. } | Event::Token { .. } => return session.password(Ok(None)),
        Event::Octets(_) | Event::StartTls | Event::Claim(_) | Event::Authenticated(_) | Event::Close => {}
    }
    None
}
