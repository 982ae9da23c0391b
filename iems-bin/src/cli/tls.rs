//! `iems tls`: the certificates that listeners show.

use std::path::Path;

use clap::Subcommand;

use super::output::{printable, show};
use crate::admin::certificates::CertificateAnswer;
use crate::admin::certificates_of;
use crate::config;
use crate::exit::Failure;

/// Certificates: which there are, until when, what is wrong with them, what to publish about them.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  iems tls show\n  iems tls show --json | jq '.[] | select(.days < 14) | .file'\n\nThe server reads a file again within seconds of its change; docs/tls.md says how certificates are chosen."
)]
pub(super) enum Args {
    /// Show the certificates, those of the running server if there is one
    Show {
        /// As JSON: an array of certificates
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        match self {
            Self::Show { json } => {
                let config = config::load(file)?.config;
                let all = certificates_of(&config)?;
                show(&all, json, |all| text(all))
            }
        }
    }
}

fn text(all: &[CertificateAnswer]) -> String {
    if all.is_empty() {
        return "no listener has a certificate: set [tls] or [[certificate]]".into();
    }
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(certificate: &CertificateAnswer) -> String {
    let names = if certificate.names.is_empty() { "no host".into() } else { certificate.names.join(", ") };
    let mut text = format!("{names}\n");
    let mut line = |label: &str, value: &str| text.push_str(&format!("  {label:<9} {}\n", printable(value)));
    let from = if certificate.managed { "  (by ACME)" } else { "" };
    line("file", &format!("{}{from}", certificate.file.display()));
    line("issuer", &certificate.issuer);
    let left = match certificate.days {
        days @ 0.. => format!("{days} days left"),
        days => format!("{} days ago", -days),
    };
    line("until", &format!("{} ({left})", certificate.not_after));
    line("sha256", &certificate.fingerprint);
    line("shown by", &certificate.listeners.join(", "));
    for (at, wrong) in certificate.wrong.iter().enumerate() {
        line(if at == 0 { "wrong" } else { "" }, wrong);
    }
    for (at, record) in certificate.tlsa.iter().enumerate() {
        line(if at == 0 { "publish" } else { "" }, record);
    }
    text
}
