//! A folder with a configuration, the program run in it, and a server that ends with its test.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a configuration and ports of its own.
pub struct Folder {
    dir: tempfile::TempDir,
    pub smtp: SocketAddr,
    pub metrics: SocketAddr,
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Self { dir, smtp: free_port(), metrics: free_port() };
        folder.configure("");
        folder
    }

    /// Writes the configuration, with more at its end.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "hostname = \"mx.example.test\"\ndata = \"data\"\ngrace = \"5s\"\n[dns]\nservers = [\"127.0.0.1:1\"]\n\
             [[listener]]\nprotocol = \"smtp\"\naddress = \"{}\"\n[[listener]]\nprotocol = \"metrics\"\naddress = \"{}\"\n{more}",
            self.smtp, self.metrics
        );
        std::fs::write(self.path("iems.toml"), text).expect("a configuration");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iems"));
        command.args(["--config", "iems.toml"]).args(arguments).current_dir(self.dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        run(self.command(arguments), input)
    }

    /// The same; it must succeed. What it printed.
    #[track_caller]
    pub fn good(&self, arguments: &[&str]) -> String {
        self.good_with(arguments, "")
    }

    #[track_caller]
    pub fn good_with(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} ended with {:?}: {error}", output.status.code());
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(arguments)).expect("JSON")
    }

    /// Starts the server and waits until it answers.
    #[track_caller]
    pub fn serve(&self) -> Server {
        let log = self.path("log");
        let file = std::fs::File::create(&log).expect("a log");
        let mut command = self.command(&["serve"]);
        let child = command.stderr(file).spawn().expect("iems runs");
        let mut server = Server { child, log };
        server.wait_for(&[self.smtp]);
        server
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().expect("iems runs");
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("iems ends")
}

/// A server that runs.
pub struct Server {
    pub child: Child,
    pub log: PathBuf,
}

impl Server {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    #[track_caller]
    pub fn wait_for(&mut self, addresses: &[SocketAddr]) {
        let start = Instant::now();
        while !addresses.iter().all(|address| TcpStream::connect(address).is_ok()) {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("the server ended with {status}: {}", self.said());
            }
            assert!(start.elapsed() < PATIENCE, "the server does not answer: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has written to its log.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log has a word.
    #[track_caller]
    pub fn wait_to_say(&self, word: &str) {
        self.wait_to_say_times(word, 1);
    }

    #[track_caller]
    pub fn wait_to_say_times(&self, word: &str, times: usize) {
        let start = Instant::now();
        while self.said().matches(word).count() < times {
            assert!(start.elapsed() < PATIENCE, "the server does not say {word:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM, and a good end.
    #[track_caller]
    pub fn end(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait(), Some(0), "{}", self.said());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line-wise conversation.
pub struct Talk(TcpStream);

impl Talk {
    pub fn with(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        Self(stream)
    }

    pub fn send(&mut self, line: &str) {
        self.0.write_all(line.as_bytes()).and_then(|()| self.0.write_all(b"\r\n")).expect("a line is sent");
    }

    /// The next line.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut octet = [0];
        while !line.ends_with(b"\n") && self.0.read(&mut octet).expect("a line") == 1 {
            line.push(octet[0]);
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Sends a line and takes the whole reply to it; its last line.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.reply()
    }

    /// A reply of SMTP; its last line.
    pub fn reply(&mut self) -> String {
        loop {
            let line = self.line();
            if line.get(3..4) != Some("-") {
                return line;
            }
        }
    }
}

/// A port of loopback that nobody uses now.
pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
