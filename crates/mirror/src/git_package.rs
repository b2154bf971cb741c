//! Creates a bare git repository from a directory. The commit is reproducible, so its ID in a committed `mix.lock` is
//! valid on every machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The only branch of the repository.
pub const BRANCH: &str = "main";

const AUTHOR: (&str, &str) = ("Mixpack Fixtures", "fixtures@example.invalid");
const DATE: &str = "2024-01-01T00:00:00Z";

/// An error of creating a repository.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("cannot use {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("git {command} ended with {status}: {stderr}")]
    Command {
        command: String,
        status: std::process::ExitStatus,
        stderr: String,
    },
}

/// Creates the bare repository `repository`, which must not exist, with one commit on [`BRANCH`] that contains the
/// files of `sources`. It can be served as plain files ("dumb HTTP"). Returns the commit's ID, 40 hex digits.
pub fn make_bare(sources: &Path, repository: &Path) -> Result<String, GitError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| GitError::Io { path, source }
    };
    // Git runs in `sources`, so both paths must be absolute.
    let sources = fs::canonicalize(sources).map_err(io(sources))?;
    fs::create_dir_all(repository).map_err(io(repository))?;
    let repository = fs::canonicalize(repository).map_err(io(repository))?;

    let git = |args: &[&str]| run(&sources, &repository, args);
    git(&[
        "init",
        "--quiet",
        "--bare",
        "--template=",
        "--object-format=sha1",
    ])?;
    git(&["symbolic-ref", "HEAD", &format!("refs/heads/{BRANCH}")])?;
    git(&["--work-tree=.", "add", "--all", "."])?;
    let tree = git(&["write-tree"])?;
    let commit = git(&["commit-tree", "-m", "Fixture", &tree])?;
    git(&["update-ref", &format!("refs/heads/{BRANCH}"), &commit])?;
    // Dumb HTTP needs a list of references.
    git(&["update-server-info"])?;
    Ok(commit)
}

fn run(sources: &Path, repository: &Path, args: &[&str]) -> Result<String, GitError> {
    let mut command = Command::new("git");
    // The configuration of the machine, or of a git hook that calls this, must not change the commit.
    for variable in ["GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_COUNT"] {
        command.env_remove(variable);
    }
    let output = command
        .current_dir(sources)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_DIR", repository)
        .env("GIT_AUTHOR_NAME", AUTHOR.0)
        .env("GIT_AUTHOR_EMAIL", AUTHOR.1)
        .env("GIT_AUTHOR_DATE", DATE)
        .env("GIT_COMMITTER_NAME", AUTHOR.0)
        .env("GIT_COMMITTER_EMAIL", AUTHOR.1)
        .env("GIT_COMMITTER_DATE", DATE)
        .args(["-c", "core.autocrlf=false"])
        .args(args)
        .output()
        .map_err(|source| GitError::Io {
            path: PathBuf::from("git"),
            source,
        })?;
    if !output.status.success() {
        return Err(GitError::Command {
            command: args.join(" "),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_depends_only_on_files() {
        let commit_of = |content: &str| {
            let dir = tempfile::tempdir().unwrap();
            let sources = dir.path().join("sources");
            fs::create_dir(&sources).unwrap();
            fs::write(sources.join("a.txt"), content).unwrap();
            let repository = dir.path().join("a.git");
            let commit = make_bare(&sources, &repository).unwrap();
            let refs = fs::read_to_string(repository.join("info/refs")).unwrap();
            assert_eq!(refs, format!("{commit}\trefs/heads/main\n"));
            commit
        };
        let commit = commit_of("one\n");
        assert_eq!(commit, commit_of("one\n"));
        assert_ne!(commit, commit_of("two\n"));
    }

    #[test]
    fn missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let error = make_bare(&missing, &dir.path().join("a.git")).unwrap_err();
        assert!(matches!(error, GitError::Io { path, .. } if path == missing));
    }
}
