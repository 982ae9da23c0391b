//! A server that gets its certificates itself, from Pebble, the test authority of Let's Encrypt, which looks at the hosts by a DNS of this
//! story: the first one, one for more hosts, and none for a host that is not ours.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use iems_tests::iems::{HOST, Iems};
use iems_tests::peers::knot::Knot;
use iems_tests::process::{Daemon, command, need, run};
use iems_tests::smtp::Smtp;
use iems_tests::wait::{secs, wait_for};
use rustix::process::Signal;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

/// The authority, as the story's `ca.pem` vouches for it, and the DNS that it asks.
struct Pebble {
    _daemon: Daemon,
    _dns: Knot,
}

impl Pebble {
    fn start(site: &Iems) -> Self {
        let (dir, ip) = (site.dir.path(), site.ip);
        let dns = Knot::start(&[("example.test", &format!("mx A {ip}\nmail A {ip}\n"))]);
        let config = json!({"pebble": {
            "listenAddress": format!("{ip}:14000"), "managementListenAddress": format!("{ip}:15000"),
            "certificate": "cert.pem", "privateKey": "key.pem", "httpPort": 5002, "tlsPort": 5001,
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        std::fs::write(dir.join("pebble.json"), config.to_string()).expect("a file");
        let at = dns.at.to_string();
        let mut pebble = command(&need("pebble", "pebble"), ["-config", "pebble.json", "-dnsserver", &at]);
        pebble.current_dir(dir).env("PEBBLE_VA_NOSLEEP", "1");
        let daemon = Daemon::start(&mut pebble, &dir.join("pebble.log"));
        wait_for("the authority", secs(20), || std::net::TcpStream::connect((ip, 15000)).ok());
        Self { _daemon: daemon, _dns: dns }
    }
}

/// A client that believes the authority, and nobody else.
fn client(site: &Iems) -> Arc<ClientConfig> {
    let mut curl = Command::new("curl");
    curl.args(["-s", "--cacert"])
        .arg(site.dir.path().join("ca.pem"))
        .arg(format!("https://{}:15000/roots/0", site.ip));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(run(&mut curl, b"").good().out.as_bytes()).expect("PEM"))
        .expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(builder.expect("versions").with_root_certificates(roots).with_no_client_auth())
}

fn shown(site: &Iems) -> Value {
    site.admin(&["tls", "show", "--json"]).good().json()[0].clone()
}

fn configure(site: &mut Iems, names: &[&str]) {
    site.config.more = format!(
        "[[certificate]]\nacme = true\nnames = {names:?}\n[acme]\ndirectory = \"https://{ip}:14000/dir\"\nemail = \"admin@example.test\"\n\
         accept_terms = true\naddress = \"{ip}:5002\"\nca = \"ca.pem\"\n",
        ip = site.ip
    );
    site.write();
}

fn is_private(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).expect("a file").permissions().mode() & 0o077 == 0
}

#[test]
fn certificates_are_got_and_shown_without_a_restart() {
    let mut site = Iems::with_accounts(&["ann@example.test"]);
    let _authority = Pebble::start(&site);
    site.config.tls = false;
    configure(&mut site, &[HOST]);
    site.start();
    let issued = |site: &Iems| {
        shown(site)["issuer"].as_str().is_some_and(|issuer| issuer.contains("Pebble")).then_some(())
    };
    wait_for("a certificate", secs(60), || issued(&site));
    let (first, client) = (shown(&site), client(&site));
    assert_eq!((&first["names"], &first["managed"]), (&json!([HOST]), &json!(true)), "{first}");
    assert_eq!(first["wrong"], json!([]), "{first}");
    Smtp::connect_tls(site.at("submissions"), client.clone(), HOST).must("EHLO client.example.test", 250);
    let folder = site.dir.path().join("data/acme");
    for file in std::fs::read_dir(&folder).expect("a folder") {
        let file = file.expect("a file").path();
        assert!(is_private(&file) || file.extension().is_some_and(|end| end == "pem"), "{}", file.display());
    }
    assert!(
        folder
            .read_dir()
            .expect("a folder")
            .any(|file| { file.expect("a file").file_name().to_string_lossy().starts_with("account-") })
    );

    // More hosts make another one; the account is the same.
    let accounts = || {
        std::fs::read_to_string(site.dir.path().join("pebble.log"))
            .expect("a log")
            .matches("There are now 1 accounts")
            .count()
    };
    let made = accounts();
    configure(&mut site, &[HOST, "mail.example.test"]);
    site.daemon().signal(Signal::HUP);
    wait_for("another certificate", secs(60), || {
        let names = shown(&site)["names"].to_string();
        (names.contains(HOST) && names.contains("mail.example.test")).then_some(())
    });
    Smtp::connect_tls(site.at("submissions"), client.clone(), "mail.example.test")
        .must("EHLO client.example.test", 250);
    assert_eq!(
        std::fs::read_to_string(site.dir.path().join("pebble.log"))
            .expect("a log")
            .matches("There are now 1 accounts")
            .count(),
        made
    );

    // A host that does not lead here: the authority says so, and what there was stays.
    configure(&mut site, &[HOST, "elsewhere.example.test"]);
    site.daemon().signal(Signal::HUP);
    let told = wait_for("a reason", secs(60), || {
        let wrong = shown(&site)["wrong"].to_string();
        wrong.contains("no certificate for").then_some(wrong)
    });
    assert!(told.contains("elsewhere.example.test"), "{told}");
    Smtp::connect_tls(site.at("submissions"), client, HOST).must("EHLO client.example.test", 250);
}
