//! Keywords (RFC 9051 section 2.3.2): a table of names for each account, and numbers in the rows of messages.

use iems_core::storage::{Batch, StoreError};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::schema::{self, AccountId};
use super::{MailboxError, Mailboxes, TRIES};
use crate::rows;

/// The most keywords of one account: their table is one row.
pub const MAX_KEYWORDS: usize = 4000;
/// The longest keyword, in octets.
pub const MAX_KEYWORD: usize = 255;

/// A keyword, by its number in the account. It keeps its number for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Keyword(pub u16);

/// Keywords in the order of their numbers, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KeywordSet(SmallVec<[Keyword; 4]>);

impl KeywordSet {
    /// The keywords, in order.
    pub fn iter(&self) -> impl Iterator<Item = Keyword> + '_ {
        self.0.iter().copied()
    }

    /// Whether `keyword` is in it.
    pub fn contains(&self, keyword: Keyword) -> bool {
        self.0.binary_search(&keyword).is_ok()
    }

    /// Puts `keyword` in.
    pub fn insert(&mut self, keyword: Keyword) {
        if let Err(at) = self.0.binary_search(&keyword) {
            self.0.insert(at, keyword);
        }
    }

    /// Takes `keyword` out.
    pub fn remove(&mut self, keyword: Keyword) {
        if let Ok(at) = self.0.binary_search(&keyword) {
            self.0.remove(at);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Keyword> for KeywordSet {
    fn from_iter<I: IntoIterator<Item = Keyword>>(keywords: I) -> Self {
        let mut set = Self::default();
        keywords.into_iter().for_each(|keyword| set.insert(keyword));
        set
    }
}

impl Serialize for KeywordSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for KeywordSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Keyword>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// The names of an account's keywords.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeywordTable {
    names: Vec<String>,
}

impl KeywordTable {
    /// The name of a keyword, as it was first written; `None` if it is newer than this table.
    pub fn name(&self, keyword: Keyword) -> Option<&str> {
        self.names.get(usize::from(keyword.0)).map(String::as_str)
    }

    /// The keyword with this name, whatever its case.
    pub fn find(&self, name: &str) -> Option<Keyword> {
        let at = self.names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        u16::try_from(at).ok().map(Keyword)
    }

    /// All names, in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The keywords with these names; those that are new are added.
    fn take(&mut self, names: &[&str]) -> Result<Vec<Keyword>, MailboxError> {
        let mut keywords = Vec::with_capacity(names.len());
        for name in names {
            check(name)?;
            if self.find(name).is_none() {
                if self.names.len() >= MAX_KEYWORDS {
                    return Err(MailboxError::TooMany("keywords", MAX_KEYWORDS));
                }
                self.names.push((*name).to_owned());
            }
            keywords.extend(self.find(name));
        }
        Ok(keywords)
    }
}

/// A keyword is an atom (RFC 9051 section 9, `flag-keyword`).
fn check(name: &str) -> Result<(), MailboxError> {
    let atom = |b: u8| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b);
    match !name.is_empty() && name.len() <= MAX_KEYWORD && name.bytes().all(atom) {
        true => Ok(()),
        false => Err(MailboxError::BadName("a keyword is an atom of at most 255 characters")),
    }
}

impl Mailboxes {
    /// The keywords of an account.
    ///
    /// # Errors
    /// The store's.
    pub async fn keywords(&self, account: AccountId) -> Result<KeywordTable, StoreError> {
        let row = self.storage.store.get(&schema::key(account, b"w")).await?;
        row.map_or(Ok(KeywordTable::default()), |row| rows::decode(&row, "the keywords"))
    }

    /// The keywords with these names, in their order; those that are new to the account are added to its table.
    ///
    /// # Errors
    /// [`MailboxError::BadName`], [`MailboxError::TooMany`], [`MailboxError::NoAccount`], [`MailboxError::Busy`]; the store's.
    pub async fn keywords_named(
        &self,
        account: AccountId,
        names: &[&str],
    ) -> Result<Vec<Keyword>, MailboxError> {
        let key = schema::key(account, b"w");
        for _ in 0..TRIES {
            let row = self.storage.store.get(&key).await?;
            let mut table = match &row {
                Some(row) => rows::decode::<KeywordTable>(row, "the keywords")?,
                None => KeywordTable::default(),
            };
            let known = table.names.len();
            let keywords = table.take(names)?;
            if table.names.len() == known {
                return Ok(keywords);
            }
            let mut batch = Batch::new();
            match &row {
                Some(row) => batch.require_equals(&key, row),
                None => batch.require_absent(&key),
            }
            batch.require_present(&schema::key(account, b"v"));
            batch.put(key.clone(), rows::encode(&table)?);
            if self.try_commit(batch).await?.is_some() {
                return Ok(keywords);
            }
            self.require_account(account).await?;
        }
        Err(MailboxError::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_has_one_number_in_any_case() {
        let mut table = KeywordTable::default();
        let first = table.take(&["$Forwarded", "work", "$forwarded"]).unwrap();
        assert_eq!(first, [Keyword(0), Keyword(1), Keyword(0)]);
        assert_eq!(table.name(Keyword(0)), Some("$Forwarded"));
        for bad in ["", "two words", "\\Seen", "a(b", "ü"] {
            assert!(table.take(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_set_is_ordered_and_has_each_once() {
        let set: KeywordSet = [5, 1, 5, 3].map(Keyword).into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 3, 5].map(Keyword));
        assert!(set.contains(Keyword(3)) && !set.contains(Keyword(2)));
    }
}
