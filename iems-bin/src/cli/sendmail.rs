//! `iems sendmail`: the command line that other programs expect of a mail system.
//!
//! Also reached by the name the program is called with. The message comes from standard input; nothing
//! of it is held in memory but its header section.

use std::path::Path;

use iems_core::message::{Mailbox, ReversePath};

use crate::admin::submit;
use crate::exit::Failure;
use crate::mail::{Header, Input, recipients, sender};

/// Submit a message from standard input, as `sendmail` does.
///
/// All recipients are taken or none: if one is refused, nothing is sent and the exit code says why.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  printf 'Subject: hello\\n\\nHello\\n' | iems sendmail ann@example.org\n  iems sendmail -t -i < message.eml\n  ln -s iems /usr/sbin/sendmail               it may be called by that name\n\nExit codes: 0 accepted and durable, 65 a bad address, 67 no such recipient, 69 refused, 75 try again later."
)]
pub(super) struct Args {
    /// Take recipients from To, Cc and Bcc as well; Bcc is removed
    #[arg(short = 't')]
    from_header: bool,
    /// A line with a single dot does not end the message
    #[arg(short = 'i')]
    ignore_dots: bool,
    /// The envelope sender; '<>' for none
    #[arg(short = 'f', visible_short_alias = 'r', value_name = "ADDRESS")]
    sender: Option<String>,
    /// The full name for a From field, where the message has none
    #[arg(short = 'F', value_name = "NAME")]
    full_name: Option<String>,
    /// Options of sendmail: `-oi` is `-i`, others of delivery and error mode are taken and mean nothing here
    #[arg(short = 'o', value_name = "OPTION", hide = true)]
    options: Vec<String>,
    /// The mode of sendmail: only `-bm`, submitting a message
    #[arg(short = 'b', value_name = "MODE", hide = true, value_parser = ["m"])]
    mode: Option<String>,
    /// The body type of sendmail: found out from the message itself
    #[arg(short = 'B', value_name = "TYPE", hide = true)]
    body_type: Option<String>,
    /// Recipients; one without a domain gets the server's
    recipients: Vec<String>,
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let site = crate::config::load(file)?.config.hostname;
        let dots = self.ignore_dots || self.options.iter().any(|option| option == "i");
        let mut input = Input::new(std::io::stdin().lock(), !dots);
        let mut header = Header::read(&mut input)?;
        let sender: ReversePath = sender(self.sender.as_deref(), &site)?;
        let mut to: Vec<Mailbox> = recipients(&self.recipients, &site)?;
        if self.from_header {
            to.extend(header.take_recipients(&site)?);
        }
        if to.is_empty() {
            return Err(Failure::usage(
                "there are no recipients: name them, or use -t to take them from the header",
            ));
        }
        header.complete(&sender, self.full_name.as_deref(), &site);
        let pieces = std::iter::once(Ok(header.into_bytes())).chain(input);
        submit(file, sender, to, pieces).map(|_| ())
    }
}
