//! Real programs of other projects: how each is configured, started on loopback and stopped by its own id.
//! None is run by the system's service manager, none needs the outside.

mod apart;
pub mod curl;
pub mod dovecot;
pub mod exim;
pub mod fetchmail;
pub mod getmail;
pub mod haproxy;
pub mod imap;
pub mod imapclient;
pub mod imapflow;
pub mod knot;
pub mod msmtp;
pub mod neomutt;
pub mod netimap;
pub mod offlineimap;
pub mod opensmtpd;
pub mod postfix;
pub mod python;
pub mod swaks;
pub mod thunderbird;

/// Mode 600, as most clients want it for a file with a password in it.
///
/// # Panics
/// If the file cannot be written.
fn private_file(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).expect("a file in the story's folder");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("our own file");
}
