//! Users prove who they are in other ways than by their password: certificates, tokens, exchanges that are bound to the
//! channel. With curl, msmtp, swaks, and ourselves as the client.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use iems_tests::iems::Iems;
use iems_tests::peers::curl;
use iems_tests::peers::msmtp::Msmtp;
use iems_tests::peers::swaks::swaks;
use iems_tests::pop3::{Pop3, field, wait_all};
use iems_tests::process::Said;
use iems_tests::smtp::{Smtp, deliver, letter};
use iems_tests::wait::{secs, wait_for};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519, SanType, SigningKey as _};
use rustix::process::Signal;
use serde_json::{Value, json};

const ANN: &str = "ann@example.test";
const BEN: &str = "ben@example.test";

/// A certificate for this mailbox that it has signed itself, as two files in one.
fn certificate(dir: &Path, name: &str, mailbox: &str) -> PathBuf {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names.push(SanType::Rfc822Name(mailbox.to_owned().try_into().expect("an address")));
    let certificate = params.self_signed(&key).expect("a certificate");
    let file = dir.join(format!("{name}.pem"));
    std::fs::write(&file, certificate.pem() + &key.serialize_pem()).expect("a file");
    file
}

/// The fingerprint of a certificate.
fn mark(file: &Path) -> String {
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(file);
    let said = String::from_utf8(openssl.output().expect("openssl").stdout).expect("text");
    said.trim().rsplit_once('=').expect("a fingerprint").1.to_owned()
}

/// Sends by curl with EXTERNAL and this certificate.
fn external(site: &Iems, file: &Path, user: &str) -> Said {
    let ca = site.dir.path().join("ca.pem");
    let user = format!("{user}:");
    let mut args = vec!["--ssl-reqd", "--cacert", ca.to_str().expect("UTF-8")];
    args.extend([
        "--cert",
        file.to_str().expect("UTF-8"),
        "--login-options",
        "AUTH=EXTERNAL",
        "--user",
        &user,
    ]);
    curl::send(site.at("submission"), ANN, ANN, &args, &letter(ANN, ANN, "by certificate"))
}

#[test]
fn certificates_stand_for_accounts_and_unknown_ones_break_nothing() {
    let mut site = Iems::with_accounts(&[ANN, BEN]);
    let dir = site.dir.path().to_owned();
    let (bound, believed) = (certificate(&dir, "bound", BEN), certificate(&dir, "believed", ANN));
    let stranger = certificate(&dir, "stranger", ANN);
    site.config.listener = format!(
        "client_certificates = \"optional\"\nclient_ca = \"ca.pem\"\nclient_fingerprints = [\"{}\"]\n",
        mark(&believed)
    );
    site.start();
    site.admin(&["account", "certificate", "add", ANN, &mark(&bound)]).good();
    let listed = site.admin(&["account", "certificate", "list", ANN, "--json"]).good().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));

    external(&site, &bound, ANN).good();
    external(&site, &believed, ANN).good();
    for (file, user) in [(&stranger, ANN), (&bound, BEN), (&believed, BEN)] {
        let said = external(&site, file, user);
        assert_eq!(said.code, 67, "curl's login denied: {}", said.err);
    }
    site.admin(&["account", "certificate", "remove", ANN, &mark(&bound)]).good();
    assert_eq!(external(&site, &bound, ANN).code, 67);

    // Another server shows a certificate of its own.
    let file = stranger.to_str().expect("UTF-8");
    let args = ["--tls", "--tls-cert", file, "--tls-key", file, "--from", "x@far.example", "--to", BEN];
    swaks(site.at("smtp"), &args, b"Subject: from afar\n\nx\n").good();
    let read = wait_all(site.at("pop3"), BEN, "secret", 1);
    assert!(field(&read[0], "Received").expect("a Received field").contains("with ESMTPS"));
    assert_eq!(wait_all(site.at("pop3"), ANN, "secret", 2).len(), 2);
    let log = std::fs::read_to_string(site.log()).expect("a log");
    assert!(log.contains("CN=stranger") && log.contains("not verified"), "{log}");
    assert!(log.contains("EXTERNAL"), "{log}");
}

#[test]
fn without_a_certificate_that_is_believed_there_is_no_session_where_one_is_required() {
    let mut site = Iems::with_accounts(&[ANN]);
    let dir = site.dir.path().to_owned();
    site.config.listener = "client_certificates = \"required\"\nclient_ca = \"ca.pem\"\n".to_owned();
    site.start();
    let said = external(&site, &certificate(&dir, "stranger", ANN), ANN);
    assert_ne!(said.code, 0);
    let ca = dir.join("ca.pem");
    let args = ["--ssl-reqd", "--cacert", ca.to_str().expect("UTF-8"), "--user", "ann@example.test:secret"];
    let said = curl::send(site.at("submission"), ANN, ANN, &args, &letter(ANN, ANN, "x"));
    assert_ne!(said.code, 0);
}

#[test]
fn rules_let_in_by_certificate() {
    let mut site = Iems::with_accounts(&[ANN]);
    let dir = site.dir.path().to_owned();
    let [known, believed, stranger] =
        ["known", "believed", "stranger"].map(|name| certificate(&dir, name, "x@far.example"));
    let marks = [&known, &believed].map(|file| mark(file));
    site.config.listener =
        format!("client_certificates = \"optional\"\nclient_fingerprints = [\"{}\"]\n", marks[1]);
    site.config.more = format!(
        "[[access]]\ncertificate = \"{}\"\naction = \"allow\"\non = \"smtp\"\n\
         [[access]]\nsubject = \"*cn=believed\"\naction = \"allow\"\non = \"smtp\"\n\
         [[access]]\nsubject = \"CN=stranger\"\naction = \"allow\"\non = \"smtp\"\n\
         [[access]]\nnetwork = \"0.0.0.0/0\"\naction = \"deny\"\ntext = \"show a certificate\"\non = \"smtp\"\n",
        marks[0]
    );
    site.start();
    let send = |file: Option<&Path>| {
        let mut args = vec!["--from", "x@far.example", "--to", ANN];
        if let Some(file) = file {
            let file = file.to_str().expect("UTF-8");
            args.extend(["--tls", "--tls-cert", file, "--tls-key", file]);
        }
        swaks(site.at("smtp"), &args, b"Subject: x\n\nx\n")
    };
    send(Some(&known)).good();
    send(Some(&believed)).good();
    for file in [Some(&*stranger), None] {
        let said = send(file);
        assert!(said.code != 0 && said.out.contains("554 5.7.1 show a certificate"), "{}", said.out);
    }
    // Where there are no certificates, no rule about them fits.
    assert!(pop3_login(&site, ANN, "secret").starts_with("+OK"));
}

/// Whoever issues tokens.
struct Issuer(KeyPair);

impl Issuer {
    /// Writes its keys to `dir`.
    fn new(dir: &Path) -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let public = BASE64.encode(key.public_key_raw());
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": public}]});
        std::fs::write(dir.join("jwks.json"), set.to_string()).expect("a file");
        Self(key)
    }

    /// A token for `login` that ends in so many seconds.
    fn token(&self, login: &str, seconds: i64) -> String {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let ends = i64::try_from(now).expect("not that late") + seconds;
        let claims = json!({"iss": "https://id.example", "aud": "mail", "exp": ends, "email": login});
        let part = |value: &Value| BASE64.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "EdDSA", "kid": "one"})), part(&claims));
        let signature = self.0.sign(signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

#[test]
fn tokens_of_an_issuer_are_taken_until_they_end() {
    let mut site = Iems::with_accounts(&[ANN, BEN]);
    let dir = site.dir.path().to_owned();
    let issuer = Issuer::new(&dir);
    site.config.more =
        "[oauth]\nkeys = \"jwks.json\"\nissuer = \"https://id.example\"\naudience = \"mail\"\n".to_owned();
    site.start();
    let server = site.at("submission");
    let send = |auth: &str, user: &str, token: &str| {
        let client = Msmtp { server, tls: "starttls", auth, user, password: token };
        client.send(&dir, &[ANN], format!("From: {user}\nSubject: {auth}\n\nx\n").as_bytes())
    };
    let good = issuer.token(ANN, 300);
    for auth in ["oauthbearer", "xoauth2"] {
        send(auth, ANN, &good).good();
        for (user, token) in [(BEN, &good), (ANN, &issuer.token(ANN, -300)), (ANN, &issuer.token(BEN, 300))] {
            assert_eq!(send(auth, user, token).code, 77, "msmtp's EX_NOPERM");
        }
    }
    let (ca, user) = (dir.join("ca.pem"), format!("{ANN}:"));
    let with = |token| {
        let mut args = vec!["--ssl-reqd", "--cacert", ca.to_str().expect("UTF-8"), "--user", &user];
        args.extend(["--oauth2-bearer", token]);
        curl::send(site.at("submission"), ANN, ANN, &args, &letter(ANN, ANN, "curl"))
    };
    with(&good).good();
    assert_eq!(with(&issuer.token(ANN, -300)).code, 67, "curl's login denied");
    assert_eq!(wait_all(site.at("pop3"), ANN, "secret", 3).len(), 3);
    let log = std::fs::read_to_string(site.log()).expect("a log");
    assert!(log.contains("it has ended") && !log.contains(&good), "a reason, and no token");
    // Another key, and the server is told of it.
    let other = Issuer::new(&dir);
    site.daemon().signal(Signal::HUP);
    wait_for("the new key", secs(20), || {
        (send("oauthbearer", ANN, &other.token(ANN, 300)).code == 0).then_some(())
    });
    assert_ne!(send("oauthbearer", ANN, &issuer.token(ANN, 300)).code, 0, "the old key is gone");
}

#[test]
fn a_login_at_a_smart_host_is_bound_to_its_channel() {
    let mut smart = Iems::with_accounts(&[ANN, BEN]);
    smart.start();
    let mut site = Iems::with_accounts(&["us@ours.example"]);
    let file = site.dir.path().join("smart.password");
    std::fs::write(&file, "secret\n").expect("a file");
    site.config.more = format!(
        "[[route]]\ndomain = \"*\"\nvia = \"smtp:{}\"\nuser = \"{ANN}\"\npassword_file = \"smart.password\"\n",
        smart.at("submission")
    );
    site.start();
    deliver(site.at("smtp"), ANN, BEN, &letter(ANN, BEN, "hello"));
    assert_eq!(wait_all(smart.at("pop3"), BEN, "secret", 1).len(), 1);
    let log = std::fs::read_to_string(smart.log()).expect("a log");
    assert!(log.contains("SCRAM-SHA-256-PLUS"), "{log}");
}

/// That a command was not carried out, and why.
#[track_caller]
fn refused(said: &Said, why: &str) {
    assert!(said.code != 0 && said.err.contains(why), "{} {}", said.code, said.err);
}

/// What a POP3 login is answered.
fn pop3_login(site: &Iems, user: &str, password: &str) -> String {
    let mut pop3 = Pop3::connect(site.at("pop3"));
    pop3.must(&format!("USER {user}"));
    pop3.command(&format!("PASS {password}")).expect("an answer")
}

/// What a login for sending is answered.
fn smtp_login(site: &Iems, user: &str, password: &str) -> String {
    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO client.example.test", 250);
    let reply = smtp.auth_plain(user, password).expect("a reply");
    format!("{} {}", reply.code, reply.text())
}

#[test]
fn app_passwords_are_for_their_services_and_end_at_once() {
    let mut site = Iems::with_accounts(&[ANN, BEN]);
    site.start();
    let add = ["account", "app-password", "add", ANN, "--name", "phone", "--scope", "smtp", "--json"];
    let made = site.admin(&add).good().json();
    let password = made["password"].as_str().expect("a password").to_owned();
    assert_eq!(made["login"], "ann@example.test/phone");
    refused(&site.admin(&add), "already");
    refused(&site.admin(&["account", "app-password", "add", ANN, "--scope", "ftp"]), "smtp,pop3,imap");
    let told = site.admin(&["account", "app-password", "add", ANN, "--expires", "1s"]).good().out;
    let brief = told.lines().find_map(|line| line.strip_prefix("    ")).expect("a password").to_owned();

    let answer = pop3_login(&site, ANN, &password);
    assert!(answer.starts_with("-ERR [AUTH]") && answer.contains("scope pop3"), "{answer}");
    assert!(smtp_login(&site, "ann@example.test/phone", &password).starts_with("235"));
    assert!(smtp_login(&site, "ann@example.test/other", &password).starts_with("535"));
    assert!(smtp_login(&site, BEN, &password).starts_with("535"));
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert!(pop3_login(&site, ANN, &brief).starts_with("-ERR"), "its time is over");

    let mut smtp = Smtp::connect(site.at("submission"));
    smtp.must("EHLO client.example.test", 250);
    assert_eq!(smtp.auth_plain(ANN, &password).expect("a reply").code, 235);
    let sent = smtp.send(ANN, &[BEN], &letter(ANN, BEN, "by phone")).expect("a reply").text();
    let id = sent.split_whitespace().nth(3).expect("a queue id");
    let story = site.admin(&["explain", id]).good().out;
    assert!(story.contains("account ann@example.test (app password phone)"), "{sent}: {story}");
    let listed = site.admin(&["account", "app-password", "list", ANN, "--json"]).good().json();
    let phone = listed.as_array().and_then(|all| all.iter().find(|one| one["name"] == "phone"));
    assert_eq!(phone.expect("it is listed")["used_for"], "smtp", "{listed}");

    // A server that uses us as its smart host names the app password, as SCRAM wants it.
    let mut other = Iems::with_accounts(&["us@ours.example"]);
    std::fs::write(other.dir.path().join("smart.password"), format!("{password}\n")).expect("a file");
    other.config.more = format!(
        "[[route]]\ndomain = \"*\"\nvia = \"smtp:{}\"\nuser = \"{ANN}/phone\"\npassword_file = \"smart.password\"\n",
        site.at("submission")
    );
    other.start();
    deliver(other.at("smtp"), ANN, BEN, &letter(ANN, BEN, "by scram"));
    assert_eq!(wait_all(site.at("pop3"), BEN, "secret", 2).len(), 2);

    site.admin(&["account", "set", ANN, "--only-app-passwords", "smtp"]).good();
    assert!(smtp_login(&site, ANN, "secret").starts_with("535 5.7.8 wrong login or password"));
    assert!(pop3_login(&site, ANN, "secret").starts_with("+OK"));
    let shown = site.admin(&["account", "show", ANN, "--json"]).good().json();
    assert_eq!(shown["only_app_passwords"], json!(["smtp"]));
    site.admin(&["account", "app-password", "remove", ANN, "--name", "phone"]).good();
    assert!(smtp_login(&site, ANN, &password).starts_with("535"), "at once");
    refused(&site.admin(&["account", "app-password", "remove", ANN, "--name", "phone"]), "no app password");
    let log = std::fs::read_to_string(site.log()).expect("a log");
    assert!(log.contains("SCRAM-SHA-256-PLUS") && log.contains("credential=\"phone\""), "{log}");
    assert!(!log.contains(&password));
}
