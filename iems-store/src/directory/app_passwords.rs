//! App passwords: secrets of an account for one program each, good for some services and perhaps for some time.
//!
//! We make the secret ourselves: 100 bits that nobody chose, of which the first 20 tell the app passwords of an account apart, so
//! that a login costs one Argon2id run however many there are. They are bound to the number of the account, which is never used
//! again: when the account goes, they are worth nothing.

use std::sync::Arc;

use iems_core::message::Mailbox;
use iems_core::seam::{Account, Credential, Services, Timestamp};
use iems_core::storage::{Batch, Scan, StoreError};
use serde::{Deserialize, Serialize};

use super::account::Password;
use super::schema::{self, Of};
use super::{ChangeError, Secret, StoreDirectory, TRIES, fold};
use crate::mailbox::AccountId;
use crate::rows;

/// The most app passwords of an account.
pub const MOST_APP_PASSWORDS: usize = 50;
/// The longest name.
const LONGEST_NAME: usize = 32;
/// Digits and letters that are not taken for one another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Five groups of four, with hyphens between.
const GROUPS: usize = 5;
const LENGTH: usize = GROUPS * 5 - 1;
/// What tells the app passwords of an account apart.
const MARK: usize = 4;
/// How late the last use may be told.
const PRECISION: std::time::Duration = std::time::Duration::from_secs(3600);
/// How many last uses are remembered, so that they are not written again.
const USES: usize = 10_000;

/// An app password to be made.
#[derive(Debug, Clone, Default)]
pub struct NewAppPassword {
    /// Its name: 1 to 32 of `a-z 0-9 . _ -`.
    pub name: String,
    /// The services it is for, in the words that servers have for themselves; empty: all.
    pub services: Vec<String>,
    /// From when on it is not taken any more.
    pub expires: Option<Timestamp>,
}

/// An app password. What it is, nobody knows but its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Its name.
    pub name: String,
    /// The services it is for; empty: all.
    pub services: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is not taken any more.
    pub expires: Option<Timestamp>,
    /// When it was used last, up to an hour too early, and for what.
    pub used: Option<(Timestamp, String)>,
}

/// What stands in the row of an app password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AppPasswordRow {
    account: AccountId,
    mark: String,
    secret: Secret,
    services: Vec<Box<str>>,
    created: Timestamp,
    expires: Option<Timestamp>,
}

/// What stands in the row of its last use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct UseRow {
    at: Timestamp,
    service: String,
}

/// What stands in the row of the services for which the main password is not taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BarRow {
    account: AccountId,
    services: Vec<Box<str>>,
}

impl AppPasswordRow {
    fn is_good(&self, account: AccountId, now: Timestamp) -> bool {
        self.account == account && self.expires.is_none_or(|expires| now < expires)
    }

    fn credential(&self, name: &str) -> Credential {
        let services = match self.services.is_empty() {
            true => Services::All,
            false => Services::Only(self.services.clone().into()),
        };
        Credential { name: Some(name.into()), services }
    }
}

impl StoreDirectory {
    /// Makes an app password, and gives back what it is: nobody is told a second time.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`], [`ChangeError::AppPasswordName`], [`ChangeError::AppPasswordExists`],
    /// [`ChangeError::TooManyAppPasswords`], [`ChangeError::Password`], [`ChangeError::Busy`]; the store's.
    pub async fn add_app_password(
        &self,
        mailbox: &Mailbox,
        new: NewAppPassword,
    ) -> Result<String, ChangeError> {
        let mailbox = fold(mailbox);
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if new.name.is_empty() || new.name.len() > LONGEST_NAME || !new.name.bytes().all(named) {
            return Err(ChangeError::AppPasswordName(new.name));
        }
        let key = schema::app_password(&mailbox, &new.name);
        for _ in 0..TRIES {
            let (account, id, _) = self.account_row(&mailbox).await?;
            let all = self.app_password_rows(&mailbox).await?;
            let known: Vec<_> = all.iter().filter(|(_, row)| row.account == id).collect();
            if known.iter().any(|(name, _)| *name == new.name) {
                return Err(ChangeError::AppPasswordExists(new.name));
            }
            if known.len() >= MOST_APP_PASSWORDS {
                return Err(ChangeError::TooManyAppPasswords(MOST_APP_PASSWORDS));
            }
            let clear = made()?;
            if known.iter().any(|(_, row)| clear.starts_with(&row.mark)) {
                continue;
            }
            let Some(secret) = self.derive(Password::Clear(clear.clone())).await? else { continue };
            let row = AppPasswordRow {
                account: id,
                mark: clear[..MARK].to_owned(),
                secret,
                services: new.services.iter().map(|service| service.as_str().into()).collect(),
                created: self.clock.now(),
                expires: new.expires,
            };
            let mut batch = Batch::new();
            batch.require_equals(&schema::one(Of::Account, &mailbox), &account);
            // One of an account that is gone may stand there.
            match all.iter().find(|(name, _)| *name == new.name) {
                Some((_, old)) => batch.require_equals(&key, &rows::encode(old)?),
                None => batch.require_absent(&key),
            }
            batch.put(key.clone(), rows::encode(&row)?);
            batch.delete(&schema::app_password_use(&mailbox, &new.name));
            if self.try_commit(batch).await? {
                return Ok(clear);
            }
        }
        Err(ChangeError::Busy)
    }

    /// Removes an app password: nobody logs in with it any more. Says whether there was one.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`]; the store's.
    pub async fn remove_app_password(&self, mailbox: &Mailbox, name: &str) -> Result<bool, ChangeError> {
        let mailbox = fold(mailbox);
        let (_, id, _) = self.account_row(&mailbox).await?;
        let key = schema::app_password(&mailbox, name);
        let Some(row) = self.storage.store.get(&key).await? else { return Ok(false) };
        let row: AppPasswordRow = rows::decode(&row, "an app password")?;
        let mut batch = Batch::new();
        batch.delete(&key);
        batch.delete(&schema::app_password_use(&mailbox, name));
        Ok(self.try_commit(batch).await? && row.account == id)
    }

    /// The app passwords of an account, by name.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`]; the store's.
    pub async fn app_passwords(&self, mailbox: &Mailbox) -> Result<Vec<AppPassword>, ChangeError> {
        let mailbox = fold(mailbox);
        let (_, id, _) = self.account_row(&mailbox).await?;
        let mut all = Vec::new();
        for (name, row) in self.app_password_rows(&mailbox).await? {
            if row.account != id {
                continue;
            }
            let used = self.storage.store.get(&schema::app_password_use(&mailbox, &name)).await?;
            let used: Option<UseRow> = used.map(|row| rows::decode(&row, "a last use")).transpose()?;
            all.push(AppPassword {
                name,
                services: row.services.iter().map(|service| service.to_string()).collect(),
                created: row.created,
                expires: row.expires,
                used: used.map(|used| (used.at, used.service)),
            });
        }
        Ok(all)
    }

    /// For these services the main password of an account is not taken from now on, and for all others it is.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`], [`ChangeError::Busy`]; the store's.
    pub async fn set_app_passwords_only(
        &self,
        mailbox: &Mailbox,
        services: &[String],
    ) -> Result<(), ChangeError> {
        let mailbox = fold(mailbox);
        for _ in 0..TRIES {
            let (account, id, _) = self.account_row(&mailbox).await?;
            let key = schema::one(Of::Bar, &mailbox);
            let mut batch = Batch::new();
            batch.require_equals(&schema::one(Of::Account, &mailbox), &account);
            match services.is_empty() {
                true => batch.delete(&key),
                false => {
                    let services = services.iter().map(|service| service.as_str().into()).collect();
                    batch.put(key, rows::encode(&BarRow { account: id, services })?);
                }
            }
            if self.try_commit(batch).await? {
                return Ok(());
            }
        }
        Err(ChangeError::Busy)
    }

    /// The services for which the main password of an account is not taken.
    ///
    /// # Errors
    /// [`ChangeError::NoSuchAccount`]; the store's.
    pub async fn app_passwords_only(&self, mailbox: &Mailbox) -> Result<Vec<String>, ChangeError> {
        let mailbox = fold(mailbox);
        let (_, id, _) = self.account_row(&mailbox).await?;
        Ok(self.barred(&mailbox, id).await?.iter().map(|service| service.to_string()).collect())
    }

    async fn barred(&self, mailbox: &Mailbox, id: AccountId) -> Result<Vec<Box<str>>, StoreError> {
        let Some(row) = self.storage.store.get(&schema::one(Of::Bar, mailbox)).await? else {
            return Ok(Vec::new());
        };
        let row: BarRow = rows::decode(&row, "the services without a main password")?;
        Ok(if row.account == id { row.services } else { Vec::new() })
    }

    /// What the main password of an account is good for.
    pub(super) async fn main_credential(
        &self,
        mailbox: &Mailbox,
        id: AccountId,
    ) -> Result<Credential, StoreError> {
        let barred = self.barred(mailbox, id).await?;
        let services = if barred.is_empty() { Services::All } else { Services::Without(barred.into()) };
        Ok(Credential { name: None, services })
    }

    /// The app password with this name, if it may be used.
    pub(super) async fn app_password_named(
        &self,
        mailbox: &Mailbox,
        id: AccountId,
        name: &str,
    ) -> Result<Option<(Credential, Secret)>, StoreError> {
        let Some(row) = self.storage.store.get(&schema::app_password(mailbox, name)).await? else {
            return Ok(None);
        };
        let row: AppPasswordRow = rows::decode(&row, "an app password")?;
        Ok(row.is_good(id, self.clock.now()).then(|| (row.credential(name), row.secret)))
    }

    /// The app password that `password` may be, if it may be used.
    pub(super) async fn app_password_like(
        &self,
        mailbox: &Mailbox,
        id: AccountId,
        password: &str,
    ) -> Result<Option<(Credential, Secret)>, StoreError> {
        if !looks_made(password) {
            return Ok(None);
        }
        let (all, now) = (self.app_password_rows(mailbox).await?, self.clock.now());
        let found = all.into_iter().find(|(_, row)| password.starts_with(&row.mark) && row.is_good(id, now));
        Ok(found.map(|(name, row)| (row.credential(&name), row.secret)))
    }

    /// Writes down that an app password was used, once an hour.
    pub(super) async fn note_use(&self, account: &Account, service: &str) -> Result<(), StoreError> {
        let Some(name) = &account.credential.name else { return Ok(()) };
        let (now, mark) = (self.clock.now(), (fold(&account.mailbox), name.clone()));
        {
            let mut uses = self.uses.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if uses.get(&mark).is_some_and(|last| now < last.after(PRECISION)) {
                return Ok(());
            }
            if uses.len() >= USES {
                uses.clear();
            }
            uses.insert(mark.clone(), now);
        }
        let mut batch = Batch::new();
        batch.require_present(&schema::app_password(&mark.0, name));
        let row = UseRow { at: now, service: service.to_owned() };
        batch.put(schema::app_password_use(&mark.0, name), rows::encode(&row)?);
        self.try_commit(batch).await.map(drop)
    }

    /// All that goes with an account: app passwords, their last uses, and where the main password is not taken.
    pub(super) async fn forget_app_passwords(
        &self,
        mailbox: &Mailbox,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        for (name, _) in self.app_password_rows(mailbox).await? {
            batch.delete(&schema::app_password(mailbox, &name));
            batch.delete(&schema::app_password_use(mailbox, &name));
        }
        batch.delete(&schema::one(Of::Bar, mailbox));
        Ok(())
    }

    async fn app_password_rows(
        &self,
        mailbox: &Mailbox,
    ) -> Result<Vec<(String, AppPasswordRow)>, StoreError> {
        let prefix = schema::app_password(mailbox, "");
        let mut all = Vec::new();
        for (key, row) in self.storage.store.scan(Scan::prefix(&prefix, 2 * MOST_APP_PASSWORDS)).await? {
            let name = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            all.push((name, rows::decode(&row, "an app password")?));
        }
        Ok(all)
    }
}

/// Last uses that were written down of late.
pub(super) type Uses = std::sync::Mutex<std::collections::HashMap<(Mailbox, Arc<str>), Timestamp>>;

/// A new one.
fn made() -> Result<String, ChangeError> {
    let mut octets = [0; GROUPS * 4];
    getrandom::fill(&mut octets).map_err(|error| ChangeError::Password(error.to_string()))?;
    let groups = octets.chunks(4).map(|group| {
        group.iter().map(|octet| char::from(DIGITS[usize::from(octet & 31)])).collect::<String>()
    });
    Ok(groups.collect::<Vec<_>>().join("-"))
}

/// Whether a password has the form of those that we make.
fn looks_made(password: &str) -> bool {
    password.len() == LENGTH
        && password.bytes().enumerate().all(|(at, octet)| match at % 5 {
            4 => octet == b'-',
            _ => DIGITS.contains(&octet),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_looks_made() {
        let (one, other) = (made().unwrap(), made().unwrap());
        assert!(looks_made(&one) && looks_made(&other) && one != other, "{one} {other}");
        for text in [
            "",
            "secret",
            &one.replace('-', ""),
            &one.to_uppercase().replace(char::is_numeric, "A"),
            &one[1..],
        ] {
            assert!(!looks_made(text), "{text}");
        }
    }
}
