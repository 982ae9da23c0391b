//! Certificates: PEM files into what listeners show, kept fresh while the server runs, and one of our own making for a first start.

mod choice;
mod kept;
mod pair;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::config::{Certificate, Config};
use crate::exit::Failure;
pub(crate) use kept::{Kept, Stamp, stamp};
use pair::Pair;

/// Whether the files are usable; what peers that ask for one of `hosts` would stumble over.
pub(crate) fn inspect(files: &Certificate, hosts: &[String]) -> Result<Vec<String>, String> {
    let pair = Pair::read(files)?;
    let urgent = pair.facts.flaws(hosts, now()).into_iter().filter(|flaw| flaw.urgent);
    Ok(urgent.map(|flaw| flaw.text).collect())
}

/// What is shown to whom, as the files are now, whether a server runs or not.
pub(crate) fn at_rest(
    config: &Config,
) -> Result<Vec<crate::admin::certificates::CertificateAnswer>, Failure> {
    Ok(Kept::look_at(config).show())
}

/// Seconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A day, UTC.
fn day(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%d").to_string()
}

/// Writes a certificate that nobody vouches for, if there is none yet: enough for STARTTLS between servers,
/// which encrypt without asking for a name, and for trying things out.
pub(crate) fn self_signed(folder: &Path, names: &[String]) -> Result<Certificate, Failure> {
    let files =
        Certificate { certificate: folder.join("self-signed.pem"), key: folder.join("self-signed.key") };
    placeholder(&files, names)?;
    Ok(files)
}

/// Writes such a certificate into these files, if they are not there yet.
pub(crate) fn placeholder(files: &Certificate, names: &[String]) -> Result<(), Failure> {
    if files.certificate.exists() && files.key.exists() {
        return Ok(());
    }
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|e| Failure::cannot_create(format!("cannot make a certificate: {e}")))?;
    private_file(&files.key, made.signing_key.serialize_pem().as_bytes())?;
    std::fs::write(&files.certificate, made.cert.pem()).map_err(|e| cannot_write(&files.certificate, &e))
}

/// Writes a file that only its owner can read.
pub(crate) fn private_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(content));
    written.map_err(|e| cannot_write(path, &e))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::cannot_create(format!("cannot write {}: {error}", path.display()))
}
