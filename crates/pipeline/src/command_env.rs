//! The environment of the commands of a build.

use crate::downloads::Downloads;
use crate::machine;
use app::facts::Manager;
use app::plan::{Install, PackageManager, Plan};
use exec::command::Env;
use exec::environment::{default, prepend_path};
use exec::log::Log;
use messages::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use store::Store;
use store::tree::TreeError;
use versions::ElixirVersion;
use workdir::bounds::Bounds;
use workdir::workspace::Workspace;

/// Returns the environment of every command of the build.
pub(crate) fn command_env(
    plan: &Plan,
    workspace: &Workspace<'_>,
    dir: &Path,
    downloads: &Downloads<'_>,
) -> Result<Env, Error> {
    let places = &workspace.places;
    let mut env = workspace.environment.for_commands();
    for (name, value) in &plan.exported {
        env.insert(name.into(), value.into());
    }
    let mut path = vec![
        dir.join(&places.elixir).join("bin"),
        dir.join(&places.erlang).join("bin"),
    ];
    if plan.node.is_some() {
        path.extend(managers_path(plan, workspace, dir)?);
        path.push(dir.join(&places.node).join("bin"));
    }
    prepend_path(&mut env, &path);
    env.insert("MIX_ENV".into(), (&plan.mix_env.value).into());
    default(&mut env, "MIX_HOME", dir.join(&places.mix_home));
    default(&mut env, "HEX_HOME", dir.join(&places.hex_home));
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"];
    if locale
        .iter()
        .all(|name| !env.contains_key(std::ffi::OsStr::new(name)))
    {
        default(&mut env, "LANG", "C.UTF-8");
    }
    let compilers = machine::compilers();
    let elixir = plan.elixir.build.version.as_ref();
    if has_own_vms(elixir) {
        // With this variable, mix itself would compile the remaining dependencies in parallel.
        env.remove(OsStr::new(VMS));
    } else if compilers > 1 && compiles_dependencies_in_parallel(elixir) {
        default(&mut env, VMS, compilers.to_string());
    }
    // Builds are not interactive.
    default(&mut env, "GIT_TERMINAL_PROMPT", "0");
    // HOME stays the user's. Each tool's cache moves to the build cache separately.
    default(&mut env, "XDG_CACHE_HOME", workspace.store.scratch("xdg")?);
    if plan.node.is_some() {
        default(&mut env, "npm_config_cache", downloads.folder("npm")?);
        for (name, value) in [
            ("npm_config_audit", "false"),
            ("npm_config_fund", "false"),
            ("npm_config_progress", "false"),
            ("npm_config_update_notifier", "false"),
            ("npm_config_logs_max", npm_log_limit(plan)),
        ] {
            default(&mut env, name, value);
        }
        managers_variables(plan, workspace, downloads, &mut env)?;
        bower_variables(plan, workspace.store, &mut env)?;
    }
    // Before OTP 25, `erl` has the root directory from its Install script, which was run for the runtime path.
    if plan.otp_major < 25 && dir != Path::new(&plan.runtime_path) {
        default(&mut env, "ERL_ROOTDIR", dir.join(&places.erlang));
    }
    Ok(env)
}

/// The number of logs that npm keeps. Up to version 6, npm removes logs until there are fewer, and fails if none is
/// left to remove. It writes logs only of failures.
pub(crate) fn npm_log_limit(plan: &Plan) -> &'static str {
    let comes_with_node = plan
        .node
        .as_ref()
        .is_some_and(|node| node.build.major() < 15);
    let mut installs = plan
        .assets
        .iter()
        .filter_map(|assets| assets.install.as_ref());
    let is_old = comes_with_node || installs.any(|install| install.manager.is_npm_before(7, 0));
    if is_old { "1" } else { "0" }
}

/// mix's variable for the number of VMs that compile dependencies, since Elixir 1.19.
pub(crate) const VMS: &str = "MIX_OS_DEPS_COMPILE_PARTITION_COUNT";

/// Whether Mixpack itself may compile dependencies in several VMs: only with Elixir versions for which the result is
/// known to be the same as mix's.
pub(crate) fn has_own_vms(elixir: Option<&ElixirVersion>) -> bool {
    elixir.is_some_and(|version| {
        version.is_at_least_minor(14) && !compiles_dependencies_in_parallel(Some(version))
    })
}

/// Whether Elixir compiles dependencies correctly in several VMs. Versions 1.19 and 1.20 lose code paths and compiler
/// options that a dependency sets for others. Commit 6f18bf70 fixes this in 1.21.
pub(crate) fn compiles_dependencies_in_parallel(elixir: Option<&ElixirVersion>) -> bool {
    elixir.is_some_and(|version| version.is_at_least_minor(21))
}

/// Replaces a `MIX_HOME` outside the build's own directories: Mixpack installs Hex and rebar3 there and removes older
/// ones, which it mustn't do on the rest of the machine.
pub(crate) fn keep_mix_home_in_bounds(
    env: &mut Env,
    bounds: &Bounds,
    dir: &Path,
    workspace: &Workspace<'_>,
    log: &Log,
) {
    const NAME: &str = "MIX_HOME";
    let place = &workspace.places.mix_home;
    let requested = env.get(OsStr::new(NAME)).map(PathBuf::from);
    let is_elsewhere = |requested: &PathBuf| {
        *requested != dir.join(place) && bounds.target_outside(requested).is_some()
    };
    if let Some(requested) = requested.filter(is_elsewhere) {
        log.warning(&[
            format!(
                "{NAME} is {}, which is outside of the app",
                requested.display()
            ),
            format!("Using {} instead.", place.display()),
        ]);
        env.insert(NAME.into(), dir.join(place).into());
    }
}

/// The package managers that the plan downloads, one of each kind.
pub(crate) fn fetched_managers(plan: &Plan) -> Vec<&PackageManager> {
    let mut list: Vec<&PackageManager> = plan
        .assets
        .iter()
        .filter(|assets| !assets.hook_has_manager)
        .filter_map(|assets| assets.install.as_ref())
        .map(|install| &install.manager)
        .filter(|manager| manager.version.is_some())
        .collect();
    list.sort_by_key(|manager| manager.manager);
    list.dedup_by_key(|manager| manager.manager);
    list
}

/// The directory of a package manager: relative to the app, or absolute if it doesn't ship. yarn ships in the
/// directory that the Phoenix static buildpack uses, since Procfiles may name it.
pub(crate) fn manager_dir(
    workspace: &Workspace<'_>,
    manager: Manager,
) -> Result<PathBuf, TreeError> {
    Ok(match manager {
        Manager::Yarn => workspace.places.yarn.clone(),
        other => workspace.store.scratch("managers")?.join(other.as_str()),
    })
}

/// The directories of package managers on `PATH`, for an app in `dir`.
pub(crate) fn managers_path(
    plan: &Plan,
    workspace: &Workspace<'_>,
    dir: &Path,
) -> Result<Vec<PathBuf>, TreeError> {
    fetched_managers(plan)
        .into_iter()
        .map(|manager| {
            Ok(dir
                .join(manager_dir(workspace, manager.manager)?)
                .join("bin"))
        })
        .collect()
}

/// Moves the caches of package managers from the user's home to the build cache. All use the same registry.
pub(crate) fn managers_variables(
    plan: &Plan,
    workspace: &Workspace<'_>,
    downloads: &Downloads<'_>,
    env: &mut Env,
) -> Result<(), TreeError> {
    default(env, "COREPACK_HOME", workspace.store.scratch("corepack")?);
    default(env, "COREPACK_ENABLE_DOWNLOAD_PROMPT", "0");
    let registry = ["NPM_CONFIG_REGISTRY", "npm_config_registry"]
        .iter()
        .find_map(|name| env.get(OsStr::new(name)).cloned());
    let installs = plan.assets.iter().filter_map(|a| a.install.as_ref());
    for Install { manager, dir, .. } in installs {
        match manager.manager {
            Manager::Npm => {}
            Manager::Yarn if manager.berry => {
                default(env, "YARN_ENABLE_TELEMETRY", "0");
                default(env, "YARN_GLOBAL_FOLDER", downloads.folder("yarn-berry")?);
                // A committed cache (zero-install) stays in use.
                if !workspace.real(Path::new(dir)).join(".yarn/cache").is_dir() {
                    default(env, "YARN_ENABLE_GLOBAL_CACHE", "true");
                }
                if let Some(registry) = &registry {
                    default(env, "YARN_NPM_REGISTRY_SERVER", registry);
                }
            }
            Manager::Yarn => {
                default(env, "YARN_CACHE_FOLDER", downloads.folder("yarn")?);
                if let Some(registry) = &registry {
                    default(env, "YARN_REGISTRY", registry);
                }
            }
            Manager::Pnpm => {
                let folder = downloads.folder("pnpm")?;
                default(env, "npm_config_store_dir", &folder);
                // The name of the variable from pnpm 11 on.
                default(env, "pnpm_config_store_dir", &folder);
            }
            Manager::Bun => default(env, "BUN_INSTALL_CACHE_DIR", downloads.folder("bun")?),
        }
    }
    Ok(())
}

/// Moves bower's directories to the build cache, also for commands of the app that call bower.
pub(crate) fn bower_variables(
    plan: &Plan,
    store: &dyn Store,
    env: &mut Env,
) -> Result<(), TreeError> {
    if plan.assets.iter().any(|assets| assets.bower) {
        let folder = store.scratch("bower")?;
        for name in STORAGE {
            default(env, &format!("bower_storage__{name}"), folder.join(name));
        }
    }
    Ok(())
}

/// bower's directories in the user's home, by their names in its environment variables: its download caches,
/// and directories that it always creates.
pub(crate) const STORAGE: [&str; 5] = ["packages", "registry", "links", "completion", "empty"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_compile_in_several_vms_only_on_sound_elixir() {
        let sound = |text: &str| {
            compiles_dependencies_in_parallel(ElixirVersion::parse(text).ok().as_ref())
        };
        for lossy in ["1.18.4", "1.19.0", "1.19.5", "1.20.3"] {
            assert!(!sound(lossy), "{lossy}");
        }
        assert!(sound("1.21.0") && sound("2.0.0"));
        // The version of a branch isn't known before it is installed.
        assert!(!compiles_dependencies_in_parallel(None));
        let own = |text: &str| has_own_vms(ElixirVersion::parse(text).ok().as_ref());
        assert!(own("1.14.0") && own("1.20.3"));
        assert!(!own("1.13.4") && !own("1.21.0") && !has_own_vms(None));
    }
}
