//! The entries of compiled dependencies in the shared store.

pub(crate) mod candidate;
pub(crate) mod mix_exs;
pub(crate) mod reads;
pub(crate) mod rebar;

use reads::Read;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;
use store::digest;
use store::tree::{self, Method};
use walkdir::{DirEntry, WalkDir};

/// The store's object for a key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Statement {
    /// The key continues with the values of these reads.
    Reads(BTreeSet<Read>),
    Compiled(Entry),
}

/// A compiled dependency. Its archive has the directories [`BUILD`] and [`SOURCES`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Links in its directory in `_build`, such as `priv`, and where they lead to.
    links: BTreeMap<String, PathBuf>,
    /// The modes of files that are writable by group or others. Unpacking drops these bits.
    modes: BTreeMap<PathBuf, u32>,
    /// The modes of source files whose mode compiling changed.
    changed_modes: BTreeMap<PathBuf, u32>,
}

/// The directory in `_build`.
const BUILD: &str = "build";
/// Files that compiling created next to the sources.
const SOURCES: &str = "sources";

/// The files of a package: paths, with digests of their contents and modes as in chmod(1).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, (String, u32)>);

impl Files {
    /// Reads the files below a directory, without `.git` and without the file in which mix notes when it fetched
    /// them. Links count as their targets, since the app's files at the runtime path are links.
    pub(crate) fn of(dir: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        let is_counted = |entry: &DirEntry| {
            entry.depth() != 1 || (entry.file_name() != ".git" && entry.file_name() != ".fetch")
        };
        let walk = WalkDir::new(dir).follow_links(true).into_iter();
        for entry in walk.filter_entry(is_counted) {
            let entry = entry?;
            if entry.file_type().is_file() {
                let mode = entry.metadata()?.permissions().mode() & 0o777;
                let name = entry.path().strip_prefix(dir).unwrap_or(entry.path());
                files.insert(name.to_owned(), (digest::sha256_of(entry.path())?, mode));
            }
        }
        Ok(Self(files))
    }

    pub(crate) fn digest(&self) -> String {
        let mut bytes = Vec::new();
        for (path, (content, mode)) in &self.0 {
            bytes.extend(path.as_os_str().as_bytes());
            // No path contains a NUL byte.
            bytes.extend(format!("\0{:o} {content}\n", mode & 0o111).bytes());
        }
        digest::sha256(&bytes)
    }

    /// Returns the files that were created since `before`, and those whose mode has changed.
    fn new_since(self, before: &Self) -> Result<(Vec<PathBuf>, BTreeMap<PathBuf, u32>), String> {
        let mut modes = BTreeMap::new();
        for (path, (content, mode)) in &before.0 {
            match self.0.get(path) {
                Some((now, _)) if now != content => {}
                Some((_, now)) if now == mode => continue,
                Some((_, now)) => {
                    modes.insert(path.clone(), *now);
                    continue;
                }
                None => {}
            }
            return Err(format!("changes {} while it is compiled", path.display()));
        }
        let paths = self.0.into_keys();
        let created = paths.filter(|path| !before.0.contains_key(path));
        Ok((created.collect(), modes))
    }
}

/// Returns the name of a secret in a file with these contents.
pub(crate) type FindSecret<'a> = &'a dyn Fn(&Path, Vec<u8>) -> Option<String>;

impl Entry {
    /// Packs the compiled dependency in `build`, and the files that compiling created in `sources`. `before` has the
    /// sources before that.
    ///
    /// # Errors
    ///
    /// A phrase that says why other builds can't use it.
    pub(crate) fn pack(
        build: &Path,
        sources: &Path,
        before: &Files,
        find_secret: FindSecret<'_>,
    ) -> Result<(Self, Vec<u8>), String> {
        let failed = |error: &dyn std::fmt::Display| format!("can't be packed: {error}");
        let created = Files::of(sources).map_err(|error| failed(&error))?;
        let (created, changed_modes) = created.new_since(before)?;
        let links = links(build, sources).map_err(|error| failed(&error))?;
        let stage = tempfile::tempdir().map_err(|error| failed(&error))?;
        let is_link = |path: &Path| path.to_str().is_some_and(|path| links.contains_key(path));
        tree::transfer(build, &stage.path().join(BUILD), Method::Link, |path| {
            !is_link(path)
        })
        .map_err(|error| failed(&error))?;
        for path in &created {
            let to = stage.path().join(SOURCES).join(path);
            let copy = || {
                fs::create_dir_all(to.parent().unwrap_or(&to))?;
                fs::copy(sources.join(path), &to)
            };
            copy().map_err(|error| failed(&error))?;
        }
        let mut modes = BTreeMap::new();
        for entry in WalkDir::new(stage.path()).into_iter().flatten() {
            let metadata = entry.metadata().map_err(|error| failed(&error))?;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o022 != 0 {
                let path = entry.path().strip_prefix(stage.path());
                modes.insert(path.unwrap_or(entry.path()).to_owned(), mode);
            }
            if !metadata.is_file() {
                continue;
            }
            let bytes = fs::read(entry.path()).map_err(|error| failed(&error))?;
            if let Some(name) = find_secret(entry.path(), bytes) {
                return Err(format!("contains the value of {name}"));
            }
        }
        let archive = shared_store::pack(stage.path(), &|_| false);
        let entry = Self {
            links,
            modes,
            changed_modes,
        };
        Ok((entry, archive.map_err(|error| failed(&error))?))
    }

    /// Unpacks the compiled dependency to `build`, and the created files to `sources`, as if it had just been
    /// compiled. Returns whether that succeeded. If not, no files are left.
    pub(crate) fn restore(&self, archive: &[u8], build: &Path, sources: &Path) -> bool {
        let restored = self.try_to_restore(archive, build, sources);
        if restored.is_err() {
            let _ = tree::remove(build);
        }
        restored.is_ok()
    }

    fn try_to_restore(&self, archive: &[u8], build: &Path, sources: &Path) -> io::Result<()> {
        let parent = build.parent().unwrap_or(build);
        fs::create_dir_all(parent)?;
        // On the same file system, outside the directories that mix reads.
        let stage = tempfile::Builder::new()
            .prefix(".mixpack-")
            .tempdir_in(parent)?;
        let unpacked = stage.path().join("unpacked");
        shared_store::unpack(archive, &unpacked).map_err(io::Error::other)?;
        set_modes(&unpacked, &self.modes)?;
        tree::remove(build).map_err(io::Error::other)?;
        fs::rename(unpacked.join(BUILD), build)?;
        for (name, target) in &self.links {
            if !leads_to(build, target, &sources.join(name)) {
                return Err(io::Error::other("a link leads elsewhere"));
            }
            symlink(target, build.join(name))?;
        }
        let now = SystemTime::now();
        let created = unpacked.join(SOURCES);
        for entry in WalkDir::new(&created).into_iter().flatten() {
            if !entry.file_type().is_file() {
                continue;
            }
            let name = entry
                .path()
                .strip_prefix(&created)
                .map_err(io::Error::other)?;
            let to = sources.join(name);
            fs::create_dir_all(to.parent().unwrap_or(&to))?;
            File::open(entry.path())?.set_modified(now)?;
            tree::relocate(entry.path(), &to).map_err(io::Error::other)?;
        }
        set_modes(sources, &self.changed_modes)?;
        // mix recompiles code that is older than its sources, and these have just been fetched. Directories come
        // last, since creating files in them changes their time.
        for entry in WalkDir::new(build).contents_first(true) {
            let entry = entry?;
            if !entry.file_type().is_symlink() {
                File::open(entry.path())?.set_modified(now)?;
            }
        }
        Ok(())
    }
}

/// Sets the modes of files in a directory.
fn set_modes(dir: &Path, modes: &BTreeMap<PathBuf, u32>) -> io::Result<()> {
    for (path, mode) in modes {
        let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        if path.components().all(is_inside) {
            fs::set_permissions(dir.join(path), Permissions::from_mode(mode & 0o777))?;
        }
    }
    Ok(())
}

/// The links in `build` to directories of the sources with the same name.
fn links(build: &Path, sources: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut links = BTreeMap::new();
    for entry in WalkDir::new(build) {
        let entry = entry?;
        if !entry.file_type().is_symlink() {
            continue;
        }
        let target = fs::read_link(entry.path())?;
        let name = entry.file_name().to_str().unwrap_or_default();
        if entry.depth() != 1 || !leads_to(build, &target, &sources.join(name)) {
            let text = format!("{} is a link out of it", entry.path().display());
            return Err(io::Error::other(text));
        }
        links.insert(name.to_owned(), target);
    }
    Ok(links)
}

/// Whether a relative link in a directory leads to a path. Reads no files.
fn leads_to(dir: &Path, link: &Path, path: &Path) -> bool {
    let mut at = dir.to_owned();
    for part in link.components() {
        match part {
            Component::ParentDir => drop(at.pop()),
            Component::Normal(name) => at.push(name),
            _ => return false,
        }
    }
    at == path
}
