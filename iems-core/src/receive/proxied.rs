//! What a proxy says in front of a connection: whose it is. The PROXY protocol of HAProxy, versions 1 and 2.
//!
//! Pure: whoever reads asks [`Preamble::step`] how many octets to read next, and reads no more, so that what follows is left to the
//! protocol behind, such as a TLS handshake. Only believe it from proxies that are configured.

use std::net::{IpAddr, SocketAddr};

/// The beginning of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, with its CRLF.
const LONGEST_LINE: usize = 107;
/// The most octets behind the fixed part of version 2: addresses and additions.
const MOST: usize = 2048;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Preamble {
    have: Vec<u8>,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read exactly so many octets, and [`Preamble::push`] them.
    Read(usize),
    /// It is complete: the connection is from there; `None`: the proxy speaks for itself, or does not know.
    Done(Option<SocketAddr>),
}

/// The octets are no such preamble: whoever sent them is not the proxy it is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header, or a wrong one, from an address that is configured as a proxy")]
pub struct BadPreamble;

impl Preamble {
    /// Takes over what was read.
    pub fn push(&mut self, octets: &[u8]) {
        self.have.extend_from_slice(octets);
    }

    /// What is to be done next.
    ///
    /// # Errors
    /// [`BadPreamble`]: hang up.
    pub fn step(&self) -> Result<Step, BadPreamble> {
        let have = self.have.as_slice();
        if have.len() < SIGNATURE.len() {
            return Ok(Step::Read(SIGNATURE.len() - have.len()));
        }
        match have.strip_prefix(SIGNATURE) {
            Some(rest) => second(rest),
            None => first(have),
        }
    }
}

/// Version 1: one line. `PROXY TCP4 192.0.2.1 192.0.2.2 40000 25`.
fn first(have: &[u8]) -> Result<Step, BadPreamble> {
    if !have.starts_with(b"PROXY ") {
        return Err(BadPreamble);
    }
    let Some(end) = have.iter().position(|octet| *octet == b'\n') else {
        return if have.len() < LONGEST_LINE { Ok(Step::Read(1)) } else { Err(BadPreamble) };
    };
    let line = have[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let line = line.filter(|_| end + 1 == have.len()).ok_or(BadPreamble)?;
    let words: Vec<&str> = line.split(' ').collect();
    let (family, rest) = match words[..] {
        ["PROXY", "UNKNOWN", ..] => return Ok(Step::Done(None)),
        ["PROXY", family, source, destination, port, to] => (family, [source, destination, port, to]),
        _ => return Err(BadPreamble),
    };
    let address = |text: &str| -> Result<IpAddr, BadPreamble> {
        let address: IpAddr = text.parse().map_err(|_| BadPreamble)?;
        let fits = matches!((family, address), ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)));
        if fits { Ok(address) } else { Err(BadPreamble) }
    };
    let port = |text: &str| -> Result<u16, BadPreamble> {
        let plain =
            text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse().ok().filter(|_| plain).ok_or(BadPreamble)
    };
    let [source, destination, from, to] = rest;
    address(destination)?;
    port(to)?;
    Ok(Step::Done(Some(SocketAddr::new(address(source)?, port(from)?))))
}

/// Version 2, behind its signature: version and command, family, length, addresses, additions.
fn second(rest: &[u8]) -> Result<Step, BadPreamble> {
    let Some((&[command, family, high, low], body)) = rest.split_first_chunk::<4>() else {
        return Ok(Step::Read(4 - rest.len()));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MOST || command >> 4 != 2 || command & 0xF > 1 {
        return Err(BadPreamble);
    }
    if body.len() < length {
        return Ok(Step::Read(length - body.len()));
    }
    let (source, additions) = match family {
        0x11 => {
            let (addresses, rest) = body.split_first_chunk::<12>().ok_or(BadPreamble)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            (Some(SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])))), rest)
        }
        0x21 => {
            let (addresses, rest) = body.split_first_chunk::<36>().ok_or(BadPreamble)?;
            let (address, ports) = addresses.split_first_chunk::<16>().ok_or(BadPreamble)?;
            let port = ports.get(16..18).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
            (Some(SocketAddr::from((*address, port.ok_or(BadPreamble)?))), rest)
        }
        // Unspecified, datagrams, sockets in the file system: nothing that a count could use.
        _ => (None, &[][..]),
    };
    well_formed(additions)?;
    Ok(Step::Done(source.filter(|_| command & 0xF == 1)))
}

/// Additions are of a type, a length, and so many octets. None is used; all must be whole.
fn well_formed(mut additions: &[u8]) -> Result<(), BadPreamble> {
    while let Some((&[_, high, low], rest)) = additions.split_first_chunk::<3>() {
        additions = rest.get(usize::from(u16::from_be_bytes([high, low]))..).ok_or(BadPreamble)?;
    }
    if additions.is_empty() { Ok(()) } else { Err(BadPreamble) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads as a caller would; what it says, and how much was read.
    fn read(octets: &[u8]) -> (Result<Option<SocketAddr>, BadPreamble>, usize) {
        let (mut preamble, mut at) = (Preamble::default(), 0);
        loop {
            match preamble.step() {
                Ok(Step::Done(source)) => return (Ok(source), at),
                Ok(Step::Read(count)) if at + count <= octets.len() => {
                    assert!(count > 0);
                    preamble.push(&octets[at..at + count]);
                    at += count;
                }
                Ok(Step::Read(_)) => return (Err(BadPreamble), usize::MAX),
                Err(error) => return (Err(error), at),
            }
        }
    }

    fn second(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    #[test]
    fn version_1_is_read_to_its_end_and_not_further() {
        for (line, wanted) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 40000 25\r\n", Some("192.0.2.1:40000")),
            ("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", Some("[2001:db8::1]:1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        ] {
            let wanted = wanted.map(|text| text.parse().unwrap());
            assert_eq!(read(format!("{line}EHLO x\r\n").as_bytes()), (Ok(wanted), line.len()), "{line}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        for line in [
            "EHLO client.example.org\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 40000\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 040000 25\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 70000 25\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n",
            "PROXY TCP4  192.0.2.1 192.0.2.2 1 25\r\n",
            "PROXY \r\nEHLO\r\n",
            long.as_str(),
        ] {
            assert_eq!(read(line.as_bytes()).0, Err(BadPreamble), "{line}");
        }
    }

    #[test]
    fn version_2_is_read_with_its_additions_and_within_bounds() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0x9C, 0x40, 0, 25];
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 1, 9, 7);
        let with = |more: &[u8]| [&v4[..], more].concat();
        for (octets, wanted) in [
            (second(0x21, 0x11, &v4), Some("192.0.2.1:40000")),
            (second(0x21, 0x11, &with(&[4, 0, 2, 0, 0, 5, 0, 0])), Some("192.0.2.1:40000")),
            (second(0x21, 0x21, &v6), Some("[2001::9]:7")),
            (second(0x20, 0x11, &v4), None),
            (second(0x20, 0, &[]), None),
            (second(0x21, 0, &[1, 2, 3]), None),
            (second(0x21, 0x31, &[0; 216]), None),
        ] {
            let wanted = wanted.map(|text| text.parse().unwrap());
            let followed = [&octets[..], b"\x16\x03\x01"].concat();
            assert_eq!(read(&followed), (Ok(wanted), octets.len()), "{octets:?}");
            assert!((0..octets.len()).all(|cut| read(&octets[..cut]).0.is_err()), "whole or not at all");
        }
        for octets in [
            second(0x11, 0x11, &v4),
            second(0x22, 0x11, &v4),
            second(0x21, 0x11, &v4[..11]),
            second(0x21, 0x11, &with(&[4, 0])),
            second(0x21, 0x11, &with(&[4, 0, 9, 0])),
            second(0x21, 0x11, &[0; MOST + 1]),
        ] {
            assert_eq!(read(&octets).0, Err(BadPreamble), "{octets:?}");
        }
    }
}
