//! The app's own files, as a push brings them: their contents and their modification times.
//!
//! A push gives every file a new time. mix looks at times before it looks at contents, and at the
//! times alone of `mix.exs` and the config files: with new ones it consolidates protocols again,
//! and Elixir 1.14 compiles the app again. A file that has the bytes of the last build gets the
//! time it had then. One that has others is as new as this build, whatever its time says: an
//! archive of a commit gives all of its files one time, and mix reads no file that is older than
//! its manifest and has the size of before.

use crate::digest::{hex, sha256_of};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use walkdir::WalkDir;

/// What a build makes or fetches; its times come back with the cache or do not matter.
const NOT_THE_USERS: [&str; 10] = [
    "_build",
    "deps",
    "node_modules",
    ".git",
    ".heroku",
    ".hex",
    ".mix",
    ".mixpack",
    ".platform_tools",
    ".profile.d",
];

/// A file of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    /// Of its bytes, in hex.
    sha256: String,
    /// In bytes.
    size: u64,
    /// Since 1970, in seconds and nanoseconds.
    modified: (i64, i64),
}

impl Source {
    fn looks_like(&self, metadata: &Metadata) -> bool {
        self.size == metadata.len() && self.modified == (metadata.mtime(), metadata.mtime_nsec())
    }
}

/// By path relative to the app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sources(BTreeMap<PathBuf, Source>);

impl Sources {
    /// Reads every file of the app; one that looks as in `known` is taken to have the same bytes.
    pub(crate) fn of(app: &Path, known: &Self) -> io::Result<Self> {
        let mut sources = BTreeMap::new();
        for path in files(app) {
            let metadata = app.join(&path).metadata()?;
            let same = known.0.get(&path).filter(|s| s.looks_like(&metadata));
            let sha256 = match same {
                Some(source) => source.sha256.clone(),
                None => sha256_of(&app.join(&path))?,
            };
            let source = Source {
                sha256,
                size: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
            };
            sources.insert(path, source);
        }
        Ok(Self(sources))
    }

    /// Gives the files that are as in `then` the time that they had then, and all others that of
    /// `now`.
    pub(crate) fn restore_times(
        &mut self,
        app: &Path,
        then: &Self,
        now: SystemTime,
    ) -> io::Result<()> {
        for (path, source) in &mut self.0 {
            let old = then.0.get(path).filter(|old| old.sha256 == source.sha256);
            let time = old.and_then(|old| time(old.modified)).unwrap_or(now);
            let file = File::open(app.join(path))?;
            file.set_modified(time)?;
            let metadata = file.metadata()?;
            source.modified = (metadata.mtime(), metadata.mtime_nsec());
        }
        Ok(())
    }

    /// A digest of all names and contents, in hex.
    #[must_use]
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (path, source) in &self.0 {
            let path = path.as_os_str().as_bytes();
            hasher.update(path.len().to_le_bytes());
            hasher.update(path);
            hasher.update(&source.sha256);
        }
        hex(&hasher.finalize())
    }

    #[must_use]
    pub(crate) fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    #[must_use]
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn time((seconds, nanos): (i64, i64)) -> Option<SystemTime> {
    let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    UNIX_EPOCH.checked_add(since)
}

/// The files of the app, relative to it, without those that a build makes or fetches.
pub(crate) fn files(app: &Path) -> Vec<PathBuf> {
    WalkDir::new(app)
        .min_depth(1)
        .into_iter()
        .filter_entry(|entry| {
            !entry
                .file_name()
                .to_str()
                .is_some_and(|name| NOT_THE_USERS.contains(&name))
        })
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| Some(entry.path().strip_prefix(app).ok()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_unchanged_file_gets_its_old_time_and_a_changed_one_is_new() {
        let old = tempfile::tempdir().unwrap();
        let new = tempfile::tempdir().unwrap();
        let then = UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        for (dir, text) in [(&old, "old"), (&new, "new")] {
            fs::create_dir_all(dir.path().join("lib")).unwrap();
            fs::create_dir_all(dir.path().join("deps")).unwrap();
            fs::write(dir.path().join("mix.exs"), "same").unwrap();
            fs::write(dir.path().join("lib/a.ex"), text).unwrap();
            fs::write(dir.path().join("deps/b.ex"), "same").unwrap();
        }
        let file = File::open(old.path().join("mix.exs")).unwrap();
        file.set_modified(then).unwrap();
        let sources = Sources::of(old.path(), &Sources::default()).unwrap();
        let sources = Sources::parse(&sources.to_json()).unwrap();
        let changed = new.path().join("lib/a.ex");
        File::open(&changed).unwrap().set_modified(then).unwrap();
        let now = then + Duration::from_mins(1);
        let mut pushed = Sources::of(new.path(), &Sources::default()).unwrap();
        assert_ne!(pushed.digest(), sources.digest());
        pushed.restore_times(new.path(), &sources, now).unwrap();
        let time = |p: PathBuf| p.metadata().unwrap().modified().unwrap();
        assert_eq!(time(new.path().join("mix.exs")), then);
        assert_eq!(time(changed.clone()), now);
        assert_eq!(Sources::of(new.path(), &pushed).unwrap(), pushed);
        fs::write(changed, "old").unwrap();
        let same = Sources::of(new.path(), &pushed).unwrap();
        assert_eq!(same.digest(), sources.digest());
    }
}
