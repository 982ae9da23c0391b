//! Structures: the same from pieces of any size, within the message, sections that make up the whole, texts that come
//! out without a panic.

use iems_store::structure::{
    Decoder, Kind, Limits, Parser, Structure, Text, Transfer, base_subject, decode_field, decode_parameter,
    header_fields, plain_of_html, sent_date, unfolded,
};

use crate::pieces;

pub(crate) const SEEDS: &[&[u8]] = &[
    b"From: \"A, B\" <a@b>, c (d)\r\nTo: g: a@b, <@r:c@d>;\r\nSubject: =?utf-8?q?=C3=A4?=\r\n =?utf-8?b?w6Q=?=\r\nDate: 1 Jan 24 10:00 EST\r\n\r\nbody\r\n",
    b"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npre\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Re: [x] y\r\nContent-Type: multipart/digest; boundary=b2\r\n\r\n--b2\r\n\r\nA: b\r\n\r\n--b2--\r\n--b\r\nContent-Disposition: attachment; filename*0*=utf-8''%41; filename*1=b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA=\r\n--b--\r\nepilogue",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: cut\r\n--b\r\nContent-Type: text/html; charset=utf-7\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=41+AOQ-&amp;<!-- =\r\n -->\r\n--b--\r\n",
    b"a: b\nc: d\n e\n\nbody\n",
];

pub(crate) fn run(octets: &[u8]) {
    let structure = Structure::of(octets);
    let mut parser = Parser::new(Limits::default());
    pieces(octets).for_each(|piece| parser.feed(piece));
    assert_eq!(parser.finish(), structure, "pieces make a difference");
    let row = structure.encode().expect("a row");
    assert_eq!(Structure::decode(&row).expect("a structure"), structure);
    within(&structure, octets.len() as u64);
    let of = |text| structure.section(&[], text).expect("a section of the message").range();
    let (header, text) = (of(Text::Header), of(Text::Text));
    assert_eq!((header.start, header.end, text.end), (0, text.start, octets.len() as u64));
    fields(&octets[..header.end as usize], &structure);
    for part in &structure.parts {
        let body = &octets[part.body.start as usize..part.body.end() as usize];
        assert_eq!(part.lines, body.iter().filter(|octet| **octet == b'\n').count() as u64, "lines");
        plain_of_html(&part.text(body), 100);
        if let Some(transfer) = part.transfer() {
            decoded(transfer, body);
        }
    }
}

fn within(structure: &Structure, size: u64) {
    assert_eq!(structure.size, size);
    for (at, part) in structure.parts.iter().enumerate() {
        assert_eq!(part.header.end(), part.body.start);
        assert!(part.body.end() <= size);
        let mut behind = part.body.start;
        let mut children = 0;
        for child in structure.children(at) {
            let child = &structure.parts[child];
            assert!(behind <= child.header.start && child.body.end() <= part.body.end());
            behind = child.body.end();
            children += 1;
        }
        assert!(children <= structure.parts.len() && (part.kind == Kind::Multipart || children < 2));
    }
}

fn fields(header: &[u8], structure: &Structure) {
    const NAMES: [&str; 3] = ["subject", "from", "to"];
    let (some, others) = (header_fields(header, &NAMES, false), header_fields(header, &NAMES, true));
    assert!(some.len() + others.len() <= header.len() + 2);
    if let Some(kept) = structure.kept_fields(&NAMES) {
        assert_eq!(
            kept.strip_suffix(b"\r\n"),
            some.strip_suffix(b"\r\n").or(some.strip_suffix(b"\n")),
            "kept fields"
        );
    }
    for (name, value) in unfolded(header) {
        base_subject(&decode_field(&value));
        decode_parameter(name, &value);
        sent_date(&value);
    }
}

fn decoded(transfer: Transfer, body: &[u8]) {
    let (mut decoder, mut output) = (Decoder::new(transfer), Vec::new());
    pieces(body).for_each(|piece| decoder.feed(piece, &mut output));
    decoder.finish(&mut output);
    assert_eq!(output, transfer.decode(body), "pieces make a difference");
    assert!(output.len() <= body.len(), "decoding makes it longer");
}
