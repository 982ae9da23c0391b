//! How commands are printed: by their words, without what is secret.

use std::fmt;

use super::{Command, CommandBody};

impl Command {
    /// The command's word, for logs and answers: `FETCH` also for `UID FETCH`.
    pub const fn word(&self) -> &'static str {
        self.body.word()
    }
}

impl CommandBody {
    /// The command's word, for logs and answers: `FETCH` also for `UID FETCH`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Capability => "CAPABILITY",
            Self::Noop => "NOOP",
            Self::Logout => "LOGOUT",
            Self::Id(_) => "ID",
            Self::StartTls => "STARTTLS",
            Self::Authenticate { .. } => "AUTHENTICATE",
            Self::Login { .. } => "LOGIN",
            Self::Unauthenticate => "UNAUTHENTICATE",
            Self::Compress(_) => "COMPRESS",
            Self::Enable(_) => "ENABLE",
            Self::Select { .. } => "SELECT",
            Self::Examine { .. } => "EXAMINE",
            Self::Create { .. } => "CREATE",
            Self::Delete(_) => "DELETE",
            Self::Rename { .. } => "RENAME",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::Unsubscribe(_) => "UNSUBSCRIBE",
            Self::List(_) => "LIST",
            Self::Lsub { .. } => "LSUB",
            Self::Namespace => "NAMESPACE",
            Self::Status { .. } => "STATUS",
            Self::Append { .. } => "APPEND",
            Self::Replace { .. } => "REPLACE",
            Self::Idle => "IDLE",
            Self::Close => "CLOSE",
            Self::Unselect => "UNSELECT",
            Self::Check => "CHECK",
            Self::Expunge { .. } => "EXPUNGE",
            Self::Search { .. } => "SEARCH",
            Self::Sort { .. } => "SORT",
            Self::Thread { .. } => "THREAD",
            Self::Fetch { .. } => "FETCH",
            Self::Store { .. } => "STORE",
            Self::Copy { .. } => "COPY",
            Self::Move { .. } => "MOVE",
            Self::GetQuota(_) => "GETQUOTA",
            Self::GetQuotaRoot(_) => "GETQUOTAROOT",
            Self::SetQuota { .. } => "SETQUOTA",
            Self::GetAcl(_) => "GETACL",
            Self::SetAcl { .. } => "SETACL",
            Self::DeleteAcl { .. } => "DELETEACL",
            Self::ListRights { .. } => "LISTRIGHTS",
            Self::MyRights(_) => "MYRIGHTS",
            Self::GetMetadata { .. } => "GETMETADATA",
            Self::SetMetadata { .. } => "SETMETADATA",
            Self::Notify(_) => "NOTIFY",
        }
    }
}

impl fmt::Debug for CommandBody {
    /// The word and, where it helps and is no secret, the arguments.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        match self {
            Self::Authenticate { mechanism, .. } => write!(f, "{word} {mechanism}"),
            Self::Login { login, .. } => write!(f, "{word} {login:?}"),
            Self::Id(fields) => write!(f, "{word} {fields:?}"),
            Self::Enable(names) => write!(f, "{word} {names:?}"),
            Self::Select { mailbox, parameters } | Self::Examine { mailbox, parameters } => {
                write!(f, "{word} {mailbox:?} {parameters:?}")
            }
            Self::Create { mailbox, special_use } => write!(f, "{word} {mailbox:?} {special_use:?}"),
            Self::Rename { from, to } => write!(f, "{word} {from:?} {to:?}"),
            Self::List(list) => write!(f, "{word} {list:?}"),
            Self::Lsub { reference, pattern } => write!(f, "{word} {reference:?} {pattern:?}"),
            Self::Status { mailbox, items } => write!(f, "{word} {mailbox:?} {items:?}"),
            Self::Replace { uid, message, mailbox } => write!(f, "{word} {uid} {message:?} {mailbox:?}"),
            Self::Expunge { uids } => write!(f, "{word} {uids:?}"),
            Self::Search { uid, search } => write!(f, "{word} {uid} {search:?}"),
            Self::Sort { uid, sort } => write!(f, "{word} {uid} {sort:?}"),
            Self::Thread { uid, thread } => write!(f, "{word} {uid} {thread:?}"),
            Self::Fetch { uid, fetch } => write!(f, "{word} {uid} {fetch:?}"),
            Self::Store { uid, store } => write!(f, "{word} {uid} {store:?}"),
            Self::Copy { uid, messages, mailbox } | Self::Move { uid, messages, mailbox } => {
                write!(f, "{word} {uid} {messages:?} {mailbox:?}")
            }
            Self::SetQuota { root, limits } => write!(f, "{word} {root:?} {limits:?}"),
            Self::SetAcl { mailbox, identifier, change, rights } => {
                write!(f, "{word} {mailbox:?} {identifier:?} {change:?} {rights}")
            }
            Self::DeleteAcl { mailbox, identifier } | Self::ListRights { mailbox, identifier } => {
                write!(f, "{word} {mailbox:?} {identifier:?}")
            }
            Self::GetMetadata { mailbox, options, entries } => {
                write!(f, "{word} {mailbox:?} {options:?} {entries:?}")
            }
            Self::SetMetadata { mailbox, entries } => write!(f, "{word} {mailbox:?} {entries:?}"),
            Self::Notify(notify) => write!(f, "{word} {notify:?}"),
            Self::Compress(name)
            | Self::Delete(name)
            | Self::Subscribe(name)
            | Self::Unsubscribe(name)
            | Self::Append { mailbox: name }
            | Self::GetQuota(name)
            | Self::GetQuotaRoot(name)
            | Self::GetAcl(name)
            | Self::MyRights(name) => write!(f, "{word} {name:?}"),
            _ => f.write_str(word),
        }
    }
}
