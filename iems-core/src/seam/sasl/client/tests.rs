//! The vectors of RFC 7677 section 3, what bad servers send, and our client against our server.

use super::super::{self as server, Entropy, Step, derive_verifier};
use super::*;
use crate::seam::Account;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn login(user: &str, password: &str) -> Login {
    Login::new(user, password.to_owned().into()).unwrap()
}

fn said(secret: &Secret) -> String {
    String::from_utf8(secret.as_ref().to_vec()).unwrap()
}

/// An exchange that has sent its first message.
fn scram() -> (Exchange, String) {
    let nonce = BASE64.decode(CLIENT_NONCE).unwrap();
    let (exchange, first) =
        Exchange::start(Mechanism::ScramSha256, &login("user", "pencil"), &nonce, &[]).unwrap();
    (exchange, said(&first.unwrap()))
}

#[test]
fn the_vectors_of_rfc_7677_hold() {
    let (mut exchange, first) = scram();
    assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(said(&exchange.respond(SERVER_FIRST.as_bytes()).unwrap()), CLIENT_FINAL);
    assert!(!exchange.is_complete(), "the server has proved nothing yet");
    assert_eq!(said(&exchange.respond(SERVER_FINAL.as_bytes()).unwrap()), "");
    assert!(exchange.is_complete());
    assert_eq!(exchange.respond(b""), Err(Failure::Malformed), "over is over");
    assert!(!exchange.is_complete());
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    for (last, failure) in [
        (SERVER_FINAL.replace("v=6", "v=7"), Failure::NotProved),
        ("v=".into(), Failure::NotProved),
        ("v=6rri".into(), Failure::NotProved),
        ("v=?".into(), Failure::Malformed),
        (String::new(), Failure::Malformed),
        ("e=invalid-proof\r\nx".into(), Failure::Refused("invalid-proof".into())),
    ] {
        let (mut exchange, _) = scram();
        exchange.respond(SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(exchange.respond(last.as_bytes()), Err(failure), "{last}");
        assert!(!exchange.is_complete());
    }
}

#[test]
fn first_messages_that_make_no_sense_get_no_proof() {
    for (from, to, failure) in [
        ("r=rOpr", "r=xOpr", Failure::Malformed),
        ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "", Failure::Malformed),
        ("%hv", " hv", Failure::Malformed),
        ("s=W22ZaJ0SNY7soEsUEjb6gQ==", "s=", Failure::Malformed),
        ("s=W22Z", "s=!22Z", Failure::Malformed),
        (",i=4096", "", Failure::Malformed),
        ("i=4096", "i=-1", Failure::Malformed),
        ("i=4096", "i=1", Failure::Iterations(1)),
        ("i=4096", "i=4000000000", Failure::Iterations(4_000_000_000)),
        ("r=rOpr", "m=x,r=rOpr", Failure::Unsupported),
    ] {
        let (mut exchange, _) = scram();
        let message = SERVER_FIRST.replace(from, to);
        assert_eq!(exchange.respond(message.as_bytes()), Err(failure), "{message}");
        assert_eq!(exchange.respond(SERVER_FIRST.as_bytes()), Err(Failure::Malformed), "over is over");
    }
    let (mut exchange, _) = scram();
    let long = format!("{SERVER_FIRST},x={}", "x".repeat(CHALLENGE));
    assert_eq!(exchange.respond(long.as_bytes()), Err(Failure::Malformed));
    assert_eq!(scram().0.respond(b"r=\xff"), Err(Failure::Malformed));
}

#[test]
fn names_are_escaped() {
    let (_, first) = Exchange::start(Mechanism::ScramSha256, &login("a,b=c", "x"), &[0; 15], &[]).unwrap();
    assert!(said(&first.unwrap()).starts_with("n,,n=a=2Cb=3Dc,r="));
}

#[test]
fn plain_and_login_say_name_and_password() {
    let (mut plain, first) = Exchange::start(Mechanism::Plain, &login("ann", "pässword"), &[], &[]).unwrap();
    assert_eq!(said(&first.unwrap()), "\0ann\0pässword");
    assert!(plain.is_complete());
    assert_eq!(plain.respond(b"more"), Err(Failure::Malformed));

    let (mut exchange, first) = Exchange::start(Mechanism::Login, &login("ann", "secret"), &[], &[]).unwrap();
    assert_eq!(first, None);
    assert_eq!(said(&exchange.respond(b"Who?").unwrap()), "ann");
    assert!(!exchange.is_complete(), "the password is still to be asked for");
    assert_eq!(said(&exchange.respond(b"").unwrap()), "secret");
    assert!(exchange.is_complete());
    assert_eq!(exchange.respond(b"Again?"), Err(Failure::Malformed));
    assert!(!exchange.is_complete());
}

#[test]
fn what_no_mechanism_can_carry_is_no_login() {
    let new = |user: &str, password: &str| Login::new(user, password.to_owned().into());
    for user in ["", "a\0b", &"x".repeat(600)] {
        assert_eq!(new(user, "secret"), Err(LoginError::User));
    }
    for password in ["", "a\0b", &"x".repeat(5000)] {
        assert_eq!(new("ann", password), Err(LoginError::Password));
    }
}

#[test]
fn nothing_secret_is_printed() {
    let login = login("ann", "hunter2");
    for mechanism in Mechanism::ALL {
        let started = Exchange::start(mechanism, &login, &[1; 18], &[]);
        let shown = format!("{login:?} {started:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    }
}

#[test]
fn our_server_and_our_client_understand_each_other() {
    let account = Account::new("user@example.org".parse().unwrap());
    let (mut client, first) =
        Exchange::start(Mechanism::ScramSha256, &login("user", "pencil"), &[3; 18], &[]).unwrap();
    let entropy = Entropy {
        nonce: [7; 18],
        secret: [9; 32],
        iterations: 4096,
        beneath: Default::default(),
        service: "mail",
    };
    let first = first.unwrap();
    let (mut exchange, step) = server::Exchange::start(Mechanism::ScramSha256, Some(first.as_ref()), entropy);
    assert_eq!(step, Step::NeedScram { login: "user".into() });
    let mut step = exchange.verifier(Some((account.clone(), derive_verifier("pencil", b"salt", 4096))));
    while let Step::Challenge(challenge) = step {
        step = exchange.respond(client.respond(&challenge).unwrap().as_ref());
    }
    assert_eq!(step, Step::Done(account));
    assert!(client.is_complete());
}

/// What a mark of a channel looks like.
fn mark(data: u8) -> ChannelBinding {
    ChannelBinding { name: "tls-exporter", data: vec![data; 32] }
}

/// How an exchange ends whose client and server have these marks; the mechanism is what the client chooses of what it sees.
fn ended(client: &[ChannelBinding], server: &[ChannelBinding], sees_plus: bool) -> Result<Step, Failure> {
    let seen = |m: Mechanism| m != Mechanism::ScramSha256Plus || sees_plus;
    let mechanism = Exchange::choose(client, seen).unwrap();
    let (mut client, first) = Exchange::start(mechanism, &login("user", "pencil"), &[3; 18], client).unwrap();
    let beneath = server::Beneath { bindings: server.to_vec(), certificate: None };
    let entropy = Entropy {
        nonce: [7; 18],
        secret: [9; 32],
        iterations: 4096,
        beneath: beneath.into(),
        service: "mail",
    };
    let (mut exchange, mut step) =
        server::Exchange::start(mechanism, first.as_ref().map(AsRef::as_ref), entropy);
    let account = Account::new("user@example.org".parse().unwrap());
    loop {
        step = match step {
            Step::NeedScram { .. } => {
                exchange.verifier(Some((account.clone(), derive_verifier("pencil", b"salt", 4096))))
            }
            Step::Challenge(challenge) => exchange.respond(client.respond(&challenge)?.as_ref()),
            last => {
                assert_eq!(matches!(last, Step::Done(_)), client.is_complete());
                return Ok(last);
            }
        }
    }
}

#[test]
fn an_exchange_is_good_for_one_channel_only() {
    let done = Ok(Step::Done(Account::new("user@example.org".parse().unwrap())));
    let not_bound = Ok(Step::Fail(server::Failure::NotBound));
    assert_eq!(ended(&[mark(1)], &[mark(1)], true), done);
    assert_eq!(ended(&[mark(1)], &[mark(2)], true), not_bound, "somebody passes it on");
    assert_eq!(ended(&[mark(1)], &[mark(1)], false), not_bound, "somebody took -PLUS out of the list");
    assert_eq!(ended(&[mark(1)], &[], false), done, "a server without it");
    assert_eq!(ended(&[], &[mark(1)], true), done, "a client without it");
    let other = ChannelBinding { name: "tls-server-end-point", data: vec![1; 32] };
    assert_eq!(
        ended(std::slice::from_ref(&other), &[mark(1)], true),
        Ok(Step::Fail(server::Failure::Unsupported))
    );
    let both = [mark(1), other.clone()];
    assert_eq!(ended(&[other], &both, true), done);
}

#[test]
fn what_needs_more_than_a_password_is_not_begun() {
    for mechanism in
        [Mechanism::External, Mechanism::OAuthBearer, Mechanism::XOAuth2, Mechanism::ScramSha256Plus]
    {
        assert!(Exchange::start(mechanism, &login("user", "pencil"), &[3; 18], &[]).is_none());
    }
}
