//! JavaScript dependencies, and what builds the assets.

use crate::command::Tool;
use crate::error::{Doing, Error};
use crate::log::seconds;
use crate::run::Build;
use app::facts::join;
use app::plan::{AssetBuild, Assets};
use std::fmt::Write;
use std::path::Path;

impl Build<'_> {
    pub(crate) fn javascript(&self) -> Result<(), Error> {
        let log = self.means.log.step("Installing JavaScript dependencies");
        let installs = self.plan.assets.iter().filter_map(|a| a.install.as_ref());
        for install in installs {
            log.detail(&install.why.clone());
            let mut args: Vec<&str> = install.command[1..].iter().map(String::as_str).collect();
            // The asset build needs esbuild and its like whatever NODE_ENV says.
            args.push("--include=dev");
            log.detail(&format!(
                "$ {} {}  (in {})",
                install.command[0],
                args.join(" "),
                install.dir
            ));
            // In the real folder: npm replaces node_modules as a whole, also where it is a link.
            let folder = self.workspace.real(Path::new(&install.dir));
            let doing = Doing::JsInstall {
                dir: install.dir.clone(),
            };
            Tool::new(&install.command[0], &args, &folder, &self.env)
                .run(&log, self.means.cancel)
                .map_err(Error::command(doing))?;
        }
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
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
                let line = self.custom_script(assets, path);
                let folder = self.seen(&assets.assets_dir);
                let mut tool = Tool::shell(&line, &folder, &env);
                tool.shown.clone_from(path);
                let doing = Doing::CustomScript { path: path.clone() };
                tool.run(&log, self.means.cancel)
                    .map_err(Error::command(doing))?;
            }
            AssetBuild::Script { name } => {
                let doing = Doing::AssetScript {
                    script: name.clone(),
                    package: join(&assets.assets_dir, "package.json"),
                };
                let folder = self.seen(&assets.assets_dir);
                self.tool(doing, "npm", &["run", name], &folder, &log)?;
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
    /// static buildpack gives it (contract: its `bin/compile` and `lib/common.sh`).
    fn custom_script(&self, assets: &Assets, path: &str) -> String {
        let node_modules = self.seen(&assets.assets_dir).join("node_modules/.bin");
        let variables = [
            ("build_dir", self.dir.clone()),
            ("phoenix_dir", self.seen(&assets.phoenix_dir)),
            ("assets_dir", self.seen(&assets.assets_dir)),
            ("phoenix_ex", "phx".into()),
            ("phoenix_relative_path", assets.phoenix_dir.clone().into()),
        ];
        let mut script = String::from("set -e\n");
        for (name, value) in variables {
            let value = value.to_string_lossy().into_owned();
            let _ = writeln!(script, "{name}={}", shell_words::quote(&value));
        }
        let bin = node_modules.to_string_lossy().into_owned();
        let _ = writeln!(script, "PATH={}:\"$PATH\"", shell_words::quote(&bin));
        script.push_str(
            "info() { echo \"$*\"; }\nindent() { cat; }\nhead() { echo; echo \"$*\"; }\n",
        );
        let source = self.seen(path).to_string_lossy().into_owned();
        let _ = writeln!(script, "source {}", shell_words::quote(&source));
        script
    }
}
