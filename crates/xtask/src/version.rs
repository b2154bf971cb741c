//! The version of a release, which is the same in Cargo.toml, buildpack.toml and the changelog.

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

/// The text before the version in pages: names of packages, tags, lines of logs.
const BEFORE: [&str; 6] = [
    "mixpack-",
    "mixpack:",
    "mixpack.git#v",
    "Mixpack ",
    "/download/v",
    "id = \"mixpack/mixpack\"\nversion = \"",
];

/// Returns the version of `Cargo.toml`. Fails if that of `buildpack.toml`, the newest in `CHANGELOG.md`, or one in
/// `README.md` and `docs` differs.
pub(crate) fn agrees(root: &Path) -> Result<String> {
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
    let mut others: Vec<(String, String)> = others
        .into_iter()
        .map(|(name, other)| (name.to_owned(), other))
        .collect();
    for name in pages(root)? {
        let text = read(&name)?;
        others.extend(versions_in(&text).map(|other| (name.clone(), other)));
    }
    for (name, other) in others {
        if other != version {
            return Err(format!("Cargo.toml is of version {version}, {name} of {other}").into());
        }
    }
    Ok(version)
}

fn pages(root: &Path) -> Result<Vec<String>> {
    let mut pages = Vec::new();
    for (dir, below) in [(root.to_owned(), ""), (root.join("docs"), "docs/")] {
        let entries = fs::read_dir(dir).into_iter().flatten();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // The changelog has all versions.
            if Path::new(&name).extension().is_some_and(|end| end == "md") && name != "CHANGELOG.md"
            {
                pages.push(format!("{below}{name}"));
            }
        }
    }
    pages.sort();
    Ok(pages)
}

fn versions_in(page: &str) -> impl Iterator<Item = String> {
    let behind = BEFORE.iter().flat_map(|before| page.split(before).skip(1));
    behind.filter_map(|text| {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let version = text[..end.unwrap_or(text.len())].trim_end_matches('.');
        version.contains('.').then(|| version.to_owned())
    })
}

/// Returns the section of a changelog about a version, without its heading.
pub(crate) fn notes<'a>(changes: &'a str, version: &str) -> Option<&'a str> {
    let (_, rest) = changes.split_once(&format!("\n## [{version}]"))?;
    let (_, rest) = rest.split_once('\n')?;
    let end = rest.find("\n## ").unwrap_or(rest.len());
    Some(rest[..end].trim()).filter(|notes| !notes.is_empty())
}

/// Returns the newest version of a changelog in the format of keepachangelog.com: the newest version is first, after
/// unreleased changes.
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
    fn repository_has_one_version() {
        agrees(Places::of_this_workspace().unwrap().root()).unwrap();
    }

    #[test]
    fn version_mismatch_names_file() {
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
        fs::create_dir(dir.path().join("docs")).unwrap();
        for text in [
            "https://h/download/v1.2.3/mixpack-1.2.2-linux-amd64.tgz",
            "https://h/download/v1.2.2/mixpack-1.2.3-linux-amd64.tgz",
            "`mixpack.git#v1.2.2`",
            "-----> Mixpack 1.2.2",
            "docker://h/mixpack:1.2.2.",
        ] {
            write("docs/page.md", text);
            let error = agrees(dir.path()).unwrap_err().to_string();
            let expected = "Cargo.toml is of version 1.2.3, docs/page.md of 1.2.2";
            assert_eq!(error, expected, "{text}");
        }
        write("docs/page.md", "Mixpack 1.2.3. mixpack-VERSION. Mixpack.");
        agrees(dir.path()).unwrap();
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
    #[test]
    fn release_notes_are_changelog_section_of_version() {
        let changes = "# Changes\n\n## Unreleased\n\n- c\n\n## [1.2.3] - 2026-11-24\n\n### Added\n\n- b\n\n## [1.2.2]\n\n";
        assert_eq!(notes(changes, "1.2.3"), Some("### Added\n\n- b"));
        assert_eq!(notes(changes, "1.2.2"), None);
        assert_eq!(notes(changes, "1.2"), None);
    }
}
