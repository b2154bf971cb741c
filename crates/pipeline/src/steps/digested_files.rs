//! Digested files of earlier deploys, which open browser pages still request. They are kept until `phx.digest.clean`
//! removes them.

use crate::context::{Context, manifest_time};
use crate::mix_info::MixInfo;
use crate::steps::{keys, mix_command};
use messages::Error;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use store::tree::{self, Method, TreeError};
use store::{Key, Restored};

const STATIC: &str = "priv/static";
const MANIFEST: &str = "cache_manifest.json";
/// The folder of the Phoenix static buildpack in the platform's cache: a whole `priv/static`.
const STATIC_BUILDPACK_CACHE: &str = "phoenix-static";
/// The suffixes of files that the digester, or its compressors, write next to a file.
const COMPRESSED: [&str; 4] = ["", ".gz", ".br", ".zst"];

/// The files that `phx.digest` has written, from `cache_manifest.json`.
#[derive(Deserialize)]
struct Manifest {
    digests: BTreeMap<String, serde_json::Value>,
}

/// Returns the digested files in a `priv/static`, and their directories. Leaves out links: in the next build their target
/// may be gone, and then `phx.digest` fails.
fn digested_in(folder: &Path) -> BTreeSet<PathBuf> {
    let manifest = fs::read(folder.join(MANIFEST))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
    let Some(manifest) = manifest else {
        return BTreeSet::new();
    };
    let files = manifest
        .digests
        .keys()
        .flat_map(|file| COMPRESSED.map(|suffix| PathBuf::from(format!("{file}{suffix}"))));
    let mut paths = BTreeSet::from([PathBuf::from(MANIFEST)]);
    for file in files {
        paths.extend(file.ancestors().map(Path::to_owned));
    }
    paths.retain(|path| !folder.join(path).is_symlink());
    paths
}

/// The name of a Phoenix app's cache entry.
fn name(phoenix_dir: &str) -> String {
    match phoenix_dir {
        "." => "static".to_owned(),
        dir => format!("static-{}", dir.replace('/', "-")),
    }
}

/// Whether `phx.digest` has run for this Phoenix app since the build began, or since the manifest of
/// the last deploy was put in place.
pub(crate) fn digested(ctx: &Context<'_>, phoenix_dir: &str) -> bool {
    let now = manifest_time(&ctx.workspace.app, phoenix_dir);
    let state = ctx.compilation.state();
    let before = state.old_manifests.get(phoenix_dir);
    let before = before.or_else(|| ctx.manifests.get(phoenix_dir));
    now.is_some() && now != before.copied().flatten()
}

/// Whether digested files of earlier deploys are in `priv/static`.
pub(crate) fn has_old(ctx: &Context<'_>, phoenix_dir: &str) -> bool {
    let state = ctx.compilation.state();
    state.old_manifests.contains_key(phoenix_dir)
}

/// The task that removes old digested files, if it exists. Without it, old files aren't restored, since they would
/// pile up.
pub(crate) fn clean_task(ctx: &Context<'_>, info: &MixInfo) -> Option<String> {
    let task = format!("{}.digest.clean", mix_command::phoenix_ex(ctx, info));
    info.has_task(&task).then_some(task)
}

/// Restores the digested files of the last deploy. Never replaces files of the app.
pub(crate) fn restore_digested(ctx: &Context<'_>, info: &MixInfo) -> Result<(), Error> {
    if clean_task(ctx, info).is_none() {
        return Ok(());
    }
    let store = ctx.workspace.store;
    for assets in &ctx.plan.assets {
        let dir = &assets.phoenix_dir;
        let place = ctx.workspace.real(&Path::new(dir).join(STATIC));
        let scratch = tempfile::tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let saved = scratch.path().join("kept");
        let restored = store.restore(&keys::entry_name(ctx, &name(dir)), &Key::new(), &saved)?;
        let old = store
            .shared()
            .map(|cache| cache.join(STATIC_BUILDPACK_CACHE));
        let (from, whose) = match (restored, old.filter(|old| old.is_dir())) {
            (Restored::Copied(_), _) => (saved, "of the last deploy"),
            (_, Some(old)) if ctx.plan.assets.len() == 1 => {
                (old, "that the Phoenix static buildpack kept")
            }
            _ => continue,
        };
        let digested = digested_in(&from);
        if digested.is_empty() {
            continue;
        }
        let amount = tree::transfer(&from, &place, Method::Copy, |path| {
            let there = place.join(path);
            let fits = from.join(path).is_dir() || !there.exists();
            digested.contains(path) && fits && ctx.bounds.target_outside(&there).is_none()
        })?;
        let log = ctx.log.step("Restoring digested files");
        log.detail(&format!("{} {whose}", amount.files));
        let time = manifest_time(&ctx.workspace.app, dir);
        let mut state = ctx.compilation.state();
        state.old_manifests.insert(dir.clone(), time);
    }
    Ok(())
}

/// Caches the digested files of this build, and those that remain from earlier ones.
pub(crate) fn save_digested(ctx: &Context<'_>, info: &MixInfo) -> Result<(), Error> {
    for assets in &ctx.plan.assets {
        let dir = &assets.phoenix_dir;
        let from = ctx.workspace.real(&Path::new(dir).join(STATIC));
        let digested = digested_in(&from);
        if digested.is_empty() || clean_task(ctx, info).is_none() {
            continue;
        }
        let scratch = tempfile::tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let chosen = scratch.path().join("chosen");
        tree::transfer(&from, &chosen, Method::Copy, |path| digested.contains(path))?;
        ctx.workspace.store.save(
            &keys::entry_name(ctx, &name(dir)),
            &Key::new(),
            &chosen,
            &[],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digested_files_are_those_in_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let json = r#"{"version":1,"latest":{"js/a.js":"js/a-1.js"},"digests":{"js/a-1.js":{}}}"#;
        fs::write(dir.path().join(MANIFEST), json).unwrap();
        let digested = digested_in(dir.path());
        for path in ["", "js", "js/a-1.js", "js/a-1.js.gz", MANIFEST] {
            assert!(digested.contains(Path::new(path)), "{path}");
        }
        assert!(!digested.contains(Path::new("js/a.js")));
        std::os::unix::fs::symlink("gone", dir.path().join("js")).unwrap();
        assert!(!digested_in(dir.path()).contains(Path::new("js")));
        fs::write(dir.path().join(MANIFEST), "not JSON").unwrap();
        assert!(digested_in(dir.path()).is_empty());
    }
}
