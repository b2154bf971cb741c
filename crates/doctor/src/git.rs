//! The files that git tracks, read from its index. Git itself isn't run: a repository's own configuration could
//! start programs.
//!
//! The format is that of `Documentation/gitformat-index.txt`, versions 2 to 4.

use app::text_file;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What git knows about the files below a directory.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    /// `None` without a readable repository.
    files: Option<BTreeSet<String>>,
    /// The patterns of the `.gitignore` files in the directory and in the app's.
    ignored: Vec<String>,
}

impl Tracked {
    pub(crate) fn read(top: &Path, app_dir: &str) -> Self {
        let mut ignored = Vec::new();
        for dir in BTreeSet::from([".", app_dir]) {
            let text = text_file::read(&top.join(dir).join(".gitignore")).unwrap_or_default();
            let lines = text.lines().map(str::trim);
            let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            ignored.extend(lines.map(|line| match dir {
                "." => line.to_owned(),
                dir if line.trim_end_matches('/').contains('/') => {
                    format!("{dir}/{}", line.trim_start_matches('/'))
                }
                _ => line.to_owned(),
            }));
        }
        Self {
            files: index_of(top),
            ignored,
        }
    }

    /// Whether a push sends the file: git tracks it, or, without a repository, no pattern ignores it.
    pub(crate) fn is_pushed(&self, path: &str) -> bool {
        match &self.files {
            Some(files) => files.contains(path),
            None => !self.is_ignored(path),
        }
    }

    /// Whether git is certain to track the file.
    pub(crate) fn is_tracked(&self, path: &str) -> bool {
        self.files
            .as_ref()
            .is_some_and(|files| files.contains(path))
    }

    pub(crate) fn is_ignored(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        let matches = |pattern: &str| {
            let inner = pattern.trim_end_matches('/');
            match inner.strip_prefix('/') {
                Some(anchored) => fast_glob::glob_match(anchored, path),
                None if inner.contains('/') => fast_glob::glob_match(inner, path),
                None => fast_glob::glob_match(inner, name) && pattern == inner,
            }
        };
        // The last pattern that matches decides.
        let mut patterns = self.ignored.iter().rev();
        let last = patterns.find(|line| matches(line.strip_prefix('!').unwrap_or(line)));
        last.is_some_and(|line| !line.starts_with('!'))
    }
}

/// Reads the index of the repository that contains a directory: the paths below the directory.
fn index_of(top: &Path) -> Option<BTreeSet<String>> {
    let top = fs::canonicalize(top).ok()?;
    let (root, git) = top.ancestors().find_map(|dir| Some((dir, git_dir(dir)?)))?;
    let prefix = top.strip_prefix(root).ok()?.to_str()?.to_owned();
    // Repositories with another hash function have longer hashes.
    let config = text_file::read(&git.join("config")).unwrap_or_default();
    if config.to_ascii_lowercase().contains("objectformat") {
        return None;
    }
    let paths = paths(&fs::read(git.join("index")).ok()?)?;
    if prefix.is_empty() {
        return Some(paths.into_iter().collect());
    }
    let below = |path: String| Some(path.strip_prefix(&prefix)?.strip_prefix('/')?.to_owned());
    let paths: BTreeSet<String> = paths.into_iter().filter_map(below).collect();
    // Without tracked files, this is a directory in another repository, such as a copy in its `_build`.
    (!paths.is_empty()).then_some(paths)
}

/// Returns the git directory of a repository. In a worktree, a file contains its path.
fn git_dir(dir: &Path) -> Option<PathBuf> {
    let git = dir.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = text_file::read(&git).ok()?;
    Some(dir.join(text.strip_prefix("gitdir:")?.trim()))
}

/// The paths of an index. `None` if it has another format.
fn paths(index: &[u8]) -> Option<Vec<String>> {
    let number = |at: usize| Some(u32::from_be_bytes(*index.get(at..)?.first_chunk()?));
    let version = number(4)?;
    if !index.starts_with(b"DIRC") || !(2..=4).contains(&version) {
        return None;
    }
    let mut at = 12;
    let mut paths = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    for _ in 0..number(8)? {
        let flags = index.get(at + 60)?;
        let extended = version > 2 && flags & 0x40 != 0;
        let start = at + if extended { 64 } else { 62 };
        let (kept, name) = if version == 4 {
            let (dropped, length) = variable_width(index.get(start..)?)?;
            (last.len().checked_sub(dropped)?, start + length)
        } else {
            (0, start)
        };
        let end = name + index.get(name..)?.iter().position(|byte| *byte == 0)?;
        last.truncate(kept);
        last.extend_from_slice(&index[name..end]);
        paths.push(String::from_utf8_lossy(&last).into_owned());
        at = if version == 4 {
            end + 1
        } else {
            at + (end - at) / 8 * 8 + 8
        };
    }
    // Other files contain the rest of a split or sparse index.
    while let Some(name) = index.get(at..at + 4).filter(|_| at + 28 <= index.len()) {
        if name == b"link" || name == b"sdir" {
            return None;
        }
        at += 8 + usize::try_from(number(at + 4)?).ok()?;
    }
    Some(paths)
}

/// Reads a number in the encoding of git's pack files. Returns it with its length in bytes.
fn variable_width(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = usize::from(bytes.first()? & 0x7f);
    let mut length = 1;
    while bytes.get(length - 1)? & 0x80 != 0 {
        let next = *bytes.get(length)?;
        value = value.checked_add(1)?.checked_mul(128)? + usize::from(next & 0x7f);
        length += 1;
    }
    Some((value, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn git(dir: &Path, args: &[&str]) {
        let output = Command::new("git")
            .args(args)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}");
    }

    #[test]
    fn every_version_of_the_index_lists_the_tracked_files() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "app/config/prod.exs",
            "app/config/prod.secret.exs",
            "app/mix.exs",
            "a",
        ];
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        fs::write(dir.path().join("untracked"), "").unwrap();
        git(dir.path(), &["init", "--quiet"]);
        for version in ["2", "3", "4"] {
            git(dir.path(), &["add", files[0], files[1], files[2], files[3]]);
            git(
                dir.path(),
                &[
                    "update-index",
                    "--force-write-index",
                    "--index-version",
                    version,
                ],
            );
            let tracked = Tracked::read(dir.path(), ".");
            assert!(
                files.iter().all(|file| tracked.is_pushed(file)),
                "{version}"
            );
            assert!(!tracked.is_pushed("untracked"), "{version}");
            let below = Tracked::read(&dir.path().join("app"), ".");
            assert!(below.is_tracked("mix.exs") && !below.is_tracked("a"));
        }
        git(dir.path(), &["update-index", "--split-index"]);
        assert_eq!(index_of(dir.path()), None);
    }

    #[test]
    fn patterns_decide_without_a_repository() {
        let dir = tempfile::tempdir().unwrap();
        let patterns = "# x\n/config/*.secret.exs\n.env\n/_build/\n!/config/kept.secret.exs\n";
        fs::write(dir.path().join(".gitignore"), patterns).unwrap();
        let tracked = Tracked {
            files: None,
            ..Tracked::read(dir.path(), ".")
        };
        assert!(!tracked.is_pushed("config/prod.secret.exs"));
        assert!(!tracked.is_pushed("apps/web/.env"));
        assert!(tracked.is_pushed("config/kept.secret.exs"));
        assert!(tracked.is_pushed("config/prod.exs"));
        assert!(tracked.is_pushed("apps/web/config/prod.secret.exs"));
        assert!(!tracked.is_tracked("config/prod.exs"));
    }

    #[test]
    fn truncated_index_is_no_index() {
        assert_eq!(paths(b"DIRC"), None);
        assert_eq!(paths(b"DIRC\0\0\0\x02\0\0\0\x01short"), None);
        assert_eq!(paths(b"DIRC\0\0\0\x02\0\0\0\0"), Some(Vec::new()));
    }
}
