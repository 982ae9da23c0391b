//! An SMTP server that answers as scripted and keeps what it got: the far side of relaying stories.
//!
//! It believes nothing and decides by the recipient alone, so that a story can say what shall happen by
//! the address it writes to: `later…` is answered 451 at RCPT, `never…` 550, everything else is taken.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::wait::wait_for;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The address it came from.
    pub from: IpAddr,
    /// The name the peer gave in EHLO.
    pub hello: String,
    /// The whole argument of MAIL: path and parameters.
    pub mail: String,
    /// The whole arguments of RCPT.
    pub rcpt: Vec<String>,
    /// The message, dots taken off, CRLF as it came.
    pub body: Vec<u8>,
}

/// How a sink behaves.
#[derive(Debug, Clone)]
pub struct Script {
    /// Keywords offered to EHLO.
    pub extensions: Vec<String>,
    /// What to say instead of 220; the connection is closed then.
    pub greeting: Option<String>,
    /// What to say at the end of the data, instead of 250.
    pub data: Option<String>,
    /// Closes the connection after the end of the data without a word, keeping the message.
    pub vanish: bool,
}

impl Default for Script {
    fn default() -> Self {
        let extensions =
            ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "SIZE 52428800"];
        let extensions = extensions.map(str::to_owned).to_vec();
        Self { extensions, greeting: None, data: None, vanish: false }
    }
}

struct State {
    script: Mutex<Script>,
    arrived: Mutex<Vec<Arrived>>,
    connections: AtomicUsize,
    stop: AtomicBool,
}

/// A running sink; dropping it closes the port.
pub struct Sink {
    /// Where it listens.
    pub at: SocketAddrV4,
    state: Arc<State>,
    acceptor: Option<std::thread::JoinHandle<()>>,
}

impl Sink {
    /// Listens on `ip` and `port`.
    ///
    /// # Panics
    /// If the port cannot be had.
    pub fn start(ip: Ipv4Addr, port: u16, script: Script) -> Self {
        let at = SocketAddrV4::new(ip, port);
        let listener = TcpListener::bind(at).unwrap_or_else(|e| panic!("{at}: {e}"));
        listener.set_nonblocking(true).expect("a listener without waiting");
        let state = Arc::new(State {
            script: Mutex::new(script),
            arrived: Mutex::default(),
            connections: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let acceptor = std::thread::spawn(move || accept(&listener, &shared));
        Self { at, state, acceptor: Some(acceptor) }
    }

    /// `smtp:…` for a route.
    pub fn via(&self) -> String {
        format!("smtp:{}", self.at)
    }

    /// Behaves otherwise from the next connection, and the next end of data, on.
    ///
    /// # Panics
    /// If a thread of the sink panicked.
    pub fn script(&self, script: Script) {
        *self.state.script.lock().expect("no panic") = script;
    }

    /// What has come until now.
    ///
    /// # Panics
    /// If a thread of the sink panicked.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.state.arrived.lock().expect("no panic").clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Waits until `count` messages have come.
    #[track_caller]
    pub fn wait(&self, count: usize, limit: Duration) -> Vec<Arrived> {
        wait_for(&format!("{count} messages in the sink"), limit, || {
            let arrived = self.arrived();
            (arrived.len() >= count).then_some(arrived)
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while !state.stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                state.connections.fetch_add(1, Ordering::Relaxed);
                let state = Arc::clone(state);
                std::thread::spawn(move || {
                    // A peer may leave at any moment; what it left unfinished counts for nothing.
                    let _ = serve(&stream, &state);
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn serve(stream: &TcpStream, state: &State) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_nodelay(true)?;
    let script = state.script.lock().expect("no panic").clone();
    let mut lines = BufReader::new(stream);
    let say = |text: &str| (&*stream).write_all(format!("{text}\r\n").as_bytes());
    if let Some(greeting) = &script.greeting {
        return say(greeting);
    }
    say("220 sink.example.test ESMTP")?;
    let from = stream.peer_addr()?.ip();
    let (mut hello, mut mail, mut rcpt) = (String::new(), String::new(), Vec::new());
    while !state.stop.load(Ordering::Relaxed) {
        let line = text_line(&mut lines)?;
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                hello = rest.trim().to_owned();
                say(&ehlo(&script))?;
            }
            "MAIL" => {
                (mail, rcpt) = (argument(rest), Vec::new());
                say("250 2.1.0 ok")?;
            }
            "RCPT" => {
                let answer = recipient(rest);
                if answer.starts_with("250") {
                    rcpt.push(argument(rest));
                }
                say(answer)?;
            }
            "DATA" if rcpt.is_empty() => say("503 5.5.1 no recipients")?,
            "DATA" => {
                say("354 go on")?;
                let body = data(&mut lines)?;
                let script = state.script.lock().expect("no panic").clone();
                if script.data.is_none() {
                    let (hello, mail, rcpt) = (hello.clone(), mail.clone(), std::mem::take(&mut rcpt));
                    let message = Arrived { from, hello, mail, rcpt, body };
                    state.arrived.lock().expect("no panic").push(message);
                }
                if script.vanish {
                    return Ok(());
                }
                say(script.data.as_deref().unwrap_or("250 2.0.0 taken"))?;
            }
            "QUIT" => return say("221 2.0.0 bye"),
            "HELO" | "RSET" | "NOOP" => say("250 2.0.0 ok")?,
            _ => say("502 5.5.1 what?")?,
        }
    }
    say("421 4.3.2 closing")
}

fn ehlo(script: &Script) -> String {
    let mut lines = vec!["sink.example.test".to_owned()];
    lines.extend(script.extensions.iter().cloned());
    let last = lines.len() - 1;
    let line = |(n, text): (usize, &String)| format!("250{}{text}", if n == last { ' ' } else { '-' });
    lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
}

fn recipient(rest: &str) -> &'static str {
    let local = rest.split('<').nth(1).unwrap_or_default();
    match () {
        () if local.starts_with("later") => "451 4.2.0 come back later",
        () if local.starts_with("never") => "550 5.1.1 no such user here",
        () => "250 2.1.5 ok",
    }
}

fn argument(rest: &str) -> String {
    rest.split_once(':').map_or(rest, |(_, argument)| argument).trim().to_owned()
}

fn raw_line(lines: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

fn text_line(lines: &mut impl BufRead) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&raw_line(lines)?).trim_end().to_owned())
}

fn data(lines: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = raw_line(lines)?;
        if line == b".\r\n" {
            return Ok(body);
        }
        body.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
