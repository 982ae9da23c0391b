//! Running programs: what they need, what they said, and how they are ended by their own id.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// What a program that has ended said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output, as text.
    pub out: String,
    /// Standard error, as text.
    pub err: String,
}

impl Said {
    /// The same, if the program was content.
    ///
    /// # Panics
    /// If the exit code is not 0.
    #[track_caller]
    #[allow(clippy::return_self_not_must_use, reason = "to be content is often all that is asked")]
    pub fn good(self) -> Self {
        assert!(self.code == 0, "exit code {}\n--- out\n{}\n--- err\n{}", self.code, self.out, self.err);
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON ({e}): {}{}", self.out, self.err))
    }
}

/// Where `program` is.
///
/// # Panics
/// If it is missing, with the name of the Debian package that brings it.
pub fn need(program: &str, package: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/usr/lib/postfix/sbin"]);
    let mut found = places.map(|dir| format!("{dir}/{program}")).filter(|file| Path::new(file).is_file());
    found.next().unwrap_or_else(|| {
        panic!("{program} is missing: install the Debian package `{package}` (tests/run does)")
    })
}

/// Runs a command to its end, with `input` on its standard input.
///
/// # Panics
/// If it cannot be started.
pub fn run(command: &mut Command, input: &[u8]) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program may end without reading everything; its exit code tells.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("output of a child");
    writer.join().expect("the writer does not panic");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A program that runs beside the story, and ends with it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `command` with its output appended to `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let open = || File::options().create(true).append(true).open(log).expect("a log file");
        command.stdin(Stdio::null()).stdout(open()).stderr(open());
        Self { child: command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}")) }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal; one that has ended ignores it.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        let _ = kill_process(pid, signal);
    }

    /// Its exit code once it has ended (-1 after a signal), `None` while it runs.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().expect("a child can be waited for").map(|status| status.code().unwrap_or(-1))
    }

    /// Waits for its end; `None` if it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(code) = self.ended() {
                return Some(code);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::TERM);
            if self.wait(Duration::from_secs(5)).is_none() {
                self.kill();
            }
        }
    }
}

/// A command with arguments of any kind of string.
pub fn command<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// The last lines of a file, for a failing story.
pub fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
