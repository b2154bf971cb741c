//! One VM for several mix commands. If little has changed, starting a VM and loading the project takes
//! longer than most commands.
//!
//! The VM runs a mix task that waits for the next command: a file that is renamed into the session's
//! directory. The VM loads Mix and the project only once the first command exists, so it can start
//! before the cache is restored. A line on each output stream marks the end of a command. A command
//! that fails ends the VM as if it had run alone.

use crate::mix_info::{COMPILER_SOURCE, SESSION_TASK, TASKS};
use exec::cancel::Cancel;
use exec::command::{CommandError, Env, FollowResult, LineInfo, Running, Stopper, Tool};
use exec::log::StepLog;
use exec::output_filter::OutputFilter;
use flate2::read::DeflateDecoder;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use store::tree::{self, TreeError};
use store::{Key, Store, TakeResult, digest};
use tempfile::TempDir;

/// A VM that waits for commands.
pub(crate) struct MixSession {
    folder: TempDir,
    running: Running,
    commands: u32,
    /// The cache key of Mixpack's tasks, if this VM compiled them.
    compiled: Option<Key>,
}

/// Elixir evaluates this before it starts Mix.
const WAIT: &str = "Mix.Tasks.Mixpack.Session.wait(System.argv())";

/// The cache entry of Mixpack's compiled tasks.
const COMPILED_TASKS: &str = "mix_tasks";

/// The result of a command.
pub(crate) enum Outcome {
    /// The VM waits for the next command.
    Open(MixSession),
    /// The VM exited successfully: the command called `System.halt`.
    Over,
}

impl MixSession {
    /// Starts the VM in the project's directory. `vm` is the cache key of its Erlang and Elixir versions.
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
        vm.insert("tasks".to_owned(), digest::short(TASKS));
        let tasks = folder.path().join("tasks");
        let are_compiled = store.take(COMPILED_TASKS, &vm, &tasks)? == TakeResult::Yes;
        let (flag, loaded) = if are_compiled {
            ("-pa", tasks)
        } else {
            // Compiling them takes as long as starting the VM.
            let compiler = folder.path().join("compile_tasks.exs");
            let source = folder.path().join("session.exs");
            fs::write(&compiler, COMPILER_SOURCE).map_err(TreeError::at(&compiler, "write"))?;
            File::create(&source)
                .and_then(|mut file| io::copy(&mut DeflateDecoder::new(TASKS), &mut file))
                .map_err(TreeError::at(&source, "write"))?;
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

    /// Saves Mixpack's tasks for the next build, if this VM compiled them. Call it after a command has ended.
    pub(crate) fn cache_tasks(&mut self, store: &dyn Store) -> Result<(), TreeError> {
        let made = self.folder.path().join("tasks");
        match self.compiled.take() {
            Some(vm) if made.is_dir() => store.put(COMPILED_TASKS, &vm, &made).map(drop),
            _ => Ok(()),
        }
    }

    /// Returns the files that modules have read while the last command compiled them: lines `KIND<TAB>PATH<TAB>SOURCE`.
    pub(crate) fn take_reads(&self) -> Result<Vec<u8>, TreeError> {
        let written = self.folder.path().join("reads");
        match fs::read(&written) {
            Ok(lines) => {
                tree::remove(&written)?;
                Ok(lines)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(TreeError::at(&written, "read")(error)),
        }
    }

    /// Runs tasks one after the other, like one `mix do`. Messages call the command `shown`.
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

    /// Runs tasks like [`run`](Self::run), and returns their output. Calls `silent` whenever they have printed nothing
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

    /// Sends a command to the VM. Returns a function that recognizes the last line of its output.
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
        // The mark comes through stdout and stderr. After both, the log has all earlier output.
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

    /// Returns a handle that stops the VM from another thread while it runs tasks.
    pub(crate) fn stopper(&self) -> Stopper {
        self.running.stopper()
    }

    /// Tells the VM to exit, and waits for it.
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
