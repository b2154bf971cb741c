//! mix: dependencies, compilation, digest, release.

use crate::app_tree::Entries;
use crate::context::Context;
use crate::mix_info::{EXECUTABLES_TASK, MixInfo, TASK};
use crate::mix_session::{MixSession, Outcome};
use crate::steps::kept_assets::{AssetFiles, BuiltAssets};
use crate::steps::project::Project;
use crate::steps::release::Release;
use crate::steps::state::LastBuild;
use app::facts::join;
use app::{Origin, hex_metadata, launcher, text_file};
use exec::Action;
use exec::command::Tool;
use exec::credentials::{Credentials, LEND_TASK};
use exec::log::{StepLog, seconds};
use messages::Error;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use store::tree::TreeError;

impl Context<'_> {
    pub(crate) fn deps(&self, restored: &LastBuild) -> Result<(), Error> {
        let log = self.log.step("Fetching dependencies");
        let mut args = vec!["deps.get"];
        // Tests may use what is for development alone: credo, dialyxir.
        if self.workspace.environment.tests_only().is_none() {
            args.extend(["--only", self.plan.mix_env.value.as_str()]);
        }
        if self.plan.check_locked {
            args.push("--check-locked");
        }
        let credentials = Credentials::of(&self.workspace.environment);
        for warning in credentials.warnings() {
            log.warning(warning);
        }
        let shown = format!("mix {}", args.join(" "));
        let settled = self.is_settled(&args, &shown, &log)?;
        let mut touched = None;
        if let Some(why) = settled {
            log.detail(&format!("not needed: {why}"));
        } else {
            log.detail(&format!("$ {shown}"));
            let before = self.entries()?;
            self.get_deps(&args, &shown, &credentials, &log)?;
            touched = self.touched_by_deps_get(&before)?;
        }
        self.path.open_dependencies()?;
        if let Some(path) = touched {
            let path = path.display();
            log.detail(&format!(
                "runs in every build because it creates or changes {path}"
            ));
            self.forget_settled();
        } else if settled.is_none() {
            self.keep_settled(&args, &shown, &log)?;
        }
        self.record().elixir_requirements = self.elixir_requirements();
        self.renew_stale(restored, &log)?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        // Each step's block is whole.
        drop(log);
        if self.plan.hooks.hook_pre_compile.is_none() {
            self.before_compile(restored)?;
        }
        Ok(())
    }

    /// Of the packages that say so: the next plan may have to suggest another Elixir.
    fn elixir_requirements(&self) -> BTreeMap<String, String> {
        let packages = std::fs::read_dir(self.workspace.real(&self.in_app("deps")));
        let packages = packages.into_iter().flatten().filter_map(Result::ok);
        packages
            .filter_map(|package| {
                let metadata = text_file::read(&package.path().join("hex_metadata.config")).ok()?;
                hex_metadata::elixir_requirement(&metadata)
            })
            .collect()
    }

    fn get_deps(
        &self,
        args: &[&str],
        shown: &str,
        credentials: &Credentials,
        log: &StepLog<'_>,
    ) -> Result<(), Error> {
        if !credentials.are_lent() {
            return self.mix(Action::Deps, &[args], shown, log);
        }
        // What waits has seen deps as they were.
        self.end_session();
        let lent = credentials.lend(&self.env)?;
        let script = lent.script.as_deref().map(Path::to_string_lossy);
        let mut tool = match &script {
            None => Tool::new("mix", args, &self.app_dir, &lent.env),
            Some(script) => {
                let args = [&["-r", script, "-S", "mix", LEND_TASK], args].concat();
                Tool::new("elixir", &args, &self.app_dir, &lent.env)
            }
        };
        shown.clone_into(&mut tool.shown);
        self.run_tool(Action::Deps, &tool, log)
    }

    /// Runs tasks at the top of the project, in the VM that the last ones ran in where that waits.
    pub(crate) fn mix(
        &self,
        action: Action,
        tasks: &[&[&str]],
        shown: &str,
        log: &StepLog<'_>,
    ) -> Result<(), Error> {
        let (cancel, store) = (self.cancel, self.workspace.store);
        let waiting = self.session().take();
        let session = match waiting {
            Some(session) => session,
            None => MixSession::start(&self.app_dir, &self.env, store, self.vm_key(), cancel)?,
        };
        let tasks: Vec<Vec<String>> = tasks
            .iter()
            .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
            .collect();
        let quiet = self.quiet(&action);
        match session.run(&tasks, shown, quiet, log, cancel) {
            Ok(Outcome::Open(mut session)) => {
                // Without them the next build takes longer, and that is all.
                let _ = session.keep_tasks(store);
                *self.session() = Some(session);
            }
            Ok(Outcome::Over) => {}
            Err(error) => {
                self.tell_of_git(log);
                return Err(Error::command(action)(error));
            }
        }
        Ok(())
    }

    /// Compiles, drops dependencies that are no longer used, and asks what only mix can say: all
    /// in one VM, whose start would cost more than the last two.
    pub(crate) fn compile(&self, restored: &LastBuild) -> Result<Project, Error> {
        let turn = self.turn();
        let before = self.entries()?;
        let (mut log, mut after, mut project) = self.run_compiler(&before)?;
        if self.must_compile_everything(&before, &after, &log)? {
            drop(log);
            (log, after, project) = self.run_compiler(&before)?;
        }
        if self.try_start(&project, &log)? {
            after = self.entries()?;
        }
        drop(turn);
        // Each step's block is whole.
        drop(log);
        self.keep_executables()?;
        self.compiled(&before, (after, project.clone()), restored)?;
        Ok(project)
    }

    /// `before` is the app before it ran; gives the app as it is then.
    fn run_compiler(&self, before: &Entries) -> Result<(StepLog<'_>, Entries, Project), Error> {
        let begun = SystemTime::now();
        if self.plan.hooks.hook_compile.is_some() {
            self.hook("hook_compile", self.plan.hooks.hook_compile.as_ref())?;
            let log = self.log.step("Inspecting the project");
            let project = self.ask(&log, Action::ProjectInfo, None)?;
            self.settle_path_deps(&project.info, &log, begun)?;
            let after = self.compile_new_code(&log, before)?;
            return Ok((log, after, project));
        }
        let log = self.log.step("Compiling");
        let command = if self.compile_anew.load(Ordering::SeqCst) {
            "mix compile --force"
        } else {
            "mix compile"
        };
        log.detail(&format!("$ {command}"));
        let project = self.ask(&log, Action::Compile, Some(command))?;
        self.settle_path_deps(&project.info, &log, begun)?;
        let after = self.compile_new_code(&log, before)?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok((log, after, project))
    }

    /// mix touches `compile.lock` when it has compiled other dependencies, and path dependencies
    /// depend on that file (`will_recompile` and `Mix.ProjectStack.config_files/0`): the next `mix`
    /// finds them changed, and compiles again what uses them at compile time. That must not be the
    /// one on the dyno.
    fn settle_path_deps(
        &self,
        info: &MixInfo,
        log: &StepLog<'_>,
        begun: SystemTime,
    ) -> Result<(), Error> {
        let Some(app) = info.app.as_ref().filter(|_| !info.path_deps.is_empty()) else {
            return Ok(());
        };
        let manifests = format!("_build/{}/lib/{app}/.mix", self.plan.mix_env.value);
        let lock = self.in_app(&manifests).join("compile.lock");
        let touched = self.workspace.real(&lock).metadata();
        // mix knows whole seconds.
        let touched = touched
            .and_then(|found| found.modified())
            .is_ok_and(|time| time + Duration::from_secs(1) > begun);
        if touched {
            log.detail(&format!(
                "compiling the users of {} again because other dependencies changed:",
                info.path_deps.join(", ")
            ));
            log.detail("$ mix compile");
            self.mix(Action::Compile, &[&["compile"]], "mix compile", log)?;
        }
        Ok(())
    }

    /// Compiles code that modules have created while they were compiled: mix had listed the files
    /// before. That must not be left to the dyno.
    fn compile_new_code(&self, log: &StepLog<'_>, before: &Entries) -> Result<Entries, Error> {
        let mut now = self.entries()?;
        let mut path = self.new_code(before, &now);
        // Code that creates other code each time is never done.
        for _ in 0..3 {
            let Some(new) = path else {
                break;
            };
            let new = new.display();
            log.detail(&format!(
                "compiling again because compilation generated {new}:"
            ));
            log.detail("$ mix compile");
            self.mix(Action::Compile, &[&["compile"]], "mix compile", log)?;
            let then = std::mem::replace(&mut now, self.entries()?);
            path = self.new_code(&then, &now);
        }
        Ok(now)
    }

    fn ask(
        &self,
        log: &StepLog<'_>,
        action: Action,
        shown: Option<&str>,
    ) -> Result<Project, Error> {
        let scratch = tempfile::tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let written = scratch.path().join("answers");
        let answers = written.to_string_lossy();
        let ask = [TASK, &answers];
        let mut tasks: Vec<&[&str]> = Vec::new();
        match (shown, self.compile_anew.load(Ordering::SeqCst)) {
            (None, _) => {}
            (Some(_), false) => tasks.push(&["compile"]),
            (Some(_), true) => tasks.push(&["compile", "--force"]),
        }
        tasks.push(&ask);
        if self.plan.removes_executables {
            tasks.push(&[EXECUTABLES_TASK]);
        }
        tasks.push(&["deps.clean", "--unused"]);
        self.mix(
            action,
            &tasks,
            shown.unwrap_or("mix deps.clean --unused"),
            log,
        )?;
        self.tell_of_git(log);
        let info = MixInfo::read(&written).map_err(TreeError::at(&written, "read"))?;
        let release = self.resolve(log, &info)?;
        Ok(Project { info, release })
    }

    /// mix has the last word on what the plan could only guess.
    fn resolve(&self, log: &StepLog<'_>, info: &MixInfo) -> Result<Option<Release>, Error> {
        let mut record = self.record();
        let server = format!("{}.server", info.phoenix_ex(&self.plan.phoenix_ex));
        record.phoenix = info.has_task(&server);
        if self.plan.release && self.uses_distillery(info) {
            return Ok(None);
        }
        let name = info.release().filter(|_| self.plan.release);
        if self.plan.release && name.is_none() {
            if self.plan.release_why.is_none() {
                return Err(Error::WhichRelease {
                    names: info.releases.iter().map(|r| r.name.clone()).collect(),
                    origin: Origin::file(join(&self.plan.app_dir.value, "mix.exs"), 0),
                });
            }
            log.detail("no release: mix.exs defines none");
        }
        if let Some(name) = name {
            record.release = Some(name.to_owned());
            drop(record);
            return Ok(Some(self.plan_release(name, info, log)));
        }
        let command = if record.phoenix {
            format!("mix {server}")
        } else {
            "mix run --no-halt".to_owned()
        };
        drop(record);
        self.starts(&command, log);
        Ok(None)
    }

    /// `command` is what web starts, in the app's folder.
    pub(crate) fn starts(&self, command: &str, log: &StepLog<'_>) {
        let command = launcher::command(&self.plan.app_dir.value, command);
        let mut record = self.record();
        let guessed = record.processes.insert("web".to_owned(), command.clone());
        if guessed.is_some_and(|guessed| guessed != command) {
            log.detail(&format!("web: {command}"));
        }
    }

    /// The namespace of Phoenix' mix tasks.
    pub(crate) fn phoenix_ex<'p>(&'p self, info: &'p MixInfo) -> &'p str {
        info.phoenix_ex(&self.plan.phoenix_ex)
    }

    /// Digests what the app's own hook or script has not digested already, and drops what is too
    /// old of earlier deploys: both in one VM.
    pub(crate) fn digest(
        &self,
        project: &Project,
        built: BuiltAssets,
    ) -> Result<AssetFiles, Error> {
        if matches!(built, BuiltAssets::Restored) {
            return Ok(AssetFiles::NotBuilt);
        }
        self.digest_static_files(&project.info)?;
        self.set_assets_aside(built)
    }

    fn digest_static_files(&self, info: &MixInfo) -> Result<(), Error> {
        let digest = format!("{}.digest", self.phoenix_ex(info));
        let clean = self.clean_task(info);
        let has_files = |dir: &&str| {
            let folder = Path::new(dir).join("priv/static");
            self.workspace.real(&folder).is_dir()
        };
        let assets = &self.plan.assets;
        let (done, left): (Vec<&str>, Vec<&str>) = assets
            .iter()
            .map(|assets| assets.phoenix_dir.as_str())
            .filter(has_files)
            .partition(|dir| self.digested(dir));
        if info.has_task(&digest) && !left.is_empty() {
            let tasks = match &clean {
                Some(clean) => vec![digest.as_str(), clean],
                None => vec![digest.as_str()],
            };
            // In an umbrella's root the task runs for every child: one VM instead of one for each.
            let folders = if self.plan.umbrella && left.len() == assets.len() {
                vec![self.plan.app_dir.value.as_str()]
            } else {
                left
            };
            self.static_files("Digesting static files", &tasks, &folders)?;
        }
        let with_old: Vec<&str> = done
            .into_iter()
            .filter(|dir| self.has_old_digests(dir))
            .collect();
        match &clean {
            Some(clean) if !with_old.is_empty() => {
                self.static_files("Removing old static files", &[clean], &with_old)
            }
            _ => Ok(()),
        }
    }

    fn static_files(
        &self,
        header: &'static str,
        tasks: &[&str],
        folders: &[&str],
    ) -> Result<(), Error> {
        let log = self.log.step(header);
        for folder in folders {
            self.mix_in(Action::Digest, tasks, folder, &log)?;
        }
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    /// Tasks without arguments, in a folder of the app.
    pub(crate) fn mix_in(
        &self,
        action: Action,
        tasks: &[&str],
        folder: &str,
        log: &StepLog<'_>,
    ) -> Result<(), Error> {
        let together = tasks.join(", ");
        let shown = match tasks {
            [_, _, ..] => format!("do {together}"),
            _ => together,
        };
        if folder == self.plan.app_dir.value {
            let shown = format!("mix {shown}");
            log.detail(&format!("$ {shown}"));
            let tasks: Vec<&[&str]> = tasks.iter().map(std::slice::from_ref).collect();
            return self.mix(action, &tasks, &shown, log);
        }
        let args: Vec<&str> = shown.split(' ').collect();
        self.tool(action, "mix", &args, &self.seen(folder), log)
    }
}
