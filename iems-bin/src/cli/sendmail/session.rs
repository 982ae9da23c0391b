//! `-bs`: an SMTP session on standard input and output.
//!
//! The dialogue is that of a listener (`iems_smtp::server::session`); recipients and messages go to the server that runs, or into the
//! store, as for every other mode. A 250 is as durable as there. Lines end as the first one does, with CRLF or with LF: so the
//! program may stand behind a pipe, and what passes others' mail on to it cannot hide a second message in the first.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::BytesMut;
use iems_core::message::{ChannelId, EnhancedStatus, ForwardPath, Mailbox, Reply};
use iems_core::receive::Receipt;
use iems_smtp::server::session::{Event, Link, Session};
use iems_smtp::server::{Mode, ServerOptions};

use crate::admin::office::{Office, Submission};
use crate::admin::request::{Addressee, Letter, Request};
use crate::admin::with_submission;
use crate::config::Config;
use crate::exit::Failure;

/// How much is read at a time, in octets.
const PIECE: usize = 64 * 1024;

/// Which octets end a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Unknown { after_cr: bool },
    Crlf,
    Lf,
}

impl Ends {
    /// Passes on what was read, with CRLF at the ends of lines.
    fn pass(&mut self, octets: &[u8], input: &mut BytesMut) {
        if let Self::Unknown { after_cr } = *self {
            match octets.iter().position(|octet| *octet == b'\n') {
                None => {
                    *self = Self::Unknown { after_cr: octets.last().map_or(after_cr, |last| *last == b'\r') }
                }
                Some(at) => {
                    let cr = at.checked_sub(1).map_or(after_cr, |before| octets.get(before) == Some(&b'\r'));
                    *self = if cr { Self::Crlf } else { Self::Lf };
                }
            }
        }
        if *self != Self::Lf {
            return input.extend_from_slice(octets);
        }
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\n");
            input.extend_from_slice(text.unwrap_or(line));
            if text.is_some() {
                input.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// Serves one session to its end.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    let mut options = ServerOptions::new(Mode::Relay, ChannelId::new("sendmail"), config.hostname.as_str());
    options.max_size = config.settings.limits.message_size;
    options.limits.recipients = config.settings.limits.recipients;
    let nonce = Arc::new(|| {
        let mut octets = [0; 18];
        getrandom::fill(&mut octets).ok().map(|()| octets)
    });
    let link = Link { tls: false, tls_available: false, local: true };
    let mut session = Session::new(Arc::new(options), link, nonce);
    with_submission(config, async |office| {
        session.greet(Ok(()));
        let mut talk = Talk { office, config, letter: None, submission: None, refused: None };
        talk.all(&mut session).await
    })
}

/// A session under way.
struct Talk<'a> {
    office: &'a dyn Office,
    config: &'a Config,
    letter: Option<Letter>,
    submission: Option<Box<dyn Submission>>,
    /// Why the message cannot be taken; told at its end.
    refused: Option<Reply>,
}

impl Talk<'_> {
    async fn all(&mut self, session: &mut Session) -> Result<(), Failure> {
        let (mut input, mut ends) = (BytesMut::new(), Ends::Unknown { after_cr: false });
        let (mut stdin, mut buffer) = (std::io::stdin().lock(), vec![0; PIECE]);
        loop {
            while let Some(event) = session.next(&mut input) {
                if matches!(event, Event::Close) {
                    return say(session);
                }
                self.answer(session, event).await;
            }
            say(session)?;
            let read = stdin.read(&mut buffer).map_err(|e| Failure::io(format!("cannot read: {e}")))?;
            if read == 0 {
                return Ok(());
            }
            ends.pass(buffer.get(..read).unwrap_or_default(), &mut input);
        }
    }

    async fn answer(&mut self, session: &mut Session, event: Event) {
        match event {
            Event::Hello(_) => {
                self.forget();
                session.hello(Ok(()));
            }
            Event::Mail(mail) => {
                self.forget();
                self.letter = Some(Letter { envelope: mail.envelope, recipients: Vec::new() });
                session.mail(Ok(None));
            }
            Event::Rcpt(rcpt) => {
                let taken = self.recipient(*rcpt).await;
                session.rcpt(taken.as_ref().map(|_| ()));
            }
            Event::Octets(octets) => {
                let open = self.open().await;
                let written = match (&mut self.submission, open) {
                    (Some(submission), Ok(())) => submission.write(octets).await.map_err(|e| reply(&e)),
                    (_, open) => open,
                };
                if let Err(why) = written {
                    session.refuse_message(why.clone());
                    self.refused.get_or_insert(why);
                }
            }
            Event::EndOfData => {
                let outcome = self.commit().await;
                session.committed(outcome.as_ref());
                self.forget();
            }
            Event::Reset => self.forget(),
            Event::Turn(_) => {
                let text = "there is nobody here to send to; use `sendmail -qR` instead";
                session.turned(Err(&Reply::new(458, EnhancedStatus::new(4, 5, 1), text)));
            }
            // Nothing else is offered on a pipe.
            _ => session.abandon(&Reply::new(
                421,
                EnhancedStatus::new(4, 5, 1),
                "there is nothing like that on standard input; connect again and go on without",
            )),
        }
    }

    fn forget(&mut self) {
        (self.letter, self.submission, self.refused) = (None, None, None);
    }

    async fn recipient(&mut self, rcpt: iems_smtp::proto::Rcpt) -> Result<(), Reply> {
        let address: Mailbox = match rcpt.path {
            ForwardPath::Mailbox(address) => address,
            ForwardPath::Postmaster => {
                format!("postmaster@{}", self.config.hostname).parse().map_err(|_| {
                    Reply::refuse(1, 3, "there is no postmaster address here; write to a whole address")
                })?
            }
        };
        let answer = self.office.answer(Request::Verify { address: address.clone() }).await;
        let refused: Option<Reply> = answer
            .and_then(|value| serde_json::from_value(value).map_err(Failure::data))
            .map_err(|failure| reply(&failure))?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        let recipient = Addressee { address, notify: rcpt.notify, original: rcpt.original };
        self.letter.iter_mut().for_each(|letter| letter.recipients.push(recipient.clone()));
        Ok(())
    }

    /// The message begins, once its recipients are known.
    async fn open(&mut self) -> Result<(), Reply> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        if let Some(letter) = self.letter.take() {
            self.submission = Some(self.office.submit(letter).await.map_err(|e| reply(&e))?);
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<Receipt, Reply> {
        self.open().await?;
        let Some(submission) = self.submission.take() else {
            return Err(Reply::defer(3, 0, "the message is not there; send it again"));
        };
        let submitted = submission.commit().await.map_err(|e| reply(&e))?;
        let id = submitted.id.parse().map_err(|_| Reply::defer(3, 0, "no queue id; send it again"))?;
        Ok(Receipt { id, recipients: Vec::new() })
    }
}

/// A failure as a reply.
fn reply(failure: &Failure) -> Reply {
    match failure.code {
        75 => Reply::defer(3, 0, format!("{failure}; try again later")),
        67 => Reply::refuse(1, 1, &failure.message),
        68 => Reply::refuse(1, 2, &failure.message),
        77 => Reply::refuse(7, 1, &failure.message),
        _ => Reply::new(554, EnhancedStatus::new(5, 0, 0), &failure.message),
    }
}

/// Writes what the dialogue has to say.
fn say(session: &mut Session) -> Result<(), Failure> {
    let output = session.output().split();
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(&output).and_then(|()| stdout.flush());
    written.map_err(|e| Failure::io(format!("cannot write: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_the_first_one_does() {
        let read = |text: &[u8], by: usize| {
            let (mut ends, mut input) = (Ends::Unknown { after_cr: false }, BytesMut::new());
            text.chunks(by).for_each(|piece| ends.pass(piece, &mut input));
            input.to_vec()
        };
        for by in 1..9 {
            assert_eq!(read(b"EHLO x\nMAIL\r\na\n", by), b"EHLO x\r\nMAIL\r\r\na\r\n", "a CR is not dropped");
            assert_eq!(read(b"EHLO x\r\nDATA\n.\r\n", by), b"EHLO x\r\nDATA\n.\r\n");
        }
    }
}
