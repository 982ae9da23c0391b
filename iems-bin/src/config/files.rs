//! Files that the configuration names: what they are, and how they are looked at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use iems_core::seam::CertificateMark;
use iems_core::seam::sasl::Password;
use iems_smtp::batch::Key;

/// How files that the configuration names are looked at.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Certificates.
    pub(super) certificate: Inspect,
    /// Authorities of client certificates.
    pub(super) client: fn(&ClientCertificates) -> Result<(), String>,
    /// Keys of tokens.
    pub(super) tokens: fn(&OAuth) -> Result<(), String>,
    /// Texts of reports.
    pub(super) texts: ReadTexts,
    /// Passwords.
    pub(super) password: ReadPassword,
    /// Passwords for mailboxes elsewhere.
    pub(super) secret: ReadSecret,
    /// Keys of tunnels.
    pub(super) keys: ReadKeys,
}

impl Look {
    /// Not at all.
    pub(super) const AWAY: Self = Self {
        certificate: |_, _| Ok(Vec::new()),
        client: |_| Ok(()),
        tokens: |_| Ok(()),
        texts: |_| Ok(None),
        password: |_| Ok(None),
        secret: |_| Ok(None),
        keys: |_| Ok(None),
    };
}

/// Looks into the files of a certificate that is meant for these hosts: what is dangerous, or why it is of no use, for people.
pub(super) type Inspect = fn(&Certificate, &[String]) -> Result<Vec<String>, String>;

/// Two PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Certificate {
    /// The chain.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
}

/// What is asked of a peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientCertificates {
    /// Whether there is no handshake without one that is believed.
    pub(crate) required: bool,
    /// PEM: the authorities that are believed.
    pub(crate) ca: Option<PathBuf>,
    /// Certificates that are believed whoever signed them.
    pub(crate) marks: Vec<CertificateMark>,
}

/// How tokens are looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OAuth {
    /// The file with the keys.
    pub(crate) keys: PathBuf,
    /// Who issues tokens.
    pub(crate) issuer: String,
    /// For whom.
    pub(crate) audience: String,
    /// The claim with the login.
    pub(crate) claim: String,
    /// How far clocks may differ.
    pub(crate) leeway: Duration,
}

/// Reads a file of texts; `None` where files are not looked at. The error is for people.
pub(super) type ReadTexts = fn(&Path) -> Result<Option<String>, String>;

/// The largest file of texts, keys or certificates, in octets.
const LARGEST_TEXT: u64 = 1024 * 1024;

/// Reads it from the file system.
pub(super) fn read_texts(file: &Path) -> Result<Option<String>, String> {
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    match size > LARGEST_TEXT {
        true => Err(format!("it has {size} octets; no more than {LARGEST_TEXT} are read")),
        false => std::fs::read_to_string(file).map(Some).map_err(|e| e.to_string()),
    }
}

/// A file with a password: the password, and its mode where everybody may read it.
pub(super) struct Found {
    pub(super) password: Password,
    pub(super) open: Option<u32>,
}

/// Reads such a file; `None` where files are not looked at. The error is for people.
pub(super) type ReadPassword = fn(&Path) -> Result<Option<Found>, String>;

/// The largest file with secrets that is read, in octets.
const LARGEST: u64 = 64 * 1024;

/// Reads it from the file system.
pub(super) fn read_password(file: &Path) -> Result<Option<Found>, String> {
    let shown = file.display();
    let metadata = std::fs::metadata(file).map_err(|e| format!("{shown}: {e}"))?;
    if metadata.len() > LARGEST {
        let size = metadata.len();
        return Err(format!(
            "{shown}: expected a file whose first line is the password, found {size} octets"
        ));
    }
    let mut text = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    text.truncate(end);
    Ok(Some(Found { password: text.into(), open: open_to_all(&metadata) }))
}

#[cfg(unix)]
fn open_to_all(metadata: &std::fs::Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o777;
    (mode & 0o004 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_all(_: &std::fs::Metadata) -> Option<u32> {
    None
}

/// Reads a file with keys; `None` where files are not looked at. The error is for people.
pub(super) type ReadKeys = fn(&Path) -> Result<Option<Vec<Key>>, String>;

/// Reads it from the file system: a line for each key, its name and its secret.
pub(super) fn read_keys(file: &Path) -> Result<Option<Vec<Key>>, String> {
    let shown = file.display();
    let metadata = std::fs::metadata(file).map_err(|e| format!("{shown}: {e}"))?;
    if metadata.len() > LARGEST {
        return Err(format!(
            "{shown}: expected lines with the name of a key and its secret, found {} octets",
            metadata.len()
        ));
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key = |line: &str| {
        let (name, secret) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("{shown}: expected the name of a key and its secret in each line"))?;
        Key::new(name, secret.trim().as_bytes()).map_err(|e| format!("{shown}: {e}"))
    };
    let keys: Vec<Key> = lines.map(key).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(format!("{shown}: expected a line with the name of a key and its secret, found none"));
    }
    Ok(Some(keys))
}

/// The first line of a file; `None` where files are not looked at. The error is for people.
pub(super) type ReadSecret = fn(&Path) -> Result<Option<String>, String>;

/// Reads it from the file system.
pub(super) fn read_secret(file: &Path) -> Result<Option<String>, String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|e| format!("{shown}: {e}"))?;
    let line = text.lines().next().unwrap_or_default();
    match line.is_empty() || line.contains(char::is_control) || text.len() as u64 > LARGEST {
        true => Err(format!("{shown}: expected a file whose first line is the password")),
        false => Ok(Some(line.to_owned())),
    }
}
