//! Built assets from one build to the next: where nothing that they are made of has changed, they
//! need not be made again, and what npm installs need not be there.

use crate::context::Context;
use crate::project::{AssetFiles, BuiltAssets, LastBuild};
use crate::steps::keys::{self, Otp};
use crate::steps::{generated, git};
use app::facts::join;
use app::plan::{AssetBuild, StepName};
use exec::environment::tells_builds_apart;
use exec::log::StepLog;
use messages::Error;
use std::path::{Path, PathBuf};
use store::tree::{self, Method, TreeError};
use store::{Key, Restored, json, key_of_variables};
use workdir::app_tree::Entries;
use workdir::sources::Sources;
use workdir::variables::Salted;

/// Where they are until the asset step takes them, relative to the app.
const WAITING: &str = ".mixpack/assets";

/// Where they are from the end of the digest step to that of saving.
const ASIDE: &str = ".mixpack/chosen";

/// Everything that the assets are made of, if that can be told.
fn assets_key(ctx: &Context<'_>, pushed: &Sources, otp: Otp) -> Result<Option<Key>, Error> {
    let plan = ctx.plan;
    let by_script = |build: &AssetBuild| matches!(build, AssetBuild::CustomScript { .. });
    let told = plan.reuse_assets
        && plan.locked
        && plan.assets.iter().all(|assets| {
            let install = assets.install.as_ref();
            let locked = install.is_none_or(|i| i.lockfile.is_some()) && !assets.bower;
            locked && !by_script(&assets.build)
        });
    if !told || plan.assets.is_empty() {
        return Ok(None);
    }
    let env = keys::seen_by_the_app(ctx);
    let variables = ctx
        .workspace
        .variables(&env, |name| !tells_builds_apart(name))?;
    let node = plan.node.as_ref().map(|node| node.version.clone());
    let salted = Salted::of(ctx.workspace.store)?;
    let how = json::to_string(&(&plan.assets, &plan.phoenix_ex), "assets")?;
    let mut key = keys::build_key(ctx, otp)?;
    key.extend(
        [
            ("the app's files", salted.value(pushed.digest().as_bytes())),
            ("Node.js", node.unwrap_or_default()),
            ("how they are built", how),
            ("Mixpack", planning::record::VERSION.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    key.extend(key_of_variables(variables));
    Ok(Some(key))
}

/// Takes the assets of the last build, if this one would make the same.
pub(crate) fn restore_assets(
    ctx: &Context<'_>,
    (pushed, otp): (&Sources, Otp),
    log: &StepLog<'_>,
) -> Result<Option<Key>, Error> {
    let Some(key) = assets_key(ctx, pushed, otp)? else {
        return Ok(None);
    };
    let waiting = ctx.workspace.real(Path::new(WAITING));
    tree::remove(&waiting)?;
    let store = ctx.workspace.store;
    match store.restore(&keys::kept_as(ctx, "assets"), &key, &waiting)? {
        Restored::Taken(_) => log.detail("assets: up to date"),
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

/// Whether the assets of the last build are there to be used.
pub(crate) fn assets_are_kept(ctx: &Context<'_>) -> bool {
    ctx.workspace.real(Path::new(WAITING)).is_dir()
}

/// Puts them in place; `false` where there are none.
pub(crate) fn place_kept_assets(ctx: &Context<'_>) -> Result<bool, Error> {
    let waiting = ctx.workspace.real(Path::new(WAITING));
    if !waiting.is_dir() {
        return Ok(false);
    }
    let log = ctx.log.step("Building assets");
    if let Some(path) = generated::generated_difference(ctx) {
        // The key is of what was pushed; what compiling makes of that may be new all the same.
        log.detail(&format!(
            "rebuilding because {}, which compilation generates, has changed",
            path.display()
        ));
        drop(log);
        tree::remove(&waiting)?;
        return Ok(false);
    }
    // Where commands see them: a file beside the links may be among them.
    let amount = tree::transfer(&waiting, &ctx.dir, Method::Link, |path| {
        let place = ctx.dir.join(path);
        !waiting.join(path).is_dir() || ctx.bounds.leads_out(&place).is_none()
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

/// Remembers what the app looks like before assets are built.
pub(crate) fn before_assets(ctx: &Context<'_>, restored: &LastBuild) -> Result<BuiltAssets, Error> {
    Ok(match restored.assets {
        Some(_) => BuiltAssets::Built(keys::entries(ctx)?, git::git_questions(ctx)),
        None => BuiltAssets::Unknown,
    })
}

/// Sets aside what building the assets has made, digested files included: the steps that follow
/// run in every build, and what they make isn't kept.
pub(crate) fn set_assets_aside(ctx: &Context<'_>, built: BuiltAssets) -> Result<AssetFiles, Error> {
    let BuiltAssets::Built(before, asked) = built else {
        return Ok(AssetFiles::NotBuilt);
    };
    let now = keys::entries(ctx)?;
    let gone = before.keys().find(|path| !now.contains_key(*path));
    let result = match gone {
        _ if !git::git_questions(ctx).is_subset(&asked) => {
            Err("building them calls git".to_owned())
        }
        Some(gone) => Err(format!("building them removes {}", gone.display())),
        None => gather_assets(ctx, &before, &now).map_err(|error| error.to_string()),
    };
    Ok(match result {
        Ok(()) => AssetFiles::SetAside,
        Err(why) => AssetFiles::NotKept(why),
    })
}

fn gather_assets(ctx: &Context<'_>, before: &Entries, now: &Entries) -> Result<(), TreeError> {
    let statics = ctx.plan.assets.iter();
    let statics = statics.map(|assets| join(&assets.phoenix_dir, "priv/static"));
    let statics: Vec<PathBuf> = statics.map(PathBuf::from).collect();
    let made = now.iter().filter(|(path, entry)| {
        let is_new = before.get(*path).is_none_or(|before| !entry.is_as(before));
        is_new || statics.iter().any(|dir| path.starts_with(dir))
    });
    let made = made.map(|(path, entry)| (path.as_path(), entry.place.as_path()));
    let aside = ctx.workspace.real(Path::new(ASIDE));
    tree::remove(&aside)?;
    tree::gather(made, &aside, Method::Link).map(drop)
}

/// Keeps what was set aside.
pub(crate) fn save_assets(
    ctx: &Context<'_>,
    files: &AssetFiles,
    key: Option<&Key>,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    match (files, key) {
        (AssetFiles::SetAside, Some(key)) => {
            let aside = ctx.workspace.real(Path::new(ASIDE));
            let name = keys::kept_as(ctx, "assets");
            let saved = ctx.workspace.store.save(&name, key, &aside, &[]);
            tree::remove(&aside)?;
            saved?;
        }
        (AssetFiles::NotKept(why), _) => {
            log.detail(&format!("assets: not cached because {why}"));
        }
        _ => {}
    }
    Ok(())
}
