//! Exchanges, with the vectors of RFC 7677 section 3, and what hostile peers send.

use super::*;
use crate::seam::{Credential, Services};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

fn entropy() -> Entropy {
    Entropy { nonce: [7; 18], secret: [9; 32], iterations: 4096, beneath: Arc::default(), service: "mail" }
}

fn account() -> Account {
    Account::new("user@example.org".parse().unwrap())
}

fn verifier() -> ScramVerifier {
    derive_verifier("pencil", &BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096)
}

/// An exchange that stands where the server's first message is out, and that message.
fn scram(client_first: &[u8], found: Option<(Account, ScramVerifier)>) -> (Exchange, String) {
    let (mut exchange, step) = Exchange::start(Mechanism::ScramSha256, Some(client_first), entropy());
    assert!(matches!(step, Step::NeedScram { .. }), "{step:?}");
    match exchange.verifier(found) {
        Step::Challenge(message) => (exchange, String::from_utf8(message).unwrap()),
        step => panic!("{step:?}"),
    }
}

/// What a client that knows `password` answers to `server_first`.
fn client_final(server_first: &str, password: &str, channel: &str) -> (String, String) {
    use hmac::{Hmac, Mac};
    use sha2::{Digest, Sha256};
    let hmac = |key: &[u8], text: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes()
    };
    let fields: Vec<&str> = server_first.split(',').map(|f| &f[2..]).collect();
    let mut block =
        hmac(password.as_bytes(), &[&BASE64.decode(fields[1]).unwrap()[..], &[0, 0, 0, 1]].concat());
    let mut salted = block;
    for _ in 1..fields[2].parse::<u32>().unwrap() {
        block = hmac(password.as_bytes(), &block);
        salted.iter_mut().zip(block).for_each(|(a, b)| *a ^= b);
    }
    let without_proof = format!("c={channel},r={}", fields[0]);
    let spoken = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{server_first},{without_proof}");
    let key = hmac(&salted, b"Client Key");
    let mut proof = hmac(&Sha256::digest(key), spoken.as_bytes());
    proof.iter_mut().zip(key).for_each(|(a, b)| *a ^= b);
    let signature = hmac(&hmac(&salted, b"Server Key"), spoken.as_bytes());
    (format!("{without_proof},p={}", BASE64.encode(proof)), format!("v={}", BASE64.encode(signature)))
}

#[test]
fn the_vectors_of_rfc_7677_hold() {
    // The server's nonce is given there, so the final step is fed directly.
    let server_first =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let (client, server) = client_final(server_first, "pencil", "biws");
    assert_eq!(client, CLIENT_FINAL);
    assert_eq!(server, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    let keys = verifier();
    assert_eq!(BASE64.encode(keys.stored_key), "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
    assert_eq!(BASE64.encode(keys.server_key), "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

#[test]
fn scram_proves_both_sides() {
    let (mut exchange, server_first) = scram(CLIENT_FIRST, Some((account(), verifier())));
    let (answer, signature) = client_final(&server_first, "pencil", "biws");
    assert_eq!(exchange.respond(answer.as_bytes()), Step::Challenge(signature.into_bytes()));
    assert_eq!(exchange.respond(b""), Step::Done(account()));
    assert_eq!(exchange.respond(b""), Step::Fail(Failure::Malformed), "over is over");
}

#[test]
fn an_unknown_login_looks_like_a_wrong_password() {
    let (mut known, with_account) = scram(CLIENT_FIRST, Some((account(), verifier())));
    let (mut unknown, without) = scram(CLIENT_FIRST, None);
    let (_, again) = scram(CLIENT_FIRST, None);
    assert_eq!(without, again, "stable");
    assert_eq!(with_account.len(), without.len());
    for (exchange, first) in [(&mut known, with_account), (&mut unknown, without)] {
        let (answer, _) = client_final(&first, "wrong", "biws");
        assert_eq!(exchange.respond(answer.as_bytes()), Step::Fail(Failure::Credentials));
    }
}

#[test]
fn scram_refuses_tampering() {
    for (message, failure) in [
        ("", Failure::Malformed),
        ("n", Failure::Malformed),
        ("n,,n=user", Failure::Malformed),
        ("n,,r=abc,n=user", Failure::Malformed),
        ("n,,n=us=er,r=abc", Failure::Malformed),
        ("n,,n=,r=abc", Failure::Malformed),
        ("n,,n=user,r=", Failure::Malformed),
        ("n,,m=x,n=user,r=abc", Failure::Malformed),
        ("x,,n=user,r=abc", Failure::Malformed),
        ("p=tls-exporter,,n=user,r=abc", Failure::Unsupported),
        ("n,a=other,n=user,r=abc", Failure::Credentials),
        ("n,other,n=user,r=abc", Failure::Malformed),
    ] {
        let (_, step) = Exchange::start(Mechanism::ScramSha256, Some(message.as_bytes()), entropy());
        assert_eq!(step, Step::Fail(failure), "{message}");
    }
    let answers: [fn(&str) -> String; 5] = [
        |first| client_final(first, "pencil", "eSws").0,
        |first| client_final(first, "pencil", "biws").0.replace("r=rOpr", "r=xOpr"),
        |first| client_final(first, "pencil", "biws").0.replace(",p=", ",p=AAAA"),
        |first| client_final(first, "pencil", "biws").0.replace(",p=", ",m=1,p="),
        |_| String::new(),
    ];
    for answer in answers {
        let (mut exchange, first) = scram(CLIENT_FIRST, Some((account(), verifier())));
        let step = exchange.respond(answer(&first).as_bytes());
        assert!(matches!(step, Step::Fail(Failure::Malformed | Failure::Unsupported)), "{step:?}");
    }
}

#[test]
fn names_are_unescaped() {
    let (_, step) = Exchange::start(Mechanism::ScramSha256, Some(b"y,,n=a=2Cb=3Dc,r=x"), entropy());
    assert_eq!(step, Step::NeedScram { login: "a,b=c".into() });
}

#[test]
fn plain_and_login_ask_for_the_same() {
    let wanted = |step: &Step| match step {
        Step::CheckPassword { login, password } => (login.clone(), password.as_str().to_owned()),
        step => panic!("{step:?}"),
    };
    let both = ("user".to_owned(), "pässword".to_owned());
    let (mut plain, step) = Exchange::start(Mechanism::Plain, Some("\0user\0pässword".as_bytes()), entropy());
    assert_eq!(wanted(&step), both);
    assert_eq!(plain.checked(Some(account())), Step::Done(account()));

    let (mut login, step) = Exchange::start(Mechanism::Login, None, entropy());
    assert_eq!(step, Step::Challenge(b"Username:".to_vec()));
    assert_eq!(login.respond(b"user"), Step::Challenge(b"Password:".to_vec()));
    assert_eq!(wanted(&login.respond("pässword".as_bytes())), both);
    assert_eq!(login.checked(None), Step::Fail(Failure::Credentials));
    assert_eq!(login.checked(Some(account())), Step::Fail(Failure::Credentials), "over is over");
}

#[test]
fn plain_refuses_what_it_must() {
    let long = format!("\0{}\0p", "x".repeat(600));
    for (message, failure) in [
        (&b""[..], Failure::Malformed),
        (b"user", Failure::Malformed),
        (b"\0user", Failure::Malformed),
        (b"\0user\0", Failure::Malformed),
        (b"\0\0password", Failure::Malformed),
        (b"\0user\0pass\0word", Failure::Malformed),
        (b"\0us\xffer\0password", Failure::Malformed),
        (b"root\0user\0password", Failure::Credentials),
        (long.as_bytes(), Failure::Malformed),
    ] {
        let (_, step) = Exchange::start(Mechanism::Plain, Some(message), entropy());
        assert_eq!(step, Step::Fail(failure), "{message:?}");
    }
    let (mut early, _) = Exchange::start(Mechanism::Plain, None, entropy());
    assert_eq!(early.checked(Some(account())), Step::Fail(Failure::Credentials), "nobody was asked");
}

#[test]
fn a_password_is_not_printed() {
    let (_, step) = Exchange::start(Mechanism::Plain, Some(b"\0user\0hunter2"), entropy());
    assert!(!format!("{step:?}").contains("hunter2"));
}

#[test]
fn the_header_of_a_bound_exchange_says_so() {
    let beneath = Arc::new(Beneath::new(Some([5; 32]), None));
    let entropy = || Entropy { beneath: beneath.clone(), ..entropy() };
    for (mechanism, message, failure) in [
        (Mechanism::ScramSha256Plus, "n,,n=user,r=abc", Failure::Malformed),
        (Mechanism::ScramSha256Plus, "y,,n=user,r=abc", Failure::NotBound),
        (Mechanism::ScramSha256, "y,,n=user,r=abc", Failure::NotBound),
        (Mechanism::ScramSha256, "p=tls-exporter,,n=user,r=abc", Failure::Unsupported),
        (Mechanism::ScramSha256Plus, "p=tls-unique,,n=user,r=abc", Failure::Unsupported),
        (Mechanism::ScramSha256Plus, "p=,,n=user,r=abc", Failure::Unsupported),
    ] {
        let (_, step) = Exchange::start(mechanism, Some(message.as_bytes()), entropy());
        assert_eq!(step, Step::Fail(failure), "{mechanism} {message}");
    }
    // The mark is part of what is signed: without it there is no success, whatever the password.
    let first = b"p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    let (mut exchange, _) = Exchange::start(Mechanism::ScramSha256Plus, Some(first), entropy());
    let Step::Challenge(server_first) = exchange.verifier(Some((account(), verifier()))) else { panic!() };
    let header = BASE64.encode("p=tls-exporter,,");
    let (answer, _) = client_final(std::str::from_utf8(&server_first).unwrap(), "pencil", &header);
    assert_eq!(exchange.respond(answer.as_bytes()), Step::Fail(Failure::NotBound));
}

#[test]
fn external_asks_about_the_certificate_that_was_shown() {
    let certificate = PeerCertificate::read(b"none", true);
    assert!(!certificate.verified, "what cannot be read is not believed");
    let beneath = Arc::new(Beneath::default().with_certificate(Some(certificate.clone())));
    let entropy = || Entropy { beneath: beneath.clone(), ..entropy() };
    let certificate = Arc::new(certificate);
    for (response, identity) in [(&b""[..], None), (b"ann@example.org", Some("ann@example.org".to_owned()))] {
        let (mut exchange, step) = Exchange::start(Mechanism::External, Some(response), entropy());
        assert_eq!(step, Step::CheckCertificate { certificate: certificate.clone(), identity });
        assert_eq!(exchange.respond(b""), Step::Fail(Failure::Malformed), "it is not its turn");
        assert_eq!(exchange.checked(Some(account())), Step::Fail(Failure::Credentials), "over is over");
    }
    let (mut exchange, step) = Exchange::start(Mechanism::External, None, entropy());
    assert_eq!(step, Step::Challenge(Vec::new()));
    exchange.respond(b"");
    assert_eq!(exchange.checked(Some(account())), Step::Done(account()));
    let (_, step) = Exchange::start(Mechanism::External, Some(b"a\0b"), entropy());
    assert_eq!(step, Step::Fail(Failure::Malformed));
    let (_, step) = Exchange::start(Mechanism::External, Some(b""), super::tests::entropy());
    assert_eq!(step, Step::Fail(Failure::Unsupported), "nothing was shown");
}

#[test]
fn bearers_are_asked_about_and_told_why_not() {
    // RFC 7628 section 4.1, with another token.
    let standard = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4q.m-T~c+/=\x01\x01";
    let old = "user=user@example.com\x01auth=Bearer vF9dft4q.m-T~c+/=\x01\x01";
    for (mechanism, message, refusal) in [
        (Mechanism::OAuthBearer, standard, &br#"{"status":"invalid_token"}"#[..]),
        (Mechanism::XOAuth2, old, br#"{"status":"401","schemes":"bearer"}"#),
    ] {
        let start = || Exchange::start(mechanism, Some(message.as_bytes()), entropy());
        let (mut exchange, step) = start();
        let token = Password::from("vF9dft4q.m-T~c+/=".to_owned());
        assert_eq!(step, Step::CheckToken { login: Some("user@example.com".into()), token });
        assert_eq!(exchange.checked(Some(account())), Step::Done(account()));
        let (mut exchange, _) = start();
        assert_eq!(exchange.checked(None), Step::Challenge(refusal.to_vec()));
        assert_eq!(exchange.respond(b"\x01"), Step::Fail(Failure::Credentials));
        assert_eq!(exchange.respond(b"\x01"), Step::Fail(Failure::Malformed), "over is over");
    }
    for (message, failure) in [
        ("", Failure::Malformed),
        ("n,,", Failure::Malformed),
        ("n,,\x01\x01", Failure::Malformed),
        ("n,,\x01auth=Bearer x\x01", Failure::Malformed),
        ("n,,\x01auth=Bearer \x01\x01", Failure::Malformed),
        ("n,,\x01auth=Bearer a b\x01\x01", Failure::Malformed),
        ("n,,\x01auth=Basic x\x01\x01", Failure::Unsupported),
        ("p=tls-exporter,,\x01auth=Bearer x\x01\x01", Failure::Unsupported),
        ("n,user,\x01auth=Bearer x\x01\x01", Failure::Malformed),
        ("n,a==,\x01auth=Bearer x\x01\x01", Failure::Malformed),
    ] {
        let (_, step) = Exchange::start(Mechanism::OAuthBearer, Some(message.as_bytes()), entropy());
        assert_eq!(step, Step::Fail(failure), "{message:?}");
    }
    let long = format!("n,,\x01auth=Bearer {}\x01\x01", "x".repeat(10_000));
    let (_, step) = Exchange::start(Mechanism::OAuthBearer, Some(long.as_bytes()), entropy());
    assert_eq!(step, Step::Fail(Failure::Malformed));
}

/// With this name and these services.
fn with_credential(name: Option<&str>, services: Services) -> Account {
    Account { credential: Credential { name: name.map(Into::into), services }, ..account() }
}

#[test]
fn a_credential_is_taken_for_its_services_only() {
    let list = |word: &str| -> Arc<[Box<str>]> { [word.into()].into() };
    let named = |services| with_credential(Some("phone"), services);
    for (account, outcome) in [
        (named(Services::All), Ok(())),
        (named(Services::Only(list("mail"))), Ok(())),
        (named(Services::Only(list("other"))), Err(Failure::NotHere)),
        (with_credential(None, Services::Without(list("other"))), Ok(())),
        // Whoever guesses a main password that is not taken here does not learn that it is right.
        (with_credential(None, Services::Without(list("mail"))), Err(Failure::Credentials)),
    ] {
        let (mut exchange, _) = Exchange::start(Mechanism::Plain, Some(b"\0ann\0secret"), entropy());
        let wanted = match outcome {
            Ok(()) => Step::Done(account.clone()),
            Err(failure) => Step::Fail(failure),
        };
        assert_eq!(exchange.checked(Some(account)), wanted);
    }
}

#[test]
fn scram_makes_up_a_verifier_for_a_password_that_is_not_taken() {
    let barred = with_credential(None, Services::Without(["mail".into()].into()));
    let first = b"n,,n=ann,r=abc";
    let challenge = |found| Exchange::start(Mechanism::ScramSha256, Some(first), entropy()).0.verifier(found);
    let verifier = derive_verifier("secret", b"salt", 4096);
    assert_eq!(challenge(Some((barred, verifier.clone()))), challenge(None));
    assert_ne!(challenge(Some((account(), verifier))), challenge(None));
}

/// What a client that knows `secret` answers to a challenge of CRAM-MD5.
fn cram_answer(login: &str, secret: &str, challenge: &[u8]) -> Vec<u8> {
    use hmac::{Hmac, Mac};
    let mut mac = Hmac::<md5::Md5>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(challenge);
    let digits: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{login} {digits}").into_bytes()
}

#[test]
fn a_shared_secret_proves_without_being_sent() {
    let shared = || Password::from("shared secret".to_owned());
    let elsewhere = with_credential(Some("phone"), Services::Only(["other".into()].into()));
    for (secret, found, wanted) in [
        ("shared secret", Some((account(), shared())), Step::Done(account())),
        ("another", Some((account(), shared())), Step::Fail(Failure::Credentials)),
        ("shared secret", None, Step::Fail(Failure::Credentials)),
        ("shared secret", Some((elsewhere, shared())), Step::Fail(Failure::NotHere)),
    ] {
        let (mut exchange, step) = Exchange::start(Mechanism::CramMd5, None, entropy());
        let Step::Challenge(challenge) = step else { panic!("{step:?}") };
        assert!(challenge.starts_with(b"<07070707") && challenge.ends_with(b"@mail.invalid>"));
        let asked = exchange.respond(&cram_answer("user@example.org", secret, &challenge));
        assert_eq!(asked, Step::NeedSecret { login: "user@example.org".into() });
        assert_eq!(exchange.secret(found), wanted);
        assert_eq!(exchange.secret(Some((account(), shared()))), Step::Fail(Failure::Malformed), "over");
    }
    // The server speaks first.
    let (mut exchange, step) = Exchange::start(Mechanism::CramMd5, Some(b"x"), entropy());
    assert_eq!(step, Step::Fail(Failure::Malformed));
    assert_eq!(exchange.respond(b"user 00000000000000000000000000000000"), Step::Fail(Failure::Malformed));
    let (mut exchange, _) = Exchange::start(Mechanism::Plain, None, entropy());
    assert_eq!(exchange.secret(Some((account(), shared()))), Step::Fail(Failure::Malformed));
}
