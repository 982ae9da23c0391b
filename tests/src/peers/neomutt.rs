//! NeoMutt: a mail reader for terminals. It gets a terminal from `script`, and its keys from its own `push`.

use std::net::SocketAddrV4;
use std::path::Path;

use super::private_file;
use crate::process::{Said, command, need, run};

/// Opens INBOX and plays `keys`, which have to quit at last. What it showed is in `out`.
pub fn play(dir: &Path, server: SocketAddrV4, user: &str, password: &str, keys: &str) -> Said {
    let text = format!(
        "set imap_user=\"{user}\" imap_pass=\"{password}\" imap_authenticators=\"plain\"\n\
         set folder=\"imap://{server}/\" spoolfile=\"+INBOX\" header_cache=\"{dir}/cache\" tmpdir=\"{dir}\"\n\
         set ssl_starttls=no ssl_force_tls=no sleep_time=0 history_file=\"\" record=\"\" read_inc=0\n\
         set confirmappend=no confirmcreate=no delete=yes quit=yes move=no mark_old=no wait_key=no pipe_decode=no\n\
         set index_format=\"%4C [%Z] %s\"\n",
        dir = dir.display()
    );
    private_file(&dir.join("neomuttrc"), &text);
    private_file(&dir.join("keys"), &format!("push \"{keys}\"\n"));
    let program = need("neomutt", "neomutt");
    let dir = dir.display();
    let line = format!("{program} -n -F {dir}/neomuttrc -e 'source {dir}/keys'");
    let mut script = command("timeout", ["60", &need("script", "bsdutils"), "-qec", &line, "/dev/null"]);
    let home = dir.to_string();
    run(
        script.envs([
            ("TERM", "xterm"),
            ("LANG", "C.UTF-8"),
            ("LINES", "24"),
            ("COLUMNS", "100"),
            ("HOME", &home),
        ]),
        b"",
    )
}
