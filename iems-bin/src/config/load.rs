//! Finding and reading the file. The only part of the configuration that touches the file system
//! and the environment.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::files::{Look, read_keys, read_password, read_secret, read_texts};
use super::problem::{Notes, Problem, Problems};
use super::read::FromToml;
use super::resolve::resolve;
use super::resolved::Config;
use super::written::File;
use crate::believe::Believer;
use crate::exit::Failure;
use crate::{tls, tokens};

/// The largest configuration that is read, in octets.
const LARGEST: u64 = 4 << 20;

/// Where a file is looked for when none is named, in this order.
const USUAL: [&str; 2] = ["iems.toml", "/etc/iems/iems.toml"];

/// The name of the built-in configuration in messages.
const EMBEDDED: &str = "(built-in configuration)";

/// Looks into all files that a configuration names.
const CLOSE: Look = Look {
    certificate: tls::inspect,
    client: Believer::inspect,
    tokens: tokens::inspect,
    texts: read_texts,
    password: read_password,
    secret: read_secret,
    keys: read_keys,
};

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// What holds.
    pub(crate) config: Config,
    /// The file; `None` for the embedded default.
    pub(crate) file: Option<PathBuf>,
}

impl Loaded {
    /// Tells the log what is dangerous in it.
    pub(crate) fn warn(&self) {
        for warning in &self.config.warnings {
            tracing::warn!("{}", warning.at(self.file.as_deref().unwrap_or(Path::new(EMBEDDED))));
        }
    }
}

/// What `iems config check` found.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The file.
    pub(crate) file: PathBuf,
    /// What is wrong with it.
    pub(crate) problems: Option<Problems>,
    /// What is dangerous in it, and not wrong. Known where nothing is wrong.
    pub(crate) warnings: Vec<Problem>,
}

/// The configuration for a command: of `named`, else of `IEMS_CONFIG`, else of the usual files, else the
/// embedded one. Files that it names are not read: the caller may have no right to.
pub(crate) fn load(named: Option<&Path>) -> Result<Loaded, Failure> {
    load_with(named, Look::AWAY)
}

/// The same for the server: certificates, texts and passwords must be usable.
pub(crate) fn load_for_service(named: Option<&Path>) -> Result<Loaded, Failure> {
    load_with(named, CLOSE)
}

/// All that is wrong with the configuration.
pub(crate) fn examine(named: Option<&Path>) -> Result<Examined, Failure> {
    let (file, text, folder) = text_of(named)?;
    let shown = file.unwrap_or_else(|| EMBEDDED.into());
    let (problems, warnings) = match understand(&text, &shown, &folder, CLOSE) {
        Ok(config) => (None, config.warnings),
        Err(problems) => (Some(problems), Vec::new()),
    };
    Ok(Examined { file: shown, problems, warnings })
}

fn load_with(named: Option<&Path>, look: Look) -> Result<Loaded, Failure> {
    let (file, text, folder) = text_of(named)?;
    let shown = file.as_deref().unwrap_or(Path::new(EMBEDDED));
    let config = understand(&text, shown, &folder, look).map_err(Failure::config)?;
    Ok(Loaded { config, file })
}

/// The file, its text, and the folder that its relative paths are relative to.
fn text_of(named: Option<&Path>) -> Result<(Option<PathBuf>, String, PathBuf), Failure> {
    match find(named) {
        Some(file) => {
            let folder = absolute(file.parent().unwrap_or(Path::new("")))?;
            let text = read(&file)?;
            Ok((Some(file), text, folder))
        }
        None => Ok((None, include_str!("embedded.toml").to_owned(), absolute(Path::new(""))?)),
    }
}

fn find(named: Option<&Path>) -> Option<PathBuf> {
    let from_environment = || std::env::var_os("IEMS_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from);
    let usual = || USUAL.iter().map(PathBuf::from).find(|file| file.is_file());
    named.map(Path::to_owned).or_else(from_environment).or_else(usual)
}

fn read(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let text = match std::fs::metadata(file) {
        Ok(meta) if meta.len() > LARGEST => {
            let size = meta.len();
            return Err(Failure::config(format!("{shown}: {size} octets are too many for a configuration")));
        }
        Ok(_) => std::fs::read_to_string(file),
        Err(error) => Err(error),
    };
    text.map_err(|e| Failure::config(format!("cannot read the configuration {shown}: {e}")))
}

fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(|e| Failure::system(format!("no working directory: {e}")))?;
    Ok(here.join(folder))
}

/// Text into a configuration. Relative paths are relative to `folder`; `look` looks into the files it names.
pub(super) fn understand(text: &str, file: &Path, folder: &Path, look: Look) -> Result<Config, Problems> {
    let mut notes = Notes::new(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        notes.add(Some(&error.span().unwrap_or(0..0)), "", format!("not TOML: {}", error.message()));
    }
    let whole = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    let config = match errors.is_empty() {
        true => {
            File::read(&whole, "", &mut notes).and_then(|written| resolve(written, folder, look, &mut notes))
        }
        false => None,
    };
    notes.finish()?;
    config.ok_or_else(|| Problems { file: file.to_owned(), problems: Vec::new() })
}
