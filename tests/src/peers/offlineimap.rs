//! OfflineIMAP: keeps an account and a folder of Maildirs alike, both ways.

use std::net::SocketAddrV4;
use std::path::Path;

use super::private_file;
use crate::process::{Said, command, need, run};

/// Synchronizes all mailboxes with `dir/offline`, once.
pub fn sync(dir: &Path, server: SocketAddrV4, user: &str, password: &str) -> Said {
    let text = format!(
        "[general]\naccounts = here\nmetadata = {dir}/offline-state\nui = basic\nsocktimeout = 30\n\n\
         [Account here]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {dir}/offline\n\n\
         [Repository far]\ntype = IMAP\nremotehost = {host}\nremoteport = {port}\nremoteuser = {user}\nremotepass = {password}\n\
         ssl = no\nstarttls = no\nauth_mechanisms = PLAIN\n",
        dir = dir.display(),
        host = server.ip(),
        port = server.port()
    );
    private_file(&dir.join("offlineimaprc"), &text);
    let program = need("offlineimap", "offlineimap3");
    let mut offlineimap = command(&program, ["-o", "-c"]);
    run(offlineimap.arg(dir.join("offlineimaprc")).env("HOME", dir), b"")
}
