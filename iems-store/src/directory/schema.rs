//! The directory schema: every key and row under the namespace `D`. No I/O.
//!
//! `D` is a domain, `L` a local part in lower case; neither can hold a zero byte, which stands between them.
//!
//! | key | value |
//! |---|---|
//! | `Dd D` | the domain: catch-all, postmaster, rules |
//! | `Dm D` | counter: accounts and aliases of the domain; a domain is empty when it is absent |
//! | `Da D 0 L` | the account: number, INBOX, settings; no secrets |
//! | `Ds D 0 L` | the account's secret: Argon2id hash, or the hash of another server, and SCRAM verifier |
//! | `Di D 0 number` | the local part of the account with this number: the oldest first |
//! | `Dl D 0 L` | the alias: its targets |
//! | `Dp D 0 L 0 name` | an app password: whose, its secret, services and times |
//! | `Db D 0 L` | the services for which the main password is not taken |
//! | `Dc mark` | the certificate with this SHA-256: the account it is bound to |
//! | `Dx A` | the INBOX of the account with the number `A` (8 bytes), where an import put another in the place of its first |
//! | `Dn` | counter: the last account number |
//! | `U D 0 L 0 name` | when an app password was used last, and for what; apart, so that a login wakes nobody who watches the directory |

use iems_core::message::{Domain, LocalPart, Mailbox};
use iems_core::seam::{CertificateMark, Timestamp};
use iems_core::storage::{Slot, StoreError, Template};
use serde::{Deserialize, Serialize};

use super::account::AccountSettings;
use crate::mailbox::{AccountId, MailboxId};
use crate::rows;

/// The namespace of the directory in the key space.
pub const NAMESPACE: u8 = b'D';

/// The namespace of what is known of uses.
pub const USES: u8 = b'U';

/// The key of the counter of account numbers.
pub(super) const LAST_ACCOUNT: &[u8] = &[NAMESPACE, b'n'];

/// What stands in an account's row behind its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AccountRow {
    pub(super) inbox: MailboxId,
    pub(super) created: Timestamp,
    pub(super) settings: AccountSettings,
}

/// What stands in the row of a certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CertificateRow {
    pub(super) account: AccountId,
    pub(super) mailbox: Mailbox,
}

/// The prefix of all certificates.
pub(super) fn certificates() -> Vec<u8> {
    vec![NAMESPACE, b'c']
}

/// The key of a certificate.
pub(super) fn certificate(mark: &CertificateMark) -> Vec<u8> {
    [&certificates()[..], &mark.0].concat()
}

/// The key of the INBOX of an account, where it is not the one that it was made with.
pub(crate) fn inbox(account: AccountId) -> Vec<u8> {
    [&[NAMESPACE, b'x'][..], &account.0.to_be_bytes()].concat()
}

/// A kind of key that begins with a domain and ends with a local part.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Of {
    Account = b'a',
    Secret = b's',
    Alias = b'l',
    AppPassword = b'p',
    Bar = b'b',
}

pub(super) fn domain(domain: &Domain) -> Vec<u8> {
    [&[NAMESPACE, b'd'], domain.as_str().as_bytes()].concat()
}

pub(super) fn members(domain: &Domain) -> Vec<u8> {
    [&[NAMESPACE, b'm'], domain.as_str().as_bytes()].concat()
}

/// The prefix of all keys of one kind in a domain.
pub(super) fn all(of: Of, domain: &Domain) -> Vec<u8> {
    [&[NAMESPACE, of as u8], domain.as_str().as_bytes(), &[0]].concat()
}

/// The key of one kind for a mailbox, which must be folded.
pub(super) fn one(of: Of, mailbox: &Mailbox) -> Vec<u8> {
    let mut key = all(of, mailbox.domain());
    key.extend_from_slice(mailbox.local().as_str().as_bytes());
    key
}

/// The key of an app password; without a name, the prefix of all of the mailbox, which must be folded.
pub(super) fn app_password(mailbox: &Mailbox, name: &str) -> Vec<u8> {
    [&one(Of::AppPassword, mailbox)[..], &[0], name.as_bytes()].concat()
}

/// The key of the last use of an app password.
pub(super) fn app_password_use(mailbox: &Mailbox, name: &str) -> Vec<u8> {
    let (domain, local) = (mailbox.domain().as_str().as_bytes(), mailbox.local().as_str().as_bytes());
    [&[USES], domain, &[0], local, &[0], name.as_bytes()].concat()
}

/// The prefix of the index by age.
pub(super) fn by_age(domain: &Domain) -> Vec<u8> {
    [&[NAMESPACE, b'i'], domain.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn by_age_one(domain: &Domain, account: AccountId) -> Vec<u8> {
    [&by_age(domain)[..], &account.0.to_be_bytes()].concat()
}

/// The mailbox of a key made by [`one`].
pub(super) fn mailbox(key: &[u8], prefix: usize, domain: &Domain) -> Result<Mailbox, StoreError> {
    local(key.get(prefix..).unwrap_or_default(), domain)
}

/// The mailbox of a local part in a row.
pub(super) fn local(bytes: &[u8], domain: &Domain) -> Result<Mailbox, StoreError> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| LocalPart::from_content(text).ok());
    let local = text.ok_or_else(|| StoreError::Corrupt("a local part in the directory".into()))?;
    Ok(Mailbox::new(local, domain.clone()))
}

pub(super) fn new_account(number: Slot, row: &AccountRow) -> Result<Template, StoreError> {
    let rest = rows::encode(row)?;
    Ok(Template::from(&[rows::VERSION]).number(number, 0).bytes(&rest[1..]))
}

pub(super) fn account(id: AccountId, row: &AccountRow) -> Result<Vec<u8>, StoreError> {
    let rest = rows::encode(row)?;
    Ok([&[rows::VERSION], &id.0.to_be_bytes()[..], &rest[1..]].concat())
}

pub(super) fn read_account(bytes: &[u8]) -> Result<(AccountId, AccountRow), StoreError> {
    let (id, rest) = rows::number(rows::versioned(bytes, "an account")?, "an account")?;
    let row = postcard::from_bytes(rest).map_err(|e| StoreError::Corrupt(format!("an account: {e}")))?;
    Ok((AccountId(id), row))
}
