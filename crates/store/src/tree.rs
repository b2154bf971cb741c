//! Copies and links directories. Keeps modification times, links and modes, which mix checks.

use crate::path_text::PathText;
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Metadata};
use std::io;
use std::ops::AddAssign;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use thiserror::Error;
use walkdir::WalkDir;

/// How to transfer the files of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Hard links, for files that are never changed in place. Copies on another file system, and copies of scripts,
    /// which people do edit in place.
    Link,
    /// Copies (reflinks if the file system supports them), for files that tools change in place.
    Copy,
}

/// The size of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub files: u64,
    pub bytes: u64,
}

/// A failed file system operation.
#[derive(Debug, Error)]
#[error("{}: cannot {operation}: {source}", path.display())]
pub struct TreeError {
    pub path: PathBuf,
    pub operation: &'static str,
    pub source: io::Error,
}

impl TreeError {
    /// `operation` is the phrase after "cannot".
    #[must_use]
    pub fn new(path: &Path, operation: &'static str, source: io::Error) -> Self {
        Self::at(path, operation)(source)
    }

    pub fn at(path: &Path, operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self {
            path,
            operation,
            source,
        }
    }
}

/// Copies or links the tree `from` to `to`, and merges it into an existing one. `keep` accepts paths
/// relative to `from`; the contents of a rejected directory are skipped too.
pub fn transfer(
    from: &Path,
    to: &Path,
    method: Method,
    keep: impl Fn(&Path) -> bool,
) -> Result<Amount, TreeError> {
    let tree = Contents::of(from, keep)?;
    tree.make_at(to, |path, target, metadata| {
        copy_entry(path, target, metadata, method)
    })
}

/// Copies or links one file to `target`.
fn copy_entry(
    path: &Path,
    target: &Path,
    metadata: &Metadata,
    method: Method,
) -> Result<(), TreeError> {
    let link = method == Method::Link && !is_script(path, metadata);
    if link && fs::hard_link(path, target).is_ok() {
        return Ok(());
    }
    replace_with(target, |target| {
        if link && fs::hard_link(path, target).is_ok() {
            return Ok(());
        }
        copy(path, target, metadata)
    })
}

/// Copies files, links and directories to `to`: pairs of a path relative to `to`, and the source.
pub fn gather<'a>(
    items: impl Iterator<Item = (&'a Path, &'a Path)>,
    to: &Path,
    method: Method,
) -> Result<Amount, TreeError> {
    let make_folder =
        |path: &Path| fs::create_dir_all(path).map_err(TreeError::at(path, "create the folder"));
    let mut files = Vec::new();
    make_folder(to)?;
    for (path, place) in items {
        let target = to.join(path);
        make_folder(target.parent().unwrap_or(to))?;
        let found = place
            .symlink_metadata()
            .map_err(TreeError::at(place, "read"))?;
        if found.is_dir() {
            make_folder(&target)?;
        } else if found.is_symlink() {
            let link = fs::read_link(place).map_err(TreeError::at(place, "read the link"))?;
            replace_with(&target, |target| symlink(&link, target))?;
        } else {
            files.push((place, target, found));
        }
    }
    in_parallel(&files, |(place, target, found)| {
        copy_entry(place, target, found, method)
    })?;
    Ok(Amount {
        files: files.len() as u64,
        bytes: files.iter().map(|(_, _, found)| found.len()).sum(),
    })
}

/// Copies the tree `from` to `to`. Links `unchanged` files from the tree `old` instead. Neither `old` nor `to` may be
/// changed in place later.
pub fn transfer_reusing(
    from: &Path,
    to: &Path,
    old: &Path,
    keep: impl Fn(&Path) -> bool,
    unchanged: impl Fn(&Path, &Metadata, &Path) -> bool + Sync,
) -> Result<Amount, TreeError> {
    let tree = Contents::of(from, keep)?;
    tree.make_at(to, |path, target, metadata| {
        let known = path.strip_prefix(from).map(|path| old.join(path));
        match known {
            Ok(known)
                if unchanged(path, metadata, &known) && fs::hard_link(&known, target).is_ok() =>
            {
                Ok(())
            }
            _ => replace_with(target, |target| copy(path, target, metadata)),
        }
    })
}

/// Returns the size of `from` if `old` has the same files, links and directories, and all files are
/// `unchanged`.
pub fn same(
    from: &Path,
    old: &Path,
    keep: impl Fn(&Path) -> bool,
    unchanged: impl Fn(&Path, &Metadata, &Path) -> bool,
) -> Result<Option<Amount>, TreeError> {
    if !old.is_dir() {
        return Ok(None);
    }
    let (new, old_tree) = (Contents::of(from, keep)?, Contents::of(old, |_| true)?);
    let names = |tree: &Contents<'_>| {
        let mut names: Vec<PathBuf> = tree.dirs.clone();
        names.extend(tree.files.iter().map(|(path, _)| path.clone()));
        names.sort();
        names
    };
    let links = |tree: &Contents<'_>| {
        let mut links = tree.links.clone();
        links.sort();
        links
    };
    let all_unchanged = || {
        new.files
            .iter()
            .all(|(path, metadata)| unchanged(&from.join(path), metadata, &old.join(path)))
    };
    let same =
        names(&new) == names(&old_tree) && links(&new) == links(&old_tree) && all_unchanged();
    Ok(same.then(|| new.amount()))
}

/// The contents of a tree, by paths relative to it.
struct Contents<'a> {
    root: &'a Path,
    /// Parents first; the root itself is the empty path.
    dirs: Vec<PathBuf>,
    /// Pairs of path and target.
    links: Vec<(PathBuf, PathBuf)>,
    files: Vec<(PathBuf, Metadata)>,
}

impl<'a> Contents<'a> {
    fn of(root: &'a Path, keep: impl Fn(&Path) -> bool) -> Result<Self, TreeError> {
        let mut contents = Self {
            root,
            dirs: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
        };
        let walk = WalkDir::new(root).into_iter().filter_entry(|entry| {
            entry.depth() == 0 || entry.path().strip_prefix(root).is_ok_and(&keep)
        });
        for entry in walk {
            let entry = entry.map_err(|error| TreeError {
                path: error.path().unwrap_or(root).to_owned(),
                operation: "read",
                source: error.into(),
            })?;
            let path = entry.path();
            let Ok(relative) = path.strip_prefix(root).map(Path::to_owned) else {
                continue;
            };
            let kind = entry.file_type();
            if kind.is_dir() {
                contents.dirs.push(relative);
            } else if kind.is_symlink() {
                let link = fs::read_link(path).map_err(TreeError::at(path, "read the link"))?;
                contents.links.push((relative, link));
            } else if kind.is_file() {
                let metadata = path
                    .symlink_metadata()
                    .map_err(TreeError::at(path, "read"))?;
                contents.files.push((relative, metadata));
            }
            // Sockets, pipes and devices aren't results of a build.
        }
        Ok(contents)
    }

    fn amount(&self) -> Amount {
        Amount {
            files: self.files.len() as u64,
            bytes: self.files.iter().map(|(_, metadata)| metadata.len()).sum(),
        }
    }

    /// Creates the same tree at `to`, and merges it into an existing one. `make` gets a file, its target, and its
    /// metadata.
    fn make_at(
        &self,
        to: &Path,
        make: impl Fn(&Path, &Path, &Metadata) -> Result<(), TreeError> + Sync,
    ) -> Result<Amount, TreeError> {
        // `join` with an empty path adds a slash, which breaks a link at the root.
        let at = |root: &Path, relative: &Path| {
            if relative.as_os_str().is_empty() {
                root.to_owned()
            } else {
                root.join(relative)
            }
        };
        for dir in &self.dirs {
            let target = at(to, dir);
            fs::create_dir_all(&target).map_err(TreeError::at(&target, "create the folder"))?;
        }
        for (path, link) in &self.links {
            replace_with(&at(to, path), |target| symlink(link, target))?;
        }
        in_parallel(&self.files, |(path, metadata)| {
            make(&at(self.root, path), &at(to, path), metadata)
        })?;
        // Directories come last, since adding entries changes their times.
        for dir in self.dirs.iter().rev() {
            if let Ok(metadata) = at(self.root, dir).metadata() {
                let _ = set_times(&at(to, dir), &metadata);
            }
        }
        Ok(self.amount())
    }
}

/// Modification times in seconds and nanoseconds since 1970, by path relative to a tree.
pub type Times = BTreeMap<PathText, (i64, i64)>;

/// Returns the times of `root` and of all directories and regular files below it.
#[must_use]
pub fn times(root: &Path) -> Times {
    WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_type().is_symlink())
        .filter_map(|entry| {
            let found = entry.metadata().ok()?;
            let path = entry.path().strip_prefix(root).ok()?.to_owned();
            Some((PathText(path), (found.mtime(), found.mtime_nsec())))
        })
        .collect()
}

/// Restores the times of directories and files below `root`. Skips missing ones.
pub fn set_times_of(root: &Path, times: &Times) -> Result<(), TreeError> {
    let is_inside = |path: &Path| {
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    for (path, (seconds, nanos)) in times.iter().filter(|(path, _)| is_inside(&path.0)) {
        let path = root.join(&path.0);
        if path.is_symlink() {
            continue;
        }
        let since = u64::try_from(*seconds).ok().zip(u32::try_from(*nanos).ok());
        let time = since.map(|(seconds, nanos)| Duration::new(seconds, nanos));
        let time = time.and_then(|since| UNIX_EPOCH.checked_add(since));
        if let (Some(time), Ok(file)) = (time, File::open(&path)) {
            file.set_modified(time)
                .map_err(TreeError::at(&path, "set the time of"))?;
        }
    }
    Ok(())
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// Returns the number and size of the regular files below `root`.
#[must_use]
pub fn measure(root: &Path) -> Amount {
    WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| entry.metadata().ok())
        .fold(Amount::default(), |sum, metadata| Amount {
            files: sum.files + 1,
            bytes: sum.bytes + metadata.len(),
        })
}

/// The same for each part of a tree. `part` returns the part of a path below `root`.
#[must_use]
pub fn measure_parts(root: &Path, part: impl Fn(&Path) -> String) -> BTreeMap<String, Amount> {
    let mut parts: BTreeMap<String, Amount> = BTreeMap::new();
    let files = WalkDir::new(root).into_iter().filter_map(Result::ok);
    for file in files.filter(|entry| entry.file_type().is_file()) {
        let inside = file.path().strip_prefix(root).unwrap_or(file.path());
        if let Ok(metadata) = file.metadata() {
            *parts.entry(part(inside)).or_default() += Amount {
                files: 1,
                bytes: metadata.len(),
            };
        }
    }
    parts
}

/// Removes a file, a link or a directory with its contents. Succeeds if there is none.
pub fn remove(path: &Path) -> Result<(), TreeError> {
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(());
    };
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path).or_else(|_| {
            // A directory without write permission, as Go and Nix create them, can't be emptied.
            make_writable(path);
            fs::remove_dir_all(path)
        })
    } else {
        fs::remove_file(path)
    };
    removed.map_err(TreeError::at(path, "remove"))
}

/// Removes everything in a folder.
pub fn clear(folder: &Path) -> Result<(), TreeError> {
    let entries = fs::read_dir(folder).map_err(TreeError::at(folder, "list"))?;
    for entry in entries {
        remove(&entry.map_err(TreeError::at(folder, "list"))?.path())?;
    }
    Ok(())
}

/// Moves a file, link or directory, also to another file system.
pub fn relocate(from: &Path, to: &Path) -> Result<(), TreeError> {
    if fs::rename(from, to).is_ok() {
        return Ok(());
    }
    let metadata = from
        .symlink_metadata()
        .map_err(TreeError::at(from, "read"))?;
    if metadata.is_dir() {
        transfer(from, to, Method::Copy, |_| true)?;
    } else if metadata.is_symlink() {
        let link = fs::read_link(from).map_err(TreeError::at(from, "read the link"))?;
        replace_with(to, |to| symlink(&link, to))?;
    } else {
        replace_with(to, |to| copy(from, to, &metadata))?;
    }
    remove(from)
}

/// Whether a file is executable and begins with `#!`.
fn is_script(path: &Path, metadata: &Metadata) -> bool {
    use std::io::Read;
    let mut start = [0; 2];
    metadata.mode() & 0o111 != 0
        && File::open(path)
            .and_then(|mut file| file.read_exact(&mut start))
            .is_ok_and(|()| start == *b"#!")
}

fn copy(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    // Uses copy_file_range, which shares blocks if the file system supports it.
    fs::copy(from, to)?;
    set_times(to, metadata)
}

fn set_times(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let modified = metadata.modified()?;
    File::open(path)?.set_times(
        FileTimes::new()
            .set_accessed(modified)
            .set_modified(modified),
    )
}

/// Creates a file or link at `target`, and replaces an existing one. The existing one is removed first: writing to it
/// could write through a link, or change a hard link in another tree.
fn replace_with(target: &Path, make: impl Fn(&Path) -> io::Result<()>) -> Result<(), TreeError> {
    if target.symlink_metadata().is_ok() {
        remove(target)?;
    }
    make(target).map_err(TreeError::at(target, "write"))
}

fn make_writable(root: &Path) {
    for entry in WalkDir::new(root).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_dir()
            && let Ok(metadata) = entry.metadata()
        {
            let mode = fs::Permissions::from_mode(metadata.mode() | 0o700);
            let _ = fs::set_permissions(entry.path(), mode);
        }
    }
}

/// Calls `work` for every item on as many threads as there are cores; the first error ends it.
pub fn in_parallel<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), TreeError> + Sync,
) -> Result<(), TreeError> {
    // The threads take several items at a time, to reduce contention.
    const STRIDE: usize = 32;
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(8));
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let error = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len().div_ceil(STRIDE)) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let from = next.fetch_add(STRIDE, Ordering::Relaxed);
                    let Some(rest) = items.get(from..) else {
                        return;
                    };
                    for item in rest.iter().take(STRIDE) {
                        if let Err(first) = work(item) {
                            failed.store(true, Ordering::Relaxed);
                            error
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .get_or_insert(first);
                            return;
                        }
                    }
                }
            });
        }
    });
    match error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn sample(root: &Path) -> SystemTime {
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
        fs::create_dir_all(root.join("a/b")).unwrap();
        for n in 0..100 {
            fs::write(root.join(format!("a/b/{n}")), "x".repeat(n)).unwrap();
        }
        let script = root.join("a/run");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        File::open(&script)
            .unwrap()
            .set_times(FileTimes::new().set_modified(old))
            .unwrap();
        symlink("../a/run", root.join("a/link")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        old
    }

    #[test]
    fn copy_keeps_mtimes_modes_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let old = sample(&from);
        let amount = transfer(&from, &to, Method::Copy, |_| true).unwrap();
        assert_eq!(amount.files, 101);
        let script = to.join("a/run").metadata().unwrap();
        assert_eq!(script.modified().unwrap(), old);
        assert_eq!(script.mode() & 0o777, 0o755);
        assert_eq!(
            fs::read_link(to.join("a/link")).unwrap(),
            Path::new("../a/run")
        );
        assert_eq!(
            fs::read_link(to.join("dangling")).unwrap(),
            Path::new("nowhere")
        );
        assert_eq!(measure(&to), amount);
    }

    #[test]
    fn links_share_the_data_and_copies_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        sample(&from);
        for (method, shared) in [(Method::Link, true), (Method::Copy, false)] {
            let to = dir.path().join(format!("{method:?}"));
            transfer(&from, &to, method, |_| true).unwrap();
            let same = |file: &str| {
                from.join(file).metadata().unwrap().ino() == to.join(file).metadata().unwrap().ino()
            };
            assert_eq!(same("a/b/7"), shared, "{method:?}");
            assert!(!same("a/run"), "a script may be edited in place");
        }
    }

    #[test]
    fn filtered_directory_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        sample(&from);
        transfer(&from, &to, Method::Copy, |path| !path.ends_with("b")).unwrap();
        assert!(to.join("a/run").exists());
        assert!(!to.join("a/b").exists());
    }

    #[test]
    fn copy_replaces_existing_files_without_writing_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        sample(&from);
        fs::create_dir_all(to.join("a")).unwrap();
        fs::create_dir_all(to.join("a/b")).unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "untouched").unwrap();
        for file in ["a/run", "a/b/3"] {
            fs::hard_link(&outside, to.join(file)).unwrap();
        }
        transfer(&from, &to, Method::Link, |_| true).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(to.join("a/run")).unwrap(), "#!/bin/sh\n");
        assert_eq!(fs::read_to_string(to.join("a/b/3")).unwrap(), "xxx");
    }

    #[test]
    fn removes_directories_without_write_permission() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("locked")).unwrap();
        fs::write(tree.join("locked/file"), "").unwrap();
        fs::set_permissions(tree.join("locked"), fs::Permissions::from_mode(0o500)).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
    }
}
