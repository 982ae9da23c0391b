//! Administration with and without a running server: the same commands, the same answers.

mod support;

use serde_json::Value;
use support::Folder;

/// What an administrator does in an afternoon.
fn an_afternoon(site: &Folder) {
    site.good(&["domain", "add", "example.org"]);
    site.good_with(&["account", "add", "ann@example.org", "--password-stdin", "--quota", "1GiB"], "secret\n");
    site.good_with(&["account", "add", "bob@example.org", "--password-stdin"], "secret\r\n");
    site.good(&["alias", "add", "info@example.org", "ann@example.org"]);
    site.good(&["alias", "add", "info@example.org", "bob@example.org", "ann@example.org"]);
    site.good(&[
        "account",
        "set",
        "bob@example.org",
        "--forward",
        "bob@example.net",
        "--keep",
        "--sender",
        "example.org",
    ]);
    site.good(&["domain", "set", "example.org", "--catch-all", "ann@example.org"]);
    site.good(&["policy", "set", "ann@example.org", "dnsbl/*", "junk"]);
    site.good(&["policy", "set", "ann@example.org", "dnsbl/*", "tag"]);
    site.good(&["policy", "set", "example.org", "dnsbl/*", "discard", "--result", "fail", "--score", "4"]);
}

fn it_shows(site: &Folder) {
    let domains = site.json(&["domain", "list", "--json"]);
    assert_eq!(domains[0]["name"], "example.org");
    assert_eq!(domains[0]["members"], 3);
    assert_eq!(domains[0]["catch_all"], "ann@example.org");
    let bob = site.json(&["account", "show", "bob@example.org", "--json"]);
    assert_eq!(bob["forward"][0], "bob@example.net");
    assert_eq!((&bob["keep"], &bob["senders"][0]), (&Value::Bool(true), &Value::from("example.org")));
    let accounts = site.json(&["account", "list", "--domain", "example.org", "--json"]);
    assert_eq!(accounts.as_array().expect("an array").len(), 2);
    assert_eq!(accounts[0]["quota"], 1 << 30);
    let aliases = site.json(&["alias", "list", "--json"]);
    assert_eq!(aliases[0]["to"].as_array().expect("an array").len(), 2, "targets are added, and none twice");
    let rules = site.json(&["policy", "list", "ann@example.org", "--json"]);
    assert_eq!(rules.as_array().expect("an array").len(), 1, "a rule for the same check is replaced");
    assert_eq!(rules[0]["action"], "tag");
    let route = site.json(&["route", "info@example.org", "--json"]);
    assert_eq!(route["accepted"], true);
    assert!(
        route["ways"].as_array().expect("an array").iter().any(|way| way["address"] == "ann@example.org")
    );
    let text = site.good(&["account", "list"]);
    assert!(text.contains("ACCOUNT") && text.contains("ann@example.org"), "{text}");
}

fn it_refuses(site: &Folder) {
    for (arguments, code, said) in [
        (&["domain", "add", "example.org"][..], 65, "exists already"),
        (&["domain", "remove", "example.org"][..], 65, "remove them first"),
        (&["domain", "show", "example.net"][..], 68, "no domain example.net"),
        (&["account", "show", "cid@example.org"][..], 67, "no account cid@example.org"),
        (&["account", "remove", "annn@example.org"][..], 67, "did you mean"),
        (&["alias", "remove", "info@example.org", "cid@example.org"][..], 67, "does not lead to"),
        (&["alias", "add", "ann@example.org", "bob@example.org"][..], 65, "exists already"),
        (&["policy", "set", "ann@example.org", "x", "refuse"][..], 65, "not refuse"),
        (&["policy", "remove", "ann@example.org", "x"][..], 65, "no rule"),
        (&["queue", "purge"][..], 64, "--all"),
        (&["queue", "show", "01JD3V9Q4C8R2T6W0X5Y7Z1ABC"][..], 65, "does not wait"),
        (&["explain", "01JD3V9Q4C8R2T6W0X5Y7Z1ABC"][..], 65, "nothing is known"),
        (&["account", "add", "not an address", "--password-stdin"][..], 64, "not an address"),
        (&["account", "add", "cid@example.org"][..], 64, "--password-stdin"),
        (&["queue", "show", "X"][..], 64, "not a queue id"),
    ] {
        let output = site.run(arguments, "");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    let empty = site.run(&["account", "add", "cid@example.org", "--password-stdin"], "\n");
    assert_eq!(empty.status.code(), Some(65));
}

fn it_goes(site: &Folder) {
    site.good(&["alias", "remove", "info@example.org", "bob@example.org"]);
    site.good(&["alias", "remove", "info@example.org"]);
    site.good(&["policy", "remove", "ann@example.org", "dnsbl/*"]);
    site.good(&["domain", "set", "example.org", "--no-catch-all"]);
    site.good_with(&["account", "password", "ann@example.org", "--password-stdin"], "another\n");
    site.good(&["account", "remove", "ann@example.org"]);
    site.good(&["account", "remove", "bob@example.org"]);
    site.good(&["domain", "remove", "example.org"]);
    assert_eq!(site.json(&["domain", "list", "--json"]), Value::Array(Vec::new()));
}

#[test]
fn without_a_server() {
    let site = Folder::new();
    an_afternoon(&site);
    it_shows(&site);
    it_refuses(&site);
    let output = site.run(&["status", "--json"], "");
    assert_eq!(output.status.code(), Some(69));
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&status["running"], &status["state"]), (&Value::Bool(false), &Value::from("stopped")));
    assert_eq!(status["domains"], 1);
    assert!(status["room"]["total"].as_u64() > status["room"]["mark"].as_u64(), "{status:#}");
    it_goes(&site);
}

#[test]
fn with_a_server() {
    let site = Folder::new();
    let server = site.serve();
    an_afternoon(&site);
    it_shows(&site);
    it_refuses(&site);
    let status = site.json(&["status", "--json"]);
    assert_eq!((&status["process"], &status["state"]), (&Value::from(server.id()), &Value::from("healthy")));
    assert!(status["memory"]["used"].as_u64() > Some(0), "{status:#}");
    let mut peer = support::Talk::with(site.smtp);
    peer.reply();
    let text = site.good(&["status"]);
    assert!(text.contains("mail is taken, deliveries go on"), "{text}");
    assert!(text.contains(&format!("smtp {}: 1 open", site.smtp)), "{text}");
    drop(peer);
    assert!(text.lines().all(|line| line.chars().count() <= 80 || line.contains('/')), "{text}");
    it_goes(&site);
}

#[test]
fn asking_for_the_status_makes_no_store() {
    let site = Folder::new();
    std::fs::create_dir(site.path("data")).expect("an empty folder");
    let output = site.run(&["status"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("no server runs") && text.contains("nothing in the data folder"), "{text}");
    assert_eq!(std::fs::read_dir(site.path("data")).expect("the folder").count(), 0);
}

#[test]
fn what_one_does_the_other_sees() {
    let site = Folder::new();
    site.good(&["domain", "add", "example.org"]);
    let server = site.serve();
    site.good_with(&["account", "add", "ann@example.org", "--password-stdin"], "secret\n");
    server.end();
    assert_eq!(site.json(&["account", "list", "--json"])[0]["address"], "ann@example.org");
}

#[test]
fn the_socket_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let site = Folder::new();
    let server = site.serve();
    let mode = |name: &str| std::fs::metadata(site.path(name)).expect(name).permissions().mode() & 0o777;
    assert_eq!(mode("data/admin.sock"), 0o600);
    assert_eq!(mode("data"), 0o700);
    server.end();
    assert!(!site.path("data/admin.sock").exists());
}
