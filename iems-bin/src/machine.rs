//! What this machine has, as far as defaults follow it.

use std::path::Path;

/// The least and the most for the index of the store, in octets.
const INDEX: (u64, u64) = (16 << 20, 256 << 20);
/// Which part of the memory is for it.
const PART: u64 = 64;
/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";

/// Memory for the index of the store where nothing else is said: a sixty-fourth of all, from 16 to 256 MiB.
pub(crate) fn index_memory() -> usize {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    usize::try_from(index_share(memory(read))).unwrap_or(usize::MAX)
}

fn index_share(memory: Option<u64>) -> u64 {
    let (least, most) = INDEX;
    (memory.unwrap_or(0) / PART).clamp(least, most)
}

/// The memory that this process may use, in octets: the machine's, or what a control group leaves it. `None` where the
/// system does not tell.
fn memory(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    let group = read(Path::new("/proc/self/cgroup"));
    let group = group.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::/")));
    let above = group.map(|group| Path::new(GROUPS).join(group));
    let groups = above.iter().flat_map(|group| group.ancestors().take_while(|path| path.starts_with(GROUPS)));
    let limits = groups.filter_map(|group| read(&group.join("memory.max"))?.trim().parse().ok());
    machine.into_iter().chain(limits).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn memory_of(files: &[(&str, &str)]) -> Option<u64> {
        let found = |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path);
        memory(|path| found(path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn a_control_group_may_leave_less_than_the_machine_has() {
        let machine = ("/proc/meminfo", "MemTotal:        2097152 kB\nMemFree:          100 kB\n");
        let group = ("/proc/self/cgroup", "1:cpu:/x\n0::/mail.slice/iems.service\n");
        let own = |text| ("/sys/fs/cgroup/mail.slice/iems.service/memory.max", text);
        let above = |text| ("/sys/fs/cgroup/mail.slice/memory.max", text);
        assert_eq!(memory_of(&[]), None);
        assert_eq!(memory_of(&[machine]), Some(2048 * MIB));
        assert_eq!(memory_of(&[machine, group, own("max\n")]), Some(2048 * MIB));
        assert_eq!(memory_of(&[machine, group, own("536870912\n")]), Some(512 * MIB));
        assert_eq!(memory_of(&[machine, group, own("max\n"), above("1073741824\n")]), Some(1024 * MIB));
        let within = [machine, ("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "1048576\n")];
        assert_eq!(memory_of(&within), Some(MIB));
    }

    #[test]
    fn the_index_has_a_small_part_of_the_memory() {
        for (memory, share) in [(None, 16), (Some(512), 16), (Some(4096), 64), (Some(1 << 20), 256)] {
            assert_eq!(index_share(memory.map(|memory: u64| memory * MIB)), share * MIB);
        }
    }
}
