//! Certificates: PEM files into what listeners use, and one of our own making for a first start.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::believe::Believer;
use crate::config::Certificate;
use crate::exit::Failure;

/// What a listener needs for a handshake, or why the files do not give it.
/// `believer` looks at the certificates of peers, which are not asked for one without it.
pub(crate) fn server_config(
    files: &Certificate,
    believer: Option<&Arc<Believer>>,
) -> Result<Arc<ServerConfig>, String> {
    let (chain, key) = (&files.certificate, &files.key);
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| format!("{}: {}", chain.display(), pem(e)))?;
    if certificates.is_empty() {
        return Err(format!("{}: there is no certificate in it", chain.display()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {}", key.display(), pem(e)))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let config = match believer {
        Some(believer) => config.with_client_cert_verifier(believer.clone()),
        None => config.with_no_client_auth(),
    };
    let config = config
        .with_single_cert(certificates, private)
        .map_err(|e| format!("{} and {} do not belong together: {e}", chain.display(), key.display()))?;
    Ok(Arc::new(config))
}

/// Whether the files are usable.
pub(crate) fn inspect(files: &Certificate) -> Result<(), String> {
    server_config(files, None).map(|_| ())
}

fn pem(error: rustls_pki_types::pem::Error) -> String {
    match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        rustls_pki_types::pem::Error::NoItemsFound => "there is no such item in PEM form in it".into(),
        other => format!("not PEM: {other:?}"),
    }
}

/// Writes a certificate that nobody vouches for, if there is none yet: enough for STARTTLS between servers,
/// which encrypt without asking for a name, and for trying things out.
pub(crate) fn self_signed(folder: &Path, names: &[String]) -> Result<Certificate, Failure> {
    let files =
        Certificate { certificate: folder.join("self-signed.pem"), key: folder.join("self-signed.key") };
    if files.certificate.exists() && files.key.exists() {
        return Ok(files);
    }
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|e| Failure::cannot_create(format!("cannot make a certificate: {e}")))?;
    private_file(&files.key, made.signing_key.serialize_pem().as_bytes())?;
    std::fs::write(&files.certificate, made.cert.pem()).map_err(|e| cannot_write(&files.certificate, &e))?;
    Ok(files)
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
