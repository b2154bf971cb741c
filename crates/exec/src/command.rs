//! Runs tools: prints their output in the step's block, and controls their process groups.

use crate::cancel::{self, Cancel};
use crate::log::{StepLog, seconds};
use crate::output_filter::OutputFilter;
use crate::output_lines::{Next, OutputLines};
use rustix::process::Signal;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// The interval between messages about a tool that prints nothing.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// The number of lines of output that an error message may quote: enough for any compiler error.
const ERROR_LINES: usize = 400;
/// The number of lines of filtered output to print if the tool fails.
const BUFFERED_LINES: usize = 20_000;

/// All variables of a child process. It inherits no others.
pub type Env = BTreeMap<OsString, OsString>;

/// A tool couldn't be started, failed, or was stopped.
#[derive(Debug, Error)]
pub enum CommandError {
    #[error("{command} cannot be started: {source}")]
    Start { command: String, source: io::Error },
    #[error("{command} failed with {status}")]
    Failed {
        /// The command as typed in a shell.
        command: String,
        /// `exit status 1`, `signal 9`.
        status: String,
        /// The exit status as in a shell: 128 + N for signal N.
        code: i32,
        /// The last lines of its output.
        output: Vec<String>,
    },
    #[error("stopped")]
    Cancelled,
}

/// A tool to run.
#[derive(Debug, Clone)]
pub struct Tool<'a> {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub cwd: &'a Path,
    pub env: &'a Env,
    /// The command in the log and in errors: `mix deps.get`.
    pub shown: String,
}

impl<'a> Tool<'a> {
    /// A program on the `PATH` of `env`, shown as typed in a shell.
    pub fn new(program: &str, args: &[&str], cwd: &'a Path, env: &'a Env) -> Self {
        let mut shown = program.to_owned();
        for arg in args {
            shown.push(' ');
            shown.push_str(arg);
        }
        Self {
            program: find(program, env),
            args: args.iter().map(OsString::from).collect(),
            cwd,
            env,
            shown,
        }
    }

    /// A shell command, run by bash.
    #[must_use]
    pub fn shell(line: &str, cwd: &'a Path, env: &'a Env) -> Self {
        Self {
            program: find("bash", env),
            args: vec!["-c".into(), line.into()],
            cwd,
            env,
            shown: line.to_owned(),
        }
    }

    /// Runs the tool to its end. Prints the lines of stdout and stderr in order, through `filter` if given.
    pub fn run(
        &self,
        filter: Option<OutputFilter>,
        log: &StepLog<'_>,
        cancel: &Cancel,
    ) -> Result<(), CommandError> {
        let running = self.start(cancel)?;
        let to_the_end = |_: &str| LineInfo::default();
        running.follow(&self.shown, filter, log, cancel, to_the_end)?;
        Ok(())
    }

    /// Starts the tool. [`Running::follow`] prints its output.
    pub fn start(&self, cancel: &Cancel) -> Result<Running, CommandError> {
        let start_error = |source| CommandError::Start {
            command: self.shown.clone(),
            source,
        };
        if cancel.is_cancelled() {
            return Err(CommandError::Cancelled);
        }
        // A single pipe for both streams keeps the order of their lines.
        let (reader, writer) = io::pipe().map_err(start_error)?;
        let (exited, exiting) = io::pipe().map_err(start_error)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(self.cwd)
            .env_clear()
            .envs(self.env)
            // sh keeps this logical path for `cd ..`. If the directory is a link, the physical path is outside the
            // stable path.
            .env("PWD", self.cwd)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(start_error)?)
            .stderr(writer)
            .process_group(0);
        let mut child = command.spawn().map_err(start_error)?;
        // `command` holds the write ends of the pipe. Otherwise the reader would never see its end.
        drop(command);
        let group = i32::try_from(child.id()).unwrap_or_default();
        cancel.enter(group);

        let exit = std::thread::spawn(move || {
            let status = child.wait();
            drop(exiting);
            status
        });
        Ok(Running {
            group,
            lines: OutputLines::new(reader, exited),
            exit,
        })
    }
}

/// How to handle a line of output.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineInfo {
    /// Don't log this line.
    pub hidden: bool,
    /// Stop following after this line.
    pub last: bool,
}

/// The result of following a tool.
pub enum FollowResult {
    /// The tool is still running.
    StillRunning(Running),
    /// The tool has exited successfully.
    Exited,
}

/// A running tool.
pub struct Running {
    group: i32,
    lines: OutputLines,
    exit: JoinHandle<io::Result<ExitStatus>>,
}

/// An event of a tool that is followed.
enum Event<'a> {
    Line(&'a str),
    Silence,
}

impl Running {
    /// Prints the output, through `filter` if given, up to the line that `classify` marks as the last, or until the
    /// tool ends.
    pub fn follow(
        mut self,
        shown: &str,
        filter: Option<OutputFilter>,
        log: &StepLog<'_>,
        cancel: &Cancel,
        mut classify: impl FnMut(&str) -> LineInfo,
    ) -> Result<FollowResult, CommandError> {
        let mut output = Output {
            lines: VecDeque::new(),
            dropped: 0,
            filter,
            printed: false,
            blank: false,
        };
        let is_last = self.read(cancel, &mut |event| match event {
            Event::Line(line) => {
                let info = classify(line);
                if !info.hidden {
                    output.take(line, log);
                }
                info.last
            }
            Event::Silence => {
                let at = output
                    .at()
                    .map_or_else(String::new, |at| format!(", at {at}"));
                log.progress(&format!("{shown}{at}, {}", seconds(log.elapsed())));
                log.heartbeat(&format!("{shown}{at}"), HEARTBEAT_INTERVAL);
                false
            }
        });
        if is_last {
            output.succeeded(log);
            return Ok(FollowResult::StillRunning(self));
        }
        match self.status(shown, cancel) {
            Ok(status) if status.success() => {
                output.succeeded(log);
                Ok(FollowResult::Exited)
            }
            Ok(status) => Err(failed(shown, status, output.failed(log))),
            Err(error) => {
                output.failed(log);
                if cancel.is_cancelled() {
                    log.detail("stopped");
                }
                Err(error)
            }
        }
    }

    /// Collects the output instead of printing it, up to the line that `classify` marks as the last, or until the
    /// tool ends. Calls `silent` whenever there was no output for a while. As in [`follow`](Self::follow), the error
    /// of a failed tool contains its last lines.
    pub fn collect(
        mut self,
        shown: &str,
        cancel: &Cancel,
        mut classify: impl FnMut(&str) -> LineInfo,
        mut silent: impl FnMut(),
    ) -> (Vec<String>, Result<FollowResult, CommandError>) {
        let mut lines = Vec::new();
        let is_last = self.read(cancel, &mut |event| match event {
            Event::Line(line) => {
                let info = classify(line);
                if !info.hidden {
                    lines.push(line.to_owned());
                }
                info.last
            }
            Event::Silence => {
                silent();
                false
            }
        });
        if is_last {
            return (lines, Ok(FollowResult::StillRunning(self)));
        }
        let result = self.status(shown, cancel).and_then(|status| {
            if status.success() {
                return Ok(FollowResult::Exited);
            }
            let last = lines[lines.len().saturating_sub(ERROR_LINES)..].to_vec();
            Err(failed(shown, status, last))
        });
        (lines, result)
    }

    /// Reads the output until `take` returns `true`, or until the tool ends. Returns whether `take` returned `true`.
    fn read(&mut self, cancel: &Cancel, take: &mut dyn FnMut(Event<'_>) -> bool) -> bool {
        loop {
            match self.lines.next(Duration::from_millis(100)) {
                // Skip the messages of a tool about its cancellation: they aren't the reason for the failure.
                Next::Line(_) if cancel.is_cancelled() => {}
                Next::Line(line) => {
                    if take(Event::Line(&line)) {
                        return true;
                    }
                }
                Next::Silence => drop(take(Event::Silence)),
                Next::End => return false,
            }
        }
    }

    /// Waits for the tool to exit, and ends the processes that it left running.
    fn status(self, shown: &str, cancel: &Cancel) -> Result<ExitStatus, CommandError> {
        let status = self.exit.join();
        let status = status.unwrap_or_else(|_| Err(io::Error::other("lost the child")));
        cancel.leave(self.group);
        if cancel.is_cancelled() {
            return Err(CommandError::Cancelled);
        }
        status.map_err(|source| CommandError::Start {
            command: shown.to_owned(),
            source,
        })
    }

    /// Returns a handle that stops the tool from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.group)
    }

    /// Waits for the tool to end. Ignores its output and status.
    pub fn wait(mut self, cancel: &Cancel) {
        while self.lines.next(HEARTBEAT_INTERVAL) != Next::End {}
        self.kill(cancel);
    }

    pub fn kill(self, cancel: &Cancel) {
        cancel.leave(self.group);
        let _ = self.exit.join();
    }
}

/// Stops a tool that another thread follows. Must only be used meanwhile, since the ID of the process group may be
/// reused later.
#[derive(Debug, Clone, Copy)]
pub struct Stopper(i32);

impl Stopper {
    pub fn stop(self) {
        cancel::kill(self.0, Signal::KILL);
    }
}

fn failed(shown: &str, status: ExitStatus, output: Vec<String>) -> CommandError {
    CommandError::Failed {
        command: shown.to_owned(),
        status: words(status),
        code: shell_code(status),
        output,
    }
}

struct Output {
    /// The last lines.
    lines: VecDeque<String>,
    /// The number of dropped lines before them.
    dropped: usize,
    filter: Option<OutputFilter>,
    /// Whether a line with text was printed, and whether blank lines followed it.
    printed: bool,
    blank: bool,
}

impl Output {
    fn take(&mut self, line: &str, log: &StepLog<'_>) {
        let most = if let Some(filter) = &mut self.filter {
            filter.take(line);
            BUFFERED_LINES
        } else {
            self.print(line, log);
            ERROR_LINES
        };
        if self.lines.len() == most {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line.to_owned());
    }

    /// Prints a line. Merges blank lines, and drops leading and trailing ones.
    fn print(&mut self, line: &str, log: &StepLog<'_>) {
        if line.trim().is_empty() {
            self.blank = self.printed;
            return;
        }
        if std::mem::take(&mut self.blank) {
            log.detail("");
        }
        log.detail(line);
        self.printed = true;
    }

    fn at(&self) -> Option<&str> {
        self.filter.as_ref()?.at()
    }

    fn succeeded(self, log: &StepLog<'_>) {
        if let Some(filter) = self.filter {
            filter.finish(log);
        }
    }

    /// Prints all lines that were held back. Returns the last lines.
    fn failed(mut self, log: &StepLog<'_>) -> Vec<String> {
        if self.filter.is_some() {
            if self.dropped > 0 {
                log.detail(&format!("... the first {} lines are omitted", self.dropped));
            }
            let lines = std::mem::take(&mut self.lines);
            for line in &lines {
                self.print(line, log);
            }
            self.lines = lines;
        }
        let before = self.lines.len().saturating_sub(ERROR_LINES);
        self.lines.drain(..before);
        self.lines.into()
    }
}

/// Looks up a program on the child's `PATH`, not on Mixpack's.
fn find(program: &str, env: &Env) -> PathBuf {
    let path = env.get(OsStr::new("PATH")).map(OsString::as_os_str);
    std::env::split_paths(path.unwrap_or_default())
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| PathBuf::from(program))
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

fn shell_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

#[cfg(test)]
mod tests;
