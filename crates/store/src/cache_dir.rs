//! A cache directory as a [`Store`]. Entries are created in a staging directory and renamed.

use super::key::{differences, digest};
use super::manifest::{check, key_of, write_manifest};
use super::saved_state::{contents_digest, is_unchanged, record_times, restore_times};
use super::{COOKIE, Key, RECORD, Restored, Stamps, Store, TakeResult, Tool, ToolError};
use crate::folder_lock;
use crate::json;
use crate::tree::{self, Amount, Method, TreeError};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;
use walkdir::WalkDir;

/// Mixpack's directory in the platform's cache directory.
#[derive(Debug)]
pub struct CacheDir {
    root: PathBuf,
    stamps: Stamps,
    used: Mutex<BTreeSet<String>>,
    discarded: AtomicU32,
    /// The reason why an older cache was dropped, if it was.
    dropped: Option<String>,
    /// The lock, held while this build uses the directory.
    _lock: Option<File>,
    /// The temporary directory, if the platform's can't be used.
    own: Option<TempDir>,
}

/// The subdirectories, apart from notes and reports.
const KINDS: [&str; 3] = ["tools", "state", "scratch"];
/// The prefixes of entries that survive a change of the format: reports, the record of the last build, and
/// cookies that mix generated. No build can create the last two again; without them, the app would get other
/// versions than before, and its nodes could not connect. All versions can read them.
const PERSISTENT: [&str; 3] = ["report", RECORD, COOKIE];

/// The format of the cache and of layers. A build drops those of another format. Increase it for each new entry or
/// note, and for each change of their shape or meaning, so that versions of Mixpack never read each other's entries.
pub const FORMAT: &str = "3";

impl CacheDir {
    /// [`CacheDir::open`] with a lock, for one build at a time. Calls `waiting` once if another build holds
    /// the lock. Without support for locks in the file system, there is no lock.
    pub fn open_exclusive(
        cache_dir: &Path,
        cancelled: &AtomicBool,
        waiting: impl FnOnce(),
    ) -> Result<Self, TreeError> {
        let root = cache_dir.join("mixpack");
        real_folder(&root)?;
        let lock = match folder_lock::lock(&root, cancelled, waiting) {
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

    /// Opens `CACHE_DIR/mixpack`. Entries of other buildpacks are left alone. Drops entries of another format.
    ///
    /// # Errors
    ///
    /// If the build won't be able to write to it.
    pub fn open(cache_dir: &Path) -> Result<Self, TreeError> {
        Self::open_at(cache_dir.join("mixpack"), Stamps::Preserved)
    }

    /// [`CacheDir::open`] for a directory that only Mixpack uses.
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
        // Incomplete entries of a killed build.
        tree::remove(&cache.root.join("staging"))?;
        let format = fs::read_to_string(cache.root.join("format"));
        if !format.is_ok_and(|text| text == FORMAT) {
            if cache.drop_all()? {
                cache.dropped = Some("another version of Mixpack made it".to_owned());
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

    /// Opens a temporary cache for this build alone, for when the platform's can't be used.
    pub fn temporary() -> Result<Self, TreeError> {
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

    /// Removes temporary directories. Nothing may be saved afterwards.
    pub fn close(&self) -> Result<(), TreeError> {
        let scratch = fs::read_dir(self.root.join("scratch"));
        for entry in scratch.into_iter().flatten().flatten() {
            // Remove empty directories: builds create different ones, depending on the steps that they skip, and a
            // changed layer would be pushed again.
            let _ = fs::remove_dir(entry.path());
        }
        tree::remove(&self.root.join("staging"))
    }

    /// Returns why the existing cache was dropped, if it was.
    #[must_use]
    pub fn dropped(&self) -> Option<&str> {
        self.dropped.as_deref()
    }

    /// Drops everything but persistent entries. Returns whether there were other entries.
    fn drop_all(&self) -> Result<bool, TreeError> {
        let mut found = false;
        let list = || TreeError::at(&self.root, "list");
        for entry in fs::read_dir(&self.root).map_err(list())? {
            let entry = entry.map_err(list())?;
            let name = entry.file_name();
            let begins = |with: &&str| name.as_bytes().starts_with(with.as_bytes());
            if !PERSISTENT.iter().any(begins) {
                found = true;
                tree::remove(&entry.path())?;
            }
        }
        Ok(found)
    }

    /// Moves an entry away before removing it. If this build is killed, a later one must not use a partly removed
    /// entry.
    fn discard(&self, entry: &Path) -> Result<(), TreeError> {
        if entry.symlink_metadata().is_err() {
            return Ok(());
        }
        let number = self.discarded.fetch_add(1, Ordering::Relaxed);
        let away = self.staging(&format!("discarded-{number}"))?;
        fs::rename(entry, &away).map_err(TreeError::at(entry, "move away"))?;
        tree::remove(&away)
    }

    /// Returns a directory for a new entry, on the same file system as its final path.
    pub fn staging(&self, name: &str) -> Result<PathBuf, TreeError> {
        let staging = self.root.join("staging");
        fs::create_dir_all(&staging).map_err(TreeError::at(&staging, "create the folder"))?;
        let place = staging.join(format!("{name}-{}", std::process::id()));
        tree::remove(&place)?;
        Ok(place)
    }

    /// Renames a staged tree to an entry.
    fn enter(&self, staging: &Path, entry: &Path, key: &Key) -> Result<(), TreeError> {
        write_manifest(staging, key, self.stamps)?;
        fs::rename(staging, entry).map_err(TreeError::at(entry, "move into the cache"))
    }

    /// Returns the name and the path of a tool's entry, and marks it as used.
    fn used(&self, name: &str, key: &Key) -> Result<(String, PathBuf), TreeError> {
        let id = format!("{name}-{}", digest(key));
        let entry = self.folder("tools", &id)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(id.clone());
        Ok((id, entry))
    }

    /// Returns how the key of the last tool with this name differs. Its entry still exists, since unused tools are
    /// only dropped at the end of a build.
    fn differences_from_last(&self, name: &str, key: &Key) -> Vec<String> {
        let entries = fs::read_dir(self.root.join("tools")).into_iter().flatten();
        let of_name = entries.filter_map(Result::ok).filter(|entry| {
            let id = entry.file_name();
            let id = id.to_str().and_then(|id| id.rsplit_once('-'));
            id.is_some_and(|(other, _)| other == name)
        });
        let modified = |entry: &DirEntry| entry.metadata().and_then(|found| found.modified()).ok();
        let last = of_name.max_by_key(modified);
        let last = last.and_then(|entry| key_of(&entry.path()));
        last.map_or_else(Vec::new, |last| differences(&last, key))
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
        make: &mut dyn FnMut(&Path) -> Result<(), ToolError>,
    ) -> Result<Tool, ToolError> {
        let (id, entry) = self.used(name, key)?;
        let mut tool = Tool::Reused;
        match check(&entry, key, self.stamps) {
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

    fn take(&self, name: &str, key: &Key, place: &Path) -> Result<TakeResult, TreeError> {
        let (_, entry) = self.used(name, key)?;
        match check(&entry, key, self.stamps) {
            Ok(()) => {
                tree::remove(place)?;
                tree::transfer(&entry.join("tree"), place, Method::Link, |_| true)?;
                Ok(TakeResult::Yes)
            }
            Err(None) => Ok(TakeResult::No(self.differences_from_last(name, key))),
            Err(Some(reason)) => {
                self.discard(&entry)?;
                Ok(TakeResult::Unusable(reason))
            }
        }
    }

    fn put(&self, name: &str, key: &Key, from: &Path) -> Result<Amount, TreeError> {
        let (id, entry) = self.used(name, key)?;
        let staging = self.staging(&id)?;
        fs::create_dir_all(&staging).map_err(TreeError::at(&staging, "create the folder"))?;
        let amount = tree::transfer(from, &staging.join("tree"), Method::Link, |_| true)?;
        self.discard(&entry)?;
        self.enter(&staging, &entry, key)?;
        Ok(amount)
    }

    fn drop_tool(&self, name: &str, key: &Key) -> Result<(), TreeError> {
        let (_, entry) = self.used(name, key)?;
        self.discard(&entry)
    }

    fn mark_used(&self, name: &str, key: &Key) -> bool {
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
            Some(saved) => differences(&saved, key),
        };
        let tree = entry.join("tree");
        let reasons = if reasons.is_empty() {
            let contents = fs::read_to_string(entry.join("contents")).ok();
            let same = restore_times(&entry, self.stamps).is_ok()
                && contents.is_some()
                && contents == contents_digest(&tree).ok();
            if same {
                Vec::new()
            } else {
                vec!["its files were modified".to_owned()]
            }
        } else {
            reasons
        };
        if !reasons.is_empty() {
            self.discard(&entry)?;
            return Ok(Restored::Dropped(reasons));
        }
        match tree::transfer(&tree, place, Method::Copy, |_| true) {
            Ok(amount) => Ok(Restored::Copied(amount)),
            Err(error) => {
                tree::remove(place)?;
                Ok(Restored::Dropped(vec![error.to_string()]))
            }
        }
    }

    fn save(&self, name: &str, key: &Key, from: &Path, skip: &[&str]) -> Result<Amount, TreeError> {
        let entry = self.folder("state", name)?;
        let record = json::to_vec(key, &entry)?;
        let keep = |path: &Path| !skip.iter().any(|skip| path == Path::new(skip));
        let old = entry.join("tree");
        if fs::read(entry.join("key.json")).is_ok_and(|saved| saved == record)
            && let Some(amount) = tree::same(from, &old, keep, is_unchanged)?
        {
            return Ok(amount);
        }
        let staging = self.staging(name)?;
        let new = staging.join("tree");
        fs::create_dir_all(&staging).map_err(TreeError::at(&staging, "create the folder"))?;
        let amount = tree::transfer_reusing(from, &new, &old, keep, is_unchanged)?;
        let record_path = staging.join("key.json");
        fs::write(&record_path, record).map_err(TreeError::at(&record_path, "write"))?;
        record_times(&staging, self.stamps)?;
        let contents = staging.join("contents");
        fs::write(&contents, contents_digest(&new)?).map_err(TreeError::at(&contents, "write"))?;
        self.discard(&entry)?;
        fs::rename(&staging, &entry).map_err(TreeError::at(&entry, "move into the cache"))?;
        Ok(amount)
    }

    fn drop_state(&self, name: &str) -> Result<(), TreeError> {
        self.discard(&self.folder("state", name)?)
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

    fn measure(&self) -> BTreeMap<String, Amount> {
        let mut held = BTreeMap::new();
        let mut seen = HashSet::new();
        for entry in WalkDir::new(&self.root).into_iter().filter_map(Result::ok) {
            let mut is_new = |found: &Metadata| found.is_file() && seen.insert(found.ino());
            if let Some(metadata) = entry.metadata().ok().filter(&mut is_new) {
                let path = entry
                    .path()
                    .strip_prefix(&self.root)
                    .unwrap_or(entry.path());
                let amount: &mut Amount = held.entry(entry_of(path)).or_default();
                amount.files += 1;
                amount.bytes += metadata.len();
            }
        }
        held
    }

    fn clear(&self) -> Result<(), TreeError> {
        for kind in KINDS {
            self.discard(&self.root.join(kind))?;
        }
        tree::remove(&self.root.join("staging"))
    }
}

/// Names the entry that a file of the cache belongs to: `erlang` for `tools/erlang-0123456789abcdef/tree/…`.
fn entry_of(path: &Path) -> String {
    let mut names = path.iter().map(OsStr::to_string_lossy);
    let kind = names.next().filter(|kind| KINDS.contains(&&**kind));
    let Some(name) = kind.and_then(|_| names.next()) else {
        return "notes".to_owned();
    };
    match name.rsplit_once('-') {
        Some((tool, key)) if path.starts_with("tools") && key.len() == 16 => tool.to_owned(),
        _ => name.into_owned(),
    }
}

/// Makes sure that a path is a directory and not a link to one, since its contents may be removed.
pub fn real_folder(path: &Path) -> Result<(), TreeError> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        tree::remove(path)?;
    }
    fs::create_dir_all(path).map_err(TreeError::at(path, "create the folder"))
}

fn writable(folder: &Path) -> Result<(), TreeError> {
    let probe = tempfile::tempfile_in(folder);
    probe.map(drop).map_err(TreeError::at(folder, "write to"))
}
