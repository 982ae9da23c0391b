//! Trace fields of a passing message: counted the same in any pieces, within the message.

use iems_core::message::TraceScan;

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"Received: from a by mx.example with SMTP; x\r\nDate: d\r\nMessage-ID: <a@b>\r\nFrom: a@b\r\n\r\nbody\r\n",
    b"Delivered-To: A@b\r\nReceived: from b (by x)\r\n by mx.example; y\r\n\r\nReceived: in the body\r\n",
    b"X-IEMS-Verdict: accept; forged\r\n folded\r\nSubject: x\r\n\r\n",
    b"\r\n\r\n",
    b": \r\n \r\nx",
];

const OWN: &str = "mx.example";

pub(crate) fn run(octets: &[u8]) {
    let (whole, parts) = (scan(std::iter::once(octets)), scan(pieces(octets)));
    let facts = |scan: &TraceScan| {
        let fields = (scan.has_date(), scan.has_message_id(), scan.has_from());
        (scan.hops(), scan.own_hops(), scan.header_size(), scan.delivered_to().to_vec(), fields)
    };
    assert_eq!(facts(&whole), facts(&parts), "pieces make a difference");
    assert!(whole.header_size() <= octets.len() as u64 && whole.own_hops() <= whole.hops());
    assert_eq!(whole.foreign(), parts.foreign(), "pieces make a difference");
    let mut behind = 0;
    for range in whole.foreign() {
        assert!(behind <= range.start && range.start <= range.end && range.end <= whole.header_size());
        behind = range.end;
    }
}

fn scan<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> TraceScan {
    let mut scan = TraceScan::default();
    pieces.for_each(|piece| scan.feed(piece, OWN));
    scan.finish(OWN);
    scan
}
