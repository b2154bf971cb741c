//! What lasts from one build of an app to the next.
//!
//! Two kinds are told apart. A *tool* is immutable and known by its content: it is made once,
//! beside its place, and renamed; a cheap manifest tells whether it is still what was made.
//! *State* (`deps`, `_build`, `node_modules`) is changed by every build: it is taken or dropped
//! whole, by a key of everything it depends on.

use crate::cancel::Cancel;
use crate::digest::{hex, sha256_of};
use crate::stable_path;
use crate::tree::{self, Amount, Method, Times, TreeError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;
use walkdir::WalkDir;

/// Everything that something kept depends on, by name: `{"otp": "27.3.4.2", "os": "ubuntu-24.04"}`.
pub type Key = BTreeMap<String, String>;

/// What became of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    Reused,
    Made,
    /// Made anew, since what was kept is not what was made: the reason in words.
    Remade(String),
}

impl Tool {
    /// As reports name it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Made => "made",
            Self::Remade(_) => "remade",
        }
    }
}

/// Whether a tool was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    Yes,
    No,
    /// It is not what was made: the reason in words.
    Unusable(String),
}

/// What became of kept state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// Nothing was kept.
    Nothing,
    Taken(Amount),
    /// Dropped, for each of these reasons.
    Dropped(Vec<String>),
    /// The app brings its own.
    InApp,
}

impl Restored {
    /// As reports name it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Taken(_) => "taken",
            Self::Dropped(_) => "dropped",
            Self::InApp => "in the app",
        }
    }
}

/// What lasts: a cache directory here, layers with their metadata on a Cloud Native platform.
pub trait Store: Sync {
    /// Puts the tool of this name and key at `place`, which must not exist. `make` is called with
    /// a folder to create when it is not kept.
    fn tool(
        &self,
        name: &str,
        key: &Key,
        place: &Path,
        make: &mut dyn FnMut(&Path) -> Result<(), crate::Error>,
    ) -> Result<Tool, crate::Error>;

    /// Puts a tool at `place`, in place of what is there, if it is kept.
    fn take(&self, name: &str, key: &Key, place: &Path) -> Result<Taken, TreeError>;

    /// Keeps the tree at `from`, which nothing changes any more, as the tool of this name and key.
    fn give(&self, name: &str, key: &Key, from: &Path) -> Result<Amount, TreeError>;

    /// Whether such a tool is kept: then it stays, though this build does not need it.
    fn hold(&self, name: &str, key: &Key) -> bool;

    /// Copies kept state to `place`.
    fn restore(&self, name: &str, key: &Key, place: &Path) -> Result<Restored, TreeError>;

    /// Keeps a copy of `from` in place of what was kept before; `skip` names folders, relative to
    /// `from`, that are left out.
    fn save(&self, name: &str, key: &Key, from: &Path, skip: &[&str]) -> Result<Amount, TreeError>;

    /// A folder that a tool may use as its own download cache.
    fn scratch(&self, name: &str) -> Result<PathBuf, TreeError>;

    /// The folder that other buildpacks keep things in too, where the platform has such a one.
    fn shared(&self) -> Option<PathBuf>;

    /// A small document kept whole, and read back.
    fn read_note(&self, name: &str) -> Option<String>;
    fn write_note(&self, name: &str, text: &str) -> Result<(), TreeError>;

    /// Drops the tools that this build did not use.
    fn forget_unused(&self) -> Result<(), TreeError>;

    /// What it holds.
    fn measure(&self) -> Amount;

    /// Drops everything.
    fn clear(&self) -> Result<(), TreeError>;
}

/// What becomes of modification times and inodes from one build to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamps {
    /// The cache directory is kept, or archived and unpacked with its times.
    Kept,
    /// Every file has the time at which it was unpacked, as in restored layers of a Cloud Native
    /// platform (archive/extract.go of its lifecycle).
    Lost,
}

/// A folder of ours in the platform's cache directory.
#[derive(Debug)]
pub struct CacheDir {
    root: PathBuf,
    stamps: Stamps,
    used: Mutex<BTreeSet<String>>,
    discarded: AtomicU32,
    /// Why what was there has been dropped, if it has been.
    dropped: Option<String>,
    /// Held until this build needs the folder no more.
    _lock: Option<File>,
    /// Where the platform's folder cannot be used.
    own: Option<TempDir>,
}

/// What is below the folder, but for notes and reports.
const KINDS: [&str; 3] = ["tools", "state", "scratch"];
/// What begins so is of [`crate::report`].
const REPORT: &str = "report";

/// The format of the cache: a change of it drops what older versions kept.
const FORMAT: &str = "2";

/// What a tool was when it was made.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Manifest {
    key: Key,
    /// The inode of the tree itself. Another one means that the cache has been moved (Heroku packs
    /// and unpacks it for every build), and then the inodes of the files say nothing either.
    inode: u64,
    files: Vec<ManifestFile>,
    links: Vec<(PathBuf, PathBuf)>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct ManifestFile {
    path: PathBuf,
    /// In bytes.
    size: u64,
    /// In seconds since 1970: archives of the cache may not keep more.
    modified: i64,
    /// As in chmod(1).
    mode: u32,
    inode: u64,
    /// In hex.
    sha256: String,
}

impl CacheDir {
    /// [`CacheDir::open`], for one build at a time: `waiting` is called once where another build
    /// uses the folder. Where the filesystem knows no locks, nobody waits.
    pub fn open_alone(
        cache_dir: &Path,
        cancel: &Cancel,
        waiting: impl FnOnce(),
    ) -> Result<Self, TreeError> {
        let root = cache_dir.join("mixpack");
        real_folder(&root)?;
        let lock = match stable_path::lock(&root, cancel, waiting) {
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {
                return Err(TreeError::at(&root, "wait for")(source));
            }
            lock => lock.ok(),
        };
        Ok(Self {
            _lock: lock,
            ..Self::open(cache_dir)?
        })
    }

    /// Uses `CACHE_DIR/mixpack`; other buildpacks' entries beside it are none of it. What another
    /// format has left is dropped.
    ///
    /// # Errors
    ///
    /// When something in it could not be changed later.
    pub fn open(cache_dir: &Path) -> Result<Self, TreeError> {
        Self::open_at(cache_dir.join("mixpack"), Stamps::Kept)
    }

    /// [`CacheDir::open`] for a folder that is ours alone.
    pub fn open_at(root: PathBuf, stamps: Stamps) -> Result<Self, TreeError> {
        real_folder(&root)?;
        let mut cache = Self {
            root,
            stamps,
            used: Mutex::default(),
            discarded: AtomicU32::new(0),
            dropped: None,
            _lock: None,
            own: None,
        };
        // What a killed build left half made.
        tree::remove(&cache.root.join("staging"))?;
        let format = fs::read_to_string(cache.root.join("format"));
        if !format.is_ok_and(|text| text == FORMAT) {
            if cache.drop_all()? {
                cache.dropped = Some("another version of Mixpack has made it".to_owned());
            }
            cache.write_note("format", FORMAT)?;
        }
        for kind in KINDS {
            let folder = cache.root.join(kind);
            real_folder(&folder)?;
            writable(&folder)?;
            for name in fs::read_dir(&folder).map_err(TreeError::at(&folder, "list"))? {
                let entry = name.map_err(TreeError::at(&folder, "list"))?.path();
                if entry.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                    writable(&entry)?;
                }
            }
        }
        writable(&cache.root)?;
        Ok(cache)
    }

    /// A folder that goes with this build, where the platform's cannot be used.
    pub fn for_once() -> Result<Self, TreeError> {
        let own = tempfile::Builder::new()
            .prefix("mixpack-cache-")
            .tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let cache = Self::open(own.path())?;
        Ok(Self {
            own: Some(own),
            ..cache
        })
    }

    /// Leaves nothing of the making behind; nothing may be kept afterwards.
    pub fn close(&self) -> Result<(), TreeError> {
        tree::remove(&self.root.join("staging"))
    }

    /// Why nothing of what was there is used, if so.
    #[must_use]
    pub fn dropped(&self) -> Option<&str> {
        self.dropped.as_deref()
    }

    /// Drops everything but reports; whether there was anything.
    fn drop_all(&self) -> Result<bool, TreeError> {
        let mut found = false;
        let list = || TreeError::at(&self.root, "list");
        for entry in fs::read_dir(&self.root).map_err(list())? {
            let entry = entry.map_err(list())?;
            if !entry.file_name().as_bytes().starts_with(REPORT.as_bytes()) {
                found = true;
                tree::remove(&entry.path())?;
            }
        }
        Ok(found)
    }

    /// Takes an entry away whole before any part of it goes: what is half removed must not be
    /// taken for what was kept by a later build, if this one is killed.
    fn discard(&self, entry: &Path) -> Result<(), TreeError> {
        if entry.symlink_metadata().is_err() {
            return Ok(());
        }
        let number = self.discarded.fetch_add(1, Ordering::Relaxed);
        let away = self.staging(&format!("discarded-{number}"))?;
        fs::rename(entry, &away).map_err(TreeError::at(entry, "move away"))?;
        tree::remove(&away)
    }

    /// A folder for one thing in the making, on the same filesystem as its later place.
    fn staging(&self, name: &str) -> Result<PathBuf, TreeError> {
        let staging = self.root.join("staging");
        fs::create_dir_all(&staging).map_err(TreeError::at(&staging, "create the folder"))?;
        let place = staging.join(format!("{name}-{}", std::process::id()));
        tree::remove(&place)?;
        Ok(place)
    }

    /// The name of a tool's entry and its place; it will not be forgotten.
    fn used(&self, name: &str, key: &Key) -> Result<(String, PathBuf), TreeError> {
        let id = format!("{name}-{}", digest(key));
        let entry = self.folder("tools", &id)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(id.clone());
        Ok((id, entry))
    }

    fn folder(&self, kind: &str, name: &str) -> Result<PathBuf, TreeError> {
        let folder = self.root.join(kind);
        fs::create_dir_all(&folder).map_err(TreeError::at(&folder, "create the folder"))?;
        Ok(folder.join(name))
    }
}

impl Store for CacheDir {
    fn tool(
        &self,
        name: &str,
        key: &Key,
        place: &Path,
        make: &mut dyn FnMut(&Path) -> Result<(), crate::Error>,
    ) -> Result<Tool, crate::Error> {
        let (id, entry) = self.used(name, key)?;
        let mut tool = Tool::Reused;
        match self.check(&entry, key) {
            Ok(()) => {}
            Err(reason) => {
                tool = reason.map_or(Tool::Made, Tool::Remade);
                self.discard(&entry)?;
                let staging = self.staging(&id)?;
                fs::create_dir_all(&staging)
                    .map_err(TreeError::at(&staging, "create the folder"))?;
                let outcome = make(&staging.join("tree"))
                    .and_then(|()| Ok(self.enter(&staging, &entry, key)?));
                if let Err(error) = outcome {
                    let _ = tree::remove(&staging);
                    return Err(error);
                }
            }
        }
        tree::remove(place)?;
        tree::transfer(&entry.join("tree"), place, Method::Link, |_| true)?;
        Ok(tool)
    }

    fn take(&self, name: &str, key: &Key, place: &Path) -> Result<Taken, TreeError> {
        let (_, entry) = self.used(name, key)?;
        match self.check(&entry, key) {
            Ok(()) => {
                tree::remove(place)?;
                tree::transfer(&entry.join("tree"), place, Method::Link, |_| true)?;
                Ok(Taken::Yes)
            }
            Err(None) => Ok(Taken::No),
            Err(Some(reason)) => {
                self.discard(&entry)?;
                Ok(Taken::Unusable(reason))
            }
        }
    }

    fn give(&self, name: &str, key: &Key, from: &Path) -> Result<Amount, TreeError> {
        let (id, entry) = self.used(name, key)?;
        let staging = self.staging(&id)?;
        fs::create_dir_all(&staging).map_err(TreeError::at(&staging, "create the folder"))?;
        let amount = tree::transfer(from, &staging.join("tree"), Method::Link, |_| true)?;
        self.discard(&entry)?;
        self.enter(&staging, &entry, key)?;
        Ok(amount)
    }

    fn hold(&self, name: &str, key: &Key) -> bool {
        self.used(name, key)
            .is_ok_and(|(_, entry)| entry.join("manifest.json").is_file())
    }

    fn restore(&self, name: &str, key: &Key, place: &Path) -> Result<Restored, TreeError> {
        let entry = self.folder("state", name)?;
        let Ok(found) = entry.symlink_metadata() else {
            return Ok(Restored::Nothing);
        };
        if fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some()) {
            return Ok(Restored::InApp);
        }
        let record = || serde_json::from_slice::<Key>(&fs::read(entry.join("key.json")).ok()?).ok();
        let reasons = match record() {
            _ if !found.is_dir() => vec!["it is no folder".to_owned()],
            None => vec!["its record cannot be read".to_owned()],
            Some(kept) => differences(&kept, key),
        };
        let tree = entry.join("tree");
        let reasons = if reasons.is_empty() {
            let contents = fs::read_to_string(entry.join("contents")).ok();
            let same = self.restore_times(&entry).is_ok()
                && contents.is_some()
                && contents == contents_of(&tree).ok();
            if same {
                Vec::new()
            } else {
                vec!["its files are not those that were kept".to_owned()]
            }
        } else {
            reasons
        };
        if !reasons.is_empty() {
            self.discard(&entry)?;
            return Ok(Restored::Dropped(reasons));
        }
        match tree::transfer(&tree, place, Method::Copy, |_| true) {
            Ok(amount) => Ok(Restored::Taken(amount)),
            Err(error) => {
                tree::remove(place)?;
                Ok(Restored::Dropped(vec![error.to_string()]))
            }
        }
    }

    fn save(&self, name: &str, key: &Key, from: &Path, skip: &[&str]) -> Result<Amount, TreeError> {
        let entry = self.folder("state", name)?;
        let record = serde_json::to_vec(key).unwrap_or_default();
        let keep = |path: &Path| !skip.iter().any(|skip| path == Path::new(skip));
        let old = entry.join("tree");
        if fs::read(entry.join("key.json")).is_ok_and(|kept| kept == record)
            && let Some(amount) = tree::same(from, &old, keep, is_kept)?
        {
            return Ok(amount);
        }
        let staging = self.staging(name)?;
        let new = staging.join("tree");
        fs::create_dir_all(&staging).map_err(TreeError::at(&staging, "create the folder"))?;
        let amount = tree::transfer_beside(from, &new, &old, keep, is_kept)?;
        let record_path = staging.join("key.json");
        fs::write(&record_path, record).map_err(TreeError::at(&record_path, "write"))?;
        if self.stamps == Stamps::Lost {
            let path = staging.join(TIMES);
            let times = serde_json::to_vec(&tree::times(&new)).unwrap_or_default();
            fs::write(&path, times).map_err(TreeError::at(&path, "write"))?;
        }
        let contents = staging.join("contents");
        fs::write(&contents, contents_of(&new)?).map_err(TreeError::at(&contents, "write"))?;
        self.discard(&entry)?;
        fs::rename(&staging, &entry).map_err(TreeError::at(&entry, "move into the cache"))?;
        Ok(amount)
    }

    fn scratch(&self, name: &str) -> Result<PathBuf, TreeError> {
        let folder = self.folder("scratch", name)?;
        real_folder(&folder)?;
        Ok(folder)
    }

    fn shared(&self) -> Option<PathBuf> {
        let parent = self.root.parent().map(Path::to_owned);
        parent.filter(|_| self.own.is_none())
    }

    fn read_note(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join(name)).ok()
    }

    fn write_note(&self, name: &str, text: &str) -> Result<(), TreeError> {
        let path = self.root.join(name);
        let new = self.staging(name)?;
        fs::write(&new, text).map_err(TreeError::at(&new, "write"))?;
        fs::rename(&new, &path).map_err(TreeError::at(&path, "write"))
    }

    fn forget_unused(&self) -> Result<(), TreeError> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(entries) = fs::read_dir(self.root.join("tools")) else {
            return Ok(());
        };
        for entry in entries.filter_map(Result::ok) {
            if !entry
                .file_name()
                .to_str()
                .is_some_and(|name| used.contains(name))
            {
                self.discard(&entry.path())?;
            }
        }
        Ok(())
    }

    fn measure(&self) -> Amount {
        tree::measure(&self.root)
    }

    fn clear(&self) -> Result<(), TreeError> {
        for kind in KINDS {
            self.discard(&self.root.join(kind))?;
        }
        tree::remove(&self.root.join("staging"))
    }
}

/// The first eight bytes of the key's SHA-256, in hex: enough to tell the few entries apart.
fn digest(key: &Key) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in key {
        for part in [name, value] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
    }
    hex(&hasher.finalize()[..8])
}

/// In words, every way in which two keys differ.
fn differences(kept: &Key, wanted: &Key) -> Vec<String> {
    let names: BTreeSet<&String> = kept.keys().chain(wanted.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (kept.get(name), wanted.get(name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(_), Some(new)) if !is_readable(new) => Some(format!("{name} changed")),
            (Some(old), Some(new)) => Some(format!("{name} changed from {old} to {new}")),
            (Some(_), None) => Some(format!("{name} is no longer there")),
            (None, _) => Some(format!("{name} is new")),
        })
        .collect()
}

/// Digests and documents say nothing to a reader.
fn is_readable(value: &str) -> bool {
    let is_digest = value.len() >= 16 && value.bytes().all(|b| b.is_ascii_hexdigit());
    !is_digest && value.len() < 80
}

/// Beside a tree, the modification times of all that is in it, where they would be lost.
const TIMES: &str = "times.json";

impl CacheDir {
    /// Gives what is kept the times that it had when it was.
    fn restore_times(&self, entry: &Path) -> Result<(), TreeError> {
        if self.stamps == Stamps::Kept {
            return Ok(());
        }
        let path = entry.join(TIMES);
        let json = fs::read(&path).map_err(TreeError::at(&path, "read"))?;
        let times: Times = serde_json::from_slice(&json)
            .map_err(|error| TreeError::at(&path, "understand")(error.into()))?;
        tree::set_times_of(&entry.join("tree"), &times)
    }

    fn check(&self, entry: &Path, key: &Key) -> Result<(), Option<String>> {
        check(entry, key, self.stamps)
    }

    /// Makes a staged tree an entry.
    fn enter(&self, staging: &Path, entry: &Path, key: &Key) -> Result<(), TreeError> {
        write_manifest(staging, key, self.stamps)?;
        fs::rename(staging, entry).map_err(TreeError::at(entry, "move into the cache"))
    }
}

/// A folder, and no link to one: what is in it may be removed.
pub(crate) fn real_folder(path: &Path) -> Result<(), TreeError> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        tree::remove(path)?;
    }
    fs::create_dir_all(path).map_err(TreeError::at(path, "create the folder"))
}

fn writable(folder: &Path) -> Result<(), TreeError> {
    let probe = tempfile::tempfile_in(folder);
    probe.map(drop).map_err(TreeError::at(folder, "write to"))
}

/// A digest of what is seen of a tree without reading its files: paths, sizes, times in seconds,
/// which archives of a cache keep, and where links lead.
fn contents_of(tree: &Path) -> Result<String, TreeError> {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    for entry in WalkDir::new(tree)
        .sort_by_file_name()
        .follow_root_links(false)
    {
        let entry = entry.map_err(|error| TreeError::at(tree, "read")(error.into()))?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            // One that is empty may be lost on the way, and holds nothing.
            continue;
        }
        let relative = path.strip_prefix(tree).unwrap_or(path);
        field(relative.as_os_str().as_bytes());
        if entry.file_type().is_symlink() {
            let link = fs::read_link(path).map_err(TreeError::at(path, "read the link"))?;
            field(b"link");
            field(link.as_os_str().as_bytes());
        } else if entry.file_type().is_file() {
            let found = path
                .symlink_metadata()
                .map_err(TreeError::at(path, "read"))?;
            field(b"file");
            field(&found.len().to_le_bytes());
            field(&found.mtime().to_le_bytes());
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// `Ok` when the entry is what was made; `Err(None)` when there is none.
///
/// Sizes, times and inodes are compared. Where the cache has been moved since, the bytes are.
fn check(entry: &Path, key: &Key, stamps: Stamps) -> Result<(), Option<String>> {
    let is_folder = |path: &Path| path.symlink_metadata().map(|found| found.is_dir());
    let Ok(entry_is_folder) = is_folder(entry) else {
        return Err(None);
    };
    if !entry_is_folder || !is_folder(&entry.join("tree")).is_ok_and(|is| is) {
        return Err(Some("it is no folder".to_owned()));
    }
    let text =
        fs::read(entry.join("manifest.json")).map_err(|_| Some("it has no manifest".to_owned()))?;
    let mut manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|_| Some("its manifest cannot be read".to_owned()))?;
    if manifest.key != *key {
        return Err(Some("it was made for something else".to_owned()));
    }
    let tree = entry.join("tree");
    let changed = |path: &Path| Some(format!("{} was changed", path.display()));
    let inode = tree.metadata().map_or(0, |found| found.ino());
    let lost = stamps == Stamps::Lost;
    let moved = lost || inode != manifest.inode;
    for file in &mut manifest.files {
        let found = tree.join(&file.path).symlink_metadata();
        let same = found.as_ref().is_ok_and(|found| {
            found.is_file()
                && found.len() == file.size
                && (lost || found.mtime() == file.modified)
                && (moved || found.ino() == file.inode)
        });
        let Some(found) = found.ok().filter(|_| same) else {
            return Err(changed(&file.path));
        };
        file.inode = found.ino();
        if found.mode() & 0o7777 != file.mode {
            // Who changes modes in a slug changes them here: the files are the same.
            let mode = fs::Permissions::from_mode(file.mode);
            fs::set_permissions(tree.join(&file.path), mode).map_err(|_| changed(&file.path))?;
        }
    }
    for (path, target) in &manifest.links {
        if !fs::read_link(tree.join(path)).is_ok_and(|found| found == *target) {
            return Err(changed(path));
        }
    }
    let held = WalkDir::new(&tree).into_iter().filter_map(Result::ok);
    let held = held.filter(|entry| !entry.file_type().is_dir()).count();
    if held != manifest.files.len() + manifest.links.len() {
        return Err(Some("it holds more than was made".to_owned()));
    }
    if moved {
        check_bytes(&tree, &manifest).map_err(|path| changed(&path))?;
    }
    if moved && !lost {
        manifest.inode = inode;
        // Only to spare the next build this; it may be a cache that cannot be written.
        let _ = fs::write(
            entry.join("manifest.json"),
            serde_json::to_vec(&manifest).unwrap_or_default(),
        );
    }
    Ok(())
}

/// The first file whose bytes are not what they were.
fn check_bytes(tree: &Path, manifest: &Manifest) -> Result<(), PathBuf> {
    let changed = Mutex::new(None);
    let _ = tree::in_parallel(&manifest.files, |file| {
        if sha256_of(&tree.join(&file.path)).ok().as_deref() != Some(file.sha256.as_str()) {
            let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.get_or_insert_with(|| file.path.clone());
        }
        Ok(())
    });
    match changed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(path) => Err(path),
        None => Ok(()),
    }
}

fn write_manifest(staging: &Path, key: &Key, stamps: Stamps) -> Result<(), TreeError> {
    // What says nothing later would only make two archives of the same differ.
    let lasting = |stamp: u64| if stamps == Stamps::Kept { stamp } else { 0 };
    let tree = staging.join("tree");
    let mut files = Vec::new();
    let mut links = Vec::new();
    for entry in WalkDir::new(&tree).into_iter().filter_map(Result::ok) {
        let path = entry.path();
        let Ok(relative) = path.strip_prefix(&tree) else {
            continue;
        };
        if entry.file_type().is_symlink() {
            let target = fs::read_link(path).map_err(TreeError::at(path, "read the link"))?;
            links.push((relative.to_owned(), target));
        } else if entry.file_type().is_file() {
            let metadata = path
                .symlink_metadata()
                .map_err(TreeError::at(path, "read"))?;
            files.push(ManifestFile {
                path: relative.to_owned(),
                size: metadata.len(),
                modified: match stamps {
                    Stamps::Kept => metadata.mtime(),
                    Stamps::Lost => 0,
                },
                mode: metadata.mode() & 0o7777,
                inode: lasting(metadata.ino()),
                sha256: String::new(),
            });
        }
    }
    let files: Vec<Mutex<ManifestFile>> = files.into_iter().map(Mutex::new).collect();
    tree::in_parallel(&files, |file| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let path = tree.join(&file.path);
        file.sha256 = sha256_of(&path).map_err(TreeError::at(&path, "read"))?;
        Ok(())
    })?;
    let mut files: Vec<ManifestFile> = files
        .into_iter()
        .map(|file| file.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    links.sort();
    let manifest = Manifest {
        key: key.clone(),
        inode: lasting(tree.metadata().map_or(0, |found| found.ino())),
        files,
        links,
    };
    let path = staging.join("manifest.json");
    fs::write(&path, serde_json::to_vec(&manifest).unwrap_or_default())
        .map_err(TreeError::at(&path, "write"))
}

/// Whether a file is the one that is kept already: then it need not be written again.
///
/// Mix writes its manifests with times in whole seconds, so that those are read.
fn is_kept(path: &Path, metadata: &fs::Metadata, kept: &Path) -> bool {
    let Ok(found) = kept.symlink_metadata() else {
        return false;
    };
    let same = found.is_file()
        && found.len() == metadata.len()
        && (found.mtime(), found.mtime_nsec()) == (metadata.mtime(), metadata.mtime_nsec())
        && found.mode() == metadata.mode();
    let folder = path.parent().and_then(Path::file_name);
    let is_manifest = folder.is_some_and(|name| name == ".mix");
    same && (!is_manifest || fs::read(path).ok() == fs::read(kept).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn key(version: &str) -> Key {
        Key::from([("version".to_owned(), version.to_owned())])
    }

    fn make(text: &'static str) -> impl FnMut(&Path) -> Result<(), crate::Error> {
        move |place| {
            fs::create_dir_all(place).unwrap();
            fs::write(place.join("file"), text).unwrap();
            Ok(())
        }
    }

    /// What is kept must not be made again.
    fn never(_: &Path) -> Result<(), crate::Error> {
        Err(crate::Error::Cancelled)
    }

    #[test]
    fn a_tool_is_made_once_and_linked_after_that() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let place = dir.path().join("place");
        let first = store.tool("erlang", &key("27"), &place, &mut make("27"));
        assert_eq!(first.unwrap(), Tool::Made);
        // A platform that sets the modes of a slug sets those of what is kept.
        let mode = |file: &Path| file.metadata().unwrap().mode() & 0o777;
        let before = mode(&place.join("file"));
        fs::set_permissions(place.join("file"), fs::Permissions::from_mode(0o700)).unwrap();
        tree::remove(&place).unwrap();
        let second = store.tool("erlang", &key("27"), &place, &mut never);
        assert_eq!(second.unwrap(), Tool::Reused);
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");
        assert_eq!(mode(&place.join("file")), before);
    }

    #[test]
    fn a_tool_that_was_tampered_with_is_made_again_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let place = dir.path().join("place");
        store
            .tool("erlang", &key("27"), &place, &mut make("27"))
            .unwrap();
        fs::write(place.join("file"), "longer than it was").unwrap();
        let second = store.tool("erlang", &key("27"), &place, &mut make("27"));
        assert_eq!(second.unwrap(), Tool::Remade("file was changed".into()));
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");
    }

    #[test]
    fn a_cache_that_was_moved_is_trusted_when_its_bytes_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        let store = CacheDir::open(&here).unwrap();
        let place = dir.path().join("place");
        let mut made = |place: &Path| -> Result<(), crate::Error> {
            make("27")(place)?;
            symlink("file", place.join("link")).unwrap();
            Ok(())
        };
        store.tool("erlang", &key("27"), &place, &mut made).unwrap();
        // As an archive of it does: other inodes, the same times.
        tree::transfer(&here, &there, Method::Copy, |_| true).unwrap();
        let store = CacheDir::open(&there).unwrap();
        for _ in 0..2 {
            let moved = store.tool("erlang", &key("27"), &place, &mut never);
            assert_eq!(moved.unwrap(), Tool::Reused);
        }
        let again = dir.path().join("again");
        tree::transfer(&there, &again, Method::Copy, |_| true).unwrap();
        let store = CacheDir::open(&again).unwrap();
        let file = find(&again, "file");
        let before = file.metadata().unwrap().modified().unwrap();
        fs::write(&file, "72").unwrap();
        fs::File::open(&file).unwrap().set_modified(before).unwrap();
        let flipped = store.tool("erlang", &key("27"), &place, &mut made);
        assert_eq!(flipped.unwrap(), Tool::Remade("file was changed".into()));
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");
        fs::remove_file(find(&again, "link")).unwrap();
        let unlinked = store.tool("erlang", &key("27"), &place, &mut made);
        assert_eq!(unlinked.unwrap(), Tool::Remade("link was changed".into()));
    }

    fn find(below: &Path, name: &str) -> PathBuf {
        WalkDir::new(below)
            .into_iter()
            .filter_map(Result::ok)
            .find(|entry| entry.file_name() == name)
            .unwrap()
            .into_path()
    }

    #[test]
    fn keeping_again_writes_only_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let from = dir.path().join("_build");
        fs::create_dir_all(from.join("lib/.mix")).unwrap();
        for (name, text) in [("a.beam", "a"), ("b.beam", "b"), (".mix/compile", "1")] {
            fs::write(from.join("lib").join(name), text).unwrap();
        }
        let kept = dir.path().join("mixpack/state/_build/tree/lib");
        let inodes = || -> Vec<u64> {
            ["a.beam", "b.beam", ".mix/compile"]
                .map(|name| kept.join(name).metadata().unwrap().ino())
                .into()
        };
        let first = store.save("_build", &key("1"), &from, &[]).unwrap();
        let before = inodes();
        let again = store.save("_build", &key("1"), &from, &[]).unwrap();
        assert_eq!((again, inodes()), (first, before.clone()));

        // mix writes its manifest with the time of the last second.
        let manifest = from.join("lib/.mix/compile");
        let time = manifest.metadata().unwrap().modified().unwrap();
        fs::write(&manifest, "2").unwrap();
        let file = fs::File::open(&manifest).unwrap();
        file.set_modified(time).unwrap();
        fs::write(from.join("lib/b.beam"), "changed").unwrap();
        store.save("_build", &key("1"), &from, &[]).unwrap();
        let after = inodes();
        assert_eq!(after[0], before[0]);
        assert!(after[1] != before[1] && after[2] != before[2]);
        assert_eq!(fs::read_to_string(kept.join(".mix/compile")).unwrap(), "2");
        fs::remove_file(from.join("lib/a.beam")).unwrap();
        store.save("_build", &key("1"), &from, &[]).unwrap();
        assert!(!kept.join("a.beam").exists());
        assert_eq!(fs::read_to_string(kept.join("b.beam")).unwrap(), "changed");
    }

    #[test]
    fn a_tool_that_could_not_be_made_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let place = dir.path().join("place");
        let mut fails = |place: &Path| -> Result<(), crate::Error> {
            fs::create_dir_all(place).unwrap();
            Err(crate::Error::Cancelled)
        };
        assert!(
            store
                .tool("erlang", &key("27"), &place, &mut fails)
                .is_err()
        );
        assert!(!place.exists());
        let tools: Vec<_> = fs::read_dir(dir.path().join("mixpack/tools"))
            .unwrap()
            .collect();
        assert!(tools.is_empty());
        let staged: Vec<_> = fs::read_dir(dir.path().join("mixpack/staging"))
            .unwrap()
            .collect();
        assert!(staged.is_empty());
    }

    #[test]
    fn unused_tools_go_and_other_buildpacks_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("node")).unwrap();
        let place = dir.path().join("place");
        let store = CacheDir::open(dir.path()).unwrap();
        store
            .tool("erlang", &key("26"), &place, &mut make("26"))
            .unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        store
            .tool("erlang", &key("27"), &place, &mut make("27"))
            .unwrap();
        store.forget_unused().unwrap();
        let tools = fs::read_dir(dir.path().join("mixpack/tools"))
            .unwrap()
            .count();
        assert_eq!(tools, 1);
        store.clear().unwrap();
        assert!(dir.path().join("node").exists());
    }

    #[test]
    fn state_comes_back_when_its_key_is_the_same_and_goes_with_all_reasons_when_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let from = dir.path().join("_build");
        fs::create_dir_all(from.join("prod/lib")).unwrap();
        fs::create_dir_all(from.join("prod/rel")).unwrap();
        fs::write(from.join("prod/lib/a.beam"), "beam").unwrap();
        fs::write(from.join("prod/rel/b"), "release").unwrap();
        let old = Key::from([
            ("otp".into(), "26".into()),
            ("stack".into(), "heroku-22".into()),
        ]);
        store.save("_build", &old, &from, &["prod/rel"]).unwrap();
        let place = dir.path().join("restored");
        let taken = store.restore("_build", &old, &place).unwrap();
        assert_eq!(taken, Restored::Taken(Amount { files: 1, bytes: 4 }));
        assert!(!place.join("prod/rel").exists());
        assert_eq!(
            store.restore("_build", &old, &place).unwrap(),
            Restored::InApp
        );
        tree::remove(&place).unwrap();
        let new = Key::from([
            ("otp".into(), "27".into()),
            ("stack".into(), "heroku-24".into()),
        ]);
        assert_eq!(
            store.restore("_build", &new, &place).unwrap(),
            Restored::Dropped(vec![
                "otp changed from 26 to 27".into(),
                "stack changed from heroku-22 to heroku-24".into()
            ])
        );
        assert_eq!(
            store.restore("_build", &new, &place).unwrap(),
            Restored::Nothing
        );
        assert!(!place.exists());
    }

    #[test]
    fn ten_saves_leave_a_cache_as_large_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let from = dir.path().join("deps");
        fs::create_dir_all(&from).unwrap();
        fs::write(from.join("a"), "a").unwrap();
        store.save("deps", &key("1"), &from, &[]).unwrap();
        let once = tree::measure(dir.path());
        for _ in 0..9 {
            store.save("deps", &key("1"), &from, &[]).unwrap();
        }
        assert_eq!(tree::measure(dir.path()), once);
    }

    /// A cache with one tool and one state, and what a build would find in it.
    struct Kept {
        dir: tempfile::TempDir,
    }

    impl Kept {
        fn new() -> Self {
            let kept = Self {
                dir: tempfile::tempdir().unwrap(),
            };
            let store = kept.open();
            let place = kept.dir.path().join("place");
            let made = store.tool("erlang", &key("27"), &place, &mut make("27"));
            assert_eq!(made.unwrap(), Tool::Made);
            let from = kept.dir.path().join("from");
            fs::create_dir_all(from.join("lib")).unwrap();
            fs::write(from.join("lib/a.beam"), "beam").unwrap();
            symlink("lib", from.join("link")).unwrap();
            store.save("_build", &key("1"), &from, &[]).unwrap();
            fs::write(kept.dir.path().join("outside"), "precious").unwrap();
            kept
        }

        fn open(&self) -> CacheDir {
            CacheDir::open(&self.dir.path().join("cache")).unwrap()
        }

        fn path(&self, below: &str) -> PathBuf {
            self.dir.path().join("cache/mixpack").join(below)
        }

        fn tool(&self) -> Tool {
            let store = self.open();
            let place = self.dir.path().join("place");
            let tool = store.tool("erlang", &key("27"), &place, &mut make("27"));
            assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");
            assert_eq!(names_in(&place), ["file"]);
            store.forget_unused().unwrap();
            tool.unwrap()
        }

        fn state(&self) -> Restored {
            let place = self.dir.path().join("restored");
            tree::remove(&place).unwrap();
            self.open().restore("_build", &key("1"), &place).unwrap()
        }

        fn tool_entry(&self) -> String {
            let name = names_in(&self.path("tools")).remove(0);
            format!("tools/{name}")
        }
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    type Harm<'a> = &'a dyn Fn(&Kept);

    const NOT_AS_KEPT: &str = "its files are not those that were kept";

    #[test]
    fn state_that_is_not_what_was_kept_is_dropped_and_said() {
        let file = "state/_build/tree/lib/a.beam";
        let truncate = |kept: &Kept| fs::write(kept.path(file), "be").unwrap();
        let of_another_time = |kept: &Kept| {
            let file = File::options().write(true).open(kept.path(file)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        let gone = |kept: &Kept| fs::remove_file(kept.path(file)).unwrap();
        let more = |kept: &Kept| fs::write(kept.path("state/_build/tree/more"), "").unwrap();
        let link = |kept: &Kept| {
            fs::remove_file(kept.path(file)).unwrap();
            symlink(kept.dir.path().join("outside"), kept.path(file)).unwrap();
        };
        let led_out = |kept: &Kept| {
            fs::rename(kept.path("state/_build/tree"), kept.dir.path().join("tree")).unwrap();
            symlink(kept.dir.path().join("tree"), kept.path("state/_build/tree")).unwrap();
        };
        let no_digest = |kept: &Kept| fs::remove_file(kept.path("state/_build/contents")).unwrap();
        let record = |kept: &Kept| fs::write(kept.path("state/_build/key.json"), "{\"ver").unwrap();
        let linked = |kept: &Kept| {
            fs::rename(kept.path("state/_build"), kept.dir.path().join("all")).unwrap();
            symlink(kept.dir.path().join("all"), kept.path("state/_build")).unwrap();
        };
        let cases: [(Harm<'_>, &str); 9] = [
            (&truncate, NOT_AS_KEPT),
            (&of_another_time, NOT_AS_KEPT),
            (&gone, NOT_AS_KEPT),
            (&more, NOT_AS_KEPT),
            (&link, NOT_AS_KEPT),
            (&led_out, NOT_AS_KEPT),
            (&no_digest, NOT_AS_KEPT),
            (&record, "its record cannot be read"),
            (&linked, "it is no folder"),
        ];
        for (at, (harm, reason)) in cases.into_iter().enumerate() {
            let kept = Kept::new();
            let amount = Amount { files: 1, bytes: 4 };
            assert_eq!(kept.state(), Restored::Taken(amount), "{at}");
            harm(&kept);
            assert_eq!(kept.state(), Restored::Dropped(vec![reason.into()]), "{at}");
            assert_eq!(kept.state(), Restored::Nothing, "{at}");
            let outside = fs::read_to_string(kept.dir.path().join("outside"));
            assert_eq!(outside.unwrap(), "precious", "{at}");
        }
    }

    #[test]
    fn a_tool_with_more_in_it_or_led_elsewhere_is_made_again() {
        let kept = Kept::new();
        let entry = kept.tool_entry();
        symlink("/etc", kept.path(&entry).join("tree/etc")).unwrap();
        let more = "it holds more than was made".to_owned();
        assert_eq!(kept.tool(), Tool::Remade(more));
        let elsewhere = kept.dir.path().join("elsewhere");
        for linked in [format!("{entry}/tree"), entry] {
            fs::rename(kept.path(&linked), &elsewhere).unwrap();
            symlink(&elsewhere, kept.path(&linked)).unwrap();
            let no_folder = "it is no folder".to_owned();
            assert_eq!(kept.tool(), Tool::Remade(no_folder));
            assert!(!names_in(&elsewhere).is_empty());
            tree::remove(&elsewhere).unwrap();
        }
        assert_eq!(kept.tool(), Tool::Reused);
    }

    #[test]
    fn a_cache_that_links_lead_out_of_is_a_miss_and_nothing_outside_is_touched() {
        for folder in ["tools", "state", "staging", "scratch", ""] {
            let kept = Kept::new();
            let elsewhere = kept.dir.path().join("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            fs::write(elsewhere.join("precious"), "").unwrap();
            let link = match folder {
                "" => kept.dir.path().join("cache/mixpack"),
                folder => kept.path(folder),
            };
            tree::remove(&link).unwrap();
            symlink(&elsewhere, &link).unwrap();
            let tool = kept.tool();
            let reused = matches!(folder, "state" | "staging" | "scratch");
            assert_eq!(tool == Tool::Reused, reused, "{folder}");
            kept.open().scratch("npm").unwrap();
            kept.open().clear().unwrap();
            assert_eq!(names_in(&elsewhere), ["precious"], "{folder}");
        }
    }

    #[test]
    fn what_another_version_has_left_is_dropped_and_said_and_reports_stay() {
        let old = |kept: &Kept| fs::write(kept.path("format"), "1").unwrap();
        let half_gone = |kept: &Kept| fs::remove_file(kept.path("format")).unwrap();
        let cases: [Harm<'_>; 2] = [&old, &half_gone];
        for harm in cases {
            let kept = Kept::new();
            fs::write(kept.path("report.json"), "{}").unwrap();
            assert_eq!(kept.open().dropped(), None);
            harm(&kept);
            let store = kept.open();
            assert!(store.dropped().is_some());
            assert!(kept.path("report.json").exists());
            assert_eq!(kept.state(), Restored::Nothing);
            assert_eq!(kept.tool(), Tool::Made);
            assert_eq!(kept.open().dropped(), None);
        }
    }

    #[test]
    fn a_second_build_waits_for_the_first_and_a_cancelled_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let cancel = Cancel::default();
        let never = || panic!("nobody else is there");
        let first = CacheDir::open_alone(dir.path(), &cancel, never).unwrap();
        // What the first one is making must not go.
        let making = first.staging("deps").unwrap();
        fs::create_dir_all(&making).unwrap();
        let (told, waits) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                CacheDir::open_alone(dir.path(), &cancel, || told.send(()).unwrap()).unwrap()
            });
            waits.recv().unwrap();
            assert!(making.exists());
            drop(first);
            let second = second.join().unwrap();
            assert!(!making.exists());
            cancel.cancel();
            let third = CacheDir::open_alone(dir.path(), &cancel, || {});
            assert_eq!(third.unwrap_err().source.kind(), io::ErrorKind::Interrupted);
            drop(second);
        });
    }
}
