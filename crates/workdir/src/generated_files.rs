//! Files that compiling creates in the app outside `_build`, such as a NIF in `priv`, or code that a macro writes to
//! `lib`. A build that compiles nothing doesn't create them either. They are cached with `_build` and restored if all
//! inputs of compiling are the same. Otherwise the app's own code is compiled from scratch.

use crate::app_tree::{Entries, Entry, Kind};
use crate::leaked_secrets::Finders;
use crate::sources::Sources;
use crate::variables::Salted;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::Key;
use store::digest::sha256_of;
use store::json::PathText;
use store::tree::{self, Method, TreeError};

/// The files of the app that commands changed while a step ran.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileChanges {
    pub created: BTreeSet<PathBuf>,
    /// Changed or removed files.
    pub changed: BTreeSet<PathBuf>,
}

impl FileChanges {
    #[must_use]
    pub fn between(before: &Entries, after: &Entries) -> Self {
        let created = after.keys().filter(|path| !before.contains_key(*path));
        let differs = |(path, entry): &(&PathBuf, &Entry)| {
            !after
                .get(*path)
                .is_some_and(|after| after.is_unchanged_since(entry))
        };
        Self {
            created: created.cloned().collect(),
            changed: before
                .iter()
                .filter(differs)
                .map(|(path, _)| path.clone())
                .collect(),
        }
    }

    pub fn extend(&mut self, other: Self) {
        self.created.extend(other.created);
        self.changed.extend(other.changed);
    }

    #[must_use]
    pub fn without(mut self, skipped: impl Fn(&PathBuf) -> bool) -> Self {
        self.created.retain(|path| !skipped(path));
        self.changed.retain(|path| !skipped(path));
        self
    }

    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.created.iter().chain(&self.changed)
    }
}

/// A file, link or directory that compiling created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedFile {
    pub kind: Kind,
    /// A salted digest of a file's content.
    pub digest: String,
    /// The target of a link.
    pub target: Option<PathText>,
    /// As in chmod(1).
    pub mode: u32,
    /// Since 1970, in seconds and nanoseconds.
    pub modified: (i64, i64),
}

impl GeneratedFile {
    fn of(entry: &Entry, target: Option<PathText>) -> Self {
        Self {
            kind: entry.kind,
            digest: String::new(),
            target,
            mode: entry.mode,
            modified: entry.modified,
        }
    }
}

/// The note on the generated files of a build, which are cached with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedFiles {
    /// The inputs of compiling other than `sources`.
    pub key: Key,
    /// The time at which the `_build` of this note was compiled, in seconds since 1970. If an earlier version of
    /// Mixpack was used in between, `_build` has another time.
    pub build: Option<u64>,
    /// The app when compiling began, with salted digests. Empty if no files were generated.
    pub sources: Sources,
    pub files: BTreeMap<PathText, GeneratedFile>,
    /// Files of the app, pushed or created by a hook, that compiling changed: a salted digest of the new
    /// content, or `None` if it removed the file.
    pub changed: BTreeMap<PathText, Option<String>>,
    /// A file that can't be cached, and the reason.
    #[serde(rename = "not_kept")]
    pub uncacheable: Option<(String, String)>,
    /// A file that either compiling or installing packages created, since both ran at the same time.
    pub unclear: Option<PathText>,
    /// Files that hooks which compile the app created, with the hook: either the hook or the compiler creates
    /// them.
    #[serde(default, rename = "of_hooks")]
    pub hook_files: BTreeMap<PathText, String>,
    /// One of `hook_files` that compiling is known to create.
    #[serde(default)]
    pub by_hook: Option<PathText>,
}

impl GeneratedFiles {
    /// Returns whether mix itself creates all of the files again if needed.
    #[must_use]
    pub fn is_regenerated_by_mix(&self) -> bool {
        let is_tracked = |path: &PathText| is_tracked(&path.0, &self.sources);
        self.files.keys().all(is_tracked)
            && self.changed.is_empty()
            && self.uncacheable.is_none()
            && self.unclear.is_none()
    }

    /// Returns why the files can't be restored, even with the same inputs.
    #[must_use]
    pub fn unrestorable_reason(&self) -> Option<String> {
        let changes = self.changed.iter().next().map(|(path, after)| {
            let what = if after.is_some() {
                "changes"
            } else {
                "removes"
            };
            format!("compiling {what} {}", path.0.display())
        });
        let unclear = self.unclear.as_ref().map(|path| {
            let path = path.0.display();
            format!("either compiling or installing JavaScript packages creates {path}")
        });
        let uncacheable = self
            .uncacheable
            .as_ref()
            .map(|(path, why)| format!("compiling creates {path}, which isn't kept: {why}"));
        unclear.or(uncacheable).or(changes)
    }

    /// Returns why the app has to be compiled from scratch, if so. No file is restored then. `changed` describes
    /// changed inputs other than the app's files.
    pub fn why_from_scratch(
        &self,
        sources: &Sources,
        changed: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        if self.is_regenerated_by_mix() {
            return None;
        }
        self.unrestorable_reason().or_else(|| {
            let changed = self.sources.first_difference(sources).or_else(changed)?;
            let is_folder = |made: &GeneratedFile| made.kind == Kind::Folder;
            let mut files = self.files.iter();
            let file = files
                .find(|(_, made)| !is_folder(made))
                .map(|(path, _)| path);
            let path = file.or(self.files.keys().next())?.0.display();
            Some(format!("compiling creates {path}, and {changed}"))
        })
    }

    /// Returns the files that mix itself tracks. They are always restored. `sources` are the app's files.
    #[must_use]
    pub fn tracked(&self, sources: &Sources) -> BTreeMap<&PathText, &GeneratedFile> {
        let files = self.files.iter();
        files
            .filter(|(path, _)| is_tracked(&path.0, sources))
            .collect()
    }

    /// Returns the first file that differs from `other`. It may be an input of the assets.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<PathBuf> {
        let (ours, theirs) = (self.contents(), other.contents());
        let mut paths = ours.keys().chain(theirs.keys());
        let found = paths.find(|path| ours.get(*path) != theirs.get(*path))?;
        Some(found.to_path_buf())
    }

    fn contents(&self) -> BTreeMap<&Path, String> {
        let files = self.files.iter().map(|(path, made)| {
            let executable = made.mode & 0o100 != 0 && made.kind == Kind::File;
            let content = (made.kind, &made.digest, &made.target, executable);
            (path.0.as_path(), format!("{content:?}"))
        });
        let changed = self.changed.iter();
        let changed = changed.map(|(path, after)| (path.0.as_path(), format!("{after:?}")));
        files.chain(changed).collect()
    }

    /// Returns a file that the last build generated but this one did not. `before` is the app when compiling
    /// began.
    #[must_use]
    pub fn missing<'a>(&'a self, before: &Entries, now: &Entries) -> Option<&'a Path> {
        let is_gone = |path: &&PathText| !now.contains_key(&path.0);
        let as_before = |path: &&PathText| {
            let both = before.get(&path.0).zip(now.get(&path.0));
            both.is_some_and(|(before, now)| now.is_unchanged_since(before))
        };
        let gone = self.files.keys().find(is_gone);
        let found = gone.or_else(|| self.changed.keys().find(as_before))?;
        Some(&found.0)
    }
}

/// Whether mix itself tracks a file: leex and yecc write `x.erl` next to `x.xrl` or `x.yrl`, and write it again if it
/// is missing or older.
#[must_use]
pub fn is_tracked(path: &Path, sources: &Sources) -> bool {
    let is_erl = path.extension().is_some_and(|extension| extension == "erl");
    is_erl
        && ["xrl", "yrl"]
            .iter()
            .any(|from| sources.has(&path.with_extension(from)))
}

/// Returns a digest of an existing file after compiling.
#[must_use]
pub fn content_of(entry: &Entry, salted: &Salted) -> String {
    let content = match entry.kind {
        Kind::File => sha256_of(&entry.place).ok(),
        Kind::Link => fs::read_link(&entry.place)
            .ok()
            .map(|target| hex::encode(target.as_os_str().as_bytes())),
        Kind::Folder => None,
    };
    let content = format!("{:?} {:o} {content:?}", entry.kind, entry.mode);
    salted.value(content.as_bytes())
}

/// Describes files that can't be read.
#[must_use]
pub fn without_content(
    paths: &BTreeSet<PathBuf>,
    entries: &Entries,
) -> BTreeMap<PathText, GeneratedFile> {
    let files = paths.iter().filter_map(|path| {
        let made = GeneratedFile::of(entries.get(path)?, None);
        Some((PathText(path.clone()), made))
    });
    files.collect()
}

/// Reads the copies of files, and sets their digests. Returns the first file that contains a secret, with the reason
/// why it isn't cached.
pub fn read(
    files: &mut BTreeMap<PathText, GeneratedFile>,
    copies: &Path,
    salted: &Salted,
    secrets: &Finders<'_>,
) -> Result<Option<(String, String)>, TreeError> {
    let mut found = None;
    for (path, made) in files {
        let place = copies.join(&path.0);
        let bytes = match (made.kind, &made.target) {
            (Kind::File, _) => fs::read(&place).map_err(TreeError::at(&place, "read"))?,
            (_, Some(target)) => target.0.as_os_str().as_bytes().to_vec(),
            _ => Vec::new(),
        };
        made.digest = salted.value(&bytes);
        if found.is_none() {
            let name = secrets.find_first(&path.0, bytes);
            let why = name.map(|name| format!("it holds the value of {name}"));
            found = why.map(|why| (path.0.display().to_string(), why));
        }
    }
    Ok(found)
}

/// Returns a note without any names of files, if one of the names contains a secret.
#[must_use]
pub fn without_names(now: &GeneratedFiles, secrets: &Finders<'_>) -> Option<GeneratedFiles> {
    let files = now.files.keys().chain(now.changed.keys());
    let mut paths = files.chain(now.hook_files.keys()).chain(&now.unclear);
    let name = paths.find_map(|path| {
        let bytes = path.0.as_os_str().as_bytes().to_vec();
        secrets.find_first(Path::new(""), bytes)
    })?;
    let why = format!("its name holds the value of {name}");
    Some(GeneratedFiles {
        key: now.key.clone(),
        build: now.build,
        uncacheable: Some(("a file".to_owned(), why)),
        ..GeneratedFiles::default()
    })
}

/// Copies generated files to `to`, and returns their descriptions.
pub fn copy_files(
    paths: &BTreeSet<PathBuf>,
    entries: &Entries,
    to: &Path,
) -> Result<BTreeMap<PathText, GeneratedFile>, TreeError> {
    let found: Vec<(&PathBuf, &Entry)> = paths
        .iter()
        .filter_map(|path| Some((path, entries.get(path)?)))
        .collect();
    let items = found.iter();
    let items = items.map(|(path, entry)| (path.as_path(), entry.place.as_path()));
    tree::gather(items, to, Method::Copy)?;
    let described = found.into_iter().map(|(path, entry)| {
        let place = to.join(path);
        let target = match entry.kind {
            Kind::Link => {
                let target = fs::read_link(&place).map_err(TreeError::at(&place, "read"))?;
                Some(PathText(target))
            }
            _ => None,
        };
        Ok((PathText(path.clone()), GeneratedFile::of(entry, target)))
    });
    described.collect()
}

/// Restores files into `root`, the app as commands see it, with their modification times. If one is missing
/// or its place is taken, restores none and returns its path.
pub fn restore_files<'a>(
    files: &BTreeMap<&'a PathText, &'a GeneratedFile>,
    copies_dir: &Path,
    root: &Path,
    entries: &Entries,
) -> Result<Result<(), &'a Path>, TreeError> {
    if let Some((path, _)) = files.iter().find(|(path, made)| {
        let is_folder = |path: &Path| entries.get(path).is_none_or(|e| e.kind == Kind::Folder);
        let in_the_way = match made.kind {
            Kind::Folder => !is_folder(&path.0),
            _ => root.join(&path.0).symlink_metadata().is_ok(),
        };
        let is_lost = made.kind == Kind::File && !copies_dir.join(&path.0).is_file();
        // Don't write through a link, which may lead outside the app.
        in_the_way || is_lost || !path.0.ancestors().skip(1).all(is_folder)
    }) {
        return Ok(Err(&path.0));
    }
    let all = |kind| files.iter().filter(move |(_, made)| made.kind == kind);
    for (path, _) in all(Kind::Folder) {
        let place = root.join(&path.0);
        fs::create_dir_all(&place).map_err(TreeError::at(&place, "create the folder"))?;
    }
    let items: Vec<(&Path, PathBuf)> = all(Kind::File)
        .map(|(path, _)| (path.0.as_path(), copies_dir.join(&path.0)))
        .collect();
    let items = items.iter().map(|(path, place)| (*path, place.as_path()));
    tree::gather(items, root, Method::Copy)?;
    for (path, made) in all(Kind::Link) {
        let place = root.join(&path.0);
        let target = made
            .target
            .as_ref()
            .map_or(Path::new(""), |target| &target.0);
        let folder = place.parent().unwrap_or(root);
        fs::create_dir_all(folder)
            .and_then(|()| symlink(target, &place))
            .map_err(TreeError::at(&place, "link"))?;
    }
    // Children come first: adding them changes the directory's time, and its mode may forbid it.
    for (path, made) in files
        .iter()
        .rev()
        .filter(|(_, made)| made.kind != Kind::Link)
    {
        let place = root.join(&path.0);
        restore_metadata(&place, made).map_err(TreeError::at(&place, "set the time of"))?;
    }
    Ok(Ok(()))
}

fn restore_metadata(place: &Path, made: &GeneratedFile) -> std::io::Result<()> {
    let (seconds, nanos) = made.modified;
    let since = u64::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
    let since = since.map(|(seconds, nanos)| Duration::new(seconds, nanos));
    let time = since.and_then(|since| UNIX_EPOCH.checked_add(since));
    File::open(place)?.set_modified(time.unwrap_or_else(SystemTime::now))?;
    fs::set_permissions(place, Permissions::from_mode(made.mode))
}

#[cfg(test)]
mod tests;
