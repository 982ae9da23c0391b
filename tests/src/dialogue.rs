//! Dialogues as data: what is said to a server and what it must answer, one step a line.
//!
//! ```text
//! @ smtp                which listener; the greeting is read
//! > EHLO x              sends a line with CRLF
//! >| a\0b\r\n           sends octets as they are: \r \n \t \0 \\ \xNN
//! * 70000 x             sends a text so many times
//! < 250                 the next reply (all its lines) begins with this
//! <? 250|554            the next reply begins with one of these
//! closed                the server closes, whatever it says before
//! # comment
//! ```

use std::io;
use std::path::Path;

use crate::iems::Iems;
use crate::wire::{Wire, closed};

/// Plays the dialogue in a file.
///
/// # Errors
/// Where the server did not say what stands there: the line and what it said.
pub fn play(file: &Path, site: &Iems) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    let mut wire: Option<Wire> = None;
    for (n, line) in text.lines().enumerate() {
        let at = |what: String| format!("{}:{}: {line}: {what}", file.display(), n + 1);
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (mark, wire.as_mut()) {
            ("" | "#", _) => {}
            ("@", _) => {
                let mut fresh = Wire::connect(site.at(rest)).map_err(|e| at(e.to_string()))?;
                expect(&mut fresh, &["220", "+OK"]).map_err(at)?;
                wire = Some(fresh);
            }
            (_, None) => return Err(at("no listener yet".to_owned())),
            (">", Some(wire)) => say(wire, format!("{rest}\r\n").as_bytes()).map_err(at)?,
            (">|", Some(wire)) => say(wire, &octets(rest)).map_err(at)?,
            ("*", Some(wire)) => {
                let (count, what) = rest.split_once(' ').ok_or_else(|| at("no count".to_owned()))?;
                let count = count.parse().map_err(|_| at("no count".to_owned()))?;
                say(wire, &octets(what).repeat(count)).map_err(at)?;
            }
            ("<", Some(wire)) => expect(wire, &[rest]).map_err(at)?,
            ("<?", Some(wire)) => expect(wire, &rest.split('|').collect::<Vec<_>>()).map_err(at)?,
            ("closed", Some(wire)) => drop(wire.rest().map_err(|e| at(e.to_string()))?),
            _ => return Err(at("not a step".to_owned())),
        }
    }
    Ok(())
}

/// A server that has refused enough may close while we still talk: the next step sees what it said.
fn say(wire: &mut Wire, octets: &[u8]) -> Result<(), String> {
    match wire.send(octets) {
        Err(e) if !closed(&e) => Err(e.to_string()),
        _ => Ok(()),
    }
}

fn expect(wire: &mut Wire, wanted: &[&str]) -> Result<(), String> {
    let reply = reply(wire).map_err(|e| format!("no reply: {e}"))?;
    match wanted.iter().any(|wanted| reply.starts_with(wanted)) {
        true => Ok(()),
        false => Err(format!("the server said {reply:?}")),
    }
}

fn reply(wire: &mut Wire) -> io::Result<String> {
    loop {
        let line = String::from_utf8_lossy(&wire.line()?).into_owned();
        if line.as_bytes().get(3) != Some(&b'-') || line.starts_with('-') {
            return Ok(line);
        }
    }
}

/// Octets from text, with `\r \n \t \0 \\ \xNN` replaced.
pub fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            out.push(octet);
            continue;
        }
        match rest.next() {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'0') => out.push(0),
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&digits, 16).expect("two hexadecimal digits"));
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    out
}
