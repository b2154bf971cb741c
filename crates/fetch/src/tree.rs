//! A directory to which an archive is unpacked. Entries can't escape from it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::error::Kind;

/// The reason for stopping an unpacking.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The entry is unsafe, or the file system failed. Not retried.
    Final(Kind),
    /// The archive is unreadable or invalid. The transfer knows whether it is truncated.
    Unreadable(io::Error),
}

impl Refusal {
    pub(crate) fn entry(name: &[u8], why: &'static str) -> Self {
        Refusal::Final(Kind::UnsafeEntry {
            entry: printable(name),
            why,
        })
    }

    fn local(path: &Path, source: io::Error) -> Self {
        Refusal::Final(Kind::Io {
            path: path.to_owned(),
            source,
        })
    }
}

/// Returns a name that is safe to print: control characters are escaped, with at most 200 characters.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
}

/// The longest name of an entry, in bytes: ten times that of any published toolchain.
const MAX_NAME: usize = 2048;
/// The longest part of a name between two slashes, in bytes (`NAME_MAX` of Linux).
const MAX_COMPONENT: usize = 255;
/// The longest target of a symbolic link, in bytes (`PATH_MAX` of Linux, which counts a NUL).
pub(crate) const MAX_TARGET: usize = 4095;

/// The limits of an archive's contents. The largest that upstream publishes, Node, unpacks to 0.2 GB in 6000 entries.
/// An archive with over ten times as much is an attack on the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The size of all files together.
    pub(crate) bytes: u64,
    /// The number of entries, including implied directories and replaced entries.
    pub(crate) entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 2 << 30,
            entries: 200_000,
        }
    }
}

const TOO_MANY_BYTES: &str = "with it the archive unpacks to more than 2 GiB";
const TOO_MANY_ENTRIES: &str = "with it the archive holds more than 200000 entries";

/// A tree that is being unpacked. Entries are only created below directories of the same archive, so no link can
/// redirect a write. A link is only created if it can't lead outside, so users of the tree are safe too.
pub(crate) struct Tree {
    root: PathBuf,
    strip: usize,
    /// Created directories. They are never replaced by other entries.
    directories: HashSet<PathBuf>,
    entries: u64,
    /// The unused part of the limits.
    remaining: Limits,
    buffer: Vec<u8>,
}

impl Tree {
    /// Creates an empty tree at `root`, which must not exist; its parent does. `strip` is the number of leading
    /// components to strip from each entry.
    pub(crate) fn create(root: PathBuf, strip: usize, limits: Limits) -> Result<Self, Kind> {
        match DirBuilder::new().mode(0o755).create(&root) {
            Ok(()) => Ok(Self {
                root,
                strip,
                directories: HashSet::new(),
                entries: 0,
                remaining: limits,
                buffer: vec![0; 128 * 1024],
            }),
            Err(source) => Err(Kind::Io { path: root, source }),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the number of created entries, without implied directories.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    pub(crate) fn directory(&mut self, name: &[u8], mode: u32) -> Result<(), Refusal> {
        let Some(path) = self.locate(name)? else {
            return Ok(());
        };
        if self.is_directory(&path) {
            self.count(name)?;
        }
        self.ensure_directory(&path, name)?;
        let full = self.root.join(&path);
        // The owner must be able to list, fill and remove it, whatever its mode in the archive.
        fs::set_permissions(&full, Permissions::from_mode(mode & 0o755 | 0o700))
            .map_err(|source| Refusal::local(&full, source))?;
        self.entries += 1;
        Ok(())
    }

    /// Creates a file. `size` is the declared length; the actual length also counts.
    pub(crate) fn file(
        &mut self,
        name: &[u8],
        mode: u32,
        modified: Option<SystemTime>,
        size: u64,
        mut content: impl Read,
    ) -> Result<(), Refusal> {
        if size > self.remaining.bytes {
            return Err(Refusal::entry(name, TOO_MANY_BYTES));
        }
        let Some(path) = self.locate(name)? else {
            return self.skip(name, content);
        };
        self.count(name)?;
        let full = self.make_room(&path, name)?;
        let local = |source| Refusal::local(&full, source);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&full)
            .map_err(local)?;
        loop {
            let count = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refusal::Unreadable(error)),
            };
            self.remaining.bytes = (self.remaining.bytes)
                .checked_sub(count as u64)
                .ok_or_else(|| Refusal::entry(name, TOO_MANY_BYTES))?;
            file.write_all(&self.buffer[..count]).map_err(local)?;
        }
        finish_file(&file, mode, modified).map_err(local)?;
        self.entries += 1;
        Ok(())
    }

    /// Skips the content of a file whose name is stripped completely.
    fn skip(&mut self, name: &[u8], content: impl Read) -> Result<(), Refusal> {
        let limit = self.remaining.bytes;
        let read = io::copy(&mut content.take(limit.saturating_add(1)), &mut io::sink())
            .map_err(Refusal::Unreadable)?;
        self.remaining.bytes = limit
            .checked_sub(read)
            .ok_or_else(|| Refusal::entry(name, TOO_MANY_BYTES))?;
        Ok(())
    }

    /// Creates a symbolic link, if its target is within the tree.
    pub(crate) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Refusal> {
        let Some(path) = self.locate(name)? else {
            return Ok(());
        };
        self.count(name)?;
        if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
            return Err(Refusal::entry(name, "it is a link without a usable target"));
        }
        let target = Path::new(OsStr::from_bytes(target));
        // The link's own directory is real, so leading `..` components are safe. Later ones aren't: a component
        // before them may be another link.
        let mut room = path.components().count() - 1;
        let mut has_descended = false;
        for component in target.components() {
            match component {
                Component::RootDir | Component::Prefix(_) => {
                    return Err(Refusal::entry(name, "it is a link to an absolute path"));
                }
                Component::ParentDir if has_descended => {
                    return Err(Refusal::entry(name, "its target goes up after going down"));
                }
                Component::ParentDir if room == 0 => {
                    return Err(Refusal::entry(name, "it is a link out of the archive"));
                }
                Component::ParentDir => room -= 1,
                Component::CurDir => {}
                Component::Normal(_) => has_descended = true,
            }
        }
        let full = self.make_room(&path, name)?;
        symlink(target, &full).map_err(|source| Refusal::local(&full, source))?;
        self.entries += 1;
        Ok(())
    }

    /// Creates a hard link to an earlier file of the archive. `target` is relative to the archive's root.
    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), Refusal> {
        let Some(path) = self.locate(name)? else {
            return Ok(());
        };
        self.count(name)?;
        let original = relative(target, self.strip)
            .map_err(|_| Refusal::entry(name, "it is a hard link out of the archive"))?
            .filter(|original| {
                original
                    .parent()
                    .is_none_or(|parent| self.is_directory(parent))
                    && self
                        .root
                        .join(original)
                        .symlink_metadata()
                        .is_ok_and(|meta| meta.is_file())
            })
            .ok_or_else(|| Refusal::entry(name, "it is a hard link to no file of the archive"))?;
        if original == path {
            return Ok(());
        }
        let full = self.make_room(&path, name)?;
        fs::hard_link(self.root.join(original), &full)
            .map_err(|source| Refusal::local(&full, source))?;
        self.entries += 1;
        Ok(())
    }

    /// Returns the path of an entry in the tree, or `None` if its name is stripped completely.
    fn locate(&self, name: &[u8]) -> Result<Option<PathBuf>, Refusal> {
        relative(name, self.strip).map_err(|why| Refusal::entry(name, why))
    }

    /// Counts a created entry.
    fn count(&mut self, name: &[u8]) -> Result<(), Refusal> {
        self.remaining.entries = (self.remaining.entries)
            .checked_sub(1)
            .ok_or_else(|| Refusal::entry(name, TOO_MANY_ENTRIES))?;
        Ok(())
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.directories.contains(path)
    }

    /// Creates a directory and its parents. Fails if one of them exists as another kind of entry.
    fn ensure_directory(&mut self, path: &Path, name: &[u8]) -> Result<(), Refusal> {
        if self.is_directory(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.ensure_directory(parent, name)?;
        }
        let full = self.root.join(path);
        match DirBuilder::new().mode(0o755).create(&full) {
            Ok(()) => {
                self.count(name)?;
                self.directories.insert(path.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Refusal::entry(
                name,
                "its path passes through a file or a link",
            )),
            Err(source) => Err(Refusal::local(&full, source)),
        }
    }

    /// Prepares the path of an entry that isn't a directory. Removes an earlier entry, unless it is a directory: as
    /// in tar, the last entry with a name wins. Never writes through a link.
    fn make_room(&mut self, path: &Path, name: &[u8]) -> Result<PathBuf, Refusal> {
        if let Some(parent) = path.parent() {
            self.ensure_directory(parent, name)?;
        }
        if self.directories.contains(path) {
            return Err(Refusal::entry(name, "it would replace a directory"));
        }
        let full = self.root.join(path);
        match fs::remove_file(&full) {
            Ok(()) => Ok(full),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(full),
            Err(source) => Err(Refusal::local(&full, source)),
        }
    }
}

/// The permission bits of the archive, without set-user-id, set-group-id and sticky, without write permission for
/// others, and readable and writable for the owner. The umask doesn't apply, so the result is the same everywhere.
pub(crate) fn finish_file(file: &File, mode: u32, modified: Option<SystemTime>) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode & 0o755 | 0o600))?;
    modified.map_or(Ok(()), |time| file.set_modified(time))
}

/// Returns an entry's name as a path below the tree, without its first `strip` components.
fn relative(name: &[u8], strip: usize) -> Result<Option<PathBuf>, &'static str> {
    if name.contains(&0) {
        return Err("its name contains a NUL byte");
    }
    if name.len() > MAX_NAME {
        return Err("its name is longer than 2048 bytes");
    }
    let mut kept = PathBuf::new();
    let mut stripped = 0;
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
            Component::ParentDir => return Err("its path contains `..`"),
            Component::CurDir => {}
            Component::Normal(part) if part.len() > MAX_COMPONENT => {
                return Err("a part of its name is longer than 255 bytes");
            }
            Component::Normal(_) if stripped < strip => stripped += 1,
            Component::Normal(part) => kept.push(part),
        }
    }
    Ok((!kept.as_os_str().is_empty()).then_some(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_strips_like_tar_and_rejects_escaping_paths() {
        let path = |name: &str, strip| relative(name.as_bytes(), strip);
        assert_eq!(path("a/b/c", 0), Ok(Some("a/b/c".into())));
        assert_eq!(path("./a//b/./c/", 1), Ok(Some("b/c".into())));
        assert_eq!(path("a/b", 2), Ok(None));
        assert_eq!(path("./", 0), Ok(None));
        assert!(path("/a", 1).is_err());
        assert!(path("a/../../b", 2).is_err());
        assert!(path("..", 5).is_err());
        assert!(path("a\0b", 0).is_err());
    }

    fn small(directory: &Path) -> Tree {
        let limits = Limits {
            bytes: 1000,
            entries: 5,
        };
        Tree::create(directory.join("tree"), 1, limits).unwrap()
    }

    fn why(result: Result<(), Refusal>) -> Option<&'static str> {
        match result {
            Ok(()) => None,
            Err(Refusal::Final(Kind::UnsafeEntry { why, .. })) => Some(why),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    /// A declared size that is too small is not trusted, and also counts if the entry is skipped.
    #[test]
    fn total_file_size_is_limited() {
        for name in [b"d/x".as_slice(), b"skipped-by-strip"] {
            let directory = tempfile::tempdir().unwrap();
            let mut tree = small(directory.path());
            let mut file = |declared, bytes| {
                let content = io::repeat(0).take(bytes);
                why(tree.file(name, 0o644, None, declared, content))
            };
            assert_eq!(file(600, 600), None);
            assert_eq!(file(400, 300), None);
            assert_eq!(file(101, 0), Some(TOO_MANY_BYTES));
            assert_eq!(file(0, 1_000_000), Some(TOO_MANY_BYTES));
            let written = fs::metadata(tree.root().join("x")).map_or(0, |found| found.len());
            assert!(written <= 100, "{written}");
        }
    }

    #[test]
    fn every_entry_kind_counts_toward_limit() {
        type Make = fn(&mut Tree, &[u8]) -> Result<(), Refusal>;
        let makes: [Make; 4] = [
            |tree, name| tree.file(name, 0o644, None, 0, io::empty()),
            |tree, name| tree.symlink(name, b"target"),
            |tree, name| tree.hard_link(name, b"d/first"),
            |tree, name| tree.directory(name, 0o755),
        ];
        for make in makes {
            let directory = tempfile::tempdir().unwrap();
            let mut tree = small(directory.path());
            tree.file(b"d/first", 0o644, None, 0, io::empty()).unwrap();
            for number in 0..4 {
                assert_eq!(why(make(&mut tree, format!("d/{number}").as_bytes())), None);
            }
            assert_eq!(why(make(&mut tree, b"d/3")), Some(TOO_MANY_ENTRIES));
        }
        let directory = tempfile::tempdir().unwrap();
        let deep = small(directory.path()).directory(b"d/1/2/3/4/5/6", 0o755);
        assert_eq!(why(deep), Some(TOO_MANY_ENTRIES));
    }

    #[test]
    fn limits_match_their_messages() {
        let Limits { bytes, entries } = Limits::default();
        assert!(TOO_MANY_BYTES.ends_with(&format!(" {} GiB", bytes >> 30)));
        assert!(TOO_MANY_ENTRIES.contains(&format!(" {entries} entries")));
        let name = |length| "n".repeat(length);
        assert!(relative(name(MAX_COMPONENT).as_bytes(), 0).is_ok());
        let part = relative(name(MAX_COMPONENT + 1).as_bytes(), 0).unwrap_err();
        assert!(part.contains(&format!(" {MAX_COMPONENT} bytes")));
        let whole = relative("n/".repeat(MAX_NAME).as_bytes(), 0).unwrap_err();
        assert!(whole.contains(&format!(" {MAX_NAME} bytes")));
    }

    #[test]
    fn printable_escapes_control_characters() {
        assert_eq!(printable(b"a\x1b[31m\xff"), "a\\u{1b}[31m\u{fffd}");
        assert_eq!(printable(&[b'a'; 999]).len(), 200);
    }
}
