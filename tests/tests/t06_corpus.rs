//! Real mail, good and bad, goes the whole path, and comes out with the same octets.

use std::collections::HashMap;
use std::net::SocketAddrV4;

use iems_tests::corpus::{self, Sample};
use iems_tests::iems::Iems;
use iems_tests::peers::postfix::Postfix;
use iems_tests::pop3::Pop3;
use iems_tests::smtp::Smtp;
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";
/// Sessions that send side by side.
const SESSIONS: usize = 8;

/// Sends all samples; the subject of each is left alone, so the return path numbers them.
fn send_all(server: SocketAddrV4, samples: &[Sample]) {
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            scope.spawn(move || {
                let mut smtp = Smtp::connect(server);
                smtp.must("EHLO client.example.test", 250);
                for (n, sample) in samples.iter().enumerate().skip(session).step_by(SESSIONS) {
                    let from = format!("n{n}@example.com");
                    let reply = smtp.send(&from, &[ANN], &sample.message).expect("a reply");
                    assert_eq!(reply.code, 250, "{}: {reply:?}", sample.name);
                }
            });
        }
    });
}

/// Reads everything, and compares with what was sent: the header may only have grown at its top.
fn compare(site: &Iems, samples: &[Sample]) {
    wait_for("all messages", secs(60), || {
        let mut pop = Pop3::connect(site.at("pop3"));
        pop.login(ANN, "secret");
        let here = pop.count();
        pop.must("QUIT");
        std::thread::sleep(std::time::Duration::from_millis(300));
        (here >= samples.len()).then_some(())
    });
    let mut pop = Pop3::connect(site.at("pop3"));
    pop.login(ANN, "secret");
    let mut seen: HashMap<usize, usize> = HashMap::new();
    for number in 1..=pop.count() {
        let message = pop.message(number);
        let n = origin(&message);
        *seen.entry(n).or_default() += 1;
        let sample = &samples[n];
        let sent = without_return_path(&sample.message);
        assert!(message.ends_with(&sent), "{} came out changed", sample.name);
    }
    assert_eq!(seen.len(), samples.len(), "some are missing");
    assert!(seen.values().all(|&times| times == 1), "some came twice");
}

/// The message without the fields that only whoever delivers it may write.
fn without_return_path(message: &[u8]) -> Vec<u8> {
    let (mut kept, mut in_header, mut dropped) = (Vec::new(), true, false);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        in_header &= !matches!(line, b"\n" | b"\r\n");
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|octet| *octet == b':').next().unwrap_or_default().trim_ascii();
            dropped = in_header && name.eq_ignore_ascii_case(b"Return-Path");
        }
        if !dropped || !in_header {
            kept.extend_from_slice(line);
        }
    }
    kept
}

fn origin(message: &[u8]) -> usize {
    let head = String::from_utf8_lossy(&message[..message.len().min(200)]).into_owned();
    let at = head.find("<n").unwrap_or_else(|| panic!("no return path: {head}"));
    let digits: String = head[at + 2..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("the number of a sample")
}

#[test]
fn every_message_of_the_corpus_comes_out_as_it_went_in() {
    let samples = corpus::all();
    let mut store = Iems::with_accounts(&[ANN]);
    store.start();
    let mut relay = Iems::new();
    relay.config.route("*", format!("smtp:{}", store.at("smtp")));
    relay.start();
    send_all(relay.at("smtp"), &samples);
    compare(&store, &samples);
}

#[test]
fn a_part_of_the_corpus_goes_through_postfix_as_well() {
    // Postfix breaks lines of more than 998 octets, as RFC 5321 asks for; those go the other way.
    let short = |sample: &Sample| sample.message.split(|&octet| octet == b'\n').all(|line| line.len() <= 998);
    let samples: Vec<Sample> = corpus::all().into_iter().filter(short).step_by(23).collect();
    assert!(samples.len() > 250);
    let mut store = Iems::with_accounts(&[ANN]);
    store.start();
    let (ip, port) = (store.ip, store.at("smtp").port());
    let postfix = Postfix::start(&format!(
        "transport_maps = inline:{{ {{ example.test = smtp:[{ip}]:{port} }} }}
\
         message_drop_headers =
local_header_rewrite_clients =
"
    ));
    let mut relay = Iems::new();
    relay.config.route("*", format!("smtp:{}", postfix.at));
    relay.start();
    send_all(relay.at("smtp"), &samples);
    compare(&store, &samples);
}

#[test]
fn odd_and_large_messages_come_out_as_they_went_in() {
    let part = |n: usize| format!("--b{n}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", n + 1);
    let nested: String = (0..2000).map(part).collect();
    let mut odd: Vec<Vec<u8>> = vec![
        b"\r\nno header at all\r\n".to_vec(),
        b"Subject: no body".to_vec(),
        b"no colon here\r\n\r\nbody\r\n".to_vec(),
        b"Subject: eight bits \xff\xfe\x80\r\n\r\n\xc3\x28\xa0\xa1\r\n".to_vec(),
        b".\r\n..\r\n...\r\n\r\n.\r\n..\r\n".to_vec(),
        [b"Subject: long line\r\n\r\n".as_slice(), &vec![b'x'; 990], b"\r\n"].concat(),
        [b"Subject: empty lines\r\n\r\n".as_slice(), &b"\r\n".repeat(50_000)].concat(),
        [b"Subject: many fields\r\n".as_slice(), &b"X-Field: value\r\n".repeat(20_000), b"\r\nbody\r\n"]
            .concat(),
        format!("Content-Type: multipart/mixed; boundary=b0\r\n\r\n{nested}").into_bytes(),
        [
            b"Subject: 20 MB\r\n\r\n".as_slice(),
            &b"0123456789abcdef0123456789abcdef0123456789abcdef\r\n".repeat(400_000),
        ]
        .concat(),
    ];
    for message in odd.iter_mut().filter(|message| !message.ends_with(b"\r\n")) {
        message.extend_from_slice(b"\r\n");
    }
    let samples: Vec<Sample> = odd
        .into_iter()
        .enumerate()
        .map(|(n, message)| Sample { name: format!("odd {n}"), message })
        .collect();
    let mut store = Iems::with_accounts(&[ANN]);
    store.start();
    send_all(store.at("smtp"), &samples);
    compare(&store, &samples);
}
