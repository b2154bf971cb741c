//! `cargo xtask fixtures`: maintains the directory `fixtures`.

mod locked;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mirror::git_package::{self, GitError};
use mirror::hex_package::{self, HexPackage, PackError};
use walkdir::WalkDir;

use locked::Entry;

const USAGE: &str = "cargo xtask fixtures lock";

/// An error of maintaining the fixtures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("usage: {USAGE}")]
    Usage,
    #[error("cannot use {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("{file}:{line}: no package of the fixtures: {text}", file = file.display())]
    UnknownPackage {
        file: PathBuf,
        line: usize,
        text: String,
    },
}

/// The directory `fixtures` of this checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Runs `cargo xtask fixtures ARGS`.
pub(crate) fn run(args: &[OsString]) -> Result<(), Error> {
    let args: Vec<_> = args.iter().map(OsString::as_os_str).collect();
    match *args.as_slice() {
        [command] if command == "lock" => {
            for (file, text) in locks(&root())? {
                fs::write(&file, text).map_err(io_error(&file))?;
            }
            Ok(())
        }
        _ => Err(Error::Usage),
    }
}

/// Returns every fixture's `mix.lock` with its correct contents: checksums, requirements and commits of the packages
/// in `root`, and names and versions from the file.
fn locks(root: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let packages: BTreeMap<_, _> = hex_package::pack_all(&root.join("packages"))?
        .into_iter()
        .map(|package| ((package.name.clone(), package.version.clone()), package))
        .collect();

    let mut locks = Vec::new();
    // In the root of a fixture, or in its app directory.
    for entry in WalkDir::new(root).max_depth(3).sort_by_file_name() {
        let entry = entry.map_err(|error| io_error(root)(error.into()))?;
        if entry.file_type().is_file() && entry.file_name() == "mix.lock" {
            let file = entry.into_path();
            let text = fs::read_to_string(&file).map_err(io_error(&file))?;
            let text = relock(root, &file, &text, &packages)?;
            locks.push((file, text));
        }
    }
    Ok(locks)
}

fn relock(
    root: &Path,
    file: &Path,
    text: &str,
    packages: &BTreeMap<(String, String), HexPackage>,
) -> Result<String, Error> {
    let mut lines = String::new();
    for (index, line) in text.lines().enumerate() {
        let unknown = || Error::UnknownPackage {
            file: file.to_owned(),
            line: index + 1,
            text: line.to_owned(),
        };
        let line = match Entry::parse(line) {
            Some(Entry::Hex { name, version }) => packages
                .get(&(name.to_owned(), version.to_owned()))
                .ok_or_else(unknown)?
                .lock_line(),
            Some(Entry::Git { url, commit }) => {
                let name = url.rsplit('/').next().unwrap_or(url);
                let sources = root
                    .join("packages-git")
                    .join(name.trim_end_matches(".git"));
                if !sources.is_dir() {
                    return Err(unknown());
                }
                let repository = tempfile::tempdir().map_err(io_error(&sources))?;
                let made = git_package::make_bare(&sources, &repository.path().join(name))?;
                line.replacen(&format!("\"{commit}\""), &format!("\"{made}\""), 1)
            }
            None => line.to_owned(),
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    Ok(lines)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_locks_are_up_to_date() {
        let locks = locks(&root()).unwrap();
        assert!(locks.len() >= 9, "only {} locks were found", locks.len());
        for (file, text) in locks {
            let committed = fs::read_to_string(&file).unwrap();
            assert_eq!(
                committed,
                text,
                "{} is stale: cargo xtask fixtures lock",
                file.display()
            );
        }
    }

    #[test]
    fn relock_names_line_of_unknown_package() {
        let text = "%{\n  \"nothing\": {:hex, :nothing, \"1.0.0\"},\n}\n";
        let file = Path::new("mix.lock");
        let error = relock(&root(), file, text, &BTreeMap::new()).unwrap_err();
        assert!(
            matches!(error, Error::UnknownPackage { line: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn run_rejects_unknown_arguments() {
        for args in [&["unlock"][..], &["lock", "all"]] {
            let args: Vec<_> = args.iter().map(OsString::from).collect();
            assert!(matches!(run(&args), Err(Error::Usage)), "{args:?}");
        }
    }
}
