//! Rows: how typed values become the store's bytes, and back.
//!
//! Every row begins with a version byte; what follows is postcard. A row that cannot be read is
//! damage, never a default.

use iems_core::storage::StoreError;
use serde::{Deserialize, Serialize};

/// The version that all rows of this release carry.
pub(crate) const VERSION: u8 = 4;

/// `value` as a row.
///
/// # Errors
/// [`StoreError::TooLarge`] if postcard cannot express it.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(value, vec![VERSION]).map_err(|e| StoreError::TooLarge(format!("a row: {e}")))
}

/// The value of a row. `what` names it in the error.
///
/// # Errors
/// [`StoreError::Corrupt`] if the version is unknown or the bytes are not such a value.
pub(crate) fn decode<'a, T: Deserialize<'a>>(row: &'a [u8], what: &str) -> Result<T, StoreError> {
    let rest = versioned(row, what)?;
    postcard::from_bytes(rest).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))
}

/// The bytes behind the version byte.
///
/// # Errors
/// [`StoreError::Corrupt`] if the version is unknown.
pub(crate) fn versioned<'a>(row: &'a [u8], what: &str) -> Result<&'a [u8], StoreError> {
    match row.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((other, _)) => Err(StoreError::Corrupt(format!("{what}: unknown version {other}"))),
        None => Err(StoreError::Corrupt(format!("{what}: empty row"))),
    }
}

/// The first eight bytes as a number, and the rest.
///
/// # Errors
/// [`StoreError::Corrupt`] if there are fewer.
pub(crate) fn number<'a>(bytes: &'a [u8], what: &str) -> Result<(u64, &'a [u8]), StoreError> {
    let short = || StoreError::Corrupt(format!("{what}: cut short"));
    let (head, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    Ok((u64::from_be_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_seen() {
        let row = encode(&(7u32, "x")).unwrap();
        assert_eq!(decode::<(u32, String)>(&row, "test").unwrap(), (7, "x".into()));
        for damaged in [&row[..0], &row[..2], &[9, 7, 1, b'x'][..]] {
            assert!(matches!(decode::<(u32, String)>(damaged, "test"), Err(StoreError::Corrupt(_))));
        }
    }
}
