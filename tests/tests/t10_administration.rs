//! The command line, with the server running and without; the second instance; the first start.

use std::fs::File;
use std::process::Command;

use iems_tests::iems::{Iems, binary};
use iems_tests::peers::curl;
use iems_tests::pop3::{Pop3, wait_all};
use iems_tests::process::{Daemon, Said, run, tail};
use iems_tests::smtp::{deliver, letter};
use iems_tests::wait::{secs, wait_for};
use tempfile::TempDir;

const ANN: &str = "ann@example.test";

/// Everything an administrator does in a day; the same words whether the server runs or not.
fn administer(site: &Iems, domain: &str) {
    let address = format!("ann@{domain}");
    let bad = site.admin_with(&["account", "add", &address, "--password-stdin"], b"x\n");
    assert_ne!(bad.code, 0, "an account without its domain");
    site.admin(&["domain", "add", domain]).good();
    assert_ne!(site.admin(&["domain", "add", domain]).code, 0, "the same domain again");
    site.admin_with(&["account", "add", &address, "--password-stdin"], b"one\n").good();
    site.admin_with(&["account", "password", &address, "--password-stdin"], b"two\n").good();
    let info = format!("info@{domain}");
    site.admin(&["alias", "add", &info, &address, "x@example.com"]).good();
    let listed = site.admin(&["domain", "list", "--json"]).good().json().to_string();
    assert!(listed.contains(domain), "{listed}");
    let route = site.admin(&["route", &info, "--json"]).good().json().to_string();
    assert!(route.contains(&address) && route.contains("x@example.com"), "{route}");
    let accounts = site.admin(&["account", "list", "--json"]).good().json().to_string();
    assert!(accounts.contains(&address) && !accounts.contains("two"), "{accounts}");
    assert!(site.admin(&["route", &format!("nobody@{domain}")]).out.contains("5.1.1"));
}

#[test]
fn the_same_words_work_with_and_without_a_server() {
    let mut site = Iems::new();
    administer(&site, "off.example.test");
    site.start();
    administer(&site, "on.example.test");
    for user in ["ann@off.example.test", "ann@on.example.test"] {
        Pop3::connect(site.at("pop3")).login(user, "two");
    }
    site.admin(&["account", "remove", "ann@on.example.test"]).good();
    let mut pop = Pop3::connect(site.at("pop3"));
    pop.must("USER ann@on.example.test");
    assert!(pop.command("PASS two").expect("an answer").starts_with("-ERR"));
    site.stop();
    let left = site.admin(&["account", "list", "--json"]).good().json();
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
}

#[test]
fn the_queue_can_be_seen_tried_and_purged_both_ways() {
    let mut site = Iems::with_accounts(&[ANN]);
    // Nobody listens there.
    site.config.route("example.net", format!("smtp:{}:1", site.ip));
    site.config.retry = vec!["1h".to_owned()];
    site.start();
    for to in ["b@example.net", "c@example.net"] {
        deliver(site.at("smtp"), ANN, to, &letter(ANN, to, "waits"));
    }
    let list = wait_for("both to be deferred", secs(15), || {
        let list = site.admin(&["queue", "list", "--json"]).good().json();
        let put_off = |m: &serde_json::Value| m["state"] == "deferred" && m["last_reply"].is_string();
        list.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(put_off)).then_some(list)
    });
    // One of them found out that nobody is there; the other one waits for its next try.
    let tried = |n: u64| list.as_array().and_then(|all| all.iter().find(|m| m["attempts"] == n));
    let id = |m: Option<&serde_json::Value>| m.and_then(|m| m["id"].as_str()).expect("an id").to_owned();
    let (id, other) = (id(tried(1)), id(tried(0)));
    assert_eq!(list[0]["sender"], ANN);
    site.admin(&["queue", "show", &id, "--json"]).good().json();
    site.admin(&["queue", "retry", &id]).good();
    wait_for("the second attempt", secs(10), || {
        let shown = site.admin(&["queue", "show", &id, "--json"]).good().json();
        (shown["attempts"].as_u64() == Some(2)).then_some(())
    });
    site.admin(&["queue", "purge", &id]).good();
    assert_ne!(site.admin(&["queue", "show", &id]).code, 0);
    let story = site.admin(&["explain", &id, "--json"]).good().json().to_string();
    assert!(story.contains("b@example.net") || story.contains("c@example.net"), "{story}");
    site.stop();
    let left = site.admin(&["queue", "list", "--json"]).good().json();
    assert_eq!((left.as_array().map(Vec::len), left[0]["id"].as_str()), (Some(1), Some(other.as_str())));
    site.admin(&["queue", "purge", &other]).good();
    assert!(site.admin(&["queue", "list", "--json"]).good().json().as_array().is_some_and(Vec::is_empty));
    assert_ne!(site.admin(&["queue", "show", "00000000000000000000000000"]).code, 0);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_in_clear_words() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let second = site.admin(&["serve"]);
    assert_ne!(second.code, 0);
    let words = format!("{}{}", second.out, second.err);
    assert!(words.contains("data") && words.contains("another"), "{words}");
    deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "still here"));
    wait_all(site.at("pop3"), ANN, "secret", 1);
}

#[test]
fn a_wrong_configuration_is_refused_with_line_and_remedy() {
    let mut site = Iems::new();
    site.config.top = "hostnam = \"x\"".to_owned();
    site.config.expire = "soon".to_owned();
    site.write();
    for args in [["config", "check"].as_slice(), &["serve"]] {
        let said = site.admin(args);
        assert_eq!(said.code, 78, "{said:?}");
        let words = format!("{}{}", said.out, said.err);
        assert!(
            words.contains("hostnam") && words.contains("\"hostname\"") && words.contains(":3:"),
            "{words}"
        );
        assert!(words.contains("expire"), "all mistakes at once: {words}");
    }
    site.config.top.clear();
    site.config.expire = "1h".to_owned();
    site.write();
    site.admin(&["config", "check"]).good();
}

#[test]
fn sendmail_submits_for_local_programs() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.start();
    let text = b"To: ann@example.test\nBcc: ann+hidden@example.test\nSubject: cron\n\nline\n.\nlast\n";
    site.admin_with(&["sendmail", "-t", "-i", "-f", "root@example.test"], text).good();
    for message in wait_all(site.at("pop3"), ANN, "secret", 2) {
        let text = String::from_utf8_lossy(&message).into_owned();
        assert!(text.ends_with("\r\n\r\nline\r\n.\r\nlast\r\n") && !text.contains("Bcc"), "{text}");
    }
    let refused = site.admin_with(&["sendmail", "nobody@example.test"], text);
    assert_eq!(refused.code, 67, "{refused:?}");
}

#[test]
fn help_teaches() {
    let help = |args: &[&str]| -> Said { run(Command::new(binary()).args(args), b"") };
    let words = help(&["--help"]).good().out;
    for word in ["serve", "quickstart", "account", "queue", "explain", "route", "sendmail"] {
        assert!(words.contains(word), "{words}");
    }
    assert!(help(&["account", "add", "--help"]).good().out.contains("--password-stdin"));
    let wrong = help(&["acount"]);
    assert!(wrong.code != 0 && wrong.err.contains("account"), "{wrong:?}");
}

#[test]
fn quickstart_writes_a_site_that_serves() {
    let dir = TempDir::new().expect("a temporary folder");
    let iems = |args: &[&str], input: &[u8]| {
        run(Command::new(binary()).args(args).current_dir(dir.path()).env_remove("IEMS_CONFIG"), input)
    };
    let said = iems(&["quickstart", "you@example.test"], b"").good();
    for word in ["MX", "SPF", "you@example.test"] {
        assert!(said.out.to_uppercase().contains(&word.to_uppercase()), "no {word}: {}", said.out);
    }
    assert!(dir.path().join("iems.toml").exists());
    iems(&["config", "check"], b"").good();
    let accounts = iems(&["account", "list", "--json"], b"").good().json();
    assert_eq!(accounts[0]["address"], "you@example.test");
}

#[test]
fn the_first_start_prints_three_lines_that_work() {
    let lock = File::create(std::env::temp_dir().join("iems-tests-ports.lock")).expect("a lock");
    lock.lock().expect("the built-in ports");
    let dir = TempDir::new().expect("a temporary folder");
    let log = dir.path().join("log");
    let start = || {
        let mut serve = Command::new(binary());
        serve.arg("serve").current_dir(dir.path()).env_remove("IEMS_CONFIG").env("HOME", dir.path());
        Daemon::start(&mut serve, &log)
    };
    let mut daemon = start();
    let said = wait_for("the words of the first start", secs(20), || {
        assert_eq!(daemon.ended(), None, "{}", tail(&log, 30));
        let said = std::fs::read_to_string(&log).expect("the log");
        (said.matches("curl ").count() >= 2 && said.contains("assword")).then_some(said)
    });
    assert!(dir.path().join("iems-data").is_dir());
    let mut sent = false;
    for line in
        said.lines().map(str::trim).filter(|line| line.starts_with("curl ") || line.starts_with("printf "))
    {
        let said = wait_for(&format!("{line} to work"), secs(10), || {
            let said =
                run(Command::new("sh").args(["-c", line]).current_dir(dir.path()), b"Subject: first\n\nhi\n");
            (said.code == 0).then_some(said)
        });
        sent |= !line.contains("pop3://");
        assert!(line.contains("smtp") || said.out.contains("Subject:"), "{line}: {said:?}");
    }
    assert!(sent, "no line shows how to send: {said}");
    drop(daemon);
    // The password is shown once.
    let before = std::fs::read_to_string(&log).expect("the log").len();
    let mut daemon = start();
    let again = wait_for("the second start", secs(20), || {
        assert_eq!(daemon.ended(), None, "{}", tail(&log, 30));
        curl::curl(&["pop3://127.0.0.1:2110/", "--user", "nobody@nowhere.test:x"], b"");
        let said = std::fs::read_to_string(&log).expect("the log")[before..].to_owned();
        std::net::TcpStream::connect("127.0.0.1:2110").is_ok().then_some(said)
    });
    let word = said.split_whitespace().skip_while(|word| !word.to_lowercase().contains("password")).nth(1);
    let password = word.expect("a password").trim_matches(|c: char| !c.is_alphanumeric());
    assert!(password.len() >= 8 && !again.contains(password), "the password again: {again}");
}
