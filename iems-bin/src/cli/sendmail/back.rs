//! An error mailed back to the sender (`-oem`): the message was never accepted, so no report of the queue will tell it.

use bytes::Bytes;
use iems_core::message::{Envelope, ReversePath};

use crate::admin::request::{Addressee, Letter};
use crate::admin::{submit, with_submission};
use crate::config::Config;
use crate::exit::Failure;
use crate::mail::{Header, Input};

/// Mails the error, with the header section of the message. Nobody is told about a message without a sender.
pub(super) fn mail(
    config: &Config,
    failure: &Failure,
    sender: &ReversePath,
    fields: &[u8],
) -> Result<(), Failure> {
    let Some(to) = sender.mailbox() else { return Ok(()) };
    let text = format!(
        "To: {to}\nSubject: Your message was not accepted\nAuto-Submitted: auto-replied\n\
         MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         Your message was not accepted:\n\n{failure}\n\nIts header section:\n\n{}",
        String::from_utf8_lossy(fields)
    );
    let mut input = Input::new(text.as_bytes(), false);
    let mut header = Header::read(&mut input)?;
    header.complete(&ReversePath::Null, Some("Mail Delivery System"), &config.hostname);
    let recipient = Addressee { address: to.clone(), notify: None, original: None };
    let letter = Letter { envelope: Envelope::new(ReversePath::Null), recipients: vec![recipient] };
    let pieces = std::iter::once(Ok::<Bytes, _>(header.into_bytes())).chain(input);
    with_submission(config, async |office| submit(office, letter, pieces).await).map(|_| ())
}
