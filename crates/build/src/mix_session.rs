//! One VM for several mix commands: starting it, with the project loaded, costs more than most of
//! them when little has changed.
//!
//! The VM runs a task of ours that waits for the next command, a file that is renamed into a folder
//! of the session. A line on each output stream says that a command has ended; a command that fails
//! ends the VM as it would have ended alone.

use crate::answers::{SESSION_TASK, TASK_SOURCE};
use crate::cancel::Cancel;
use crate::command::{self, CommandError, Env, Followed, Running, Tool};
use crate::log::StepLog;
use crate::quiet::Quiet;
use crate::tree::TreeError;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A VM that waits for commands.
pub(crate) struct MixSession {
    folder: TempDir,
    running: Running,
    commands: u32,
}

/// What became of a command.
pub(crate) enum Outcome {
    /// Its VM waits for the next one.
    Open(MixSession),
    /// Its VM has ended, with success: something called `System.halt`.
    Over,
}

impl MixSession {
    /// Starts the VM; `dir` is the project's folder.
    pub(crate) fn start(dir: &Path, env: &Env, cancel: &Cancel) -> Result<Self, crate::Error> {
        let folder = tempfile::Builder::new()
            .prefix("mixpack-session-")
            .tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let source = folder.path().join("session.exs");
        fs::write(&source, TASK_SOURCE).map_err(TreeError::at(&source, "write"))?;
        let (source, at) = (source.to_string_lossy(), folder.path().to_string_lossy());
        let builder = std::process::id().to_string();
        let args = ["-r", &source, "-S", "mix", SESSION_TASK, &at, &builder];
        let mut tool = Tool::new("elixir", &args, dir, env);
        "mix".clone_into(&mut tool.shown);
        let running = tool
            .start(cancel)
            .map_err(crate::Error::command(crate::Doing::Answers))?;
        Ok(Self {
            folder,
            running,
            commands: 0,
        })
    }

    /// Runs tasks one after the other, as one `mix do` would; `shown` is what messages call it.
    pub(crate) fn run(
        mut self,
        tasks: &[Vec<String>],
        shown: &str,
        quiet: Option<Quiet>,
        log: &StepLog<'_>,
        cancel: &Cancel,
    ) -> Result<Outcome, CommandError> {
        self.commands += 1;
        let start_error = |source| CommandError::Start {
            command: shown.to_owned(),
            source,
        };
        let mark = format!("mixpack-session {} {}", self.commands, self.name());
        let lines: Vec<String> = tasks.iter().map(|words| words.join("\t")).collect();
        let next = self.folder.path().join(self.commands.to_string());
        let beside = next.with_extension("new");
        fs::write(&beside, format!("{mark}\n{}\n", lines.join("\n"))).map_err(start_error)?;
        fs::rename(&beside, &next).map_err(start_error)?;
        // Once from stdout, once from stderr: what either held before is in the log then.
        let mut marks = 0;
        let is_last = |line: &str| {
            let found = line == mark;
            marks += u32::from(found);
            command::Seen {
                hidden: found,
                last: marks == 2,
            }
        };
        match self.running.follow(shown, quiet, log, cancel, is_last)? {
            Followed::ToTheLastLine => Ok(Outcome::Open(self)),
            Followed::ToItsEnd => Ok(Outcome::Over),
        }
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
