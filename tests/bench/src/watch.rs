//! What a server costs, seen from outside: processor time, memory and octets written of a whole tree of
//! processes, from `/proc`. Children that have ended count with their parents.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Processor seconds and octets written so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// User and system time.
    pub(crate) cpu: f64,
    /// Octets handed to the disk.
    pub(crate) written: f64,
}

/// The processes below `root`, with it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children.get(&pid).into_iter().flatten());
        next += 1;
    }
    all
}

/// The fields of `/proc/PID/stat` behind the name: state, parent, ...
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

/// What the trees below these processes have cost until now.
pub(crate) fn cost(roots: &[u32]) -> Cost {
    let mut cost = Cost::default();
    for pid in roots.iter().flat_map(|&root| tree(root)) {
        // utime, stime, cutime, cstime, in hundredths of a second.
        let ticks =
            stat(pid).map_or(0.0, |fields| fields[11..15].iter().filter_map(|f| f.parse::<f64>().ok()).sum());
        cost.cpu += ticks / 100.0;
        cost.written += written(pid);
    }
    cost
}

fn written(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let value = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse().ok());
    text.lines().find(|line| line.starts_with("write_bytes")).and_then(value).unwrap_or(0.0)
}

/// Memory of the trees, shared pages divided (PSS), in octets.
pub(crate) fn memory(roots: &[u32]) -> u64 {
    let pss = |pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    roots.iter().flat_map(|&root| tree(root)).filter_map(pss).sum::<u64>() * 1024
}

/// Memory of these processes that is resident (RSS), in octets.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    let rss = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().filter_map(rss).sum::<u64>() * 1024
}

/// Remembers the most memory that was used.
pub(crate) struct Peak {
    most: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peak {
    /// Looks every half second from now on.
    pub(crate) fn start(roots: Vec<u32>) -> Self {
        let (most, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (shared, stopped) = (Arc::clone(&most), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                shared.fetch_max(memory(&roots), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Self { most, stop, thread: Some(thread) }
    }

    /// Octets.
    pub(crate) fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.most.load(Ordering::Relaxed)
    }
}

/// Flush requests that a disk has got so far, and octets written to it, by everybody.
pub(crate) fn disk(device: (u32, u32)) -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/diskstats").unwrap_or_default();
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let ours = |f: &Vec<String>| f[0] == device.0.to_string() && f[1] == device.1.to_string();
    let found = text.lines().map(fields).find(ours).unwrap_or_default();
    let number = |n: usize| found.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (number(18), number(9) * 512.0)
}
