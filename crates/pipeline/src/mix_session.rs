//! One VM for several mix commands: starting it, with the project loaded, costs more than most of
//! them when little has changed.
//!
//! The VM runs a mix task that waits for the next command: a file that is renamed into the session's
//! directory. The VM loads Mix and the project only once the first command exists, so it can start
//! before the cache is restored. A line on each output stream marks the end of a command. A command
//! that fails ends the VM as if it had run alone.

use crate::mix_info::{COMPILER_SOURCE, SESSION_TASK, TASK_SOURCE};
use exec::cancel::Cancel;
use exec::command::{CommandError, Env, FollowResult, LineInfo, Running, Stopper, Tool};
use exec::log::StepLog;
use exec::output_filter::OutputFilter;
use std::fs;
use std::path::Path;
use store::tree::TreeError;
use store::{Key, Store, TakeResult, digest};
use tempfile::TempDir;

/// A VM that waits for commands.
pub(crate) struct MixSession {
    folder: TempDir,
    running: Running,
    commands: u32,
    /// The key of Mixpack's tasks, if this VM has compiled them.
    compiled: Option<Key>,
}

/// Evaluated before Mix is started.
const WAIT: &str = "Mix.Tasks.Mixpack.Session.wait(System.argv())";

/// The cache entry of Mixpack's compiled tasks.
const TASKS: &str = "mix_tasks";

/// The result of a command.
pub(crate) enum Outcome {
    /// Its VM waits for the next one.
    Open(MixSession),
    /// Its VM has ended, with success: something called `System.halt`.
    Over,
}

impl MixSession {
    /// Starts the VM; `dir` is the project's folder, and `vm` says which Erlang and Elixir it is.
    pub(crate) fn start(
        dir: &Path,
        env: &Env,
        store: &dyn Store,
        mut vm: Key,
        cancel: &Cancel,
    ) -> Result<Self, messages::Error> {
        let folder = tempfile::Builder::new()
            .prefix("mixpack-session-")
            .tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        vm.insert("tasks".to_owned(), digest::short(TASK_SOURCE.as_bytes()));
        let tasks = folder.path().join("tasks");
        let are_compiled = store.take(TASKS, &vm, &tasks)? == TakeResult::Yes;
        let (flag, loaded) = if are_compiled {
            ("-pa", tasks)
        } else {
            // To compile them takes as long as the start of the VM.
            let compiler = folder.path().join("compile_tasks.exs");
            let source = folder.path().join("session.exs");
            for (path, text) in [(&source, TASK_SOURCE), (&compiler, COMPILER_SOURCE)] {
                fs::write(path, text).map_err(TreeError::at(path, "write"))?;
            }
            ("-r", compiler)
        };
        let (loaded, at) = (loaded.to_string_lossy(), folder.path().to_string_lossy());
        let builder = std::process::id().to_string();
        let args = [
            flag,
            &loaded,
            "-e",
            WAIT,
            "-S",
            "mix",
            SESSION_TASK,
            &at,
            &builder,
        ];
        let mut tool = Tool::new("elixir", &args, dir, env);
        "mix".clone_into(&mut tool.shown);
        let running = tool
            .start(cancel)
            .map_err(messages::Error::command(exec::Action::ProjectInfo))?;
        Ok(Self {
            folder,
            running,
            commands: 0,
            compiled: (!are_compiled).then_some(vm),
        })
    }

    /// Keeps our tasks for the next build, if this VM has compiled them. To be called when a command
    /// has ended.
    pub(crate) fn cache_tasks(&mut self, store: &dyn Store) -> Result<(), TreeError> {
        let made = self.folder.path().join("tasks");
        match self.compiled.take() {
            Some(vm) if made.is_dir() => store.put(TASKS, &vm, &made).map(drop),
            _ => Ok(()),
        }
    }

    /// Runs tasks one after the other, as one `mix do` would; `shown` is what messages call it.
    pub(crate) fn run(
        mut self,
        tasks: &[Vec<String>],
        shown: &str,
        filter: Option<OutputFilter>,
        log: &StepLog<'_>,
        cancel: &Cancel,
    ) -> Result<Outcome, CommandError> {
        let classify = self.send(tasks, shown)?;
        match self.running.follow(shown, filter, log, cancel, classify)? {
            FollowResult::StillRunning(running) => Ok(Outcome::Open(Self { running, ..self })),
            FollowResult::Exited => Ok(Outcome::Over),
        }
    }

    /// Runs tasks like [`run`](Self::run), and returns their output. Calls `silent` whenever there has been none
    /// for a while.
    pub(crate) fn collect(
        mut self,
        tasks: &[Vec<String>],
        shown: &str,
        cancel: &Cancel,
        silent: impl FnMut(),
    ) -> (Vec<String>, Result<Outcome, CommandError>) {
        let classify = match self.send(tasks, shown) {
            Ok(classify) => classify,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let (lines, result) = self.running.collect(shown, cancel, classify, silent);
        let outcome = result.map(|result| match result {
            FollowResult::StillRunning(running) => Outcome::Open(Self { running, ..self }),
            FollowResult::Exited => Outcome::Over,
        });
        (lines, outcome)
    }

    /// Sends a command to the VM. Returns what tells its last line.
    fn send(
        &mut self,
        tasks: &[Vec<String>],
        shown: &str,
    ) -> Result<impl FnMut(&str) -> LineInfo + use<>, CommandError> {
        self.commands += 1;
        let start_error = |source| CommandError::Start {
            command: shown.to_owned(),
            source,
        };
        let mark = format!("mixpack-session {} {}", self.commands, self.name());
        let lines: Vec<String> = tasks.iter().map(|words| words.join("\t")).collect();
        let next = self.folder.path().join(self.commands.to_string());
        let temporary = next.with_extension("new");
        fs::write(&temporary, format!("{mark}\n{}\n", lines.join("\n"))).map_err(start_error)?;
        fs::rename(&temporary, &next).map_err(start_error)?;
        // Once from stdout, once from stderr: what either held before is in the log then.
        let mut marks = 0;
        Ok(move |line: &str| {
            let found = line == mark;
            marks += u32::from(found);
            LineInfo {
                hidden: found,
                last: marks == 2,
            }
        })
    }

    /// A handle that stops the VM from another thread, while this one runs tasks.
    pub(crate) fn stopper(&self) -> Stopper {
        self.running.stopper()
    }

    /// Lets the VM end.
    pub(crate) fn end(self, cancel: &Cancel) {
        let next = self.folder.path().join((self.commands + 1).to_string());
        if fs::write(next, "").is_err() {
            self.running.kill(cancel);
            return;
        }
        self.running.wait(cancel);
    }

    fn name(&self) -> String {
        let name = self.folder.path().file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}
