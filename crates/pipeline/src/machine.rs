//! The cores and memory available to a build, with the limits of its container.

use std::fs;
use std::path::Path;

/// The memory that a compiling VM may need, in bytes.
const COMPILER_MEMORY: u64 = 768 * 1024 * 1024;

/// The number of VMs that compile dependencies in parallel, limited by cores and memory.
pub(crate) fn compilers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    compilers_for(cores, memory(Path::new("/")))
}

fn compilers_for(cores: usize, memory: Option<u64>) -> usize {
    let fit = memory.map_or(1, |bytes| bytes / COMPILER_MEMORY);
    cores.min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1)
}

/// The memory in bytes: that of the machine (proc(5)), or the limit of a control group (cgroups(7)) if it is lower.
/// `root` is the root of the filesystem.
fn memory(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let machine = read("proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    });
    // The first file may contain `max`: no limit.
    let limits = [
        "sys/fs/cgroup/memory.max",
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let limits = limits
        .iter()
        .filter_map(|path| read(path)?.trim().parse().ok());
    machine.into_iter().chain(limits).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_memory_limit_parallel_compilers() {
        let gib = 1024 * 1024 * 1024;
        for (cores, memory, count) in [
            (8, Some(24 * gib), 8),
            (8, Some(2 * gib), 2),
            (2, Some(24 * gib), 2),
            (4, Some(gib / 2), 1),
            (4, None, 1),
        ] {
            assert_eq!(compilers_for(cores, memory), count);
        }
    }

    #[test]
    fn container_memory_limit_applies_if_lower() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(memory(dir.path()), None);
        write("proc/meminfo", "MemTotal:       24000 kB\nMemFree: 1 kB\n");
        write("sys/fs/cgroup/memory.max", "max\n");
        assert_eq!(memory(dir.path()), Some(24_000 * 1024));
        write("sys/fs/cgroup/memory.max", "1048576\n");
        assert_eq!(memory(dir.path()), Some(1_048_576));
    }
}
