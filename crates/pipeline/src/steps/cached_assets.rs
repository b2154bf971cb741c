//! The asset cache. If no input has changed, the assets of the last build are restored, and npm installs no packages
//! for them.

use crate::context::Context;
use crate::project::{AssetFiles, BuiltAssets, LastBuild};
use crate::steps::keys::{self, Otp};
use crate::steps::{generated_files, git};
use app::facts::join;
use app::plan::{AssetBuild, StepName};
use exec::environment::is_build_specific;
use exec::log::StepLog;
use messages::Error;
use std::path::{Path, PathBuf};
use store::tree::{self, Method, TreeError};
use store::{Key, Restored, json, key_of_variables};
use workdir::app_tree::Entries;
use workdir::sources::Sources;
use workdir::variables::Salted;

/// The directory of restored assets until the asset step, relative to the app.
const RESTORED_DIR: &str = ".mixpack/assets";

/// The directory of copies of the assets, from the digest step to the save step.
const COPIES_DIR: &str = ".mixpack/chosen";

/// Returns the key with all inputs of the assets, or `None` if they are not known.
fn assets_key(ctx: &Context<'_>, pushed: &Sources, otp: Otp) -> Result<Option<Key>, Error> {
    let plan = ctx.plan;
    let by_script = |build: &AssetBuild| matches!(build, AssetBuild::CustomScript { .. });
    let is_known = plan.reuse_assets
        && plan.locked
        && plan.assets.iter().all(|assets| {
            let install = assets.install.as_ref();
            let locked = install.is_none_or(|i| i.lockfile.is_some()) && !assets.bower;
            locked && !by_script(&assets.build)
        });
    if !is_known || plan.assets.is_empty() {
        return Ok(None);
    }
    let env = keys::app_variables(ctx);
    let variables = ctx
        .workspace
        .variables(&env, |name| !is_build_specific(name))?;
    let node = plan.node.as_ref().map(|node| node.version.clone());
    let salted = Salted::of(ctx.workspace.store)?;
    let input = json::to_string(&(&plan.assets, &plan.phoenix_ex), "assets")?;
    let mut key = keys::build_key(ctx, otp)?;
    key.extend(
        [
            ("the app's files", salted.value(pushed.digest().as_bytes())),
            ("Node.js", node.unwrap_or_default()),
            ("how they are built", input),
            ("Mixpack", planning::record::VERSION.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    key.extend(key_of_variables(variables));
    Ok(Some(key))
}

/// Restores the assets of the last build, if this build has the same inputs.
pub(crate) fn restore_assets(
    ctx: &Context<'_>,
    (pushed, otp): (&Sources, Otp),
    log: &StepLog<'_>,
) -> Result<Option<Key>, Error> {
    let Some(key) = assets_key(ctx, pushed, otp)? else {
        return Ok(None);
    };
    let waiting = ctx.workspace.real(Path::new(RESTORED_DIR));
    tree::remove(&waiting)?;
    let store = ctx.workspace.store;
    match store.restore(&keys::entry_name(ctx, "assets"), &key, &waiting)? {
        Restored::Copied(_) => log.detail("assets: up to date"),
        Restored::Dropped(reasons) => {
            log.detail(&format!(
                "assets: rebuilding because {}",
                reasons.join(", ")
            ));
        }
        Restored::Nothing | Restored::InApp => {}
    }
    Ok(Some(key))
}

/// Returns whether the assets of the last build were restored.
pub(crate) fn assets_are_restored(ctx: &Context<'_>) -> bool {
    ctx.workspace.real(Path::new(RESTORED_DIR)).is_dir()
}

/// Moves restored assets to their place. Returns `false` if there are none.
pub(crate) fn place_restored_assets(ctx: &Context<'_>) -> Result<bool, Error> {
    let waiting = ctx.workspace.real(Path::new(RESTORED_DIR));
    if !waiting.is_dir() {
        return Ok(false);
    }
    let log = ctx.log.step("Building assets");
    if let Some(path) = generated_files::generated_difference(ctx) {
        // The key covers only pushed files. Files that compilation generates may have changed all the same.
        log.detail(&format!(
            "rebuilding because {}, which compilation generates, has changed",
            path.display()
        ));
        drop(log);
        tree::remove(&waiting)?;
        return Ok(false);
    }
    // Restore them where commands see them: some may be new files next to the links.
    let amount = tree::transfer(&waiting, &ctx.dir, Method::Link, |path| {
        let place = ctx.dir.join(path);
        !waiting.join(path).is_dir() || ctx.bounds.target_outside(&place).is_none()
    })?;
    tree::remove(&waiting)?;
    ctx.report.reused(StepName::Assets);
    ctx.report.reused(StepName::Digest);
    log.detail(&format!(
        "up to date: {} files restored, because sources, packages and environment are unchanged",
        amount.files
    ));
    log.detail("Set MIXPACK_REUSE_ASSETS=false to rebuild them");
    Ok(true)
}

/// Lists the files of the app before assets are built.
pub(crate) fn before_assets(ctx: &Context<'_>, restored: &LastBuild) -> Result<BuiltAssets, Error> {
    Ok(match restored.assets {
        Some(_) => BuiltAssets::Built(keys::entries(ctx)?, git::git_questions(ctx)),
        None => BuiltAssets::Unknown,
    })
}

/// Copies the built and digested assets now: later steps run in every build, so their files must not be cached.
pub(crate) fn copy_assets(ctx: &Context<'_>, built: BuiltAssets) -> Result<AssetFiles, Error> {
    let BuiltAssets::Built(before, questions) = built else {
        return Ok(AssetFiles::NotBuilt);
    };
    let now = keys::entries(ctx)?;
    let removed = before.keys().find(|path| !now.contains_key(*path));
    let result = match removed {
        _ if !git::git_questions(ctx).is_subset(&questions) => {
            Err("building them calls git".to_owned())
        }
        Some(removed) => Err(format!("building them removes {}", removed.display())),
        None => gather_assets(ctx, &before, &now).map_err(|error| error.to_string()),
    };
    Ok(match result {
        Ok(()) => AssetFiles::Copied,
        Err(why) => AssetFiles::Uncacheable(why),
    })
}

fn gather_assets(ctx: &Context<'_>, before: &Entries, now: &Entries) -> Result<(), TreeError> {
    let statics = ctx.plan.assets.iter();
    let statics = statics.map(|assets| join(&assets.phoenix_dir, "priv/static"));
    let statics: Vec<PathBuf> = statics.map(PathBuf::from).collect();
    let made = now.iter().filter(|(path, entry)| {
        let is_new = before
            .get(*path)
            .is_none_or(|before| !entry.is_unchanged_since(before));
        is_new || statics.iter().any(|dir| path.starts_with(dir))
    });
    let made = made.map(|(path, entry)| (path.as_path(), entry.place.as_path()));
    let copies = ctx.workspace.real(Path::new(COPIES_DIR));
    tree::remove(&copies)?;
    tree::gather(made, &copies, Method::Link).map(drop)
}

/// Saves the copies to the cache.
pub(crate) fn save_assets(
    ctx: &Context<'_>,
    files: &AssetFiles,
    key: Option<&Key>,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    match (files, key) {
        (AssetFiles::Copied, Some(key)) => {
            let copies = ctx.workspace.real(Path::new(COPIES_DIR));
            let name = keys::entry_name(ctx, "assets");
            let saved = ctx.workspace.store.save(&name, key, &copies, &[]);
            tree::remove(&copies)?;
            saved?;
        }
        (AssetFiles::Uncacheable(why), _) => {
            log.detail(&format!("assets: not cached because {why}"));
        }
        _ => {}
    }
    Ok(())
}
