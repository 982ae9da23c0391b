//! What `FETCH` answers, as values: from any IMAP server, and as a stored structure would be told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use iems_store::structure::{Address, Envelope, Kind, Parameters, Part, Structure};

/// A value in an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// `NIL`, a number, a name.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// Values in parentheses.
    List(Vec<Value>),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Atom(atom) => f.write_str(atom),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Self::List(values) => {
                f.write_str("(")?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value:?}", if at > 0 { " " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

fn atom(text: impl ToString) -> Value {
    Value::Atom(text.to_string())
}

fn text(octets: &[u8]) -> Value {
    Value::Text(octets.to_vec())
}

fn optional(octets: Option<&[u8]>) -> Value {
    octets.map_or_else(|| atom("NIL"), text)
}

/// A raw IMAP client.
pub struct Fetcher {
    stream: BufReader<TcpStream>,
    tag: u32,
}

impl Fetcher {
    /// Connects and logs in.
    ///
    /// # Panics
    /// If that does not go.
    pub fn login(at: SocketAddrV4, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(at).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut fetcher = Self { stream: BufReader::new(stream), tag: 0 };
        fetcher.line();
        fetcher.must(format!("LOGIN {user} {password}").as_bytes());
        fetcher
    }

    /// Sends a command that has to succeed; the values of its untagged `FETCH` answers, by sequence number.
    ///
    /// # Panics
    /// If it fails.
    pub fn must(&mut self, command: &[u8]) -> Vec<(u32, Vec<Value>)> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let line = [tag.as_bytes(), b" ", command, b"\r\n"].concat();
        self.stream.get_mut().write_all(&line).expect("a command sent");
        let mut fetched = Vec::new();
        loop {
            let line = self.line();
            if let Some(status) = line.strip_prefix(&format!("{tag} ")) {
                assert!(status.starts_with("OK"), "{}: {status}", command.escape_ascii());
                return fetched;
            }
            let mut words = line.splitn(4, ' ');
            if let (Some("*"), Some(number), Some("FETCH"), Some(rest)) =
                (words.next(), words.next(), words.next(), words.next())
            {
                let mut tokens = Tokens { line: rest.as_bytes().to_vec(), at: 0, from: self };
                let Value::List(values) = tokens.value() else { panic!("no list in {line}") };
                fetched.push((number.parse().expect("a number"), values));
            }
        }
    }

    /// Appends a message.
    pub fn append(&mut self, mailbox: &str, message: &[u8]) {
        let command = format!("APPEND {mailbox} {{{}+}}\r\n", message.len());
        self.must(&[command.as_bytes(), message].concat());
    }

    /// A line, octets above 127 as they would be in Latin-1.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).expect("a line");
        assert!(line.ends_with(b"\n"), "the connection ended: {}", line.escape_ascii());
        line.iter().copied().map(char::from).collect::<String>().trim_end_matches(['\r', '\n']).to_owned()
    }
}

struct Tokens<'a> {
    line: Vec<u8>,
    at: usize,
    from: &'a mut Fetcher,
}

impl Tokens<'_> {
    fn value(&mut self) -> Value {
        while self.line.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        match self.line.get(self.at) {
            Some(b'(') => {
                self.at += 1;
                let mut values = Vec::new();
                loop {
                    match self.line.get(self.at) {
                        Some(b')') => break,
                        Some(b' ') => self.at += 1,
                        Some(_) => values.push(self.value()),
                        None => panic!("no end of a list"),
                    }
                }
                self.at += 1;
                Value::List(values)
            }
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => self.atom(),
        }
    }

    fn quoted(&mut self) -> Value {
        let mut text = Vec::new();
        self.at += 1;
        while let Some(octet) = self.line.get(self.at).copied() {
            self.at += 1;
            match octet {
                b'"' => return Value::Text(text),
                b'\\' => {
                    text.push(self.line[self.at]);
                    self.at += 1;
                }
                _ => text.push(octet),
            }
        }
        panic!("no end of a string")
    }

    fn literal(&mut self) -> Value {
        let digits: String = self.line[self.at + 1..].iter().map(|o| char::from(*o)).collect();
        let length = digits.trim_end_matches('}').parse().expect("the length of a literal");
        let mut text = vec![0; length];
        self.from.stream.read_exact(&mut text).expect("a literal");
        let line = self.from.line();
        self.line = line.chars().map(|letter| letter as u8).collect();
        self.at = 0;
        Value::Text(text)
    }

    /// A name may have brackets with anything in them.
    fn atom(&mut self) -> Value {
        let start = self.at;
        let mut brackets = 0;
        while let Some(octet) = self.line.get(self.at) {
            match octet {
                b'[' => brackets += 1,
                b']' => brackets -= 1,
                b' ' | b'(' | b')' if brackets == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        assert!(self.at > start, "nothing in {}", self.line.escape_ascii());
        Value::Atom(self.line[start..self.at].iter().map(|o| char::from(*o)).collect())
    }
}

/// `ENVELOPE` of a structure.
pub fn envelope(envelope: &Envelope) -> Value {
    let lists =
        [&envelope.from, envelope.sender(), envelope.reply_to(), &envelope.to, &envelope.cc, &envelope.bcc];
    let mut values = vec![optional(envelope.date.as_deref()), optional(envelope.subject.as_deref())];
    values.extend(lists.map(addresses));
    values.extend([optional(envelope.in_reply_to.as_deref()), optional(envelope.message_id.as_deref())]);
    Value::List(values)
}

fn addresses(all: &[Address]) -> Value {
    let one = |a: &Address| {
        Value::List([&a.name, &a.route, &a.mailbox, &a.host].map(|part| optional(part.as_deref())).to_vec())
    };
    match all {
        [] => atom("NIL"),
        all => Value::List(all.iter().map(one).collect()),
    }
}

/// `BODY`, or `BODYSTRUCTURE` if `extended`, of a part.
pub fn body(structure: &Structure, at: usize, extended: bool) -> Value {
    let part = &structure.parts[at];
    let (main, sub) = match (&part.media, part.kind) {
        (Some(media), _) => (&media.main[..], &media.sub[..]),
        (None, Kind::Message) => (&b"message"[..], &b"rfc822"[..]),
        (None, _) => (&b"text"[..], &b"plain"[..]),
    };
    let mut own: Parameters = part.media.as_ref().map(|media| media.parameters.clone()).unwrap_or_default();
    if part.kind == Kind::Multipart {
        let mut values: Vec<_> =
            structure.children(at).map(|child| body(structure, child, extended)).collect();
        if values.is_empty() {
            let charset = Value::List(vec![text(b"charset"), text(b"us-ascii")]);
            let nil = || atom("NIL");
            let mut empty =
                vec![text(b"text"), text(b"plain"), charset, nil(), nil(), text(b"7bit"), atom(0), atom(0)];
            empty.extend((0..4).filter(|_| extended).map(|_| nil()));
            values.push(Value::List(empty));
        }
        values.push(text(sub));
        if extended {
            values.push(parameters(&own));
            values.extend(extension(part));
        }
        return Value::List(values);
    }
    let is_text = part.kind == Kind::Single && main.eq_ignore_ascii_case(b"text");
    if is_text && part.parameter("charset").is_none() {
        own.push((b"charset".as_slice().into(), b"us-ascii".as_slice().into()));
    }
    let encoding = part.encoding.as_deref().unwrap_or(b"7bit");
    let mut values = vec![text(main), text(sub), parameters(&own)];
    values.extend([optional(part.id.as_deref()), optional(part.description.as_deref())]);
    values.extend([text(encoding), atom(part.body.length)]);
    if part.kind == Kind::Message {
        let inner = structure.parts[at + 1].envelope.as_deref().expect("an envelope");
        values.extend([envelope(inner), body(structure, at + 1, extended), atom(part.lines)]);
    } else if is_text {
        values.push(atom(part.lines));
    }
    if extended {
        values.push(optional(part.md5.as_deref()));
        values.extend(extension(part));
    }
    Value::List(values)
}

fn parameters(all: &Parameters) -> Value {
    match &all[..] {
        [] => atom("NIL"),
        all => Value::List(all.iter().flat_map(|(name, value)| [text(name), text(value)]).collect()),
    }
}

fn extension(part: &Part) -> Vec<Value> {
    let disposition = match &part.disposition {
        Some((kind, all)) => Value::List(vec![text(kind), parameters(all)]),
        None => atom("NIL"),
    };
    let language = match &part.language[..] {
        [] => atom("NIL"),
        all => Value::List(all.iter().map(|tag| text(tag)).collect()),
    };
    vec![disposition, language, optional(part.location.as_deref())]
}

/// The numbers of all parts that sections can name, and those of some that are not there.
pub fn numbers(structure: &Structure) -> Vec<Vec<u32>> {
    let mut all = Vec::new();
    let mut open = vec![(0, Vec::new())];
    while let Some((at, path)) = open.pop() {
        let message = at == 0 || structure.parts[at].envelope.is_some();
        match structure.parts[at].kind {
            Kind::Multipart => {
                for (child, number) in structure.children(at).zip(1..) {
                    open.push((child, [&path[..], &[number]].concat()));
                }
            }
            kind => {
                let named = if message { [&path[..], &[1]].concat() } else { path.clone() };
                if message {
                    all.push(named.clone());
                }
                if kind == Kind::Message {
                    open.push((at + 1, named));
                }
            }
        }
        if !message {
            all.push(path);
        }
    }
    all.sort();
    all.dedup();
    all
}

impl Value {
    /// The same with one space where texts have any, and none at their ends; in small letters if `small`.
    pub fn squeezed(&self, small: bool) -> Self {
        match self {
            Self::Atom(atom) => Self::Atom(atom.clone()),
            Self::Text(text) => {
                let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                let text = words.collect::<Vec<_>>().join(&b' ');
                Self::Text(if small { text.to_ascii_lowercase() } else { text })
            }
            Self::List(values) => Self::List(values.iter().map(|value| value.squeezed(small)).collect()),
        }
    }
}
