//! The executables that the Hex packages esbuild, tailwind, `dart_sass` and bun download to `_build`. They are cached
//! separately, because hooks remove them from the slug (`rm -f _build/esbuild*` in Phoenix's guide), and the next
//! build would have to download them again.

use crate::context::Context;
use messages::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::tree::{self, TreeError};
use toolchain::packed;

/// The number of cached versions of an executable: profiles of tailwind may each have their own.
const MAX_VERSIONS: usize = 2;

/// The extension of compressed executables.
const PACKED: &str = "zst";

/// The directories below `XDG_CACHE_HOME` to which these packages unpack downloads. They empty them first, so the
/// files are never reused.
const UNPACKED: [&str; 3] = ["phx-esbuild", "phx-bun", "cs-sass"];

/// Returns the package of an executable directly in `_build`, or compressed, by its name: `esbuild-linux-x64`, `bun`,
/// `tailwind-linux-x64-4.1.7`.
fn package_of(name: &str) -> Option<&'static str> {
    let name = name.strip_suffix(".zst").unwrap_or(name);
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

fn is_packed(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == PACKED)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
}

/// The oldest executables of each tool, beyond [`MAX_VERSIONS`].
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

/// The names of the executables, which the cached `_build` leaves out.
pub(crate) fn executable_names(ctx: &Context<'_>) -> Vec<String> {
    let names = executables(ctx).into_iter();
    names
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .collect()
}

/// Unpacks the cached executables to `_build`. Removes damaged ones, so that their packages download them again.
pub(crate) fn restore_executables(ctx: &Context<'_>) -> Result<(), Error> {
    let cached = ctx.workspace.store.scratch("executables")?;
    let place = ctx.workspace.real(&ctx.in_app("_build"));
    for packed in executables_in(&cached) {
        let (Some(name), true) = (packed.file_stem(), is_packed(&packed)) else {
            continue;
        };
        let executable = place.join(name);
        if fs::symlink_metadata(&executable).is_ok() {
            continue;
        }
        fs::create_dir_all(&place).map_err(TreeError::at(&place, "create the folder"))?;
        match packed::expand(&packed, &executable) {
            Err(error) if error.raw_os_error().is_none() => {
                tree::remove(&packed)?;
                tree::remove(&executable)?;
            }
            result => result.map_err(TreeError::at(&packed, "unpack"))?,
        }
    }
    Ok(())
}

/// Saves the executables compressed: some have over 100 MB, and a platform packs and moves the cache in each build.
pub(crate) fn save_executables(ctx: &Context<'_>) -> Result<(), Error> {
    let cached = ctx.workspace.store.scratch("executables")?;
    for path in executables(ctx) {
        let Some(name) = path.file_name() else {
            continue;
        };
        let place = cached.join(name).with_added_extension(PACKED);
        if modified(&place) == modified(&path) {
            continue;
        }
        // Renamed when complete: an incomplete copy must never be used.
        let staged = cached.join("new");
        packed::compress(&path, &staged).map_err(TreeError::at(&path, "compress"))?;
        fs::rename(&staged, &place).map_err(TreeError::at(&place, "write"))?;
    }
    let all = executables_in(&cached).into_iter();
    let not_packed = all.filter(|path| !is_packed(path));
    for path in not_packed.chain(outdated(&cached)) {
        tree::remove(&path)?;
    }
    Ok(())
}

/// Removes the packages' unpacked downloads. [`save_executables`] has saved their executables.
pub(crate) fn remove_unpacked(ctx: &Context<'_>) -> Result<(), Error> {
    let user_cache = ctx.workspace.store.scratch("xdg")?;
    for name in UNPACKED {
        tree::remove(&user_cache.join(name))?;
    }
    Ok(())
}

/// Removes the executables from the slug, since no dyno runs them and each has tens of megabytes.
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
            ("tailwind-linux-x64-4.1.6.zst", 3),
            ("tailwind-linux-x64-4.1.7.zst", 2),
            ("tailwind-linux-x64-4.1.8.zst", 1),
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
            [dir.path().join("tailwind-linux-x64-4.1.6.zst")]
        );
    }
}
