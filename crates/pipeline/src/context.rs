//! The input of the steps.

use crate::Request;
use crate::app_tree::AppTree;
use crate::contained::Bounds;
use crate::downloads::Downloads;
use crate::git;
use crate::machine;
use crate::mix_session::MixSession;
use crate::report::Report;
use crate::stable_path::StablePath;
use crate::steps::generated::Compilation;
use crate::steps::{bower, package_managers};
use crate::workspace::Workspace;
use app::Plan;
use app::facts::join;
use app::mix_lock;
use app::text_file;
use exec::Action;
use exec::cancel::Cancel;
use exec::command::{Env, Tool};
use exec::environment::{default, prepend_path};
use exec::log::{Log, StepLog};
use exec::quiet::Quiet;
use fetch::Client;
use messages::Error;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use toolchain::Hosts;
use versions::ElixirVersion;

/// The version that logs and records name.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The input of every step, and what the steps share.
pub(crate) struct Context<'a> {
    pub plan: &'a Plan,
    pub workspace: &'a Workspace<'a>,
    pub client: &'a Client,
    pub hosts: &'a Hosts,
    pub log: &'a Log,
    pub cancel: &'a Cancel,
    pub report: &'a Report,
    pub path: &'a StablePath,
    pub bounds: Bounds,
    pub tree: AppTree,
    /// The top of the repository as tools see it: the runtime path where it can be used.
    pub dir: PathBuf,
    /// The folder that mix works in: the same, or the app's folder in it.
    pub app_dir: PathBuf,
    pub env: Env,
    session: Mutex<Option<MixSession>>,
    pub compilation: Compilation,
    /// The digests that were there before the build, by Phoenix app.
    pub manifests: BTreeMap<String, Option<SystemTime>>,
    /// Before the git of the machine.
    pub git: Option<git::Recorder>,
    /// Held until the last command has ended.
    _downloads: Downloads<'a>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        request: &Request<'a>,
        (client, hosts): (&'a Client, &'a Hosts),
        (plan, workspace): (&'a Plan, &'a Workspace<'a>),
        (path, bounds): (&'a StablePath, Bounds),
    ) -> Result<Self, Error> {
        let dir = path.dir();
        let manifests = plan
            .assets
            .iter()
            .map(|assets| {
                let at = manifest_time(&workspace.app, &assets.phoenix_dir);
                (assets.phoenix_dir.clone(), at)
            })
            .collect();
        let downloads = Downloads::of(workspace.store, &workspace.environment.for_commands())?;
        let mut env = command_env(plan, workspace, dir, &downloads)?;
        stay_in_bounds(&mut env, &bounds, dir, workspace, request.log);
        let git = git::Recorder::on_path_of(&mut env)?;
        Ok(Self {
            tree: AppTree::of(plan, workspace, dir, &env),
            git,
            env,
            dir: dir.to_owned(),
            app_dir: match plan.app_dir.value.as_str() {
                "." => dir.to_owned(),
                app_dir => dir.join(app_dir),
            },
            session: Mutex::default(),
            compilation: Compilation::default(),
            manifests,
            _downloads: downloads,
            plan,
            workspace,
            client,
            hosts,
            log: request.log,
            cancel: request.cancel,
            report: request.report,
            path,
            bounds,
        })
    }

    /// A tool on the build's PATH, in a folder of the app as mix sees it.
    pub(crate) fn tool(
        &self,
        action: Action,
        program: &str,
        args: &[&str],
        folder: &Path,
        log: &StepLog<'_>,
    ) -> Result<(), Error> {
        log.detail(&format!("$ {program} {}", args.join(" ")));
        self.run_tool(action, &Tool::new(program, args, folder, &self.env), log)
    }

    /// The log has what a reader needs of it.
    pub(crate) fn run_tool(
        &self,
        action: Action,
        tool: &Tool<'_>,
        log: &StepLog<'_>,
    ) -> Result<(), Error> {
        tool.run(self.quiet(&action), log, self.cancel)
            .map_err(Error::command(action))
    }

    pub(crate) fn quiet(&self, action: &Action) -> Option<Quiet> {
        if self.plan.verbose {
            return None;
        }
        Quiet::of(action, || {
            let lock = self.workspace.real(&self.in_app("mix.lock"));
            let lock = text_file::read(&lock).unwrap_or_default();
            let locked = mix_lock::parse(&lock).into_iter();
            locked.map(|locked| locked.app).collect()
        })
    }

    /// A folder of the repository, as mix sees it.
    pub(crate) fn seen(&self, place: impl AsRef<Path>) -> PathBuf {
        self.dir.join(place)
    }

    /// The path, relative to the top, of something in the app's folder.
    pub(crate) fn in_app(&self, name: &str) -> PathBuf {
        PathBuf::from(join(&self.plan.app_dir.value, name))
    }

    /// The VM that waits for mix commands, if one does.
    pub(crate) fn session(&self) -> std::sync::MutexGuard<'_, Option<MixSession>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end_session(&self) {
        let session = self.session().take();
        if let Some(session) = session {
            session.end(self.cancel);
        }
    }
}

pub(crate) fn manifest_time(app: &Path, phoenix_dir: &str) -> Option<SystemTime> {
    app.join(phoenix_dir)
        .join("priv/static/cache_manifest.json")
        .metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
}

/// Hex and rebar3 go to `MIX_HOME`, and older ones there go away: not in a folder of the machine's.
fn stay_in_bounds(
    env: &mut Env,
    bounds: &Bounds,
    dir: &Path,
    workspace: &Workspace<'_>,
    log: &Log,
) {
    const NAME: &str = "MIX_HOME";
    let place = &workspace.places.mix_home;
    let asked = env.get(OsStr::new(NAME)).map(PathBuf::from);
    let is_elsewhere =
        |asked: &PathBuf| *asked != dir.join(place) && bounds.leads_out(asked).is_some();
    if let Some(asked) = asked.filter(is_elsewhere) {
        log.warning(&[
            format!("{NAME} is {}, which is outside of the app", asked.display()),
            format!("Using {} instead.", place.display()),
        ]);
        env.insert(NAME.into(), dir.join(place).into());
    }
}

/// Whether Elixir compiles dependencies correctly in several VMs. It can since 1.19, but loses code paths
/// and compiler options that a dependency sets for others until commit 6f18bf70 in what becomes 1.21.
fn has_sound_partitions(elixir: Option<&ElixirVersion>) -> bool {
    elixir.is_some_and(|version| version.is_at_least_minor(21))
}

/// How many of its logs npm keeps. Up to version 6 it looks for one to remove until there are fewer
/// than that, and fails where none is left. Those write logs of failures alone.
fn logs_of_npm(plan: &Plan) -> &'static str {
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

/// What every command of the build sees.
fn command_env(
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
        path.extend(package_managers::path(plan, workspace, dir)?);
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
    if compilers > 1 && has_sound_partitions(plan.elixir.build.version.as_ref()) {
        let name = "MIX_OS_DEPS_COMPILE_PARTITION_COUNT";
        default(&mut env, name, compilers.to_string());
    }
    // Nobody is there to answer.
    default(&mut env, "GIT_TERMINAL_PROMPT", "0");
    // HOME stays the user's; what tools would keep in it goes where it lasts, one by one.
    default(&mut env, "XDG_CACHE_HOME", workspace.store.scratch("xdg")?);
    if plan.node.is_some() {
        default(&mut env, "npm_config_cache", downloads.folder("npm")?);
        for (name, value) in [
            ("npm_config_audit", "false"),
            ("npm_config_fund", "false"),
            ("npm_config_progress", "false"),
            ("npm_config_update_notifier", "false"),
            ("npm_config_logs_max", logs_of_npm(plan)),
        ] {
            default(&mut env, name, value);
        }
        package_managers::variables(plan, workspace, downloads, &mut env)?;
        bower::variables(plan, workspace.store, &mut env)?;
    }
    // Before OTP 25 `erl` knows its root only from Install, which was told the runtime path.
    if plan.otp_major < 25 && dir != Path::new(&plan.runtime_path) {
        default(&mut env, "ERL_ROOTDIR", dir.join(&places.erlang));
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_vms_compile_dependencies_only_where_elixir_loses_nothing() {
        let sound = |text: &str| has_sound_partitions(ElixirVersion::parse(text).ok().as_ref());
        for lossy in ["1.18.4", "1.19.0", "1.19.5", "1.20.3"] {
            assert!(!sound(lossy), "{lossy}");
        }
        assert!(sound("1.21.0") && sound("2.0.0"));
        // What a branch holds isn't known before it is there.
        assert!(!has_sound_partitions(None));
    }
}
