//! fetchmail: reads by POP3 or IMAP and hands what it got to a command, which files it into a folder; collects by on-demand mail relay.

use std::net::SocketAddrV4;
use std::path::Path;
use std::process::Command;

use super::private_file;
use crate::process::{Daemon, Said, command, need, run};

/// Fetches once by POP3 into `dir/fetched`, one file a message. `options` is what stands in the `user` part,
/// such as `keep`; `poll` what stands in the `poll` part, such as `uidl`.
pub fn fetch(
    dir: &Path,
    server: SocketAddrV4,
    user: &str,
    password: &str,
    poll: &str,
    options: &str,
) -> Said {
    run(&mut fetchmail(dir, server, user, password, &format!("pop3 {poll}"), options), b"")
}

/// Fetches by IMAP into `dir/fetched`, and waits for more with IDLE until it is ended.
pub fn wait_for_mail(dir: &Path, server: SocketAddrV4, user: &str, password: &str) -> Daemon {
    let options = "fetchall nokeep idle sslproto ''";
    let mut command = fetchmail(dir, server, user, password, "imap", options);
    Daemon::start(command.arg("--nodetach"), &dir.join("fetchmail.log"))
}

fn fetchmail(
    dir: &Path,
    server: SocketAddrV4,
    user: &str,
    password: &str,
    protocol: &str,
    options: &str,
) -> Command {
    let box_ = dir.join("fetched");
    std::fs::create_dir_all(&box_).expect("a folder");
    let file = dir.join("fetchmailrc");
    let text = format!(
        "set idfile {0}/fetchids\nset no bouncemail\npoll {1} port {2} protocol {protocol}\n  user \"{user}\" \
         password \"{password}\" {options} mda \"sh -c 'cat > $(mktemp {0}/fetched/XXXXXXXX)'\"\n",
        dir.display(),
        server.ip(),
        server.port()
    );
    private_file(&file, &text);
    program(dir, &file)
}

/// Collects once by on-demand mail relay what waits for `domain`, and hands it to the server at `to`.
pub fn collect(
    dir: &Path,
    server: SocketAddrV4,
    (user, secret): (&str, &str),
    domain: &str,
    to: SocketAddrV4,
) -> Said {
    std::fs::create_dir_all(dir).expect("a folder");
    let file = dir.join("fetchmailrc");
    let text = format!(
        "set no bouncemail\npoll {} protocol odmr port {}\n  user \"{user}\" password \"{secret}\"\n  \
         fetchdomains {domain} smtphost \"{}/{}\"\n",
        server.ip(),
        server.port(),
        to.ip(),
        to.port()
    );
    private_file(&file, &text);
    run(&mut program(dir, &file), b"")
}

fn program(dir: &Path, file: &Path) -> Command {
    let program = need("fetchmail", "fetchmail");
    let mut fetchmail = command(&program, ["--nosyslog", "--timeout", "20", "--invisible", "-f"]);
    // Its lock and its home are this story's, so several can run beside each other.
    fetchmail
        .arg(file)
        .env("HOME", dir)
        .env("FETCHMAILHOME", dir)
        .arg("--pidfile")
        .arg(dir.join("fetchmail.pid"));
    fetchmail
}

/// What has been fetched, in no particular order.
pub fn fetched(dir: &Path) -> Vec<Vec<u8>> {
    super::getmail::files(&dir.join("fetched"))
}
