//! A drill: thousands of guesses at passwords from many addresses, by SMTP and POP3, at accounts that exist and at others. The guessers are
//! locked out; whose account it is comes in all the while; and no answer tells whether an account exists.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use iems_tests::iems::Iems;
use iems_tests::smtp::Smtp;
use iems_tests::wire::Wire;

const ANN: &str = "ann@example.test";
/// Whose account it is.
const OWNER: Ipv4Addr = Ipv4Addr::new(127, 90, 9, 9);
/// From where guesses come: three networks, two addresses in the first.
const GUESSERS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(127, 91, 1, 1),
    Ipv4Addr::new(127, 91, 1, 2),
    Ipv4Addr::new(127, 92, 1, 1),
    Ipv4Addr::new(127, 93, 1, 1),
];
/// Guessers at once from each address.
const AT_ONCE: usize = 6;
/// Guesses of each.
const EACH: usize = 100;
/// The bounds of the configuration below.
const PER_LOGIN: usize = 8;
const PER_NETWORK: usize = 30;

/// An answer without the name of the connection in the log.
fn plain(answer: &str) -> String {
    let answer = answer.trim_end();
    let name = answer.strip_suffix(']').and_then(|text| text.rsplit_once(" ["));
    name.map_or(answer, |(text, _)| text).to_owned()
}

/// What a guess by SMTP is answered; the greeting if that turns it away.
fn by_smtp(site: &Iems, from: Ipv4Addr, login: &str, password: &str) -> String {
    let Ok(mut wire) = Wire::connect_from(from, site.at("submission")) else { return "no connection".into() };
    let greeting = String::from_utf8_lossy(&wire.line().unwrap_or_default()).into_owned();
    if !greeting.starts_with("220") {
        return plain(&greeting);
    }
    if wire.send(b"EHLO guesser.example\r\n").is_err() {
        return "hung up".into();
    }
    while wire.line().is_ok_and(|line| line.starts_with(b"250-")) {}
    use base64::Engine as _;
    let token = base64::prelude::BASE64_STANDARD.encode(format!("\0{login}\0{password}"));
    if wire.send(format!("AUTH PLAIN {token}\r\n").as_bytes()).is_err() {
        return "hung up".into();
    }
    plain(&String::from_utf8_lossy(&wire.line().unwrap_or_default()))
}

/// The same by POP3.
fn by_pop3(site: &Iems, from: Ipv4Addr, login: &str, password: &str) -> String {
    let Ok(mut wire) = Wire::connect_from(from, site.at("pop3")) else { return "no connection".into() };
    let mut answer = String::from_utf8_lossy(&wire.line().unwrap_or_default()).into_owned();
    for command in [format!("USER {login}\r\n"), format!("PASS {password}\r\n")] {
        if !answer.starts_with("+OK") || wire.send(command.as_bytes()).is_err() {
            break;
        }
        answer = String::from_utf8_lossy(&wire.line().unwrap_or_default()).into_owned();
    }
    plain(&answer)
}

/// Whether a password was looked at.
fn was_checked(answer: &str) -> bool {
    answer.starts_with("535") || answer.starts_with("-ERR [AUTH]")
}

#[test]
fn thousands_of_guesses_open_nothing_lock_out_their_makers_and_tell_nothing() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = format!(
        "[[limit]]\nof = \"failures\"\nper = \"login\"\nmost = \"{PER_LOGIN}/1d\"\nexcept = []\n\
         [[limit]]\nof = \"failures\"\nper = \"network\"\nmost = \"{PER_NETWORK}/1d\"\nban = \"1h\"\nban_after = 5\nexcept = []\n"
    );
    site.start();
    let strangers: Vec<String> = (0..8).map(|n| format!("nobody{n}@example.test")).collect();
    let (made, checked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let answers: Mutex<[BTreeSet<String>; 2]> = Mutex::default();
    std::thread::scope(|scope| {
        for from in GUESSERS {
            for guesser in 0..AT_ONCE {
                let (site, strangers, made, checked, answers) =
                    (&site, &strangers, &made, &checked, &answers);
                scope.spawn(move || {
                    for n in 0..EACH {
                        let known = n % 3 == 0;
                        let login =
                            if known { ANN } else { strangers[(n + guesser) % strangers.len()].as_str() };
                        let guess = format!("guess {from} {guesser} {n}");
                        let answer = match n % 2 {
                            0 => by_smtp(site, from, login, &guess),
                            _ => by_pop3(site, from, login, &guess),
                        };
                        assert!(
                            !answer.starts_with("235") && !answer.starts_with("+OK"),
                            "{login} {guess}: {answer}"
                        );
                        made.fetch_add(1, Ordering::Relaxed);
                        checked.fetch_add(usize::from(was_checked(&answer)), Ordering::Relaxed);
                        if was_checked(&answer) {
                            answers.lock().expect("no panic")[usize::from(known)].insert(answer);
                        }
                    }
                });
            }
        }
        // Meanwhile the owner comes in, at the first try each time.
        for _ in 0..5 {
            assert!(by_smtp(&site, OWNER, ANN, "secret").starts_with("235"));
            assert!(by_pop3(&site, OWNER, ANN, "secret").starts_with("+OK"));
        }
    });
    let (made, checked) = (made.into_inner(), checked.into_inner());
    assert_eq!(made, GUESSERS.len() * AT_ONCE * EACH);
    // Those under way at the moment when the limit is reached may go beyond it: one for each guesser, and protocol.
    let most = 3 * (PER_NETWORK + 2 * AT_ONCE);
    assert!(
        (1..=most).contains(&checked),
        "{checked} of {made} guesses were looked at, at most {most} may be"
    );
    let [unknown, known] = answers.into_inner().expect("no panic");
    assert_eq!(known, unknown, "an account that exists is answered like one that does not");
    assert_eq!(known.len(), 2, "one answer by each protocol: {known:?}");

    // Locked out is the network, also for the right password, and for addresses in it that did nothing.
    for from in [GUESSERS[0], Ipv4Addr::new(127, 91, 1, 77), GUESSERS[2], GUESSERS[3]] {
        let (smtp, pop3) = (by_smtp(&site, from, ANN, "secret"), by_pop3(&site, from, ANN, "secret"));
        assert!(smtp.starts_with("421 4.7.0") && pop3.starts_with("-ERR"), "{from}: {smtp} {pop3}");
    }
    assert!(by_smtp(&site, OWNER, ANN, "secret").starts_with("235"));
    let listed = site.admin(&["limits", "list"]).good().out;
    assert!(listed.contains("127.91.1.0/24") && listed.contains("failures per network"), "{listed}");
    site.admin(&["limits", "clear", "127.92.1.0/24"]).good();
    let mut smtp =
        Smtp::greeted(Wire::connect_from(GUESSERS[2], site.at("submission")).expect("a connection"));
    smtp.must("EHLO client.example.test", 250);
}

#[test]
fn an_old_password_locks_nobody_out() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[[limit]]\nof = \"failures\"\nper = \"login\"\nmost = \"2/1d\"\nexcept = []\n".into();
    site.start();
    for _ in 0..5 {
        assert!(was_checked(&by_smtp(&site, OWNER, ANN, "the old one")));
    }
    assert!(by_smtp(&site, OWNER, ANN, "secret").starts_with("235"), "one failure, however often");
    assert!(was_checked(&by_smtp(&site, OWNER, ANN, "a guess")));
    let locked = by_smtp(&site, OWNER, ANN, "the old one");
    assert!(locked.starts_with("454 4.7.0 too many failed logins"), "{locked}");
}
