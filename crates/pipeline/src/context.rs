//! The input of the steps.

use crate::compilation::Compilation;
use crate::downloads::Downloads;
use crate::fetched::FetchedTools;
use crate::mix_session::MixSession;
use crate::report::Report;
use crate::request::Request;
use crate::{command_env, git};
use app::facts::{join, mix_lock};
use app::{Plan, text_file};
use exec::Action;
use exec::cancel::Cancel;
use exec::command::{Env, Tool};
use exec::log::{Log, StepLog};
use exec::output_filter::OutputFilter;
use fetch::Client;
use messages::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use store::tree::{self, TreeError};
use toolchain::Hosts;
use workdir::app_tree::AppTree;
use workdir::bounds::Bounds;
use workdir::stable_path::StablePath;
use workdir::workspace::Workspace;

/// The input of every step, and the state that steps share.
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
    /// The root of the repository as tools see it: the runtime path, if it can be used.
    pub dir: PathBuf,
    /// The directory in which mix runs: `dir`, or the app's subdirectory.
    pub app_dir: PathBuf,
    pub env: Env,
    session: Mutex<Option<MixSession>>,
    pub compilation: Compilation,
    /// Modification times of the digest manifests before the build, by Phoenix app.
    pub manifests: BTreeMap<String, Option<SystemTime>>,
    /// Records git commands: a wrapper before the real git on `PATH`.
    pub git: Option<git::Recorder>,
    pub(crate) fetched: FetchedTools,
    /// Dropped when the last command has ended.
    pub(crate) downloads: Downloads<'a>,
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
        let mut env = command_env::command_env(plan, workspace, dir, &downloads)?;
        command_env::keep_mix_home_in_bounds(&mut env, &bounds, dir, workspace, request.log);
        let git = git::Recorder::install_on_path(&mut env)?;
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
            fetched: FetchedTools::default(),
            downloads,
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

    /// A command with a tool on the build's PATH, in a directory of the app as mix sees it.
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

    /// Runs a tool, and logs its output without lines of no use to readers.
    pub(crate) fn run_tool(
        &self,
        action: Action,
        tool: &Tool<'_>,
        log: &StepLog<'_>,
    ) -> Result<(), Error> {
        tool.run(self.output_filter(&action), log, self.cancel)
            .map_err(Error::command(action))
    }

    pub(crate) fn output_filter(&self, action: &Action) -> Option<OutputFilter> {
        if self.plan.verbose {
            return None;
        }
        OutputFilter::of(action, || {
            // A new lockfile isn't in the build directory yet.
            let lock = self.mix_path(self.in_app("mix.lock"));
            let lock = text_file::read(&lock).unwrap_or_default();
            let locked = mix_lock::parse(&lock).into_iter();
            locked.map(|locked| locked.app).collect()
        })
    }

    /// The path of a directory of the repository, as mix sees it.
    pub(crate) fn mix_path(&self, place: impl AsRef<Path>) -> PathBuf {
        self.dir.join(place)
    }

    /// A path in the app's directory, relative to the root of the repository.
    pub(crate) fn in_app(&self, name: &str) -> PathBuf {
        PathBuf::from(join(&self.plan.app_dir.value, name))
    }

    /// Writes a file of the app, and replaces an existing one.
    pub(crate) fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.workspace.real(Path::new(path));
        if let Some(parent) = path.parent() {
            if let Some(to) = self.bounds.target_outside(parent) {
                let place = parent.strip_prefix(&self.workspace.app).unwrap_or(parent);
                let place = place.display().to_string();
                return Err(Error::OutsideApp { place, to });
            }
            fs::create_dir_all(parent).map_err(TreeError::at(parent, "create the folder"))?;
        }
        // Replace a symbolic link instead of writing to its target.
        tree::remove(&path)?;
        fs::write(&path, text).map_err(TreeError::at(&path, "write"))?;
        Ok(())
    }

    /// The VM that waits for mix commands, if one is running.
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
