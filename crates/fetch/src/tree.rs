//! A directory that an archive is unpacked into, and cannot be led out of.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::error::Kind;

/// What stopped an unpacking.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The entry is unsafe, or this machine's file system refused; final either way.
    Final(Kind),
    /// The archive could not be read or makes no sense. Whether that is its own fault or the
    /// transfer's, only the transfer knows.
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

/// The name as it can be put on a terminal: control characters escaped, at most 200 characters.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
}

/// Entries are made only below directories that this very unpacking made, so no link in the archive
/// can redirect a write; and a link is only made where it cannot lead out, so that whoever uses the
/// tree later cannot be led out either.
pub(crate) struct Tree {
    root: PathBuf,
    strip: usize,
    /// Directories known to be real ones. None is ever replaced by anything else.
    directories: HashSet<PathBuf>,
    entries: u64,
    buffer: Vec<u8>,
}

impl Tree {
    /// An empty tree at `root`, which must not exist; its parent does. `strip` is how many leading
    /// components each entry loses.
    pub(crate) fn create(root: PathBuf, strip: usize) -> Result<Self, Kind> {
        match DirBuilder::new().mode(0o755).create(&root) {
            Ok(()) => Ok(Self {
                root,
                strip,
                directories: HashSet::new(),
                entries: 0,
                buffer: vec![0; 128 * 1024],
            }),
            Err(source) => Err(Kind::Io { path: root, source }),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// How many entries were made, implied directories not counted.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    pub(crate) fn directory(&mut self, name: &[u8], mode: u32) -> Result<(), Refusal> {
        let Some(path) = self.locate(name)? else {
            return Ok(());
        };
        self.ensure_directory(&path, name)?;
        let full = self.root.join(&path);
        // Whatever the archive says, its owner can list, fill and remove it.
        fs::set_permissions(&full, Permissions::from_mode(mode & 0o777 | 0o700))
            .map_err(|source| Refusal::local(&full, source))?;
        self.entries += 1;
        Ok(())
    }

    pub(crate) fn file(
        &mut self,
        name: &[u8],
        mode: u32,
        modified: Option<SystemTime>,
        mut content: impl Read,
    ) -> Result<(), Refusal> {
        let Some(path) = self.locate(name)? else {
            return Ok(());
        };
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
            file.write_all(&self.buffer[..count]).map_err(local)?;
        }
        finish_file(&file, mode, modified).map_err(local)?;
        self.entries += 1;
        Ok(())
    }

    /// A symbolic link whose target stays within the tree.
    pub(crate) fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), Refusal> {
        let Some(path) = self.locate(name)? else {
            return Ok(());
        };
        let target = Path::new(OsStr::from_bytes(target));
        // The link's own directory is real, so going up from it first is what it seems. Going up
        // after going down is not: the way down may be through another link.
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

    /// A second name for a file that the archive already held, named from the archive's root.
    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), Refusal> {
        let Some(path) = self.locate(name)? else {
            return Ok(());
        };
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

    /// Where in the tree an entry goes; nowhere if stripping leaves nothing of its name.
    fn locate(&self, name: &[u8]) -> Result<Option<PathBuf>, Refusal> {
        relative(name, self.strip).map_err(|why| Refusal::entry(name, why))
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.directories.contains(path)
    }

    /// Makes the directory and those above it, none of which may be anything else already.
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
                self.directories.insert(path.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Refusal::entry(
                name,
                "its path goes through a file or a link",
            )),
            Err(source) => Err(Refusal::local(&full, source)),
        }
    }

    /// Readies the place of something that is not a directory: what an earlier entry put there goes
    /// (as with tar, the last entry of a name wins; never written through), unless it is a
    /// directory.
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

/// The permission bits of the archive, without set-user-id, set-group-id and sticky, and with what
/// the owner needs to read and replace the file. The umask does not apply: what is unpacked is the
/// same everywhere.
pub(crate) fn finish_file(file: &File, mode: u32, modified: Option<SystemTime>) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode & 0o777 | 0o600))?;
    modified.map_or(Ok(()), |time| file.set_modified(time))
}

/// The entry's name as a path below the tree, its first `strip` components gone.
fn relative(name: &[u8], strip: usize) -> Result<Option<PathBuf>, &'static str> {
    if name.contains(&0) {
        return Err("its name holds a NUL byte");
    }
    let mut kept = PathBuf::new();
    let mut stripped = 0;
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::RootDir | Component::Prefix(_) => return Err("its path is absolute"),
            Component::ParentDir => return Err("its path holds `..`"),
            Component::CurDir => {}
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
    fn relative_strips_like_tar_and_refuses_what_leads_elsewhere() {
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

    #[test]
    fn a_name_is_printed_without_its_control_characters() {
        assert_eq!(printable(b"a\x1b[31m\xff"), "a\\u{1b}[31m\u{fffd}");
        assert_eq!(printable(&[b'a'; 999]).len(), 200);
    }
}
