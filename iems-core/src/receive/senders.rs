//! Who may send as whom: the reverse-path, and the authors in the header section.
//!
//! The rights themselves are the directory's answers; here stands where they are asked for.

use super::Connection;
use crate::engine::Shared;
use crate::message::{EnhancedStatus, Mailbox, Reply, TraceScan, authors};
use crate::seam::{Account, DirectoryError, Resolution};
use crate::settings::Settings;

/// Whose reverse-paths are taken over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderMatch {
    /// Anybody's.
    Off,
    /// Of whoever has logged in, only those that are theirs.
    #[default]
    Own,
    /// The same; and of whoever has not, none that is somebody's here, unless they may relay.
    Strict,
}

/// What follows where whoever has logged in names authors that are not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthorMatch {
    /// Nothing.
    #[default]
    Off,
    /// The message tells of it.
    Tag,
    /// It is refused.
    Refuse,
}

/// The most authors that are looked at.
const AUTHORS: usize = 100;

/// Whether the reverse-path may be used.
pub(super) async fn may_send(
    shared: &Shared,
    settings: &Settings,
    connection: &Connection,
    sender: Option<&Mailbox>,
) -> Result<(), Reply> {
    let Some(sender) = sender else { return Ok(()) };
    match (&connection.account, connection.senders) {
        (_, SenderMatch::Off) | (None, SenderMatch::Own) => Ok(()),
        (Some(account), _) => match shared.directory.may_send_as(account, sender).await.map_err(away)? {
            true => Ok(()),
            false => Err(not_yours(sender).because(format!("the account is {}", account.mailbox))),
        },
        (None, SenderMatch::Strict) if settings.relay.trusts(connection) => Ok(()),
        (None, SenderMatch::Strict) => match shared.directory.resolve(sender).await.map_err(away)? {
            Resolution::Targets(_) | Resolution::Refused(_) => Err(Reply::new(
                553,
                EnhancedStatus::new(5, 7, 1),
                format!("the sender address {sender} is somebody's here; log in to send from it"),
            )),
            Resolution::Foreign | Resolution::Unknown => Ok(()),
        },
    }
}

/// Why the authors of a message are not those of its account; `None` if they are.
pub(super) async fn stranger(
    shared: &Shared,
    account: &Account,
    scan: &TraceScan,
) -> Result<Option<String>, Reply> {
    let (fields, whole) = scan.authors();
    if !whole {
        return Ok(Some("too many authors to be looked at".into()));
    }
    let bodies = fields.iter().map(|field| field.split_once(':').map_or("", |(_, body)| body));
    let lists: Result<Vec<_>, _> = bodies.map(authors::addresses).collect();
    let Ok(lists) = lists else { return Ok(Some("From or Sender cannot be understood".into())) };
    for (seen, address) in lists.into_iter().flatten().enumerate() {
        let mailbox: Option<Mailbox> = address.parse().ok();
        let may = match mailbox {
            Some(mailbox) if seen < AUTHORS => {
                shared.directory.may_send_as(account, &mailbox).await.map_err(away)?
            }
            _ => false,
        };
        if !may {
            let shown: String = address.chars().filter(|c| !c.is_control()).take(320).collect();
            return Ok(Some(format!("{shown} is no address of {}", account.mailbox)));
        }
    }
    Ok(None)
}

fn not_yours(sender: &Mailbox) -> Reply {
    Reply::new(
        553,
        EnhancedStatus::new(5, 7, 1),
        format!("the sender address {sender} does not belong to this account; send from one that does"),
    )
}

/// The reply to a message with other authors.
pub(super) fn refused(why: &str) -> Reply {
    let text = "the author in From or Sender is not you; use an address of your account";
    Reply::new(550, EnhancedStatus::new(5, 7, 1), text).because(why.to_owned())
}

fn away(error: DirectoryError) -> Reply {
    Reply::defer(3, 0, "the directory does not answer; try again later").because(error.to_string())
}
