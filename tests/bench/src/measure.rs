//! One measurement: a fresh server, the loader and the sink beside it, the costs counted from outside.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use iems_tests::address;
use serde::Serialize;

use crate::load::{Load, Plan};
use crate::servers::{DOMAIN, Kind, Server};
use crate::times::Times;
use crate::watch::{self, Peak};

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    /// The server and what it does.
    pub(crate) kind: Kind,
    /// Sessions side by side.
    pub(crate) sessions: usize,
    /// Octets of a message.
    pub(crate) size: usize,
}

/// What came out, of one run or as the median of several.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Figures {
    /// Messages accepted a second.
    pub(crate) accepted: f64,
    /// Messages a second until the last one had arrived.
    pub(crate) through: f64,
    /// Microseconds from the end of the data to its reply: median.
    pub(crate) reply_half_us: f64,
    /// The same, 99 of 100.
    pub(crate) reply_p99_us: f64,
    /// Processor milliseconds a message, from accepting it to having delivered it.
    pub(crate) cpu_ms: f64,
    /// The most memory (PSS), MiB.
    pub(crate) memory_mib: f64,
    /// Octets the server's processes wrote for each octet of mail.
    pub(crate) written: f64,
    /// Octets the whole disk wrote for each octet of mail: with the file system's own.
    pub(crate) disk: f64,
    /// Flushes of the disk a message, by everybody.
    pub(crate) flushes: f64,
    /// Messages that met another reply than wanted, or never arrived.
    pub(crate) lost: f64,
}

/// The sink, as a process of its own.
pub(crate) struct Sink {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
    pub(crate) at: SocketAddr,
}

impl Sink {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self::run(SocketAddr::new(address::fresh().into(), 2526), None)
    }

    /// Starts a watchful one, on all loopback addresses; slow ones take so long to answer a message.
    pub(crate) fn watchful(slow: Duration) -> Self {
        let port = 20_000 + u16::try_from(std::process::id() % 5000).unwrap_or(0) * 2;
        Self::run(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), Some(slow))
    }

    fn run(at: SocketAddr, slow: Option<Duration>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("our own path"));
        command.args(["sink", &at.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.args(slow.map(|slow| slow.as_millis().to_string()));
        let mut child = command.spawn().expect("the sink starts");
        let ask = child.stdin.take().expect("a pipe");
        let answer = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut sink = Self { child, ask, answer, at };
        sink.count();
        sink
    }

    /// How many messages it has taken.
    pub(crate) fn count(&mut self) -> usize {
        self.asked("?").trim().parse().expect("a number")
    }

    /// What a watchful one saw since it was asked last.
    pub(crate) fn times(&mut self) -> Times {
        serde_json::from_str(&self.asked("times")).expect("times")
    }

    fn asked(&mut self, what: &str) -> String {
        writeln!(self.ask, "{what}").expect("the sink listens");
        let mut line = String::new();
        self.answer.read_line(&mut line).expect("the sink answers");
        line
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures one case once.
pub(crate) fn measure(case: Case, time: Duration) -> Figures {
    let mut sink = Sink::start();
    let mut server = Server::start(case.kind, sink.at);
    let roots = server.roots();
    std::thread::sleep(Duration::from_millis(500));
    rustix::fs::sync();
    let (before, disk) = (watch::cost(&roots), watch::disk(device()));
    let peak = Peak::start(roots.clone());
    let start = Instant::now();
    let load = loader(&server, case, time);
    let arrived = drain(&server, &mut sink, case, load.accepted);
    let through = start.elapsed().as_secs_f64();
    // What is written behind the reply counts as well.
    std::thread::sleep(Duration::from_millis(500));
    let after = watch::cost(&roots);
    rustix::fs::sync();
    let disk_after = watch::disk(device());
    let (messages, octets) = (load.accepted.max(1) as f64, (load.accepted.max(1) * case.size) as f64);
    Figures {
        accepted: load.accepted as f64 / load.secs.max(0.001),
        through: arrived as f64 / through,
        reply_half_us: load.reply_us[0] as f64,
        reply_p99_us: load.reply_us[1] as f64,
        cpu_ms: (after.cpu - before.cpu) * 1000.0 / messages,
        memory_mib: peak.end() as f64 / f64::from(1 << 20),
        written: (after.written - before.written) / octets,
        disk: (disk_after.1 - disk.1) / octets,
        flushes: (disk_after.0 - disk.0) / messages,
        lost: (load.errors.values().sum::<usize>() + load.accepted.saturating_sub(arrived)) as f64,
    }
}

/// The device that temporary folders are on.
fn device() -> (u32, u32) {
    let device = std::fs::metadata(std::env::temp_dir()).expect("a temporary folder").dev();
    (rustix::fs::major(device), rustix::fs::minor(device))
}

/// Loads a server as a case says.
pub(crate) fn loader(server: &Server, case: Case, time: Duration) -> Load {
    let domain = if case.kind.local() { DOMAIN } else { "far.test" };
    run_loader(&Plan { time, ..Plan::new(server.at(), case.sessions, case.size, domain) })
}

/// Runs the loader as a process of its own.
pub(crate) fn run_loader(plan: &Plan) -> Load {
    let mut command = Command::new(std::env::current_exe().expect("our own path"));
    command.arg("load").arg(serde_json::to_string(plan).expect("JSON"));
    let output = command.output().expect("the loader runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("the loader: {e}: {said}"))
}

/// Waits until everything has arrived, or nothing more does.
fn drain(server: &Server, sink: &mut Sink, case: Case, wanted: usize) -> usize {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let arrived = if case.kind.local() { server.delivered() } else { sink.count() };
        if arrived != last {
            (last, since) = (arrived, Instant::now());
        }
        if arrived >= wanted || since.elapsed() > Duration::from_secs(20) {
            return arrived.min(wanted);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sync calls a message, counted by strace in a small run of its own: a slower one, so few share a sync.
pub(crate) fn syncs(kind: Kind) -> Option<f64> {
    let mut sink = Sink::start();
    let mut server = Server::start(kind, sink.at);
    let file = std::env::temp_dir().join(format!("iems-bench-{}.strace", std::process::id()));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync,syncfs", "-o"]).arg(&file);
    for pid in server.roots().into_iter().flat_map(watch::tree) {
        strace.args(["-p", &pid.to_string()]);
    }
    let mut strace = strace.stderr(Stdio::null()).spawn().ok()?;
    std::thread::sleep(Duration::from_secs(1));
    let case = Case { kind, sessions: 10, size: 10_240 };
    let load = loader(&server, case, Duration::from_secs(3));
    drain(&server, &mut sink, case, load.accepted);
    std::thread::sleep(Duration::from_secs(1));
    // strace detaches and ends when it is interrupted; its children run on.
    let pid = rustix::process::Pid::from_child(&strace);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).ok()?;
    let _ = strace.wait();
    let calls = std::fs::read_to_string(&file)
        .ok()?
        .lines()
        .filter(|l| l.contains("sync") && l.contains("= 0"))
        .count();
    let _ = std::fs::remove_file(&file);
    Some(calls as f64 / load.accepted.max(1) as f64)
}

/// Memory of a server that has nothing to do, in MiB.
pub(crate) fn idle(kind: Kind) -> f64 {
    let sink = Sink::start();
    let mut server = Server::start(kind, sink.at);
    std::thread::sleep(Duration::from_secs(2));
    watch::memory(&server.roots()) as f64 / f64::from(1 << 20)
}
