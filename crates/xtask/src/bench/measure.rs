//! Measures the costs of a command in the sandbox, and the sizes of its results.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use mirror::Server;
use mirror::stack::{Command, Watch};
use nix::sys::resource::{UsageWho, getrusage};
use walkdir::WalkDir;

use crate::process::Result;

/// The interval between looks at the processes: a quarter of it would take a fifth of a core. The kernel records the
/// peak of each process, so only growth in its last moments is missed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The costs of one command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Costs {
    /// The time since the sandbox was set up.
    pub(crate) wall: Duration,
    /// User and system time of all processes.
    pub(crate) cpu: Duration,
    /// Peak resident bytes of the largest process.
    pub(crate) largest: u64,
    /// The same for the requested executable.
    pub(crate) own: Option<u64>,
    /// Bytes that the mirror sent.
    pub(crate) downloaded: u64,
}

/// Runs a command with its output in `log`. Syncs earlier writes first, so that no command waits for those of
/// another.
pub(crate) fn run(
    server: &Server,
    command: Command<'_>,
    executable: Option<&Path>,
    log: &File,
) -> Result<(ExitStatus, Costs)> {
    let asked_about = executable.map(fs::metadata).transpose()?;
    let asked_about = asked_about.map(|file| (file.dev(), file.ino()));
    rustix::fs::sync();
    server.forget_requests();
    let before = cpu_of_children()?;
    let mut process = command
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()?;
    let watch = process.watch();
    let ended = AtomicBool::new(false);
    let (status, end, peaks) = thread::scope(|scope| {
        let peaks = scope.spawn(|| watch_peaks(watch, asked_about, &ended));
        let status = process.wait();
        let end = SystemTime::now();
        ended.store(true, Ordering::Relaxed);
        (status, end, peaks.join().unwrap_or_default())
    });
    let status = status?;
    let began = process.began().ok_or("the command has not begun")?;
    let costs = Costs {
        wall: end.duration_since(began)?,
        cpu: cpu_of_children()?.saturating_sub(before),
        largest: peaks.largest,
        own: peaks.own,
        downloaded: server.requests().iter().map(|request| request.bytes).sum(),
    };
    Ok((status, costs))
}

/// Returns the CPU time of all ended child processes, including their children.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(u64::try_from(
        micros.iter().sum::<i64>(),
    )?))
}

#[derive(Debug, Default)]
struct Peaks {
    largest: u64,
    own: Option<u64>,
}

/// `asked_about` is an executable, as device and inode.
fn watch_peaks(watch: Watch, asked_about: Option<(u64, u64)>, ended: &AtomicBool) -> Peaks {
    let mut peaks = Peaks::default();
    while !ended.load(Ordering::Relaxed) {
        for pid in watch.pids() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let Some(peak) = peak_of(&status) else {
                continue;
            };
            peaks.largest = peaks.largest.max(peak);
            if asked_about.is_some() && executable_of(pid) == asked_about {
                peaks.own = peaks.own.max(Some(peak));
            }
        }
        thread::sleep(LOOK_EVERY);
    }
    peaks
}

fn executable_of(pid: u32) -> Option<(u64, u64)> {
    let file = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((file.dev(), file.ino()))
}

/// Returns the peak resident size in `/proc/PID/status`, in bytes.
fn peak_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The size of a directory tree for packing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

/// A slug: a file with several names counts once for each, as Heroku packs them
/// (`--hard-dereference`, contracts 1.5).
pub(crate) fn slug(dir: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    for entry in WalkDir::new(dir) {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            tree.bytes += entry.metadata()?.len();
            tree.files += 1;
        }
    }
    Ok(tree)
}

/// The bytes of a cache: a file with several names counts once.
pub(crate) fn cache(dir: &Path) -> Result<u64> {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for entry in WalkDir::new(dir) {
        let metadata = entry?.metadata()?;
        if !metadata.is_dir() && seen.insert((metadata.dev(), metadata.ino())) {
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

/// The size of a directory as a `.tar.gz` at gzip's usual level.
pub(crate) fn gzipped(dir: &Path) -> Result<u64> {
    let encoder = GzEncoder::new(Count(0), Compression::default());
    let mut archive = tar::Builder::new(encoder);
    archive.follow_symlinks(false);
    archive.append_dir_all(".", dir)?;
    Ok(archive.into_inner()?.finish()?.0)
}

/// A writer that counts bytes.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_is_in_bytes() {
        let status = "Name:\tbeam\nVmHWM:\t    2048 kB\nVmRSS:\t 100 kB\n";
        assert_eq!(peak_of(status), Some(2_097_152));
        assert_eq!(peak_of("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn hard_linked_file_counts_twice_in_slug_and_once_in_cache() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        fs::write(dir.path().join("a"), "12345").unwrap();
        fs::hard_link(dir.path().join("a"), dir.path().join("folder/b")).unwrap();
        let tree = slug(dir.path()).unwrap();
        assert_eq!((tree.bytes, tree.files), (10, 2));
        assert_eq!(cache(dir.path()).unwrap(), 5);
        let packed = gzipped(dir.path()).unwrap();
        assert!((20..1000).contains(&packed), "{packed}");
    }
}
