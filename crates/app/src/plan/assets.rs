//! The Phoenix apps, the sources of their assets, and the commands that build them.

use super::hook_commands;
use super::install::install;
use super::package_manager::NpmOf;
use super::{Install, PlanError};
use crate::facts::{ConfigFile, Facts, Manager, join, path_from};
use crate::settings::{Hooks, Settings};
use serde::Serialize;
use std::path::Path;

/// The command that builds the assets of a Phoenix app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum AssetBuild {
    /// The app's own script, sourced by bash as the Phoenix static buildpack does.
    CustomScript { path: String },
    /// `npm run SCRIPT`, or the equivalent of another package manager, in the directory of the `package.json`.
    Script { name: String },
    /// The mix alias `assets.deploy`, if mix confirms that it exists.
    MixAlias,
    /// No build, only the digest.
    Nothing,
}

/// The assets of one Phoenix app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assets {
    /// The Phoenix app's directory.
    pub phoenix_dir: String,
    /// The directory of its asset sources.
    pub assets_dir: String,
    pub install: Option<Install>,
    /// Whether the hook after compile installs the packages and builds the assets.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left_to_hook: bool,
    /// Whether the hook runs the bun from the Hex package, and nothing else runs bun.
    #[serde(skip)]
    pub hook_has_manager: bool,
    /// Whether any command may use the packages. If not, they are still installed, but a failure doesn't fail the
    /// build.
    #[serde(skip)]
    pub is_needed: bool,
    /// Whether their directory has a `bower.json`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bower: bool,
    pub build: AssetBuild,
    pub why: String,
}

impl Assets {
    /// The command that builds them, for logs.
    #[must_use]
    pub fn built_by(&self) -> String {
        match &self.build {
            AssetBuild::CustomScript { path } => path.clone(),
            AssetBuild::Script { name } => {
                let install = self.install.as_ref();
                let manager = install.map_or(Manager::Npm, |install| install.manager.manager);
                manager.run(name).join(" ")
            }
            AssetBuild::MixAlias => "mix assets.deploy".to_owned(),
            AssetBuild::Nothing => "only digested".to_owned(),
        }
    }

    /// Returns every `node_modules` that installing its packages may fill, and the files of yarn's Plug'n'Play.
    #[must_use]
    pub fn modules(&self) -> Vec<String> {
        let own = [self.assets_dir.clone()];
        let folders = match &self.install {
            Some(install) => install.packages.as_slice(),
            None => &own,
        };
        let unplugged = self.install.iter().map(|i| join(&i.dir, ".yarn/unplugged"));
        let modules = folders.iter().map(|dir| join(dir, "node_modules"));
        modules.chain(unplugged).collect()
    }

    /// Returns the directories of executables for the scripts of its `package.json`: its own, and that of the
    /// workspace's root.
    #[must_use]
    pub fn bins(&self) -> Vec<String> {
        let root = self.install.as_ref().map(|install| &install.dir);
        let root = root.filter(|root| **root != self.assets_dir);
        let folders = [&self.assets_dir].into_iter().chain(root);
        folders.map(|dir| join(dir, "node_modules/.bin")).collect()
    }
}

/// Whether the app's assets need Node. If so, the caller fetches the list of versions.
#[must_use]
pub fn needs_node(facts: &Facts, settings: &Settings) -> bool {
    asset_dirs(facts, settings).is_ok_and(|dirs| {
        dirs.iter()
            .any(|(_, assets)| facts.package_in(assets).is_some() || facts.has_bower(assets))
    })
}

/// Whether the build or the running app may use the packages of an asset directory. A `package.json` may only be for
/// a linter, and the Elixir buildpack ignored it.
fn uses_packages(facts: &Facts, settings: &Settings, phoenix_dir: &str, assets_dir: &str) -> bool {
    facts.static_config != ConfigFile::Missing
        || settings.hooks.any()
        || facts.has_bower(assets_dir)
        || facts.node_use.is_some()
        || facts
            .projects
            .iter()
            .any(|project| project.guess.may_need_packages())
        || asset_build(facts, phoenix_dir, assets_dir).0 != AssetBuild::Nothing
}

/// Returns the Phoenix apps and their asset directories, or none if another buildpack builds the assets.
pub(super) fn asset_dirs(
    facts: &Facts,
    settings: &Settings,
) -> Result<Vec<(String, String)>, PlanError> {
    if settings.skip_assets.is_some() {
        return Ok(Vec::new());
    }
    let phoenix_dirs: Vec<String> = match &settings.phoenix_relative_path {
        Some(requested) => {
            let dir = path_from(&facts.app_dir.value, &requested.value);
            if !facts.projects.iter().any(|project| project.dir == dir) {
                return Err(PlanError::NoSuchFolder {
                    key: "phoenix_relative_path",
                    requested: requested.clone(),
                    missing: "mix.exs",
                });
            }
            vec![dir]
        }
        None if facts.root().apps_path.is_some() => facts
            .projects
            .iter()
            .filter(|project| project.guess.phoenix)
            .map(|project| project.dir.clone())
            .collect(),
        None => vec![facts.app_dir.value.clone()],
    };
    Ok(phoenix_dirs
        .into_iter()
        .map(|dir| {
            let assets = assets_dir(facts, settings, &dir);
            (dir, assets)
        })
        .collect())
}

/// Returns `assets_path` relative to the root of the umbrella, which is the Phoenix app to the static buildpack if
/// `phoenix_relative_path` isn't set.
pub(super) fn from_umbrella(facts: &Facts, settings: &Settings) -> Option<String> {
    let requested = settings.assets_path.as_ref()?;
    let is_default = settings.phoenix_relative_path.is_none();
    is_default.then(|| path_from(&facts.app_dir.value, &requested.value))
}

/// Returns the directory of a Phoenix app's asset sources. For apps with a config file of the static buildpack, its
/// rule applies: the configured directory if it has a `package.json`, else that of `mix.exs` if it has one, else
/// `assets`. Without that config file, `assets` comes first if it has a `package.json`. It also does if no assets
/// would be built otherwise, where the static buildpack failed.
fn assets_dir(facts: &Facts, settings: &Settings, phoenix_dir: &str) -> String {
    let in_phoenix_app = settings
        .assets_path
        .as_ref()
        .map(|requested| path_from(phoenix_dir, &requested.value));
    let in_umbrella =
        from_umbrella(facts, settings).filter(|dir| Path::new(dir).starts_with(phoenix_dir));
    let configured = in_phoenix_app
        .into_iter()
        .chain(in_umbrella)
        .find(|dir| facts.package_in(dir).is_some());
    let next_to_mix_exs = || {
        facts
            .package_in(phoenix_dir)
            .map(|package| package.dir.clone())
    };
    let assets = join(phoenix_dir, "assets");
    let in_assets = facts.package_in(&assets).is_some();
    let has_config = facts.static_config != ConfigFile::Missing;
    let found = match configured {
        Some(dir) => dir,
        None if in_assets && !has_config => assets.clone(),
        None => next_to_mix_exs().unwrap_or_else(|| assets.clone()),
    };
    let is_built = |dir: &str| asset_build(facts, phoenix_dir, dir).0 != AssetBuild::Nothing;
    if found == phoenix_dir && !is_built(&found) && is_built(&assets) {
        assets
    } else {
        found
    }
}

pub(super) fn assets(
    facts: &Facts,
    settings: &Settings,
    npm: NpmOf<'_>,
) -> Result<Vec<Assets>, PlanError> {
    let hook = hook_commands::after_compile(facts, settings);
    let is_only_hook = settings.hooks
        == Hooks {
            hook_post_compile: settings.hooks.hook_post_compile.clone(),
            ..Hooks::default()
        };
    asset_dirs(facts, settings)?
        .into_iter()
        .map(|(phoenix_dir, assets_dir)| {
            let is_needed = uses_packages(facts, settings, &phoenix_dir, &assets_dir);
            let install = match facts.package_in(&assets_dir) {
                Some(package) => Some(install(package, settings, npm)?),
                None => None,
            };
            let (mut build, mut why) = asset_build(facts, &phoenix_dir, &assets_dir);
            let manager = install.as_ref().map(|install| install.manager.manager);
            let manager = manager.unwrap_or(Manager::Npm);
            let by_hook = hook.iter().any(|ran| match &build {
                AssetBuild::Script { name } => ran.runs(manager, &assets_dir, name),
                AssetBuild::MixAlias => ran.is_task("assets.deploy", &phoenix_dir),
                AssetBuild::CustomScript { .. } | AssetBuild::Nothing => false,
            });
            if by_hook {
                why = format!("hook_post_compile builds them: {why}");
                build = AssetBuild::Nothing;
            }
            let bower = facts.has_bower(&assets_dir);
            let left_to_hook = build == AssetBuild::Nothing
                && !bower
                && install.as_ref().is_some_and(|install| {
                    hook.iter().any(|ran| ran.installs(manager, &install.dir))
                });
            let hook_has_manager = left_to_hook
                && is_only_hook
                && hook.iter().all(hook_commands::Command::brings_manager)
                && !has_script_with(facts, &assets_dir, manager);
            Ok(Assets {
                phoenix_dir,
                assets_dir,
                install,
                left_to_hook,
                hook_has_manager,
                is_needed,
                bower,
                build,
                why,
            })
        })
        .collect()
}

/// Whether a script of a `package.json` mentions a package manager.
fn has_script_with(facts: &Facts, dir: &str, manager: Manager) -> bool {
    let package = facts.package_in(dir);
    package.is_some_and(|package| {
        let mut scripts = package.json.scripts.values();
        scripts.any(|line| line.contains(manager.as_str()))
    })
}

fn asset_build(facts: &Facts, phoenix_dir: &str, assets_dir: &str) -> (AssetBuild, String) {
    if let Some(path) = facts.asset_script.clone() {
        let why = format!("the app has its own `{path}`");
        return (AssetBuild::CustomScript { path }, why);
    }
    let package = facts.package_in(assets_dir);
    let has = |name: &str| package.is_some_and(|package| package.json.has_script(name));
    let path = join(assets_dir, "package.json");
    let npm = |name: &str| {
        let why = format!("{path} has a script `{name}`");
        let name = name.to_owned();
        (AssetBuild::Script { name }, why)
    };
    let alias = facts
        .projects
        .iter()
        .any(|p| p.dir == phoenix_dir && p.guess.assets_deploy);
    if has("deploy") {
        npm("deploy")
    } else if alias {
        let path = join(phoenix_dir, "mix.exs");
        let why = format!("{path} has an alias `assets.deploy`");
        (AssetBuild::MixAlias, why)
    } else if has("build") {
        npm("build")
    } else {
        (AssetBuild::Nothing, "no asset script found".to_owned())
    }
}

/// Whether a hook or a script of `package.json` removes executables, as in the Phoenix guide: `mix assets.deploy &&
/// rm -f _build/esbuild*`.
pub(super) fn removes_executables(facts: &Facts, settings: &Settings, assets: &[Assets]) -> bool {
    let removes = |line: &str| line.contains("rm ") && line.contains("_build/");
    let hook = settings.hooks.hook_post_compile.as_ref();
    hook.is_some_and(|hook| removes(&hook.value))
        || assets.iter().any(|assets| {
            let AssetBuild::Script { name } = &assets.build else {
                return false;
            };
            let package = facts.package_in(&assets.assets_dir);
            package
                .and_then(|package| package.json.scripts.get(name))
                .is_some_and(|line| removes(line))
        })
}
