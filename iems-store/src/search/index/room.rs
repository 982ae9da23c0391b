//! Room on the medium. An index is never what fills it.

use std::path::Path;

use super::error::IndexError;

/// Octets that are left to others.
const LEAST: u64 = 1 << 30;
/// Or this part of the medium, if that is less.
const PART: u64 = 20;

/// [`IndexError::NoRoom`] if an index may not grow.
#[cfg(unix)]
pub(super) fn check(folder: &Path) -> Result<(), IndexError> {
    let place = folder.ancestors().find(|place| place.exists()).unwrap_or(folder);
    let told = rustix::fs::statvfs(place).map_err(std::io::Error::from)?;
    let unit = told.f_frsize.max(1);
    let (free, total) = (told.f_bavail.saturating_mul(unit), told.f_blocks.saturating_mul(unit));
    let least = LEAST.min(total / PART);
    if free < least { Err(IndexError::NoRoom { free, least }) } else { Ok(()) }
}

/// Nobody tells.
#[cfg(not(unix))]
pub(super) fn check(_: &Path) -> Result<(), IndexError> {
    Ok(())
}
