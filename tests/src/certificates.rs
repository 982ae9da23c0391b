//! An authority and a server certificate for one story, as PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate: what clients trust.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Writes an authority and a certificate for `names` (host names and IP addresses) into `dir`.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn write(dir: &Path, names: &[String]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "Authority of a story");
        let root = authority.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(authority, key);
        let leaf_key = KeyPair::generate().expect("a key");
        let mut leaf = CertificateParams::new(names.to_vec()).expect("valid names");
        leaf.distinguished_name.push(DnType::CommonName, names[0].clone());
        let leaf = leaf.signed_by(&leaf_key, &issuer).expect("a certificate");
        let write = |name: &str, text: String| {
            let file = dir.join(name);
            std::fs::write(&file, text).expect("a file in the story's folder");
            file
        };
        Self {
            authority: write("ca.pem", root.pem()),
            certificate: write("cert.pem", leaf.pem()),
            key: write("key.pem", leaf_key.serialize_pem()),
        }
    }

    /// What a TLS client needs to trust the authority, and nobody else.
    ///
    /// # Panics
    /// If the file is gone.
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.authority).expect("a certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.expect("TLS versions").with_root_certificates(roots).with_no_client_auth();
        Arc::new(config)
    }
}
