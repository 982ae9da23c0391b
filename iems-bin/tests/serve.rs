//! The life of a server: first start, second instance, signals, reload, submission, numbers.

mod support;

use std::process::{Command, Stdio};

use support::{Folder, Server, Talk, run};

/// Puts a message in by SMTP; the queue id from the reply.
fn send(address: std::net::SocketAddr, to: &str) -> String {
    let mut smtp = Talk::with(address);
    assert!(smtp.reply().starts_with("220 "));
    assert!(smtp.ask("EHLO client.example").starts_with("250 "));
    assert!(smtp.ask("MAIL FROM:<>").starts_with("250 "));
    let reply = smtp.ask(&format!("RCPT TO:<{to}>"));
    assert!(reply.starts_with("250 "), "{reply}");
    assert!(smtp.ask("DATA").starts_with("354 "));
    let reply = smtp.ask("Subject: hello\r\n\r\nIt works.\r\n.");
    assert!(reply.starts_with("250 "), "{reply}");
    let id = reply.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| word.len() == 26);
    id.unwrap_or_else(|| panic!("no queue id in {reply}")).to_owned()
}

#[test]
fn mail_comes_in_waits_and_is_administered() {
    let site = Folder::new();
    site.configure("[relay]\nnetworks = [\"127.0.0.0/8\"]\n[[route]]\ndomain = \"example.net\"\nvia = \"smtp:127.0.0.1:1\"\n");
    let server = site.serve();
    let id = send(site.smtp, "cid@example.net");
    server.wait_to_say("ready");
    let waiting = site.json(&["queue", "list", "--domain", "example.net", "--json"]);
    assert_eq!(waiting[0]["id"], id);
    assert_eq!(waiting[0]["recipients"][0]["address"], "cid@example.net");
    assert_eq!(site.json(&["queue", "list", "--sender", "ann@example.org", "--json"]), serde_json::json!([]));
    assert_eq!(site.json(&["queue", "show", &id, "--json"])["sender"], "");
    let story = site.json(&["explain", &id, "--json"]);
    assert_eq!(story["id"], id);
    assert!(story["message"]["arrived"].as_str().expect("a time").ends_with('Z'));
    assert!(site.good(&["explain", &id]).contains("through smtp, next hop [127.0.0.1]:1"));
    assert!(site.good(&["queue", "retry", "--all"]).contains("1 entry"));
    server.end();
    assert_eq!(site.json(&["queue", "list", "--json"])[0]["id"], id, "it is still there without a server");
    assert!(site.good(&["queue", "purge", &id]).contains("1 entry removed"));
    assert_eq!(site.json(&["queue", "list", "--json"]), serde_json::json!([]));
}

#[test]
fn sendmail_with_and_without_a_server() {
    let site = Folder::new();
    site.configure("[[route]]\ndomain = \"example.net\"\nvia = \"smtp:127.0.0.1:1\"\n");
    let message = "To: cid@example.net\nBcc: dan@example.net\nSubject: s\n\nline\n.\nafter\n";
    site.good_with(&["sendmail", "-t", "-f", "ann@example.org"], message);
    let server = site.serve();
    site.good_with(&["sendmail", "-oi", "-f", "<>", "eve@example.net"], "Subject: s\n\nline\n.\nafter\n");
    let waiting = site.json(&["queue", "list", "--json"]);
    assert_eq!(waiting[0]["sender"], "ann@example.org");
    assert_eq!(waiting[0]["recipients"].as_array().expect("an array").len(), 2);
    assert_eq!(waiting[1]["sender"], "");
    assert!(waiting[1]["size"].as_u64() > waiting[0]["size"].as_u64().map(|size| size - 200));
    site.good(&["domain", "add", "example.org"]);
    for (arguments, code) in [
        (&["sendmail", "nobody@example.org", "cid@example.net"][..], 67),
        (&["sendmail", "-f", "a b@c", "cid@example.net"][..], 65),
        (&["sendmail"][..], 64),
        (&["sendmail", "-bd"][..], 64),
        (&["sendmail", "-bv", "nobody@example.org"][..], 67),
    ] {
        let output = site.run(arguments, "Subject: s\n\n");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    }
    assert_eq!(site.json(&["queue", "list", "--json"]).as_array().expect("an array").len(), 2);
    server.end();
}

#[test]
fn postmaster_without_a_domain_reaches_somebody() {
    let site = Folder::new();
    site.good(&["domain", "add", "example.org"]);
    site.good_with(&["account", "add", "ann@example.org", "--password-stdin"], "secret\n");
    let server = site.serve();
    send(site.smtp, "Postmaster");
    assert_eq!(site.json(&["account", "show", "ann@example.org", "--json"])["messages"], 1);
    server.end();
}

#[test]
fn the_matrix_says_on_which_flows_a_judge_runs() {
    let site = Folder::new();
    site.good(&["domain", "add", "example.org"]);
    site.good_with(&["account", "add", "ann@example.org", "--password-stdin"], "secret\n");
    let list = "[[dnsbl]]\nzone = \"bl.example\"\n[dnsbl_options]\nprivate = true\ntimeout = \"2s\"\n";
    for (matrix, judged) in [("", true), ("[[matrix]]\ninput = \"smtp\"\nrun = false\n", false)] {
        site.configure(&format!("{list}{matrix}"));
        let server = site.serve();
        let id = send(site.smtp, "ann@example.org");
        let story = site.json(&["explain", &id, "--json"])["message"]["verdicts"].to_string();
        // Nobody answers at the name server's address.
        assert_eq!(story.contains("dnsbl/bl.example") && story.contains("temperror"), judged, "{story}");
        server.end();
    }
}

#[test]
fn a_second_instance_is_told_who_is_there() {
    let site = Folder::new();
    let server = site.serve();
    let output = site.run(&["serve"], "");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{error}");
    assert!(error.contains("another process") && error.contains("admin.sock"), "{error}");
    server.end();
}

#[test]
fn a_taken_port_is_named() {
    let site = Folder::new();
    let taken = std::net::TcpListener::bind(site.smtp).expect("the port");
    let output = site.run(&["serve"], "");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(error.contains(&format!("cannot listen on {} (smtp)", site.smtp)), "{error}");
    drop(taken);
}

#[test]
fn a_folder_of_a_newer_version_is_refused() {
    let site = Folder::new();
    site.good(&["domain", "add", "example.org"]);
    let format = std::fs::read_dir(site.path("data")).expect("the folder").flatten();
    let format =
        format.map(|entry| entry.path()).find(|path| path.ends_with("format")).expect("a format file");
    std::fs::write(format, "iems-store 999\n").expect("a newer format");
    let output = site.run(&["serve"], "");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{error}");
    assert!(error.contains("999"), "{error}");
}

#[test]
fn sigterm_lets_a_session_finish() {
    let site = Folder::new();
    site.configure("[relay]\nnetworks = [\"127.0.0.0/8\"]\n[[route]]\ndomain = \"example.net\"\nvia = \"smtp:127.0.0.1:1\"\n");
    let mut server = site.serve();
    let mut smtp = Talk::with(site.smtp);
    smtp.reply();
    smtp.ask("EHLO client.example");
    smtp.ask("MAIL FROM:<>");
    smtp.ask("RCPT TO:<cid@example.net>");
    assert!(smtp.ask("DATA").starts_with("354 "));
    server.signal("TERM");
    server.wait_to_say("stopping");
    let reply = smtp.ask("Subject: late\r\n\r\nStill taken.\r\n.");
    assert!(reply.starts_with("250 "), "{reply}");
    drop(smtp);
    assert_eq!(server.wait(), Some(0), "{}", server.said());
    assert_eq!(site.json(&["queue", "list", "--json"]).as_array().expect("an array").len(), 1);
}

#[test]
fn sighup_takes_over_what_is_right_and_nothing_that_is_wrong() {
    let site = Folder::new();
    let server = site.serve();
    site.configure("[[route]]\ndomain = \"example.net\"\nvia = \"error:5.1.2 nothing goes there\"\n");
    server.signal("HUP");
    server.wait_to_say("are those of the file");
    let route = site.run(&["route", "cid@example.net", "--json"], "");
    assert_eq!(route.status.code(), Some(69));
    let answer: serde_json::Value = serde_json::from_slice(&route.stdout).expect("JSON");
    assert!(answer["reply"].as_str().expect("a reply").contains("nothing goes there"), "{answer}");
    let relay = "[[route]]\ndomain = \"example.net\"\nvia = \"smtp:192.0.2.1\"\n";
    site.configure(&format!("{relay}[[peer]]\ndomain = \"192.0.2.1:25\"\nconcurrency = 1\n"));
    server.signal("HUP");
    server.wait_to_say_times("are those of the file", 2);
    let way = site.json(&["route", "cid@example.net", "--json"])["ways"][0].clone();
    assert_eq!(way["site"], "[192.0.2.1]:25");
    assert!(way["peer"].as_str().is_some_and(|rule| rule.ends_with("[[peer]] [192.0.2.1]:25")), "{way}");
    assert!(site.good(&["route", "cid@example.net"]).contains("under the peer rule iems.toml:"));
    site.configure("[[route]]\ndomain = \"example.net\"\nvia = \"nowhere\"\n");
    server.signal("HUP");
    server.wait_to_say("nothing was changed");
    assert!(server.said().contains("route.via"), "{}", server.said());
    assert_eq!(site.run(&["config", "check"], "").status.code(), Some(78));
    site.configure("[client]\ntls = \"off\"\n[search]\nindex = false\n[log]\nlevel = \"debug\"\n");
    server.signal("HUP");
    server.wait_to_say("a change of [client] takes effect after a restart");
    server.wait_to_say("a change of [search] takes effect after a restart");
    server.wait_to_say_times("are those of the file", 3);
    let mut smtp = Talk::with(site.smtp);
    assert!(smtp.line().starts_with("220 "));
    assert!(smtp.ask("QUIT").starts_with("221 "));
    server.wait_to_say("DEBUG");
    server.end();
}

#[test]
fn numbers_and_health() {
    let site = Folder::new();
    let mut server = site.serve();
    server.wait_for(&[site.metrics]);
    let get = |target: &str| {
        let mut http = Talk::with(site.metrics);
        http.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n"));
        let mut text = String::new();
        loop {
            match http.line() {
                line if line.is_empty() && text.contains("\n\n") => return text,
                line => text = text + &line + "\n",
            }
        }
    };
    assert!(get("/healthz").starts_with("HTTP/1.1 200 OK"));
    let numbers = get("/metrics");
    assert!(numbers.contains("iems_messages_accepted_total 0"), "{numbers}");
    assert!(numbers.contains("# TYPE iems_queue_workers gauge"), "{numbers}");
    assert!(get("/else").starts_with("HTTP/1.1 404"));
    server.end();
}

#[test]
fn json_logs_are_json() {
    let site = Folder::new();
    site.configure("[log]\nformat = \"json\"\n");
    let server = site.serve();
    server.wait_to_say("ready");
    let log = server.said();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(line["level"].is_string() && line["timestamp"].is_string());
    }
    server.end();
}

#[test]
fn quickstart_makes_a_server_that_starts() {
    let dir = tempfile::tempdir().expect("a folder");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iems"));
        command.args(arguments).current_dir(dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let output = run(command(&["quickstart", "you@example.org", "--high-ports"]), "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("example.org.  MX     10 mx.example.org."), "{said}");
    assert!(said.contains("password: "), "{said}");
    assert!(run(command(&["config", "check"]), "").status.success());
    let accounts = run(command(&["account", "list", "--json"]), "");
    let accounts: serde_json::Value = serde_json::from_slice(&accounts.stdout).expect("JSON");
    assert_eq!(accounts[0]["address"], "you@example.org");
    let again = run(command(&["quickstart", "you@example.org"]), "");
    assert_eq!(again.status.code(), Some(73));
}

#[test]
fn the_first_start_shows_a_password_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let start = |ports: [std::net::SocketAddr; 5]| {
        let out = dir.path().join("out");
        let mut command = Command::new(env!("CARGO_BIN_EXE_iems"));
        command.arg("serve").current_dir(dir.path()).env("IEMS_CONFIG", "").stdin(Stdio::null());
        command.stdout(std::fs::File::create(&out).expect("a file"));
        command.stderr(std::fs::File::create(dir.path().join("log")).expect("a file"));
        let mut server = Server { child: command.spawn().expect("iems runs"), log: dir.path().join("log") };
        server.wait_for(&ports);
        server.wait_to_say("ready");
        let said = std::fs::read_to_string(out).expect("what was said");
        server.end();
        said
    };
    let ports = [2525, 2587, 2110, 2143, 2112].map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    if ports.iter().any(|port| std::net::TcpListener::bind(port).is_err()) {
        panic!("a port of the built-in configuration is taken: {ports:?} must be free for this test");
    }
    let first = start(ports);
    assert!(first.contains("account:  me@iems.localhost"), "{first}");
    assert!(first.contains("password: "), "{first}");
    assert!(first.contains("imap://127.0.0.1:2143/INBOX;MAILINDEX=1"), "{first}");
    let password = first.lines().find_map(|line| line.strip_prefix("password: ")).expect("a password");
    let second = start(ports);
    assert!(
        !second.contains(password) && second.contains("iems account password me@iems.localhost"),
        "{second}"
    );
}

/// Writes a certificate for a host and its key into the folder.
fn certificate(site: &Folder, name: &str, host: &str) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a certificate");
    std::fs::write(site.path(&format!("{name}.key")), made.signing_key.serialize_pem()).expect("a file");
    std::fs::write(site.path(&format!("{name}.pem")), made.cert.pem()).expect("a file");
}

#[test]
fn certificates_are_listed_and_read_again() {
    let site = Folder::new();
    certificate(&site, "mx", "mx.example.test");
    certificate(&site, "two", "mail.example.net");
    let tls = "[tls]\ncertificate = \"mx.pem\"\nkey = \"mx.key\"\n";
    site.configure(tls);
    let at_rest = site.json(&["tls", "show", "--json"]);
    assert_eq!(at_rest[0]["names"][0], "mx.example.test");
    let server = site.serve();
    let before = site.json(&["tls", "show", "--json"]);
    assert_eq!(before, at_rest);
    assert!(
        before[0]["tlsa"][0].as_str().expect("a record").starts_with("_25._tcp.mx.example.test. TLSA 3 1 1 ")
    );
    assert_eq!(before[0]["listeners"][0], format!("smtp {}", site.smtp));

    // A change of the file needs nothing else; one that is no good changes nothing.
    std::fs::write(site.path("mx.pem"), "half of a").expect("a file");
    server.wait_to_say("a certificate stays as it was");
    assert_eq!(site.json(&["tls", "show", "--json"]), before);
    certificate(&site, "mx", "other.example.test");
    server.wait_to_say("a certificate was taken over");
    let after = site.json(&["tls", "show", "--json"]);
    assert_eq!(after[0]["names"][0], "other.example.test");
    assert!(after[0]["wrong"].to_string().contains("it is not for mx.example.test"), "{after}");
    assert!(server.said().contains("it is not for mx.example.test"), "{}", server.said());
    let checked = site.good(&["config", "check"]);
    assert!(checked.contains("tls.certificate: it is not for mx.example.test"), "{checked}");

    // One more takes a signal, and no restart.
    site.configure(&format!("{tls}[[certificate]]\ncertificate = \"two.pem\"\nkey = \"two.key\"\n"));
    server.signal("HUP");
    server.wait_to_say_times("a certificate was taken over", 2);
    assert!(!server.said().contains("after a restart"), "{}", server.said());
    let text = site.good(&["tls", "show"]);
    assert!(
        text.contains("mail.example.net\n") && text.contains("publish   _25._tcp.mail.example.net."),
        "{text}"
    );
    server.end();
}
