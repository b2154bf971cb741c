//! mix: dependencies, compilation, digest, release.

use crate::answers::{Answers, EXECUTABLES_TASK, TASK, TASK_SOURCE};
use crate::command::Tool;
use crate::credentials::Credentials;
use crate::environment::default;
use crate::error::{Doing, Error};
use crate::log::{StepLog, seconds};
use crate::run::Build;
use crate::tree::TreeError;
use app::facts::join;
use app::{Origin, launcher};
use std::path::Path;
use std::time::{Duration, SystemTime};

impl Build<'_> {
    pub(crate) fn deps(&self) -> Result<(), Error> {
        let log = self.means.log.step("Fetching dependencies");
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
            log.warning(&warning);
        }
        let mut lent = credentials.lend(&self.env)?;
        // Nobody is there to answer.
        default(&mut lent.env, "GIT_TERMINAL_PROMPT", "0");
        log.detail(&format!("$ mix {}", args.join(" ")));
        Tool::new("mix", &args, &self.app_dir, &lent.env)
            .run(&log, self.means.cancel)
            .map_err(Error::command(Doing::Deps))?;
        drop(lent);
        self.path.open_dependencies()?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    /// Compiles, drops dependencies that are no longer used, and asks what only mix can say: all
    /// in one VM, whose start would cost more than the last two.
    pub(crate) fn compile(&self) -> Result<(), Error> {
        let begun = SystemTime::now();
        if self.plan.hooks.hook_compile.is_some() {
            self.hook("hook_compile", self.plan.hooks.hook_compile.as_ref())?;
            let log = self.means.log.step("Looking at the project");
            self.ask(&log, Doing::Answers, &["deps.clean", "--unused"], None)?;
            self.settle_path_deps(&log, begun)?;
            return self.after_compile(log);
        }
        let log = self.means.log.step("Compiling");
        log.detail("$ mix compile");
        self.ask(&log, Doing::Compile, &["compile"], Some("mix compile"))?;
        self.settle_path_deps(&log, begun)?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        self.after_compile(log)
    }

    /// mix touches `compile.lock` when it has compiled other dependencies, and path dependencies
    /// depend on that file (`will_recompile` and `Mix.ProjectStack.config_files/0`): the next `mix`
    /// finds them changed, and compiles again what uses them at compile time. That must not be the
    /// one on the dyno.
    fn settle_path_deps(&self, log: &StepLog<'_>, begun: SystemTime) -> Result<(), Error> {
        let answers = self.answers();
        let Some(app) = answers.app.filter(|_| !answers.path_deps.is_empty()) else {
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
                "again, for what uses {}, since other dependencies are new:",
                answers.path_deps.join(", ")
            ));
            self.tool(Doing::Compile, "mix", &["compile"], &self.app_dir, log)?;
        }
        Ok(())
    }

    /// What hooks and asset steps build on, now that mix has said which tasks there are.
    fn after_compile(&self, log: StepLog<'_>) -> Result<(), Error> {
        // Each step's block is whole.
        drop(log);
        self.keep_executables()?;
        self.restore_digested()
    }

    fn ask(
        &self,
        log: &StepLog<'_>,
        doing: Doing,
        task: &[&str],
        shown: Option<&str>,
    ) -> Result<(), Error> {
        let scratch = tempfile::tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let source = scratch.path().join("answers.exs");
        let written = scratch.path().join("answers");
        std::fs::write(&source, TASK_SOURCE).map_err(TreeError::at(&source, "write"))?;
        let (source, answers) = (source.to_string_lossy(), written.to_string_lossy());
        let mut args = vec!["-r", &source, "-S", "mix", "do"];
        args.extend_from_slice(task);
        args.extend_from_slice(&[",", TASK, &answers]);
        if self.plan.removes_executables {
            args.extend_from_slice(&[",", EXECUTABLES_TASK]);
        }
        if task == ["compile"] {
            args.extend_from_slice(&[",", "deps.clean", "--unused"]);
        }
        let mut tool = Tool::new("elixir", &args, &self.app_dir, &self.env);
        if let Some(shown) = shown {
            shown.clone_into(&mut tool.shown);
        }
        tool.run(log, self.means.cancel)
            .map_err(Error::command(doing))?;
        let answers = Answers::read(&written).map_err(TreeError::at(&written, "read"))?;
        self.resolve(log, &answers)?;
        // Set once: there is one compile step.
        let _ = self.answers.set(answers);
        Ok(())
    }

    /// mix has the last word on what the plan could only guess.
    fn resolve(&self, log: &StepLog<'_>, answers: &Answers) -> Result<(), Error> {
        let mut record = self.record();
        let server = format!("{}.server", self.plan.phoenix_ex);
        record.phoenix = answers.has_task(&server);
        let command = if self.plan.release {
            let Some(name) = answers.release() else {
                return Err(Error::WhichRelease {
                    names: answers.releases.clone(),
                    origin: Origin::file(join(&self.plan.app_dir.value, "mix.exs"), 0),
                });
            };
            record.release = Some(name.to_owned());
            let bin = format!("_build/{}/rel/{name}/bin", self.plan.mix_env.value);
            // Known before the release is assembled: overlays are copied as they are.
            if self
                .workspace
                .real(&self.in_app("rel/overlays/bin/server"))
                .is_file()
            {
                format!("{bin}/server")
            } else {
                format!("{bin}/{name} start")
            }
        } else if record.phoenix {
            format!("mix {server}")
        } else {
            "mix run --no-halt".to_owned()
        };
        let command = launcher::command(&self.plan.app_dir.value, &command);
        let guessed = record.processes.insert("web".to_owned(), command.clone());
        if guessed.is_some_and(|guessed| guessed != command) {
            log.detail(&format!("mix says that web is: {command}"));
        }
        Ok(())
    }

    pub(crate) fn answers(&self) -> Answers {
        self.answers.get().cloned().unwrap_or_default()
    }

    /// Digests what the app's own hook or script has not digested already, and drops what is too
    /// old of earlier deploys: both in one VM.
    pub(crate) fn digest(&self) -> Result<(), Error> {
        let digest = format!("{}.digest", self.plan.phoenix_ex);
        let clean = self.clean_task();
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
        if self.answers().has_task(&digest) && !left.is_empty() {
            let first = format!("{digest},");
            let args = match &clean {
                Some(clean) => vec!["do", &first, clean],
                None => vec![digest.as_str()],
            };
            // In an umbrella's root the task runs for every child: one VM instead of one for each.
            let folders = if self.plan.umbrella && left.len() == assets.len() {
                vec![self.plan.app_dir.value.as_str()]
            } else {
                left
            };
            self.static_files("Digesting static files", &args, &folders)?;
        }
        let with_old: Vec<&str> = done
            .into_iter()
            .filter(|dir| self.has_old_digests(dir))
            .collect();
        match &clean {
            Some(clean) if !with_old.is_empty() => {
                self.static_files("Dropping old static files", &[clean], &with_old)
            }
            _ => Ok(()),
        }
    }

    fn static_files(
        &self,
        header: &'static str,
        args: &[&str],
        folders: &[&str],
    ) -> Result<(), Error> {
        let log = self.means.log.step(header);
        for folder in folders {
            let folder = self.seen(folder);
            self.tool(Doing::Digest, "mix", args, &folder, &log)?;
        }
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }

    pub(crate) fn release(&self) -> Result<(), Error> {
        let log = self.means.log.step("Building the release");
        let name = self.record().release.clone();
        // mix takes a name only of a release that mix.exs defines; without any it makes one.
        let defined = self.answers().releases;
        let mut args = vec!["release"];
        args.extend(
            name.as_deref()
                .filter(|name| defined.iter().any(|known| known == name)),
        );
        args.push("--overwrite");
        self.tool(Doing::Release, "mix", &args, &self.app_dir, &log)?;
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }
}
