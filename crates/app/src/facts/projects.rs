//! The mix projects of the repository.

use super::error::ReadError;
use super::files::{in_any_encoding, optional};
use super::mix_exs::MixExs;
use super::paths::join;
use std::path::Path;
use walkdir::WalkDir;

/// A mix project in the app's directory: the root, an umbrella child, or a path dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixProject {
    /// The directory, relative to the root of the repository. The root is `.`.
    pub dir: String,
    pub guess: MixExs,
}

/// Directories that a build creates or fetches. A `mix.exs` in them is not a project of the user.
const GENERATED_DIRS: [&str; 8] = [
    "deps",
    "_build",
    "node_modules",
    ".git",
    ".platform_tools",
    ".mix",
    ".hex",
    ".heroku",
];

/// Reads the projects in `app` and below. That of `app` comes first.
pub(super) fn read(dir: &Path, app: &str) -> Result<Vec<MixProject>, ReadError> {
    let mut projects = Vec::new();
    for project in project_dirs(dir, app) {
        let path = join(&project, "mix.exs");
        // Other projects may not be part of the app, such as templates and test fixtures.
        let text = if project == app {
            optional(dir, &path)?
        } else {
            in_any_encoding(dir, &path)?.map(|(text, _)| text)
        };
        if let Some(text) = text {
            projects.push(MixProject {
                guess: MixExs::guess(&path, &text),
                dir: project,
            });
        }
    }
    Ok(projects)
}

/// Returns the directories with a `mix.exs` of the user in `app` and below, relative to `dir`: `app` first.
#[must_use]
pub(super) fn project_dirs(dir: &Path, app: &str) -> Vec<String> {
    let mut found = with_mix_exs(&dir.join(app), 4);
    found.sort();
    let found = found.into_iter().map(|found| join(app, &found));
    std::iter::once(app.to_owned()).chain(found).collect()
}

/// Returns the other directories with a `mix.exs` in the repository. Path dependencies may be deeper than umbrella
/// children.
pub(super) fn sibling_projects(dir: &Path, app: &str) -> Vec<String> {
    if app == "." {
        return Vec::new();
    }
    let mut found = with_mix_exs(dir, 6);
    found.retain(|found| !Path::new(found).starts_with(app));
    found.sort();
    found
}

/// Returns the directories with a `mix.exs` of the user below `dir`, relative to it.
fn with_mix_exs(dir: &Path, depth: usize) -> Vec<String> {
    WalkDir::new(dir)
        .min_depth(1)
        .max_depth(depth)
        .into_iter()
        .filter_entry(|entry| {
            !(entry.file_type().is_dir()
                && entry
                    .file_name()
                    .to_str()
                    .is_some_and(|name| GENERATED_DIRS.contains(&name)))
        })
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file() && entry.file_name() == "mix.exs")
        .filter_map(|entry| {
            let parent = entry.path().parent()?.strip_prefix(dir).ok()?.to_str()?;
            (!parent.is_empty()).then(|| parent.to_owned())
        })
        .collect()
}
