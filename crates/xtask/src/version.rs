//! The version of a release: cargo's, the buildpack's and the change log's are one.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::process::Result;

#[derive(Deserialize)]
struct Workspace {
    workspace: WorkspaceTable,
}

#[derive(Deserialize)]
struct WorkspaceTable {
    package: Versioned,
}

#[derive(Deserialize)]
struct Buildpack {
    buildpack: Versioned,
}

#[derive(Deserialize)]
struct Versioned {
    version: String,
}

/// Compares the version of `Cargo.toml` with that of `buildpack.toml`, where there is one, and with
/// the newest in `CHANGELOG.md`.
pub(crate) fn agrees(root: &Path) -> Result {
    let read = |name: &str| {
        fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let workspace: Workspace = toml::from_str(&read("Cargo.toml")?)?;
    let version = workspace.workspace.package.version;
    let mut others = Vec::new();
    if root.join("buildpack.toml").exists() {
        let buildpack: Buildpack = toml::from_str(&read("buildpack.toml")?)?;
        others.push(("buildpack.toml", buildpack.buildpack.version));
    }
    let changes = read("CHANGELOG.md")?;
    let newest = newest(&changes).ok_or("CHANGELOG.md has no heading `## [VERSION] - DATE`")?;
    others.push(("CHANGELOG.md", newest.to_owned()));
    for (name, other) in others {
        if other != version {
            return Err(format!("Cargo.toml is of version {version}, {name} of {other}").into());
        }
    }
    Ok(())
}

/// The newest version of a change log in the form of keepachangelog.com, which has the newest
/// first and above it what is not released.
fn newest(changes: &str) -> Option<&str> {
    changes
        .lines()
        .filter_map(|line| line.strip_prefix("## [")?.split_once(']'))
        .map(|(version, _)| version)
        .find(|version| *version != "Unreleased")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchains::Places;

    #[test]
    fn the_version_of_this_repository_is_the_same_everywhere() {
        agrees(Places::of_this_workspace().unwrap().root()).unwrap();
    }

    #[test]
    fn a_version_that_differs_is_named_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("Cargo.toml", "[workspace.package]\nversion = '1.2.3'");
        write(
            "CHANGELOG.md",
            "# Changes\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-24\n\n## [1.2.2]\n",
        );
        agrees(dir.path()).unwrap();
        write("buildpack.toml", "[buildpack]\nversion = '1.3.0'");
        let error = agrees(dir.path()).unwrap_err().to_string();
        assert_eq!(
            error,
            "Cargo.toml is of version 1.2.3, buildpack.toml of 1.3.0"
        );
        write("buildpack.toml", "[buildpack]\nversion = '1.2.3'");
        write(
            "CHANGELOG.md",
            "## [Unreleased]\n\n## [1.2.2] - 2026-11-01\n",
        );
        let error = agrees(dir.path()).unwrap_err().to_string();
        assert_eq!(
            error,
            "Cargo.toml is of version 1.2.3, CHANGELOG.md of 1.2.2"
        );
    }
}
