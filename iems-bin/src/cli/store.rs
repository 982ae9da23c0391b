//! `iems store`: checking and mending what is kept, while no server runs; and mail in and out as files, whether one does or not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use iems_core::message::Mailbox;
use iems_store::transfer::Format;
use serde::Serialize;

use super::output::{note, octets, printable, show, warn};
use crate::admin::request::Request;
use crate::admin::transfer::{Kept, TransferAnswer, TransferOrder, Trouble};
use crate::admin::{converse, with_site};
use crate::config;
use crate::exit::Failure;
use crate::site::Site;

/// How often is asked how far it is: soon at first, then less often.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(300);

/// What is kept: check and mend it, bring mail in and out
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems store check --bodies\n  iems store check --mend --json\n  iems store export ann@example.org /backup/ann --format maildir\n  iems store import ann@example.org /home/ann/Maildir --format maildir\n  iems store import ann@example.org old.mbox --format mbox --into Old\n\nBoth ways can be interrupted: the same command goes on where it was.\nWhat cannot be read is named and left out; exit code 65 then. See docs/moving.md for moving from other servers.\nImports and exports go beside a running server, which reads and writes the files; a check needs the store for itself."
)]
pub(super) enum Args {
    /// Compare counters, quota, indexes and logs with the mail that is there (stop the server first); exit code 65 if something is wrong
    Check {
        /// Only this account
        address: Option<Mailbox>,
        /// Mend what can be mended
        #[arg(long)]
        mend: bool,
        /// Read each body too
        #[arg(long)]
        bodies: bool,
        /// As JSON: an object with what was counted and found
        #[arg(long)]
        json: bool,
        /// Say nothing on the way
        #[arg(long)]
        quiet: bool,
    },
    /// Write an account's mail to files; what is there already is left out
    Export {
        /// The account
        address: Mailbox,
        /// The folder for the files
        folder: PathBuf,
        /// maildir, mbox or eml
        #[arg(long)]
        format: Format,
        /// Only this mailbox
        #[arg(long)]
        mailbox: Option<String>,
        /// As JSON: an object with what was done
        #[arg(long)]
        json: bool,
        /// Say nothing on the way
        #[arg(long)]
        quiet: bool,
    },
    /// Bring mail from files into an account; what it has already is left out
    Import {
        /// The account
        address: Mailbox,
        /// A folder, or an mbox file
        source: PathBuf,
        /// maildir, mbox or eml
        #[arg(long)]
        format: Format,
        /// The mailbox for what stands in no folder of its own
        #[arg(long, default_value = "INBOX")]
        into: String,
        /// Give all messages new UIDs, also where they could keep those that mail programs know
        #[arg(long)]
        new_uids: bool,
        /// As JSON: an object with what was done
        #[arg(long)]
        json: bool,
        /// Say nothing on the way
        #[arg(long)]
        quiet: bool,
    },
}

/// What a check counted and found.
#[derive(Debug, Default, Serialize)]
struct Checked {
    accounts: u64,
    mailboxes: u64,
    messages: u64,
    octets: u64,
    /// Deleted mailboxes and removed accounts whose mail was still there.
    purged: usize,
    mended: bool,
    /// Whether bodies were read.
    bodies: bool,
    findings: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    account: String,
    mailbox: Option<String>,
    kind: &'static str,
    detail: String,
    mendable: bool,
}

/// What an export or import did.
#[derive(Debug, Default, Serialize)]
struct Moved {
    mailboxes: u64,
    messages: u64,
    octets: u64,
    left_out: u64,
    refused: u64,
    problems: Vec<Trouble>,
    /// For each mailbox that came in, whether UIDs were kept.
    uids: Vec<Kept>,
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Check { address, mend, bodies, json, quiet } => {
                let checked = with_site(file, async |site| check(site, address, mend, bodies, quiet).await)?;
                let mendable = checked.findings.iter().filter(|found| found.mendable).count();
                let others = checked.findings.len() - mendable;
                show(&checked, json, told)?;
                match (others, if mend { 0 } else { mendable }) {
                    (0, 0) => Ok(()),
                    (others, 0) => {
                        Err(Failure::data(format!("{others} things are wrong and cannot be mended")))
                    }
                    (others, mendable) => Err(Failure::data(format!(
                        "{} things are wrong; `iems store check --mend` mends {mendable} of them",
                        others + mendable
                    ))),
                }
            }
            Self::Export { address, folder, format, mailbox, json, quiet } => {
                let (format, out) = (format.to_string(), true);
                let order = TransferOrder { out, address, place: folder, format, mailbox, new_uids: false };
                let why = "messages were not written, as was said of each";
                moved(transfer(file, order, quiet)?, json, "written to files", why)
            }
            Self::Import { address, source, format, into, new_uids, json, quiet } => {
                let (format, out, mailbox) = (format.to_string(), false, Some(into));
                let order = TransferOrder { out, address, place: source, format, mailbox, new_uids };
                let why = "files or folders were refused, as was said of each; mend them, and run the same command again";
                moved(transfer(file, order, quiet)?, json, "brought in", why)
            }
        }
    }
}

/// Has the server bring mail in or out, or does it here while none runs.
fn transfer(file: Option<&Path>, mut order: TransferOrder, quiet: bool) -> Result<Moved, Failure> {
    // The server has a working folder of its own.
    order.place = std::path::absolute(&order.place)
        .map_err(|error| Failure::io(format!("{}: {error}", order.place.display())))?;
    let config = config::load(file)?.config;
    let (mut done, mut told, mut pause) = (Moved::default(), String::new(), SHORTEST);
    let first = Request::StoreTransfer { order };
    converse(&config, first, |answer: Result<TransferAnswer, Failure>| {
        let answer = answer?;
        for problem in &answer.problems {
            // Also to those who want to hear nothing on the way.
            warn(printable(&format!("{}: {}", problem.path, problem.why)));
        }
        let line =
            format!("{}: {} messages, {} were there", answer.mailbox, answer.messages, answer.left_out);
        if line != told && !answer.mailbox.is_empty() {
            note(quiet, format_args!("{line}"));
            told = line;
        }
        done.problems.extend(answer.problems);
        done.uids = answer.uids;
        (done.mailboxes, done.messages, done.octets) = (answer.mailboxes, answer.messages, answer.octets);
        (done.left_out, done.refused) = (answer.left_out, answer.refused);
        match (answer.ended, answer.failure) {
            (true, Some(failure)) => return Err(failure),
            (true, None) => return Ok(None),
            (false, _) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST);
        Ok(Some(Request::StoreTransferred { id: answer.id, told: done.problems.len() }))
    })?;
    Ok(done)
}

async fn account(site: &Site, address: &Mailbox) -> Result<iems_store::mailbox::AccountId, Failure> {
    let account = site.directory.account(address).await?;
    let account = account.ok_or_else(|| Failure::no_user(format!("there is no account {address} here")))?;
    Ok(account.id)
}

async fn check(
    site: &Site,
    address: Option<Mailbox>,
    mend: bool,
    bodies: bool,
    quiet: bool,
) -> Result<Checked, Failure> {
    let mailboxes = site.directory.mailboxes();
    let purged = mailboxes.purge_removed().await?;
    let mut all = Checked { purged, mended: mend, bodies, ..Checked::default() };
    let mut accounts = Vec::new();
    match &address {
        Some(address) => accounts.push((address.to_string(), account(site, address).await?)),
        None => {
            for account in site.every_account().await? {
                accounts.push((account.mailbox.to_string(), account.id));
            }
        }
    }
    for (name, account) in accounts {
        let mut progress = |messages: u64| note(quiet, format_args!("{name}: {messages} messages checked"));
        let checked = mailboxes.check(account, mend, bodies, &mut progress).await?;
        all.accounts += 1;
        all.mailboxes += checked.mailboxes;
        all.messages += checked.messages;
        all.octets += checked.octets;
        for finding in checked.findings {
            let mailbox = match finding.mailbox {
                Some(mailbox) => mailboxes.path(account, mailbox).await?.or(Some(mailbox.0.to_string())),
                None => None,
            };
            let (kind, detail, mendable) = (finding.kind, finding.detail, finding.mendable);
            all.findings.push(Found { account: name.clone(), mailbox, kind, detail, mendable });
        }
    }
    Ok(all)
}

fn told(checked: &Checked) -> String {
    let Checked { accounts, mailboxes, messages, octets: size, purged, mended, bodies, findings } = checked;
    let mut text = String::new();
    for Found { account, mailbox, kind, detail, mendable } in findings {
        let place =
            mailbox.as_ref().map_or_else(|| account.clone(), |mailbox| format!("{account} {mailbox}"));
        let end = match (*mendable, *mended) {
            (true, true) => " (mended)",
            (true, false) => "",
            (false, _) => " (cannot be mended: take it from a backup)",
        };
        text.push_str(&format!("{place}: {kind}: {detail}{end}\n"));
    }
    if *purged > 0 {
        text.push_str(&format!("left-over mail of {purged} deleted mailboxes and accounts removed\n"));
    }
    let found = match findings.len() {
        0 if *bodies => "nothing is wrong".into(),
        0 => "nothing is wrong; bodies were not read (--bodies)".into(),
        found => format!("{found} findings"),
    };
    let size = octets(*size);
    text + &format!("{accounts} accounts, {mailboxes} mailboxes, {messages} messages, {size} octets: {found}")
}

fn moved(done: Moved, json: bool, what: &str, why: &str) -> Result<(), Failure> {
    let refused = done.refused;
    show(&done, json, |Moved { messages, mailboxes, octets: size, left_out, uids, .. }| {
        let size = octets(*size);
        let head = format!(
            "{messages} messages of {mailboxes} mailboxes {what}, {size} octets; {left_out} were there, {refused} refused"
        );
        let line = |one: &Kept| {
            let mailbox = printable(&one.mailbox);
            match (one.kept, &one.why[..]) {
                (true, "") => format!("\n{mailbox}: UIDs kept"),
                (true, why) => format!("\n{mailbox}: UIDs kept, but {why}"),
                (false, why) => format!("\n{mailbox}: new UIDs: {why}"),
            }
        };
        head + &uids.iter().map(line).collect::<String>()
    })?;
    match refused {
        0 => Ok(()),
        _ => Err(Failure::data(format!("{refused} {why}"))),
    }
}
