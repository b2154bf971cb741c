//! The modification times of the app's own files, from one build to the next.
//!
//! A push gives every file a new time. mix looks at times before it looks at contents, and at the
//! times alone of `mix.exs` and the config files: with new ones it consolidates protocols again,
//! and Elixir 1.14 compiles the app again. A file that has the bytes of the last build gets the
//! time it had then.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use walkdir::WalkDir;

/// What a build makes or fetches; its times come back with the cache or do not matter.
const NOT_THE_USERS: [&str; 8] = [
    "_build",
    "deps",
    "node_modules",
    ".git",
    ".heroku",
    ".hex",
    ".mix",
    ".platform_tools",
];

/// Path relative to the app; SHA-256 in hex; time since 1970 in seconds and nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources(BTreeMap<PathBuf, (String, u64, u32)>);

impl Sources {
    /// Reads every file of the app.
    pub fn of(app: &Path) -> io::Result<Self> {
        let mut sources = BTreeMap::new();
        for path in files(app) {
            let metadata = app.join(&path).metadata()?;
            if let Ok(time) = metadata.modified()?.duration_since(UNIX_EPOCH) {
                let known = (
                    digest(&app.join(&path))?,
                    time.as_secs(),
                    time.subsec_nanos(),
                );
                sources.insert(path, known);
            }
        }
        Ok(Self(sources))
    }

    /// Gives the files that are unchanged since then their time, and counts them.
    pub fn restore_times(&self, app: &Path) -> io::Result<usize> {
        let mut restored = 0;
        for (path, (known, seconds, nanos)) in &self.0 {
            let path = app.join(path);
            let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
            if is_file && digest(&path)? == *known {
                let time: SystemTime = UNIX_EPOCH + Duration::new(*seconds, *nanos);
                File::open(&path)?.set_modified(time)?;
                restored += 1;
            }
        }
        Ok(restored)
    }

    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn files(app: &Path) -> Vec<PathBuf> {
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

fn digest(path: &Path) -> io::Result<String> {
    use std::fmt::Write;
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let mut hex = String::new();
    for byte in hasher.finalize() {
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_gets_its_old_time_and_a_changed_one_keeps_its_own() {
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
        let sources = Sources::of(old.path()).unwrap();
        let sources = Sources::parse(&sources.to_json()).unwrap();
        let changed = new.path().join("lib/a.ex");
        let before = changed.metadata().unwrap().modified().unwrap();
        assert_eq!(sources.restore_times(new.path()).unwrap(), 1);
        let time = |p: PathBuf| p.metadata().unwrap().modified().unwrap();
        assert_eq!(time(new.path().join("mix.exs")), then);
        assert_eq!(time(changed), before);
    }
}
