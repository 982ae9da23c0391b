//! What `iems config check` says about a configuration, word for word.

use std::process::{Command, Output};

fn check(text: &str, arguments: &[&str]) -> Output {
    check_with(text, arguments, None)
}

/// With the texts of reports in `texts.txt` beside it.
fn check_with(text: &str, arguments: &[&str], texts: Option<&str>) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    if let Some(texts) = texts {
        std::fs::write(folder.path().join("texts.txt"), texts).expect("a file");
    }
    std::fs::write(folder.path().join("iems.toml"), text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_iems"));
    command.args(["--config", "iems.toml", "config", "check"]).args(arguments).current_dir(folder.path());
    command.output().expect("iems runs")
}

/// What is said about `text`, without the line that counts.
#[track_caller]
fn problems(text: &str) -> Vec<String> {
    let output = check(text, &[]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(78), "{said}");
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let count = lines.pop().expect("a last line");
    assert!(count.ends_with("in the configuration"), "{count}");
    lines[0] = lines[0].trim_start_matches("iems: ").to_owned();
    lines
}

#[test]
fn unknown_keys_name_the_nearest_valid_one() {
    let text = "hostname = \"mx.example.org\"\n[queue]\nretrys = [\"1m\"]\n[[listener]]\nprotocol = \"smtp\"\n\
                adress = \"127.0.0.1:25\"\n";
    assert_eq!(
        problems(text),
        [
            "iems.toml:3:1: unknown key \"retrys\" in [queue]: did you mean \"retry\"? Valid keys: retry, expire, warn, \
             per_hop, attempts, history",
            "iems.toml:4:1: [[listener]] needs the key \"address\"",
            "iems.toml:6:1: unknown key \"adress\" in [listener]: did you mean \"address\"? Valid keys: protocol, address, \
             certificate, key, cleartext_passwords, xclient, xforward, sender_login, sender_header, proxies, client_certificates, \
             client_ca, client_fingerprints",
        ]
    );
}

#[test]
fn what_is_wrong_with_a_peer_is_said_with_what_would_be_right() {
    let text = "hostname = \"mx.example.org\"\n\
                [[peer]]\nrate = \"fast\"\n\
                [[peer]]\ndomain = \"smtp:example.org\"\n\
                [[peer]]\ndomain = \"example.org\"\nconcurrency = 2\ninitial_concurrency = 3\nrate = \"0/1m\"\nsource = []\n\
                [[peer]]\ndomain = \"example.org\"\nsource = [\"192.0.2.1\", \"192.0.2.2\"]\nretry = []\nsize = \"0\"\nhello = \"-\"\ntls = \"required\"\n\
                [[peer]]\ndomain = \"example.net\"\nconcurency = 2\nconcurrency = 0\n";
    let expected = [
        "iems.toml:2:1: [[peer]] needs the key \"domain\"",
        "iems.toml:3:8: peer.rate: expected messages and a time such as \"100/1m\", \"5/s\" or \"1000/1h\", or \"none\", \
         found \"fast\"",
        "iems.toml:5:10: peer.domain: expected \"example.org\", \"*.example.org\", \"*\" or a next hop such as \
         \"[192.0.2.1]:25\" or \"/run/lmtp\", found \"smtp:example.org\"",
        "iems.toml:9:23: peer.initial_concurrency: expected no more than the 2 of concurrency, found 3",
        "iems.toml:10:8: peer.rate: \"0/1m\" lets no message through: the number and the time must be at least 1",
        "iems.toml:11:10: peer.source: expected at least one of: an IP address such as \"192.0.2.1\" or \"2001:db8::1\", \
         found an empty list",
        "iems.toml:13:10: peer.domain: there are two peers \"example.org\"",
        "iems.toml:14:10: peer.source: expected one IPv4 and one IPv6 address at most, found two of a kind",
        "iems.toml:15:9: peer.retry: expected at least one duration, each longer than nothing, found []",
        "iems.toml:16:8: peer.size: nothing would be sent; to refuse mail for a domain, give it a [[route]] via \
         \"error:5.1.2 text\"",
        "iems.toml:17:9: peer.hello: expected a domain name such as \"mx.example.org\", found \"-\"",
        "iems.toml:18:7: peer.tls: expected one of off, opportunistic, require, verify, dane, dane-only, fingerprint, found \
         \"required\": did you mean \"require\"?",
        "iems.toml:21:1: unknown key \"concurency\" in [peer]: did you mean \"concurrency\"? Valid keys: domain, concurrency, \
         initial_concurrency, rate, messages_per_link, link_age, link_idle, retry, expire, warn, tls, tls_ca, \
         tls_match, tls_fingerprints, tls_minimum, source, hello, size, xforward",
        "iems.toml:22:15: peer.concurrency: expected a whole number from 1 to 1000000000, found the integer 0",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn a_source_is_one_of_three_and_says_something() {
    let text = "hostname = \"mx.example.org\"\n\
                [[source]]\nrate = \"1/s\"\n\
                [[source]]\nsender = \"ann@example.org\"\ntenant = \"example.org\"\npriority = 1\n\
                [[source]]\nsender = \"*@example.org\"\n\
                [[source]]\nrecipient = \"example.org\"\nrate = \"1/s\"\n\
                [[source]]\ntenant = \"*\"\n\
                [[source]]\ntenant = \"example.org\"\npriority = 9\n\
                [[source]]\ntenant = \"example.org\"\npriority = 10\nrate = \"5/60d\"\n";
    let expected = [
        "iems.toml:2:1: [[source]] needs one of the keys `sender`, `tenant` and `recipient`, and only one",
        "iems.toml:4:1: [[source]] needs one of the keys `sender`, `tenant` and `recipient`, and only one",
        "iems.toml:9:10: source.sender: expected \"ann@example.org\", \"example.org\", \"*.example.org\", \"*\" or \"<>\", \
         found \"*@example.org\"",
        "iems.toml:12:8: source.rate: recipients have no rate; the rate of a destination stands in its [[peer]]",
        "iems.toml:13:1: [[source]] needs a `rate` or a `priority`",
        "iems.toml:18:1: [[source]]: there are two for the same",
        "iems.toml:20:12: source.priority: expected a whole number from -9 (last) to 9 (first), found the integer 10",
        "iems.toml:21:8: source.rate: \"5/60d\" is too large: the time may be 31d at most, the number 4294967295",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn every_problem_is_said_at_once_with_what_would_be_right() {
    let text = "hostname = \"-mx\"\ngrace = 5\n[queue]\nretry = []\nexpire = \"5 days\"\n[limits]\nmessage = \"big\"\n\
                recipients = 0\n[relay]\nnetworks = [\"10.0.0.0/33\"]\n[[route]]\ndomain = \"*.\"\nvia = \"smpt:x\"\n\
                [[policy]]\ncheck = \"dnsbl/*\"\naction = \"reject\"\n[log]\nlevel = \"loud=x=y\"\n";
    let lines = problems(text);
    for (line, begin) in [
        (0, "iems.toml:1:12: hostname: expected a domain name such as \"mx.example.org\", found \"-mx\""),
        (
            1,
            "iems.toml:2:9: grace: expected a duration such as \"30s\", \"5m\", \"4h\" or \"5d\", found the integer 5",
        ),
        (2, "iems.toml:4:9: queue.retry: expected at least one duration"),
        (3, "iems.toml:5:10: queue.expire: expected a duration such as"),
        (
            4,
            "iems.toml:7:11: limits.message: expected a size such as \"64KiB\", \"50MiB\" or \"2GiB\", found \"big\"",
        ),
        (
            5,
            "iems.toml:8:14: limits.recipients: expected a whole number from 1 to 1000000000, found the integer 0",
        ),
        (6, "iems.toml:10:13: relay.networks: expected a network such as \"192.0.2.0/24\""),
        (
            7,
            "iems.toml:12:10: route.domain: expected \"example.org\", \"*.example.org\" or \"*\", found \"*.\"",
        ),
        (8, "iems.toml:13:7: route.via: expected \"smtp:host\", \"smtp:host:port\", \"lmtp:host:port\""),
        (
            9,
            "iems.toml:16:10: policy.action: expected one of accept, tag, junk, discard, defer, refuse, found \"reject\"",
        ),
        (10, "iems.toml:18:9: log.level: "),
    ] {
        assert!(lines[line].starts_with(begin), "{}\nexpected {begin}", lines[line]);
    }
    assert_eq!(lines.len(), 11, "{lines:#?}");
}

#[test]
fn a_section_in_double_brackets_is_told_from_one() {
    let lines = problems("hostname = \"mx.example.org\"\n[[quota]]\nstorage = \"1GiB\"\n");
    let end = "quota: expected a section, [quota], found a list, which a heading in double brackets begins";
    assert!(lines.len() == 1 && lines[0].ends_with(end), "{lines:?}");
}

#[test]
fn an_open_relay_cannot_be_configured() {
    let text = "hostname = \"mx.example.org\"\n[relay]\nnetworks = [\"10.0.0.0/8\", \"0.0.0.0/0\"]\ndomains = [\"*\"]\n";
    let lines = problems(text);
    assert!(
        lines[0].starts_with("iems.toml:3:12: relay.networks: \"0.0.0.0/0\" would make this an open relay"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("iems.toml:4:11: relay.domains: \"*\" would make this an open relay"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn listeners_that_nobody_could_use_are_problems() {
    let text = "hostname = \"mx.example.org\"\n[[listener]]\nprotocol = \"submission\"\naddress = \"0.0.0.0:587\"\n\
                [[listener]]\nprotocol = \"pop3s\"\naddress = \"127.0.0.1:995\"\n[[listener]]\nprotocol = \"http\"\n\
                address = \"127.0.0.1:995\"\n";
    let lines = problems(text);
    assert!(lines[0].starts_with("iems.toml:3:12: nobody could log in"), "{}", lines[0]);
    assert!(lines[1].contains("needs a certificate"), "{}", lines[1]);
    assert!(lines[2].contains("\"http\" is not part of this version"), "{}", lines[2]);
    assert!(lines[3].contains("127.0.0.1:995 is used by two listeners"), "{}", lines[3]);
}

#[test]
fn a_certificate_is_looked_into() {
    let text = "hostname = \"mx.example.org\"\n[tls]\ncertificate = \"no.pem\"\nkey = \"no.key\"\n\
                [[listener]]\nprotocol = \"imaps\"\naddress = \"127.0.0.1:993\"\n";
    let lines = problems(text);
    assert!(lines[0].starts_with("iems.toml:3:15: tls.certificate: "), "{}", lines[0]);
    assert!(lines[0].contains("no.pem: No such file"), "{}", lines[0]);
    assert_eq!(lines.len(), 1, "the listener lacks no other one: {lines:?}");
}

#[test]
fn what_is_out_of_bounds_or_in_the_wrong_place_is_said_with_what_was_found() {
    let text = "[[listener]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:25\"\nhostname = \"mx.example.org\"\n\
                [imap]\nidle = \"5m\"\n[quota]\nwarn_at = 190\n[search]\nmemory = \"1MiB\"\n[log]\nlevel = \"loud\"\n";
    let lines = problems(text);
    for (line, parts) in [
        (0, ["iems.toml:4:1: unknown key \"hostname\" in [listener]", "belongs at the top of the file"]),
        (1, ["iems.toml:6:8: imap.idle: expected at least \"30m\"", ", found \"5m\""]),
        (2, ["iems.toml:8:11: quota.warn_at: expected a share", ", found 190"]),
        (3, ["iems.toml:10:10: search.memory: expected a size from", ", found \"1MiB\""]),
        (4, ["iems.toml:12:9: log.level: \"loud\" is no level", "expected error, warn, info"]),
        (5, ["iems.toml: the file needs", "\"hostname\""]),
    ] {
        assert!(parts.iter().all(|part| lines[line].contains(part)), "{}\nexpected {parts:?}", lines[line]);
    }
    assert_eq!(lines.len(), 6, "{lines:#?}");
    let lines = problems("hostname = \"192.0.2.1\"\n");
    assert!(lines[0].starts_with("iems.toml:1:12: hostname: expected a name"), "{}", lines[0]);
    assert!(lines[0].ends_with("found \"192.0.2.1\""), "{}", lines[0]);
    for level in ["warn", "INFO", "info,iems_smtp=debug", "off,iems=info"] {
        let text = format!("hostname = \"mx.example.org\"\n[log]\nlevel = \"{level}\"\n");
        assert_eq!(check(&text, &[]).status.code(), Some(0), "{level}");
    }
}

#[test]
fn marks_are_checked() {
    let head = "hostname = \"mx.example.org\"\n";
    let lines = problems(&format!("{head}[store]\nlow = \"5%\"\nslow = \"0s\"\n"));
    assert_eq!(
        lines[0],
        "iems.toml:3:7: store.low: expected a size such as \"64KiB\", \"50MiB\" or \"2GiB\", found \"5%\""
    );
    assert!(
        lines[1].starts_with("iems.toml:4:8: store.slow: expected a duration longer than"),
        "{}",
        lines[1]
    );
    let off = format!("{head}[store]\nlow = \"0\"\n[limits]\nmemory = \"0\"\n");
    assert_eq!(check(&off, &[]).status.code(), Some(0));
}

#[test]
fn what_is_not_toml_is_said_with_its_place() {
    let lines = problems("hostname = \n[queue\n");
    assert!(lines[0].starts_with("iems.toml:1:12: not TOML: "), "{}", lines[0]);
    assert!(lines[1].starts_with("iems.toml:2:"), "{}", lines[1]);
}

#[test]
fn json_has_the_same_problems() {
    let output = check("hostnam = \"mx\"\n", &["--json"]);
    assert_eq!(output.status.code(), Some(78));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["file"], "iems.toml");
    assert_eq!(said["problems"][0]["line"], 1);
    assert_eq!(said["problems"][0]["key"], "hostnam");
    let output = check("hostname = \"mx.example.org\"\n", &["--json"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_that_is_not_there_is_an_error_not_the_default() {
    let output = Command::new(env!("CARGO_BIN_EXE_iems"))
        .args(["--config", "/nonexistent/iems.toml", "config", "check"])
        .output()
        .expect("iems runs");
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent/iems.toml"));
}

const ENGLISH: &str = include_str!("../../iems-core/src/report/texts/en.txt");

#[test]
fn texts_of_reports_are_read_with_the_configuration() {
    let text = "hostname = \"mx.example.org\"\n[reports]\nlanguage = \"fr\"\ntexts = [\"texts.txt\"]\n";
    let french = ENGLISH.replace("language: en", "language: fr");
    assert_eq!(check_with(text, &[], Some(&french)).status.code(), Some(0));
    let wrong = check_with(text, &[], Some(&french.replace("{until}", "{untli}")));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(78), "{said}");
    let line = french.lines().position(|line| line.contains("{until}")).expect("a line") + 1;
    assert!(
        said.contains("iems.toml:4:10: reports.texts: ") && said.contains(&format!("texts.txt:{line}: ")),
        "{said}"
    );
    assert!(said.contains("unknown placeholder {untli}; known here: {recipients}"), "{said}");
}

#[test]
fn what_reports_cannot_be_is_said() {
    let text = "hostname = \"mx.example.org\"\n[reports]\ndouble_bounces = \"nobdy\"\nlanguage = \"dee\"\n\
                texts = [\"none.txt\"]\n";
    let lines = problems(text);
    assert!(
        lines[0]
            .starts_with("iems.toml:3:18: reports.double_bounces: expected \"postmaster\", \"nobody\" or"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("iems.toml:5:10: reports.texts: ") && lines[1].contains("none.txt"),
        "{lines:?}"
    );
    let text =
        "hostname = \"mx.example.org\"\n[[report_language]]\ndomain = \"example.de\"\nlanguage = \"dee\"\n";
    let lines = problems(text);
    let said = "iems.toml:4:12: report_language.language: there are no texts in \"dee\": did you mean \"de\"? There are: en, de";
    assert_eq!(lines, [said]);
}

#[test]
fn a_login_is_whole_and_for_a_server() {
    let text = "hostname = \"mx.example.org\"\n\
                [[route]]\ndomain = \"a.example\"\nvia = \"smtp:a.example:587\"\nuser = \"ann\"\n\
                [[route]]\ndomain = \"b.example\"\nvia = \"smtp:a.example:587\"\npassword_file = \"texts.txt\"\n\
                [[route]]\ndomain = \"c.example\"\nvia = \"mx\"\nuser = \"ann\"\npassword_file = \"texts.txt\"\n\
                [[route]]\ndomain = \"d.example\"\nvia = \"lmtp:a.example:24\"\nuser = \"ann\"\npassword_file = \"texts.txt\"\n\
                [[route]]\ndomain = \"e.example\"\nvia = \"smtp:a.example:587\"\nuser = \"ann\"\npassword_file = \"none\"\n\
                [[route]]\ndomain = \"f.example\"\nvia = \"smtp:a.example:587\"\nuser = \"ben\"\npassword_file = \"none\"\n";
    let lines = problems(text);
    let not_here =
        "route.user: expected a route via \"smtp:host:port\"; no other way has a server to log in to";
    assert_eq!(lines[0], "iems.toml:5:8: route.user: a user needs a `password_file`");
    assert_eq!(lines[1], "iems.toml:9:17: route.password_file: a password needs its `user`");
    assert_eq!(lines[2], format!("iems.toml:13:8: {not_here}"));
    assert_eq!(lines[3], format!("iems.toml:18:8: {not_here}"));
    assert!(
        lines[4].starts_with("iems.toml:24:17: route.password_file: ")
            && lines[4].contains("none: No such file")
    );
    assert_eq!(
        lines[5],
        "iems.toml:28:8: route.user: there are two logins for a.example:587; expected one `user` and one \
         `password_file` for a server"
    );
    assert_eq!(lines.len(), 7, "{lines:#?}");
}

const LOGIN: &str = "hostname = \"mx.example.org\"\n[[route]]\ndomain = \"*\"\nvia = \"smtp:a.example:587\"\nuser = \"ann\"\n\
                     password_file = \"texts.txt\"\n";

#[test]
fn a_password_file_is_looked_into() {
    for (content, said) in [
        ("\nsecret\n", "texts.txt: in its first line expected a password of 1 to 4096 octets"),
        ("a\0b", "expected a password of 1 to 4096 octets, none of them 0"),
    ] {
        let output = check_with(LOGIN, &[], Some(content));
        let found = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{found}");
        assert!(found.contains("iems.toml:6:17: route.password_file: ") && found.contains(said), "{found}");
    }
    let output = check_with(&LOGIN.replace("\"ann\"", "\"\""), &[], Some("secret"));
    let found = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(found.contains("iems.toml:5:8: route.user: expected a name of 1 to 512 octets"), "{found}");
}

#[cfg(unix)]
#[test]
fn a_password_file_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, secret) = (folder.path().join("iems.toml"), folder.path().join("texts.txt"));
    std::fs::write(&file, LOGIN).expect("a file");
    std::fs::write(&secret, "hunter2\n").expect("a file");
    let run = |mode: u32, arguments: &[&str]| {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).expect("our own file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_iems"));
        command.arg("--config").arg(&file).args(["config", "check"]).args(arguments);
        let output = command.output().expect("iems runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    let said = run(0o644, &[]);
    assert!(
        said.starts_with("warning: ") && said.contains(":6:17: route.password_file: everybody"),
        "{said}"
    );
    assert!(
        said.contains("(mode 0644), expected 0640 or less: chmod o= ") && said.contains("nothing is wrong")
    );
    let said: serde_json::Value = serde_json::from_str(&run(0o644, &["--json"])).expect("JSON");
    assert_eq!(said["warnings"][0]["line"], 6);
    assert!(!run(0o640, &[]).contains("warning"));
}
