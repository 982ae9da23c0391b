//! The body is copied once, from the socket into the read buffer: what the session hands on are slices of that buffer.

use std::sync::Arc;

use bytes::BytesMut;
use iems_core::message::{ChannelId, QueueId};
use iems_core::receive::Receipt;
use iems_smtp::server::session::{Event, Link, Session};
use iems_smtp::server::{Mode, ServerOptions};

/// Feeds a session from one buffer; gives where the octets of the body lay, and what was said after each call.
fn run(command: &str, body: &[u8]) -> Vec<(usize, usize)> {
    let options = ServerOptions::new(Mode::Relay, ChannelId::new("test"), "mx.example.org");
    let link = Link { tls: false, tls_available: false, local: true };
    let mut session = Session::new(Arc::new(options), link, Arc::new(|| Some([7; 18])));
    session.greet(Ok(()));
    let wire = [b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\n", command.as_bytes(), body].concat();
    let mut input = BytesMut::from(&wire[..]);
    let (start, length) = (input.as_ptr() as usize, input.len());
    let mut slices = Vec::new();
    while let Some(event) = session.next(&mut input) {
        match event {
            Event::Hello(_) => session.hello(Ok(())),
            Event::Mail(_) => session.mail(Ok(None)),
            Event::Rcpt(_) => session.rcpt(Ok(())),
            Event::Octets(octets) => {
                let at = octets.as_ptr() as usize;
                assert!(at >= start && at + octets.len() <= start + length, "a copy");
                slices.push((at - start, octets.len()));
            }
            Event::EndOfData => {
                let id = QueueId::from_bytes([0; 16]);
                session.committed(Ok(&Receipt { id, recipients: vec![Ok(())] }));
            }
            other => panic!("{other:?}"),
        }
    }
    let said = String::from_utf8(session.output().to_vec()).unwrap();
    assert!(said.contains("queued as"), "{said}");
    slices
}

#[test]
fn a_body_is_handed_on_as_slices_of_what_was_read() {
    let line = b"0123456789 0123456789 0123456789 0123456789 0123456789 012345678\r\n";
    let body = line.repeat(1500);
    let whole = [&body[..], b".\r\n"].concat();
    let slices = run("DATA\r\n", &whole);
    assert_eq!(slices.iter().map(|(_, length)| length).sum::<usize>(), body.len());
    assert_eq!(slices.len(), 1, "not line by line");
    let slices = run(&format!("BDAT {} LAST\r\n", body.len()), &body);
    assert_eq!(slices.iter().map(|(_, length)| *length).collect::<Vec<_>>(), [body.len()]);
    // A stuffed dot is stepped over, not closed up.
    let stuffed = [&body[..], b"..dot\r\n", &body, b".\r\n"].concat();
    let slices = run("DATA\r\n", &stuffed);
    assert_eq!(slices.len(), 2);
    assert_eq!(slices[0].0 + slices[0].1 + 1, slices[1].0, "one octet lies between them");
}

#[test]
fn the_replies_to_what_was_pipelined_are_one_piece() {
    let options = ServerOptions::new(Mode::Relay, ChannelId::new("test"), "mx.example.org");
    let link = Link { tls: false, tls_available: false, local: true };
    let mut session = Session::new(Arc::new(options), link, Arc::new(|| Some([7; 18])));
    session.greet(Ok(()));
    let mut wire = "EHLO a\r\n".to_owned();
    for _ in 0..3 {
        wire += "MAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nRCPT TO:<c@c>\r\nBDAT 3 LAST\r\na\r\n";
    }
    wire += "QUIT\r\n";
    let mut input = BytesMut::from(wire.as_bytes());
    loop {
        match session.next(&mut input) {
            Some(Event::Hello(_)) => session.hello(Ok(())),
            Some(Event::Mail(_)) => session.mail(Ok(None)),
            Some(Event::Rcpt(_)) => session.rcpt(Ok(())),
            Some(Event::EndOfData) => {
                let id = QueueId::from_bytes([0; 16]);
                session.committed(Ok(&Receipt { id, recipients: vec![Ok(()); 2] }));
            }
            Some(Event::Close) | None => break,
            Some(_) => {}
        }
    }
    let said = String::from_utf8(session.output().to_vec()).unwrap();
    let codes: Vec<&str> = said.lines().filter(|l| l.as_bytes()[3] == b' ').map(|l| &l[..3]).collect();
    let expected = [&["220", "250"][..], &["250"; 12], &["221"]].concat();
    assert_eq!(codes, expected, "all of it before anything is asked for");
}
