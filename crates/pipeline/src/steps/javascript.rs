//! JavaScript dependencies, and the asset build.

use crate::context::Context;
use crate::mix_info::MixInfo;
use crate::project::{BuiltAssets, LastBuild, Project};
use crate::steps::installs::{self, Installs, MODULES};
use crate::steps::{
    bower, cached_assets, compile_install_barrier, digested_files, executables, generated_files,
    keys, mix_command, run_hook, slim,
};
use app::facts::{Manager, join};
use app::plan::{AssetBuild, Assets, Install, StepName};
use app::settings::Hooks;
use exec::Action;
use exec::command::Tool;
use exec::log::{StepLog, seconds};
use messages::Error;
use planning::record::Tools;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use store::digest::of_each;
use store::tree::{self, TreeError};
use store::{self, Key, TakeResult, key_of_files, key_of_variables};
use workdir::app_tree::OWN;

pub(crate) fn install(
    ctx: &Context<'_>,
    restored: &LastBuild,
    managers: &Tools,
) -> Result<(), Error> {
    let log = ctx.log.step("Installing JavaScript dependencies");
    let known = installs::known_installs(ctx);
    // The last hook may use the packages, even if the assets were restored.
    let wanted = slim::ships_node_modules(ctx) || ctx.plan.hooks.post_compile.is_some();
    let only_modules = known
        .as_ref()
        .is_some_and(|known| known.outside_modules.is_none());
    if cached_assets::assets_are_restored(ctx) && !wanted && only_modules {
        let installs = ctx.plan.assets.iter().filter_map(|a| a.install.as_ref());
        for install in installs {
            if let Ok(key) = node_modules_key(ctx, install, managers)? {
                for dir in &install.packages {
                    ctx.workspace.store.mark_used(&cache_name(dir), &key);
                }
            }
        }
        ctx.report.reused(StepName::Javascript);
        generated_files::installs_skipped(ctx);
        log.detail("not needed: the assets are up to date");
        drop(log);
        return compile_install_barrier::installs_ended(ctx, &restored.pushed);
    }
    let turn = generated_files::turn(ctx);
    let mut up_to_date = true;
    // The directories of the packages installed now, if all of them are cached.
    let mut cached = Some(Vec::new());
    let mut installed = BTreeSet::new();
    for assets in &ctx.plan.assets {
        // Several assets may be members of one workspace.
        let install = assets.install.as_ref();
        if assets.left_to_hook {
            let dir = &assets.assets_dir;
            log.detail(&format!("hook_post_compile installs the packages of {dir}"));
            up_to_date = false;
            match install {
                // bun's cache is about as large as the packages. Packing and moving it takes the platform longer than
                // bun takes to download them.
                Some(install) if install.manager.manager == Manager::Bun => {
                    installed.insert(&install.dir);
                }
                _ => cached = None,
            }
            continue;
        }
        if let Some(install) = install.filter(|install| installed.insert(&install.dir)) {
            let done = match install_packages(ctx, install, (known.as_ref(), managers), &log) {
                Err(Error::Command { .. })
                    if !is_needed(ctx, install) && !slim::ships_node_modules(ctx) =>
                {
                    log.warning(&format!(
                        "cannot install the packages of {}; continuing because nothing uses them",
                        install.dir
                    ));
                    Installed::NotCached
                }
                result => result?,
            };
            up_to_date &= done == Installed::FromCache;
            match done {
                Installed::FromCache => {}
                Installed::Cached => {
                    cached = cached.map(|dirs| [dirs, modules_of(ctx, install)].concat());
                }
                Installed::NotCached => cached = None,
            }
        }
        if assets.bower {
            let before = keys::entries(ctx)?;
            bower::bower(ctx, assets, &log)?;
            generated_files::installed(ctx, &before)?;
            up_to_date = false;
        }
    }
    // Without an install, the download caches stay, since a hook may use them in every build.
    if let Some(cached) = cached.filter(|_| !installed.is_empty()) {
        ctx.downloads
            .are_installed_in(cached.iter().map(PathBuf::as_path));
    }
    // Files of Mixpack itself stay hidden from commands of the app.
    ctx.path.link_new(|path| path.starts_with(OWN))?;
    if up_to_date {
        ctx.report.reused(StepName::Javascript);
    }
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    drop(turn);
    // End this block of the log before the next step starts.
    drop(log);
    compile_install_barrier::installs_ended(ctx, &restored.pushed)
}

/// Whether any step may use the packages of an install.
fn is_needed(ctx: &Context<'_>, install: &Install) -> bool {
    let mut assets = ctx.plan.assets.iter();
    assets.any(|assets| {
        let same = assets.install.as_ref();
        assets.is_needed && same.is_some_and(|same| same.dir == install.dir)
    })
}

/// The origin of the packages of an install, and whether the next build can restore them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installed {
    FromCache,
    Cached,
    NotCached,
}

fn modules_of(ctx: &Context<'_>, install: &Install) -> Vec<PathBuf> {
    let dirs = install.packages.iter();
    let dirs = dirs.map(|dir| ctx.workspace.real(&Path::new(dir).join(MODULES)));
    dirs.filter(|dir| dir.is_dir()).collect()
}

fn install_packages(
    ctx: &Context<'_>,
    install: &Install,
    (known, managers): (Option<&Installs>, &Tools),
    log: &StepLog<'_>,
) -> Result<Installed, Error> {
    // Install in the real directory, since npm replaces node_modules even if it is a link.
    let folder = ctx.workspace.real(Path::new(&install.dir));
    let modules = folder.join(MODULES);
    log.detail(&install.why);
    let key = node_modules_key(ctx, install, managers)?;
    // Without a note on earlier installs, files that packages create could be missing from the cache.
    let why = known.map(Installs::why);
    match (&key, &why) {
        (Err(why), _) | (_, Some(Some(why))) => {
            log.detail(&format!("installing in every build: {why}"));
        }
        (Ok(_), None) => {}
        (Ok(key), Some(None)) => match restore_modules(ctx, install, key)? {
            TakeResult::Yes => {
                log.detail("up to date, restored from cache");
                return Ok(Installed::FromCache);
            }
            TakeResult::No(changes) if changes.is_empty() => {}
            TakeResult::No(changes) => log.detail(&format!(
                "node_modules: reinstalling because {}",
                changes.join(", ")
            )),
            TakeResult::Unusable(reason) => {
                log.warning(&format!("the cached copy is invalid: {reason}"));
            }
        },
    }
    let (program, args) = words(&install.command);
    log.detail(&format!(
        "$ {}  (in {})",
        install.command.join(" "),
        install.dir
    ));
    let action = Action::JsInstall {
        dir: install.dir.clone(),
        manager: install.manager.manager,
        lockfile: install.lockfile.clone(),
    };
    let tool = Tool::new(program, &args, &folder, &ctx.env);
    let before = keys::entries(ctx)?;
    ctx.run_tool(action, &tool, log)?;
    generated_files::installed(ctx, &before)?;
    // With Plug'n'Play, yarn installs little or nothing to node_modules.
    if let Ok(key) = &key
        && modules.is_dir()
        && !folder.join(".pnp.cjs").exists()
    {
        save_modules(ctx, install, key)?;
        // If the packages turn out to need installing in every build, the next build downloads them once more.
        if !matches!(why, Some(Some(_))) {
            return Ok(Installed::Cached);
        }
    }
    Ok(Installed::NotCached)
}

/// Restores every `node_modules` of an install, or none.
fn restore_modules(
    ctx: &Context<'_>,
    install: &Install,
    key: &Key,
) -> Result<TakeResult, TreeError> {
    for dir in &install.packages {
        let modules = ctx.workspace.real(&Path::new(dir).join(MODULES));
        let restored_modules = ctx.workspace.store.take(&cache_name(dir), key, &modules)?;
        if restored_modules != TakeResult::Yes {
            // yarn 1 would take the one of the root as a sign that all are installed.
            for dir in &install.packages {
                tree::remove(&ctx.workspace.real(&Path::new(dir).join(MODULES)))?;
            }
            return Ok(restored_modules);
        }
        // Members without one have an empty directory in the cache.
        let _ = fs::remove_dir(&modules);
    }
    Ok(TakeResult::Yes)
}

fn save_modules(ctx: &Context<'_>, install: &Install, key: &Key) -> Result<(), TreeError> {
    let none =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    for dir in &install.packages {
        let modules = ctx.workspace.real(&Path::new(dir).join(MODULES));
        let from = if modules.is_dir() {
            &modules
        } else {
            none.path()
        };
        ctx.workspace.store.put(&cache_name(dir), key, from)?;
    }
    Ok(())
}

/// Returns the key with all inputs of a package manager, or the reason why they aren't known.
fn node_modules_key(
    ctx: &Context<'_>,
    install: &Install,
    managers: &Tools,
) -> Result<Result<Key, String>, Error> {
    let inputs = match &install.inputs {
        Ok(inputs) => inputs,
        Err(why) => return Ok(Err(why.clone())),
    };
    let app = &ctx.workspace.app;
    let inputs: Vec<String> = inputs.iter().map(|path| input(ctx, path)).collect();
    let files = of_each(app, &inputs, |path| ctx.tree.is_output(path))
        .map_err(TreeError::at(app, "read the files of"))?
        .into_iter()
        .map(|(path, digest)| (path.trim_end_matches(HEX_NOTE).to_owned(), digest))
        .collect();
    let target = &ctx.plan.target;
    let manager = install.manager.manager.as_str();
    let version = managers.get(manager);
    let version = version.map_or_else(String::new, |version| format!(" {version}"));
    let node = ctx.plan.node.as_ref().map(|node| node.version.clone());
    let env = ctx.workspace.environment.for_commands();
    let settings = ctx.workspace.variables(&env, |name| {
        let prefixes = ["NPM_", "NODE_", "YARN_", "PNPM_", "BUN_", "COREPACK_"];
        let name = name.to_ascii_uppercase();
        prefixes.iter().any(|prefix| name.starts_with(prefix))
    })?;
    let key = [
        ("the command", install.command.join(" ")),
        ("Node.js", node.unwrap_or_default()),
        ("the package manager", format!("{manager}{version}")),
        ("the stack", target.stack.clone()),
        ("the architecture", target.arch.to_string()),
    ];
    let mut key: Key = key.map(|(name, value)| (name.to_owned(), value)).into();
    key.extend(key_of_files(files));
    key.extend(key_of_variables(settings));
    Ok(Ok(key))
}

/// The note of Hex on the version and the checksum of a fetched package, in its directory.
const HEX_NOTE: &str = "/.hex";

/// Returns Hex's note in place of a package that Hex fetched, since compiling may add files to the package, as
/// compiling Phoenix 1.8 does. The note isn't enough if a hook may have changed the package.
fn input(ctx: &Context<'_>, path: &str) -> String {
    let hooks = Hooks {
        hook_post_compile: None,
        post_compile: None,
        ..ctx.plan.hooks.clone()
    };
    let note = format!("{path}{HEX_NOTE}");
    if !hooks.any() && ctx.workspace.app.join(&note).is_file() {
        note
    } else {
        path.to_owned()
    }
}

pub(crate) fn assets(
    ctx: &Context<'_>,
    restored: &LastBuild,
    project: &Project,
    managers: &Tools,
) -> Result<BuiltAssets, Error> {
    if cached_assets::place_restored_assets(ctx)? {
        return Ok(BuiltAssets::Restored);
    }
    install_for_rebuild(ctx, restored, managers)?;
    if !ctx.plan.hooks.any() {
        executables::restore_executables(ctx)?;
    }
    let built = cached_assets::before_assets(ctx, restored)?;
    for assets in &ctx.plan.assets {
        build_assets(ctx, assets, &project.info, managers)?;
    }
    ctx.path.replace_copied_links()?;
    Ok(built)
}

fn build_assets(
    ctx: &Context<'_>,
    assets: &Assets,
    info: &MixInfo,
    managers: &Tools,
) -> Result<(), Error> {
    if assets.build == AssetBuild::Nothing {
        return Ok(());
    }
    let header = match assets.phoenix_dir.as_str() {
        dir if dir == ctx.plan.app_dir.value => "Building assets".to_owned(),
        dir => format!("Building assets of {dir}"),
    };
    let log = ctx.log.step(&header);
    if digested_files::digested(ctx, &assets.phoenix_dir) {
        log.detail("already built: hook_post_compile wrote cache_manifest.json");
        return Ok(());
    }
    log.detail(&assets.why);
    match &assets.build {
        AssetBuild::Nothing => {}
        AssetBuild::CustomScript { path } => {
            ctx.end_session();
            let env = run_hook::shell_env(ctx);
            let line = custom_script(ctx, assets, path, (info, managers))?;
            let folder = ctx.mix_path(&assets.assets_dir);
            let mut tool = Tool::shell(&line, &folder, &env);
            tool.shown.clone_from(path);
            let action = Action::CustomScript { path: path.clone() };
            ctx.run_tool(action, &tool, &log)?;
        }
        AssetBuild::Script { name } => {
            let manager = assets
                .install
                .as_ref()
                .map(|install| install.manager.manager);
            let manager = manager.unwrap_or(Manager::Npm);
            let command = manager.run(name);
            let action = Action::AssetScript {
                command: command.join(" "),
                script: name.clone(),
                manager,
                package: join(&assets.assets_dir, "package.json"),
            };
            let folder = ctx.mix_path(&assets.assets_dir);
            let (program, args) = words(&command);
            ctx.tool(action, program, &args, &folder, &log)?;
        }
        AssetBuild::MixAlias => {
            mix_command::mix_in(
                ctx,
                Action::AssetsDeploy,
                &["assets.deploy"],
                &assets.phoenix_dir,
                &log,
            )?;
        }
    }
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    Ok(())
}

/// Sources the app's own asset script, with the variables and functions of the Phoenix static buildpack (its
/// `bin/compile` and `lib/common.sh`).
fn custom_script(
    ctx: &Context<'_>,
    assets: &Assets,
    path: &str,
    (info, managers): (&MixInfo, &Tools),
) -> Result<String, Error> {
    let assets_path = below(&assets.phoenix_dir, &assets.assets_dir);
    let buildpack = ctx.workspace.export().and_then(Path::parent);
    let version = |tool: &str| {
        let node = ctx.plan.node.as_ref().filter(|_| tool == "node");
        let node = node.map(|node| node.version.clone());
        let fetched = || managers.get(tool).cloned();
        PathBuf::from(node.or_else(fetched).unwrap_or_default())
    };
    let variables = [
        // For an app in a subdirectory, scripts expect that directory.
        ("build_dir", ctx.app_dir.clone()),
        // A directory for the app that lasts between builds, as with the old buildpack.
        ("cache_dir", ctx.workspace.store.scratch("custom-compile")?),
        ("env_dir", ctx.workspace.env_dir.clone().unwrap_or_default()),
        ("heroku_dir", ctx.mix_path(".heroku")),
        ("build_pack_dir", buildpack.unwrap_or(&ctx.dir).to_owned()),
        ("phoenix_dir", mix_dir(ctx, &assets.phoenix_dir)),
        ("assets_dir", mix_dir(ctx, &assets.assets_dir)),
        ("assets_path", assets_path.to_owned()),
        (
            "phoenix_relative_path",
            below(&ctx.plan.app_dir.value, &assets.phoenix_dir).to_owned(),
        ),
        ("phoenix_ex", mix_command::phoenix_ex(ctx, info).into()),
        ("node_version", version("node")),
        ("npm_version", version("npm")),
        ("yarn_version", version("yarn")),
        ("compile", below(&ctx.plan.app_dir.value, path).to_owned()),
    ];
    let mut script = String::from("set -e -o pipefail\n");
    for (name, value) in variables {
        let value = value.to_string_lossy().into_owned();
        let _ = writeln!(script, "{name}={}", shell_words::quote(&value));
    }
    for bin in assets.bins().into_iter().rev() {
        let bin = ctx.mix_path(bin).to_string_lossy().into_owned();
        let _ = writeln!(script, "PATH={}:\"$PATH\"", shell_words::quote(&bin));
    }
    script.push_str(FUNCTIONS);
    let source = ctx.mix_path(path).to_string_lossy().into_owned();
    let _ = writeln!(script, "source {}", shell_words::quote(&source));
    Ok(script)
}

/// A directory of the app as mix sees it, without a trailing `/.` for the app itself.
fn mix_dir(ctx: &Context<'_>, place: &str) -> PathBuf {
    if place == "." {
        ctx.dir.clone()
    } else {
        ctx.mix_path(place)
    }
}

/// The functions of the Phoenix static buildpack that scripts call. They don't indent, since the log does.
const FUNCTIONS: &str =
    "info() { echo \"$*\"; }\nindent() { cat; }\nhead() { echo; echo \"$*\"; }\n";

/// Returns the name of the cache entry for the `node_modules` of a directory.
fn cache_name(dir: &str) -> String {
    let dir = dir.replace('%', "%25").replace('/', "%2F");
    format!("node_modules-{dir}")
}

/// A path relative to a directory above it. `.` is that directory.
fn below<'a>(folder: &str, path: &'a str) -> &'a Path {
    match Path::new(path).strip_prefix(folder) {
        Ok(rest) if rest.as_os_str().is_empty() => Path::new("."),
        Ok(rest) => rest,
        // Every path is below `.`.
        Err(_) => Path::new(path),
    }
}

/// Splits a command into its program and arguments.
fn words(command: &[String]) -> (&str, Vec<&str>) {
    let mut words = command.iter().map(String::as_str);
    (words.next().unwrap_or_default(), words.collect())
}

/// Installs packages that were skipped for restored assets, which now have to be rebuilt.
fn install_for_rebuild(
    ctx: &Context<'_>,
    restored: &LastBuild,
    managers: &Tools,
) -> Result<(), Error> {
    let skipped = std::mem::take(&mut ctx.compilation.state().installs_skipped);
    if skipped {
        install(ctx, restored, managers)
    } else {
        Ok(())
    }
}
