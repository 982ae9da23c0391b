//! `iems sendmail`: the command line that other programs expect of a mail system.
//!
//! Also reached by the name the program is called with. Messages come from standard input; nothing
//! of one is held in memory but its header section.

mod back;
mod batch;
mod mailq;
mod session;
mod words;

use std::path::Path;

use iems_core::message::{Envelope, Mailbox, ReversePath};

use crate::admin::queue::{Extent, Filter, Order, OrderAnswer};
use crate::admin::request::{Addressee, Letter, Request};
use crate::admin::{answer::RouteAnswer, ask, submit, with_submission};
use crate::config::Config;
use crate::exit::Failure;
use crate::mail::{Header, Input, recipients, sender};
use words::{Mode, Tell, Words};

const HELP: &str = "\
Modes, one of:
  -bm         submit the message on standard input (the default)
  -bS         submit a batch of messages in SMTP commands, without replies; see docs/sendmail.md for its errors
  -bs         an SMTP session on standard input and output
  -bp         show the queue, as `mailq` does
  -bv         say of each recipient where mail for it would go; nothing is sent
  -bi, -I     nothing to do: aliases are in the store; also `newaliases`
  -q          try all that waits now; -qI ID, -qR DOMAIN or ADDRESS, -qS SENDER: only that
Submitting:
  -t          take recipients from To, Cc and Bcc (or Resent-To ...) as well; Bcc is removed
  -i, -oi     a line with a single dot does not end the message
  -f, -r ADDRESS   the envelope sender; '<>' for none
  -F NAME     the full name for a From field, where the message has none
  -N WHEN     never, or success, failure, delay, with commas between them (RFC 3461)
  -R WHAT     full or hdrs: how much of the message a report has
  -V ID       an envelope id for reports
  -oem, -em   mail an error back to the sender as well; -oee the same, and exit 0; -oeq say nothing of it
  -v          say the queue id
Taken and without effect (docs/sendmail.md says why): -A -B -G -L -O -U -X -h -m -n -o... -d -x -p

Examples:
  printf 'Subject: hello\\n\\nHello\\n' | iems sendmail ann@example.org
  iems sendmail -t -i < message.eml
  ln -s iems /usr/sbin/sendmail               it may be called by that name, and as mailq and newaliases

Exit codes: 0 accepted and durable, 64 usage, 65 a bad address, 67 no such recipient, 68 no such domain, 69 refused, 75 try again later.";

/// Submit a message from standard input, as `sendmail` does.
///
/// All recipients are taken or none: if one is refused, nothing is sent and the exit code says why.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP, disable_help_flag = true)]
pub(super) struct Args {
    /// Show this help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
    /// Flags of sendmail, and recipients; one without a domain gets the server's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS AND RECIPIENTS")]
    words: Vec<String>,
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let words = Words::read(self.words)?;
        let named = words.config.clone();
        let file = named.as_deref().or(file);
        match words.mode {
            Mode::Submit => one(&load(file)?, words),
            Mode::Batch => batch::run(&load(file)?, words.sender.as_deref()),
            Mode::Session => session::run(&load(file)?),
            Mode::Verify => verify(file, &words.recipients, &load(file)?),
            Mode::Queue => mailq::run(file),
            Mode::Aliases => {
                println!(
                    "iems: aliases are in the store and hold at once: nothing to rebuild (`iems alias list`)"
                );
                Ok(())
            }
            Mode::Retry(filter) => retry(file, *filter),
        }
    }
}

fn load(file: Option<&Path>) -> Result<Config, Failure> {
    Ok(crate::config::load(file)?.config)
}

/// Submits one message.
fn one(config: &Config, words: Words) -> Result<(), Failure> {
    let site = &config.hostname;
    let mut input = Input::new(std::io::stdin().lock(), !words.ignore_dots);
    let sender: ReversePath = sender(words.sender.as_deref(), site)?;
    let mut to: Vec<Mailbox> = recipients(&words.recipients, site)?;
    let mut header = Header::read(&mut input)?;
    if words.from_header {
        to.extend(header.take_recipients(site)?);
    }
    if to.is_empty() {
        return Err(Failure::usage(
            "there are no recipients: name them, or use -t to take them from the header",
        ));
    }
    header.complete(&sender, words.full_name.as_deref(), site);
    let envelope = Envelope { ret: words.ret, id: words.id.clone(), ..Envelope::new(sender.clone()) };
    let addressee = |address| Addressee { address, notify: words.notify, original: None };
    let letter = Letter { envelope, recipients: to.into_iter().map(addressee).collect() };
    let fields = header.fields().to_vec();
    let pieces = std::iter::once(Ok(header.into_bytes())).chain(input);
    match with_submission(config, async |office| submit(office, letter, pieces).await) {
        Ok(submitted) => {
            if words.verbose {
                eprintln!("iems: accepted as {}", submitted.id);
            }
            Ok(())
        }
        Err(failure) => told(config, words.tell, failure, &sender, &fields),
    }
}

/// An error, to whom it is to be told.
fn told(
    config: &Config,
    tell: Tell,
    failure: Failure,
    sender: &ReversePath,
    fields: &[u8],
) -> Result<(), Failure> {
    match tell {
        Tell::Print => Err(failure),
        Tell::Quiet => std::process::exit(i32::from(failure.code)),
        Tell::Mail { succeed } => match back::mail(config, &failure, sender, fields) {
            Ok(()) if succeed => Ok(()),
            Ok(()) => Err(failure),
            Err(second) => Err(Failure {
                message: format!("{failure} (mailing this back failed too: {second})"),
                ..failure
            }),
        },
    }
}

/// Where mail for each address would go; the exit code is that of the first that is refused.
fn verify(file: Option<&Path>, words: &[String], config: &Config) -> Result<(), Failure> {
    let to = recipients(words, &config.hostname)?;
    if to.is_empty() {
        return Err(Failure::usage("there are no recipients: name those that are to be verified"));
    }
    let mut refused = 0;
    for address in to {
        let answer: RouteAnswer = ask(file, Request::Route { address: address.clone() })?;
        match answer.reply {
            Some(reply) => {
                refused += 1;
                println!("{address}... undeliverable: {reply}");
            }
            None => {
                let ways =
                    answer.ways.iter().map(|way| format!("{}:{} {}", way.channel, way.hop, way.address));
                println!("{address}... deliverable: {}", ways.collect::<Vec<_>>().join(", "));
            }
        }
    }
    match refused {
        0 => Ok(()),
        n => Err(Failure::no_user(format!("mail for {n} of the recipients would be refused"))),
    }
}

/// Tries what waits now.
fn retry(file: Option<&Path>, filter: Filter) -> Result<(), Failure> {
    let request = Request::QueueOrder { filter, order: Order::Retry, extent: Extent::default() };
    ask::<OrderAnswer>(file, request).map(|_| ())
}
