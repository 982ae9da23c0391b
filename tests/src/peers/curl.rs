//! curl: sends by SMTP and reads by POP3.

use std::net::SocketAddrV4;
use std::path::Path;

use crate::process::{Said, command, need, run};

/// Runs curl silently with these arguments and input.
pub fn curl(args: &[&str], input: &[u8]) -> Said {
    let program = need("curl", "curl");
    let mut curl = command(&program, ["--silent", "--show-error", "--max-time", "30", "--disable"]);
    run(curl.args(args), input)
}

/// Sends `message` with more arguments.
pub fn send(server: SocketAddrV4, from: &str, to: &str, args: &[&str], message: &[u8]) -> Said {
    let url = format!("smtp://{server}/client.example.test");
    let mut all = vec!["--mail-from", from, "--mail-rcpt", to, "--upload-file", "-"];
    if !args.contains(&"--url") {
        all.extend(["--url", &url]);
    }
    all.extend(args);
    curl(&all, message)
}

/// Reads message `number` of a mailbox by POP3; an empty number lists.
pub fn read(server: SocketAddrV4, user: &str, password: &str, number: &str) -> Said {
    let (url, user) = (format!("pop3://{server}/{number}"), format!("{user}:{password}"));
    curl(&["--user", &user, &url], b"")
}

/// The arguments that make curl use TLS and trust an authority.
pub fn trusting(authority: &Path) -> Vec<String> {
    ["--ssl-reqd", "--cacert", &authority.to_string_lossy()].map(str::to_owned).to_vec()
}
