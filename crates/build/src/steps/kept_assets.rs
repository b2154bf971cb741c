//! Built assets from one build to the next: where nothing that they are made of has changed, they
//! need not be made again, and what npm installs need not be there.

use crate::digest::tells_builds_apart;
use crate::error::Error;
use crate::log::StepLog;
use crate::run::{Build, VERSION};
use crate::sources::{self, Sources};
use crate::store::{Key, Restored, key_of_variables};
use crate::tree::{self, Method, TreeError};
use app::plan::{AssetBuild, StepName};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Where they are until the asset step takes them, relative to the app.
const WAITING: &str = ".mixpack/assets";

/// Size, modification time and inode of every file of the app.
pub(crate) type Stamps = BTreeMap<PathBuf, (u64, i64, i64, u64)>;

fn stamps(app: &Path) -> Stamps {
    let files = sources::files(app).into_iter();
    files
        .filter_map(|path| {
            let found = app.join(&path).symlink_metadata().ok()?;
            let stamp = (found.len(), found.mtime(), found.mtime_nsec(), found.ino());
            Some((path, stamp))
        })
        .collect()
}

impl Build<'_> {
    /// Everything that the assets are made of, if that can be told.
    fn assets_key(&self, pushed: &Sources) -> Result<Option<Key>, Error> {
        let plan = self.plan;
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
        let mut env = self.workspace.environment.for_commands();
        let exported = plan.exported.iter().chain(&plan.shell_variables);
        env.extend(exported.map(|(name, value)| (name.into(), value.into())));
        let variables = self
            .workspace
            .variables(&env, |name| !tells_builds_apart(name))?;
        let node = plan.node.as_ref().map(|node| node.version.clone());
        let mut key = self.build_key()?;
        key.extend(
            [
                ("the app's files", pushed.digest()),
                ("Node.js", node.unwrap_or_default()),
                (
                    "how they are built",
                    serde_json::to_string(&(&plan.assets, &plan.phoenix_ex)).unwrap_or_default(),
                ),
                ("Mixpack", VERSION.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        key.extend(key_of_variables(variables));
        Ok(Some(key))
    }

    /// Takes the assets of the last build, if this one would make the same.
    pub(crate) fn restore_assets(&self, log: &StepLog<'_>) -> Result<(), Error> {
        let Some(pushed) = self.pushed.get() else {
            return Ok(());
        };
        let Some(key) = self.assets_key(pushed)? else {
            return Ok(());
        };
        let waiting = self.workspace.real(Path::new(WAITING));
        tree::remove(&waiting)?;
        let store = self.workspace.store;
        match store.restore(&self.kept_as("assets"), &key, &waiting)? {
            Restored::Taken(_) => log.detail("assets: nothing that they are made of has changed"),
            Restored::Dropped(reasons) => {
                log.detail(&format!(
                    "assets: to be built, since {}",
                    reasons.join(", ")
                ));
            }
            Restored::Nothing | Restored::InApp => {}
        }
        // Set once: there is one restore step.
        let _ = self.assets_key.set(key);
        Ok(())
    }

    /// Whether the assets of the last build are there to be used.
    pub(crate) fn assets_are_kept(&self) -> bool {
        self.workspace.real(Path::new(WAITING)).is_dir()
    }

    /// Puts them in place; `false` where there are none.
    pub(crate) fn place_kept_assets(&self) -> Result<bool, Error> {
        let waiting = self.workspace.real(Path::new(WAITING));
        if !waiting.is_dir() {
            return Ok(false);
        }
        let log = self.means.log.step("Building assets");
        let amount = tree::transfer(&waiting, &self.workspace.app, Method::Link, |path| {
            !waiting.join(path).is_dir() || self.bounds.leads_out(path).is_none()
        })?;
        tree::remove(&waiting)?;
        self.assets_placed.store(true, Ordering::SeqCst);
        self.has_kept(StepName::Assets);
        self.has_kept(StepName::Digest);
        log.detail(&format!(
            "not needed: {} files of the last build, which had the same sources, packages and environment",
            amount.files
        ));
        log.detail("MIXPACK_REUSE_ASSETS=false builds them all the same");
        Ok(true)
    }

    /// Remembers what the app looks like before assets are built.
    pub(crate) fn before_assets(&self) {
        if self.assets_key.get().is_some() {
            let lock = self.before_assets.lock();
            *lock.unwrap_or_else(PoisonError::into_inner) = Some(stamps(&self.workspace.app));
        }
    }

    /// Keeps what building the assets has made, digested files included.
    pub(crate) fn save_assets(&self, log: &StepLog<'_>) -> Result<(), Error> {
        let before = self.before_assets.lock();
        let before = before.unwrap_or_else(PoisonError::into_inner).take();
        let (Some(key), Some(before)) = (self.assets_key.get(), before) else {
            return Ok(());
        };
        let app = &self.workspace.app;
        let now = stamps(app);
        if let Some(gone) = before.keys().find(|path| !now.contains_key(*path)) {
            log.detail(&format!(
                "assets: not kept, since building them removes {}",
                gone.display()
            ));
            return Ok(());
        }
        let statics: Vec<PathBuf> = self
            .plan
            .assets
            .iter()
            .map(|assets| Path::new(&app::facts::join(&assets.phoenix_dir, "priv/static")).into())
            .collect();
        let made = now.iter().filter(|(path, stamp)| {
            before.get(*path) != Some(stamp) || statics.iter().any(|dir| path.starts_with(dir))
        });
        let kept: BTreeSet<&Path> = made.flat_map(|(path, _)| path.ancestors()).collect();
        let chosen = self.workspace.real(Path::new(".mixpack/chosen"));
        tree::remove(&chosen)?;
        tree::transfer(app, &chosen, Method::Link, |path| kept.contains(path))?;
        let name = self.kept_as("assets");
        self.workspace.store.save(&name, key, &chosen, &[])?;
        Ok(tree::remove(&chosen)?)
    }
}

/// For the tree error of a caller that reads the app.
pub(crate) fn read_sources(app: &Path, known: &Sources) -> Result<Sources, Error> {
    let error = TreeError::at(app, "read the files of");
    Ok(Sources::of(app, known).map_err(error)?)
}
