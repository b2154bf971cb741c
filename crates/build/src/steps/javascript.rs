//! JavaScript dependencies, and what builds the assets.

use crate::command::Tool;
use crate::error::{Doing, Error};
use crate::log::{StepLog, seconds};
use crate::run::Build;
use app::facts::join;
use app::package_manager::Manager;
use app::plan::{AssetBuild, Assets, Install};
use std::fmt::Write;
use std::path::{Path, PathBuf};

impl Build<'_> {
    pub(crate) fn javascript(&self) -> Result<(), Error> {
        let log = self.means.log.step("Installing JavaScript dependencies");
        for assets in &self.plan.assets {
            if let Some(install) = &assets.install {
                self.install(install, &log)?;
            }
            if assets.bower {
                self.bower(&assets.assets_dir, &log)?;
            }
        }
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    fn install(&self, install: &Install, log: &StepLog<'_>) -> Result<(), Error> {
        log.detail(&install.why);
        let (program, args) = words(&install.command);
        log.detail(&format!(
            "$ {}  (in {})",
            install.command.join(" "),
            install.dir
        ));
        // In the real folder: npm replaces node_modules as a whole, also where it is a link.
        let folder = self.workspace.real(Path::new(&install.dir));
        let doing = Doing::JsInstall {
            dir: install.dir.clone(),
            manager: install.manager.manager,
            lockfile: install.lockfile.clone(),
        };
        Tool::new(program, &args, &folder, &self.env)
            .run(log, self.means.cancel)
            .map(drop)
            .map_err(Error::command(doing))
    }

    pub(crate) fn assets(&self) -> Result<(), Error> {
        for assets in &self.plan.assets {
            self.build_assets(assets)?;
        }
        Ok(())
    }

    fn build_assets(&self, assets: &Assets) -> Result<(), Error> {
        if assets.build == AssetBuild::Nothing {
            return Ok(());
        }
        let header = match assets.phoenix_dir.as_str() {
            "." => "Building assets".to_owned(),
            dir => format!("Building assets of {dir}"),
        };
        let log = self.means.log.step(&header);
        if self.digested(&assets.phoenix_dir) {
            log.detail("already done: hook_post_compile has written cache_manifest.json");
            return Ok(());
        }
        log.detail(&assets.why);
        match &assets.build {
            AssetBuild::Nothing => {}
            AssetBuild::CustomScript { path } => {
                let env = self.shell_env();
                let line = self.custom_script(assets, path)?;
                let folder = self.seen(&assets.assets_dir);
                let mut tool = Tool::shell(&line, &folder, &env);
                tool.shown.clone_from(path);
                let doing = Doing::CustomScript { path: path.clone() };
                tool.run(&log, self.means.cancel)
                    .map_err(Error::command(doing))?;
            }
            AssetBuild::Script { name } => {
                let manager = assets
                    .install
                    .as_ref()
                    .map(|install| install.manager.manager);
                let command = manager.unwrap_or(Manager::Npm).run(name);
                let doing = Doing::AssetScript {
                    command: command.join(" "),
                    script: name.clone(),
                    package: join(&assets.assets_dir, "package.json"),
                };
                let folder = self.seen(&assets.assets_dir);
                let (program, args) = words(&command);
                self.tool(doing, program, &args, &folder, &log)?;
            }
            AssetBuild::MixAlias => {
                let folder = self.seen(&assets.phoenix_dir);
                self.tool(
                    Doing::AssetsDeploy,
                    "mix",
                    &["assets.deploy"],
                    &folder,
                    &log,
                )?;
            }
        }
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    /// The app's own asset script is sourced, with the variables and functions that the Phoenix
    /// static buildpack gives it (its `bin/compile` and `lib/common.sh`).
    fn custom_script(&self, assets: &Assets, path: &str) -> Result<String, Error> {
        let assets_path = Path::new(&assets.assets_dir)
            .strip_prefix(&assets.phoenix_dir)
            .unwrap_or(Path::new(&assets.assets_dir));
        let buildpack = self.workspace.export.as_deref().and_then(Path::parent);
        let version = |tool: &str| {
            let node = self.plan.node.as_ref().filter(|_| tool == "node");
            let node = node.map(|node| node.version.clone());
            let fetched = || self.record().tools.get(tool).cloned();
            PathBuf::from(node.or_else(fetched).unwrap_or_default())
        };
        let variables = [
            ("build_dir", self.dir.clone()),
            // A folder of the app's own, which lasts as that of the old pack did.
            ("cache_dir", self.workspace.store.scratch("custom-compile")?),
            (
                "env_dir",
                self.workspace.env_dir.clone().unwrap_or_default(),
            ),
            ("heroku_dir", self.seen(".heroku")),
            ("build_pack_dir", buildpack.unwrap_or(&self.dir).to_owned()),
            ("phoenix_dir", self.seen_clean(&assets.phoenix_dir)),
            ("assets_dir", self.seen_clean(&assets.assets_dir)),
            ("assets_path", assets_path.to_owned()),
            ("phoenix_relative_path", assets.phoenix_dir.clone().into()),
            ("phoenix_ex", self.plan.phoenix_ex.clone().into()),
            ("node_version", version("node")),
            ("npm_version", version("npm")),
            ("yarn_version", version("yarn")),
            ("compile", path.into()),
        ];
        let mut script = String::from("set -e -o pipefail\n");
        for (name, value) in variables {
            let value = value.to_string_lossy().into_owned();
            let _ = writeln!(script, "{name}={}", shell_words::quote(&value));
        }
        let bin = self.seen(&assets.assets_dir).join("node_modules/.bin");
        let bin = bin.to_string_lossy().into_owned();
        let _ = writeln!(script, "PATH={}:\"$PATH\"", shell_words::quote(&bin));
        script.push_str(FUNCTIONS);
        let source = self.seen(path).to_string_lossy().into_owned();
        let _ = writeln!(script, "source {}", shell_words::quote(&source));
        Ok(script)
    }

    /// A folder of the app as mix sees it, without a trailing `/.` for the app itself.
    fn seen_clean(&self, place: &str) -> PathBuf {
        if place == "." {
            self.dir.clone()
        } else {
            self.seen(place)
        }
    }
}

/// The functions of the Phoenix static buildpack that scripts call. The log indents by itself.
const FUNCTIONS: &str =
    "info() { echo \"$*\"; }\nindent() { cat; }\nhead() { echo; echo \"$*\"; }\n";

/// A command's program and its arguments.
fn words(command: &[String]) -> (&str, Vec<&str>) {
    let mut words = command.iter().map(String::as_str);
    (words.next().unwrap_or_default(), words.collect())
}
