//! The app's own files as pushed: their contents and modification times.
//!
//! A push gives every file a new time. mix checks times before contents, and only the times of `mix.exs` and the
//! config files: if those are new, it consolidates protocols again, and Elixir 1.14 recompiles the app. So a file
//! with the contents of the last build gets its time from then. A changed file gets the time of this build: in an
//! archive of a commit, all files have the same time, and mix skips a file that is older than its manifest if its
//! size is the same.

use crate::app_tree::{Entries, Entry, Kind};
use crate::variables::Salted;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::digest::sha256_of;
use store::json::{self, PathText};
use store::tree::TreeError;

/// A file or link of the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    /// The SHA-256 of its content, or of the link's target, in hex.
    sha256: String,
    /// In bytes.
    size: u64,
    /// Since 1970, in seconds and nanoseconds.
    modified: (i64, i64),
    #[serde(default)]
    executable: bool,
    #[serde(default)]
    link: bool,
}

impl Source {
    fn looks_like(&self, entry: &Entry) -> bool {
        !self.link
            && entry.kind == Kind::File
            && (self.size, self.modified) == (entry.size, entry.modified)
    }

    /// Everything but its time.
    fn content(&self) -> (&str, bool, bool) {
        (&self.sha256, self.executable, self.link)
    }

    fn of(entry: &Entry, known: Option<&Self>) -> io::Result<Self> {
        let link = entry.kind == Kind::Link;
        let sha256 = match known.filter(|known| known.looks_like(entry)) {
            Some(known) => known.sha256.clone(),
            None if link => {
                let target = fs::read_link(&entry.place)?;
                hex::encode(Sha256::digest(target.as_os_str().as_bytes()))
            }
            None => sha256_of(&entry.place)?,
        };
        Ok(Self {
            sha256,
            size: entry.size,
            modified: entry.modified,
            // The only mode that git stores.
            executable: !link && entry.mode & 0o100 != 0,
            link,
        })
    }
}

/// Files by path, relative to the app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(BTreeMap<PathText, Source>);

impl Sources {
    /// Reads every file of the app, except those with the same metadata as in `known`.
    pub fn of(entries: &Entries, known: &Self) -> Result<Self, TreeError> {
        let mut sources = BTreeMap::new();
        let files = entries.iter();
        for (path, entry) in files.filter(|(_, entry)| entry.kind != Kind::Folder) {
            match Source::of(entry, known.0.get(path.as_path())) {
                Ok(source) => {
                    sources.insert(PathText(path.clone()), source);
                }
                // Another step may write at the same time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(TreeError::at(&entry.place, "read")(error)),
            }
        }
        Ok(Self(sources))
    }

    /// Gives files that are the same as in `then` their time from then, and all others the time `now`. Leaves out
    /// `skipped` files.
    pub fn restore_times(
        &mut self,
        entries: &Entries,
        then: &Self,
        now: SystemTime,
        skipped: impl Fn(&Path) -> bool,
    ) -> Result<(), TreeError> {
        for (path, source) in self.0.iter_mut().filter(|(_, source)| !source.link) {
            let Some(entry) = entries.get(&path.0).filter(|_| !skipped(&path.0)) else {
                continue;
            };
            let old = then.0.get(path).filter(|old| old.sha256 == source.sha256);
            let time = old.and_then(|old| time(old.modified)).unwrap_or(now);
            let modified = set_modified(&entry.place, time);
            source.modified = modified.map_err(TreeError::at(&entry.place, "set the time of"))?;
        }
        Ok(())
    }

    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Returns the same with salted digests, since a hook may have written a secret to a file.
    #[must_use]
    pub fn salted(&self, salted: &Salted) -> Self {
        let mut sources = self.clone();
        for source in sources.0.values_mut() {
            source.sha256 = salted.value(source.sha256.as_bytes());
        }
        sources
    }

    /// Returns the files that are the same as in `pushed`, so that no digest of a file from the build is saved.
    #[must_use]
    pub fn unchanged_from(mut self, pushed: &Self) -> Self {
        self.0.retain(|path, source| {
            let pushed = pushed.0.get(path);
            pushed.is_some_and(|pushed| pushed.content() == source.content())
        });
        self
    }

    /// Whether a file or link has this content and mode.
    #[must_use]
    pub fn is_same(&self, path: &Path, entry: &Entry) -> bool {
        let known = self.0.get(path).zip(Source::of(entry, None).ok());
        known.is_some_and(|(known, now)| known.content() == now.content())
    }

    /// Describes the first file that differs.
    #[must_use]
    pub fn first_difference(&self, now: &Self) -> Option<String> {
        let (path, difference) = self.differences(now).next()?;
        Some(format!("{} {difference}", path.display()))
    }

    /// Returns the files that differ, each with a verb. New and changed files come first.
    pub fn differences<'a>(
        &'a self,
        now: &'a Self,
    ) -> impl Iterator<Item = (&'a Path, &'static str)> {
        let changed = now.0.iter().filter_map(|(path, source)| {
            let difference = match self.0.get(path) {
                None => "is new",
                Some(then) if then.content() != source.content() => "changed",
                Some(_) => return None,
            };
            Some((path.0.as_path(), difference))
        });
        let removed = self.0.keys().filter(|path| !now.0.contains_key(*path));
        changed.chain(removed.map(|path| (path.0.as_path(), "was removed")))
    }

    /// Returns the directories that exist only then or now, each with a verb.
    #[must_use]
    pub fn changed_directories(&self, now: &Self) -> Vec<(PathBuf, &'static str)> {
        let (then, now) = (self.directories(), now.directories());
        let new = now.difference(&then).map(|path| (path, "is new"));
        let removed = then.difference(&now).map(|path| (path, "was removed"));
        new.chain(removed)
            .map(|(path, verb)| (path.to_path_buf(), verb))
            .collect()
    }

    fn directories(&self) -> BTreeSet<&Path> {
        let parents = self.0.keys().flat_map(|path| path.0.ancestors().skip(1));
        parents.collect()
    }

    /// Returns a digest of all names and contents, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (PathText(path), source) in &self.0 {
            let path = path.as_os_str().as_bytes();
            hasher.update(path.len().to_le_bytes());
            hasher.update(path);
            let (sha256, executable, link) = source.content();
            hasher.update(sha256);
            hasher.update([u8::from(executable), u8::from(link)]);
        }
        hex::encode(hasher.finalize())
    }

    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Returns the JSON for a note.
    pub fn to_json(&self, note: &str) -> Result<String, TreeError> {
        json::to_string(self, note)
    }
}

fn set_modified(place: &Path, time: SystemTime) -> io::Result<(i64, i64)> {
    let file = File::open(place)?;
    file.set_modified(time)?;
    let metadata = file.metadata()?;
    Ok((metadata.mtime(), metadata.mtime_nsec()))
}

fn time((seconds, nanos): (i64, i64)) -> Option<SystemTime> {
    let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_tree::entries_of;
    use std::ffi::OsStr;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn sources_of(app: &Path) -> Sources {
        Sources::of(&entries_of(app), &Sources::default()).unwrap()
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn unchanged_files_keep_mtime_and_changed_files_get_new_one() {
        let old = tempfile::tempdir().unwrap();
        let new = tempfile::tempdir().unwrap();
        let then = UNIX_EPOCH + Duration::new(1_700_000_000, 5);
        // An odd file name must not prevent restoring the times of others.
        let odd = OsStr::from_bytes(b"priv/caf\xe9.txt");
        for (dir, text) in [(&old, "old"), (&new, "new")] {
            write(&dir.path().join("mix.exs"), "same");
            write(&dir.path().join("lib/a.ex"), text);
            write(&dir.path().join("skipped"), "same");
            write(&dir.path().join(odd), "same");
            symlink("nowhere", dir.path().join("link")).unwrap();
        }
        for name in [OsStr::new("mix.exs"), OsStr::new("skipped"), odd] {
            let file = File::open(old.path().join(name)).unwrap();
            file.set_modified(then).unwrap();
        }
        let sources = sources_of(old.path());
        let sources = Sources::parse(&sources.to_json("sources").unwrap()).unwrap();
        let changed = new.path().join("lib/a.ex");
        File::open(&changed).unwrap().set_modified(then).unwrap();
        let now = then + Duration::from_mins(1);
        let entries = entries_of(new.path());
        let mut pushed = Sources::of(&entries, &Sources::default()).unwrap();
        assert_ne!(pushed.digest(), sources.digest());
        let skipped = |path: &Path| path == Path::new("skipped");
        pushed
            .restore_times(&entries, &sources, now, skipped)
            .unwrap();
        let time = |name: &OsStr| new.path().join(name).metadata().unwrap().modified();
        assert_eq!(time(OsStr::new("mix.exs")).unwrap(), then);
        assert_eq!(time(odd).unwrap(), then);
        assert_ne!(time(OsStr::new("skipped")).unwrap(), then);
        assert_eq!(time(OsStr::new("lib/a.ex")).unwrap(), now);
        let again = Sources::of(&entries_of(new.path()), &pushed).unwrap();
        assert_eq!(again, pushed);
        fs::write(changed, "old").unwrap();
        let same = Sources::of(&entries_of(new.path()), &pushed).unwrap();
        assert_eq!(same.digest(), sources.digest());
        // The note doesn't contain files that the build has written.
        let json = same.unchanged_from(&pushed).to_json("sources").unwrap();
        assert!(
            json.contains("mix.exs") && !json.contains("lib/a.ex"),
            "{json}"
        );
    }

    #[test]
    fn digest_covers_every_pushed_file_link_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path();
        let mut seen = vec![sources_of(app).digest()];
        let mut changed = |what: &str| {
            let digest = sources_of(app).digest();
            assert!(!seen.contains(&digest), "{what}");
            seen.push(digest);
        };
        for path in [
            "assets/js/deps/a.js",
            "assets/js/_build/a.js",
            "assets/js/node_modules/a.js",
            "lib/.mix/a.ex",
            "lib/.heroku/a.ex",
            ".heroku/build.sh",
            ".profile.d/own.sh",
            "deps/pushed/mix.exs",
        ] {
            for text in ["1", "2"] {
                write(&app.join(path), text);
                changed(path);
            }
        }
        let link = app.join("link");
        for target in ["assets", "lib"] {
            let _ = fs::remove_file(&link);
            symlink(target, &link).unwrap();
            changed(target);
        }
        let script = app.join(".heroku/build.sh");
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
        changed("mode");
    }
}
