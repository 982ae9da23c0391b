//! What `FETCH` answers, as values: from any IMAP server.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use iems_store::structure::{Kind, Structure};

/// How many octets of messages go with one `APPEND`.
const TOGETHER: usize = 256 * 1024;

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

/// A raw IMAP client.
pub struct Fetcher {
    stream: BufReader<TcpStream>,
    tag: u32,
    /// What the last commands were told.
    untagged: Vec<String>,
    /// The server hung up, maybe in the midst of an answer.
    over: bool,
}

impl Fetcher {
    /// Connects and logs in.
    ///
    /// # Panics
    /// If that does not go.
    pub fn login(at: SocketAddrV4, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(at).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut fetcher = Self { stream: BufReader::new(stream), tag: 0, untagged: Vec::new(), over: false };
        fetcher.line();
        fetcher.must(format!("LOGIN {user} {password}").as_bytes());
        fetcher
    }

    /// Sends a command that has to succeed; the values of its untagged `FETCH` answers, by sequence number.
    ///
    /// # Panics
    /// If it fails.
    pub fn must(&mut self, command: &[u8]) -> Vec<(u32, Vec<Value>)> {
        let (status, fetched) = self.ask(command);
        assert!(status.starts_with("OK"), "{}: {status}", command.escape_ascii());
        fetched
    }

    /// Sends a command; how it ended, and the values of its untagged `FETCH` answers, by sequence number. A server that
    /// hangs up ends it with `BYE`.
    ///
    /// # Panics
    /// If the connection ends, or what comes is no answer.
    pub fn ask(&mut self, command: &[u8]) -> (String, Vec<(u32, Vec<Value>)>) {
        self.tag += 1;
        self.untagged.clear();
        let tag = format!("t{}", self.tag);
        let line = [tag.as_bytes(), b" ", command, b"\r\n"].concat();
        self.stream.get_mut().write_all(&line).expect("a command sent");
        let mut fetched = Vec::new();
        loop {
            let line = self.line();
            if let Some(status) = line.strip_prefix(&format!("{tag} ")) {
                return (status.to_owned(), fetched);
            }
            if let Some(bye) = line.strip_prefix("* BYE") {
                return (format!("BYE{bye}"), fetched);
            }
            self.untagged.extend(line.strip_prefix("* ").map(str::to_owned));
            let mut words = line.splitn(4, ' ');
            if let (Some("*"), Some(number), Some("FETCH"), Some(rest)) =
                (words.next(), words.next(), words.next(), words.next())
            {
                let line = rest.chars().map(|letter| letter as u8).collect();
                let mut tokens = Tokens { line, at: 0, from: self };
                let Value::List(values) = tokens.value() else { panic!("no list in {rest}") };
                fetched.push((number.parse().expect("a number"), values));
                if self.over {
                    return ("BYE in the midst of it".to_owned(), fetched);
                }
            }
        }
    }

    /// Sends a command that has to succeed; its untagged answers but `FETCH`, without the `*`. For such as have no literals.
    ///
    /// # Panics
    /// If it fails.
    pub fn told(&mut self, command: &str) -> Vec<String> {
        self.must(command.as_bytes());
        std::mem::take(&mut self.untagged)
    }

    /// Appends messages, in this order, as many with one command as is good.
    pub fn append<'a>(&mut self, mailbox: &str, messages: impl IntoIterator<Item = &'a [u8]>) {
        let mut command = Vec::new();
        for message in messages {
            command.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
            command.extend_from_slice(message);
            if command.len() > TOGETHER {
                self.must(&[b"APPEND ", mailbox.as_bytes(), &command].concat());
                command.clear();
            }
        }
        if !command.is_empty() {
            self.must(&[b"APPEND ", mailbox.as_bytes(), &command].concat());
        }
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
            Some(b'~') if self.line.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                self.literal()
            }
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
        if let Err(error) = self.from.stream.read_exact(&mut text) {
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "a literal");
            self.from.over = true;
            // Ends all lists that are open.
            (self.line, self.at) = (vec![b')'; 16], 0);
            return Value::Text(text);
        }
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
    #[must_use]
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

    /// The same without the values in lists for which `gone` holds.
    #[must_use]
    pub fn without(&self, gone: &impl Fn(&Self) -> bool) -> Self {
        match self {
            Self::List(values) => {
                let left: Vec<_> = values.iter().filter(|value| !gone(value)).collect();
                Self::List(left.into_iter().map(|value| value.without(gone)).collect())
            }
            other => other.clone(),
        }
    }

    /// The same with each text as `change` makes it.
    #[must_use]
    pub fn map(&self, change: &impl Fn(&[u8]) -> Vec<u8>) -> Self {
        match self {
            Self::Atom(atom) => Self::Atom(atom.clone()),
            Self::Text(text) => Self::Text(change(text)),
            Self::List(values) => Self::List(values.iter().map(|value| value.map(change)).collect()),
        }
    }
}
