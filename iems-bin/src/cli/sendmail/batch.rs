//! `-bS`: a batch of messages on standard input, without replies.
//!
//! As Exim does it: the first error ends the batch. Three lines on standard output say to programs what is wrong and where, standard error says it
//! to people; the exit code is 1 if messages before it were accepted, else 2.

use std::io::Read;

use iems_core::message::{EnhancedStatus, Envelope, ForwardPath, Mailbox, Reply};
use iems_smtp::batch::{BatchError, BatchLimits, BatchLineEnds, BatchParser, Event};

use crate::admin::office::{Office, Submission};
use crate::admin::request::{Addressee, Letter};
use crate::admin::with_submission;
use crate::config::Config;
use crate::exit::Failure;
use crate::mail::sender;

/// How much is read at a time, in octets.
const PIECE: usize = 64 * 1024;

/// Why a batch ended early: the reply for programs, where it began, and the line.
struct Trouble {
    reply: String,
    started: Option<u64>,
    line: u64,
    command: Option<String>,
}

/// What is open: an envelope, or the text behind it.
#[derive(Default)]
struct Open {
    letter: Option<Letter>,
    submission: Option<Box<dyn Submission>>,
}

/// Submits all of a batch. `-f` replaces every sender but the null one.
pub(super) fn run(config: &Config, from: Option<&str>) -> Result<(), Failure> {
    let from = from.map(|from| sender(Some(from), &config.hostname)).transpose()?;
    let replaced = from.as_ref().and_then(|from| from.mailbox().cloned());
    let mut parser = BatchParser::new(BatchLineEnds::LfToo, BatchLimits::default());
    parser = parser.qualify(config.hostname.clone());
    let (accepted, trouble) = with_submission(config, async |office| {
        let mut accepted = 0;
        let end = take(office, &mut parser, replaced.as_ref(), &config.hostname, &mut accepted).await;
        Ok((accepted, end.err()))
    })?;
    match trouble {
        None => Ok(()),
        Some(trouble) => Err(report(&trouble, accepted)),
    }
}

async fn take(
    office: &dyn Office,
    parser: &mut BatchParser,
    replaced: Option<&Mailbox>,
    site: &iems_core::message::Domain,
    accepted: &mut u64,
) -> Result<(), Trouble> {
    let (mut input, mut buffer, mut open) = (std::io::stdin().lock(), vec![0; PIECE], Open::default());
    loop {
        let read = input.read(&mut buffer).map_err(|e| at(parser, &Failure::io(e)))?;
        if read == 0 {
            return parser.finish().map_err(Into::into);
        }
        parser.push(buffer.get(..read).unwrap_or_default());
        while let Some(event) = parser.event()? {
            let done = step(office, &mut open, event, replaced, site).await;
            *accepted += u64::from(done.map_err(|failure| at(parser, &failure))?);
        }
    }
}

/// Does what an event says; gives whether a message was accepted.
async fn step(
    office: &dyn Office,
    open: &mut Open,
    event: Event,
    replaced: Option<&Mailbox>,
    site: &iems_core::message::Domain,
) -> Result<bool, Failure> {
    match event {
        Event::Mail(mail) => open.letter = Some(letter(mail.envelope, replaced)),
        Event::Rcpt(rcpt) => {
            let address = match rcpt.path {
                ForwardPath::Mailbox(address) => address,
                ForwardPath::Postmaster => format!("postmaster@{site}").parse().map_err(Failure::data)?,
            };
            let recipient = Addressee { address, notify: rcpt.notify, original: rcpt.original };
            open.letter.iter_mut().for_each(|letter| letter.recipients.push(recipient.clone()));
        }
        Event::Text => {
            if let Some(letter) = open.letter.take() {
                open.submission = Some(office.submit(letter).await?);
            }
        }
        Event::Octets(octets) => {
            if let Some(submission) = &mut open.submission {
                submission.write(octets).await?;
            }
        }
        Event::End => {
            if let Some(submission) = open.submission.take() {
                submission.commit().await?;
                return Ok(true);
            }
        }
        Event::Reset | Event::Quit => *open = Open::default(),
    }
    Ok(false)
}

fn letter(mut envelope: Envelope, replaced: Option<&Mailbox>) -> Letter {
    if let (Some(_), Some(by)) = (envelope.sender.mailbox(), replaced) {
        envelope.sender = iems_core::message::ReversePath::Mailbox(by.clone());
    }
    Letter { envelope, recipients: Vec::new() }
}

/// A refusal of the engine, at the place where the batch is.
fn at(parser: &BatchParser, failure: &Failure) -> Trouble {
    let later = failure.code == Failure::later("").code;
    let (code, class) = if later { (451, 4) } else { (554, 5) };
    let reply = Reply::new(code, EnhancedStatus::new(class, 0, 0), failure.message.clone());
    let (started, line) = parser.place();
    Trouble { reply: reply.to_string(), started, line, command: None }
}

impl From<BatchError> for Trouble {
    fn from(error: BatchError) -> Self {
        let reply = error.fault.reply().to_string();
        Self { reply, started: error.started, line: error.line, command: error.command }
    }
}

/// Says what is wrong, to programs and to people.
fn report(trouble: &Trouble, accepted: u64) -> Failure {
    println!("{}", trouble.reply.replace(['\r', '\n'], " "));
    if let Some(started) = trouble.started {
        println!("Transaction started in line {started}");
    }
    println!("Error detected in line {}", trouble.line);
    let command = trouble.command.as_ref().map(|command| format!("\nThe command was: {command}"));
    let message = format!(
        "the batch ended at an error in line {}: {}{}\n{accepted} message(s) before it were accepted; nothing behind it was looked at",
        trouble.line,
        trouble.reply,
        command.unwrap_or_default()
    );
    Failure { code: if accepted > 0 { 1 } else { 2 }, message }
}
