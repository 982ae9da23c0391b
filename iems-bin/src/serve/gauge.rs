//! The memory of this process, and what it may hold: the machine's, or the limit of a control group.
//!
//! Linux only; elsewhere nothing is known, and there is no mark. What is mapped from files does not count: the system
//! takes it back when it needs to.

use iems_core::seam::{Memory, MemoryGauge};

/// Reads the memory of this process.
pub(super) struct OwnMemory {
    most: Option<u64>,
}

impl OwnMemory {
    /// Looks once what the process may hold.
    pub(super) fn new() -> Self {
        Self { most: most() }
    }
}

impl MemoryGauge for OwnMemory {
    fn read(&self) -> Option<Memory> {
        let used = kib(&std::fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")?;
        Some(Memory { used, most: self.most? })
    }
}

/// The smallest of the machine's memory and the limits of the control groups around the process.
fn most() -> Option<u64> {
    let machine = kib(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter();
    let limits = limits.filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok());
    limits.chain([machine]).min()
}

/// Where the limits stand: for each control group and all above it. A file that is not there, or says `max`, sets none.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (root, name) = match fields.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max"),
            Some(controllers) if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut path = fields.next().unwrap_or_default().trim_end_matches('/');
        loop {
            files.push(format!("{root}{path}/{name}"));
            match path.rfind('/') {
                Some(at) => path = &path[..at],
                None => break,
            }
        }
    }
    files
}

/// The number behind a label, in octets.
fn kib(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_looked_for_in_every_group_above() {
        assert_eq!(
            limit_files("0::/mail.slice/iems.service\n"),
            [
                "/sys/fs/cgroup/mail.slice/iems.service/memory.max",
                "/sys/fs/cgroup/mail.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            limit_files("5:cpu,memory:/\n1:name=x:/y\n"),
            ["/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
        assert!(limit_files("nonsense").is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_holds_some_memory_and_may_hold_more() {
        let memory = OwnMemory::new().read().expect("Linux tells");
        assert!(memory.used > 0 && memory.used < memory.most, "{memory:?}");
        assert_eq!(kib("Name:\tx\nRssAnon:\t    2048 kB\n", "RssAnon:"), Some(2 << 20));
    }
}
