//! The executables that the packages esbuild, tailwind, `dart_sass` and bun of hex.pm fetch into
//! `_build`. They are kept apart from it: hooks remove them from the slug (`rm -f _build/esbuild*`,
//! as Phoenix' guide has it), and the next build would have to fetch them again.

use crate::context::Context;
use messages::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::tree::{self, Method, TreeError};

/// The number of cached versions of an executable: profiles of tailwind may each have their own.
const MAX_VERSIONS: usize = 2;

/// Returns the package of an executable directly in `_build`, by its name: `esbuild-linux-x64`, `bun`,
/// `tailwind-linux-x64-4.1.7`.
fn package_of(name: &str) -> Option<&'static str> {
    ["esbuild", "tailwind", "sass", "bun"]
        .into_iter()
        .find(|tool| {
            name.strip_prefix(tool)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
}

/// The executables in a folder.
fn executables_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(package_of).is_some()
        })
        .collect();
    found.sort();
    found
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
}

/// The oldest ones of each tool beyond what is kept.
fn outdated(folder: &Path) -> Vec<PathBuf> {
    let mut by_tool: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
    for path in executables_in(folder) {
        let tool = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(package_of);
        if let Some(tool) = tool {
            by_tool.entry(tool).or_default().push(path);
        }
    }
    by_tool
        .into_values()
        .flat_map(|mut paths| {
            paths.sort_by_key(|path| std::cmp::Reverse(modified(path)));
            paths.into_iter().skip(MAX_VERSIONS)
        })
        .collect()
}

fn executables(ctx: &Context<'_>) -> Vec<PathBuf> {
    executables_in(&ctx.workspace.real(&ctx.in_app("_build")))
}

/// Their names, for what is kept of `_build` without them.
pub(crate) fn executable_names(ctx: &Context<'_>) -> Vec<String> {
    let names = executables(ctx).into_iter();
    names
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .collect()
}

pub(crate) fn restore_executables(ctx: &Context<'_>) -> Result<(), Error> {
    let cached = ctx.workspace.store.scratch("executables")?;
    if !executables_in(&cached).is_empty() {
        let place = ctx.workspace.real(&ctx.in_app("_build"));
        tree::transfer(&cached, &place, Method::Copy, |path| {
            !place.join(path).exists()
        })?;
    }
    Ok(())
}

pub(crate) fn save_executables(ctx: &Context<'_>) -> Result<(), Error> {
    let cached = ctx.workspace.store.scratch("executables")?;
    for path in executables(ctx) {
        let Some(name) = path.file_name() else {
            continue;
        };
        let place = cached.join(name);
        if modified(&place) == modified(&path) {
            continue;
        }
        // Renamed when complete: an incomplete copy must never be used.
        let staged = cached.join("new").join(name);
        tree::remove(&cached.join("new"))?;
        let only = |other: &Path| other == Path::new(name);
        if let Some(folder) = path.parent() {
            tree::transfer(folder, &cached.join("new"), Method::Copy, only)?;
        }
        fs::rename(&staged, &place).map_err(TreeError::at(&place, "write"))?;
        tree::remove(&cached.join("new"))?;
    }
    for path in outdated(&cached) {
        tree::remove(&path)?;
    }
    Ok(())
}

/// No dyno runs them, and they are tens of megabytes each.
pub(crate) fn drop_executables(ctx: &Context<'_>) -> Result<(), Error> {
    for path in executables(ctx) {
        tree::remove(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn keeps_newest_two_of_each_executable() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bun-env")).unwrap();
        let now = SystemTime::now();
        for (name, age) in [
            ("esbuild-linux-x64", 9),
            ("tailwind-linux-x64-4.1.6", 3),
            ("tailwind-linux-x64-4.1.7", 2),
            ("tailwind-linux-x64-4.1.8", 1),
            ("bun", 0),
            ("bundle.txt", 0),
            ("sass-linux-x64", 0),
        ] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        assert_eq!(executables_in(dir.path()).len(), 6);
        assert_eq!(
            outdated(dir.path()),
            [dir.path().join("tailwind-linux-x64-4.1.6")]
        );
    }
}
