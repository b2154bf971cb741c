//! A command of a sandbox, and the program that it started.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{self, ChildStderr, ChildStdout, ExitStatus, Output, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::{Error, Result, Sandbox, at};

/// The time that [`Process::signal`] waits for the program to start.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(30);

/// A program to run in a [`Sandbox`], set up like a [`std::process::Command`]. Standard input is
/// empty, the other two are the caller's unless asked otherwise or [`Command::output`] is used.
#[derive(Debug)]
pub struct Command<'sandbox> {
    sandbox: &'sandbox Sandbox,
    pub(super) words: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) dir: PathBuf,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
}

impl Sandbox {
    /// A command to run inside. `program` is searched in the PATH set with [`Sandbox::env`].
    #[must_use]
    pub fn command<I, A>(&self, program: impl Into<OsString>, args: I) -> Command<'_>
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString>,
    {
        let words = std::iter::once(program.into())
            .chain(args.into_iter().map(Into::into))
            .collect();
        Command::new(self, words)
    }
}

impl<'sandbox> Command<'sandbox> {
    fn new(sandbox: &'sandbox Sandbox, words: Vec<OsString>) -> Self {
        Self {
            sandbox,
            words,
            env: sandbox.env.clone(),
            dir: PathBuf::from("/"),
            stdin: Stdio::null(),
            stdout: Stdio::inherit(),
            stderr: Stdio::inherit(),
        }
    }
}

impl Command<'_> {
    /// Sets a variable, in addition to the environment of the sandbox.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The working directory inside; `/` unless set.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Starts the program. Errors of setting up the sandbox are returned when waiting.
    pub fn spawn(self) -> Result<Process> {
        let run = self.sandbox.runs.fetch_add(1, Ordering::SeqCst);
        let dir = self.sandbox.run_dir(run);
        for name in ["lower", "upper", "work", "merged"] {
            let path = dir.join(name);
            at(&path, fs::create_dir_all(&path))?;
        }
        // Pass the script in a file, since `ps` inside would show one on the command line.
        let script = dir.join("script");
        at(
            &script,
            fs::write(&script, self.sandbox.script(&dir, &self)),
        )?;
        let child = process::Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child=KILL", "sh"])
            .arg(script)
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .stdin(self.stdin)
            .stdout(self.stdout)
            .stderr(self.stderr)
            .spawn()
            .map_err(|source| Error::Spawn {
                program: "unshare",
                source,
            })?;
        Ok(Process { child, dir })
    }

    /// Runs the program and waits for it.
    pub fn status(self) -> Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Runs the program, its output captured.
    pub fn output(self) -> Result<Output> {
        self.stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?
            .wait_with_output()
    }
}

/// Observes the processes of a [`Process`].
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    unshare: u32,
}

impl Watch {
    /// Returns the host's pids of all processes in the pid namespace, except the shell that is process 1.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let Some(script) = only_child(self.unshare) else {
            return Vec::new();
        };
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let Some(ours) = namespace(script) else {
            return Vec::new();
        };
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|&pid| pid != script && namespace(pid).as_ref() == Some(&ours))
            .collect()
    }
}

/// A program that was started in a [`Sandbox`]. Dropping it kills it and all that it started.
#[derive(Debug)]
pub struct Process {
    child: process::Child,
    dir: PathBuf,
}

impl Process {
    /// Returns when the program itself started, after the sandbox was set up. `None` before.
    #[must_use]
    pub fn began(&self) -> Option<SystemTime> {
        fs::metadata(self.dir.join("started"))
            .and_then(|file| file.modified())
            .ok()
    }

    /// Returns a handle to observe the processes from another thread than the waiting one.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            unshare: self.child.id(),
        }
    }

    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends `signal` to the program itself (not to its children), waiting for it to exist.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let program = loop {
            if self.dir.join("started").exists()
                && let Some(pid) = self.program()
            {
                break pid;
            }
            let ended = self.child.try_wait().map_err(Error::Wait)?.is_some();
            if ended || Instant::now() > deadline {
                return Err(Error::NotRunning);
            }
            thread::sleep(Duration::from_millis(5));
        };
        kill_process(program, signal).map_err(|errno| Error::Signal(errno.into()))
    }

    /// The host's pid of the program: `unshare` has one child, the script, and that one.
    fn program(&self) -> Option<Pid> {
        let script = only_child(self.child.id())?;
        let program = i32::try_from(only_child(script)?).ok()?;
        // Before it becomes the program, the process is a copy of the script's shell, chroot and env, which the
        // signal would end.
        let cmdline = |pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let now = cmdline(program);
        let on_the_way = now.is_empty()
            || now == cmdline(i32::try_from(script).ok()?)
            || now.starts_with(b"chroot\0--userspec=")
            || now.starts_with(b"/usr/bin/env\0-i\0-C\0");
        if on_the_way {
            None
        } else {
            Pid::from_raw(program)
        }
    }

    /// Ends the program, and all that it started, at once.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().map_err(Error::Wait)
    }

    /// Waits for the program. The exit code is 128 + N if signal N ended it.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().map_err(Error::Wait)?;
        self.judge(status, &[])
    }

    /// Returns the status if the program has ended, as in [`Process::wait`].
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        match self.child.try_wait().map_err(Error::Wait)? {
            Some(status) => self.judge(status, &[]).map(Some),
            None => Ok(None),
        }
    }

    /// Waits for the program, and returns the output of its pipes.
    pub fn wait_with_output(mut self) -> Result<Output> {
        let stderr = self.child.stderr.take().map(read_aside);
        let stdout = self.child.stdout.take().map(read_aside);
        let status = self.child.wait().map_err(Error::Wait)?;
        let stdout = collect(stdout)?;
        let stderr = collect(stderr)?;
        let status = self.judge(status, &stderr)?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Distinguishes a failed set-up from the end of the program.
    fn judge(&self, status: ExitStatus, stderr: &[u8]) -> Result<ExitStatus> {
        if let Ok(failed) = fs::read_to_string(self.dir.join("failed")) {
            let (stage, message) = failed.split_once('\n').unwrap_or((&failed, ""));
            return Err(Error::Setup {
                stage: stage.to_owned(),
                message: message.trim().to_owned(),
            });
        }
        if self.dir.join("started").exists() || status.signal().is_some() {
            return Ok(status);
        }
        Err(Error::Setup {
            stage: "unshare".to_owned(),
            message: String::from_utf8_lossy(stderr).trim().to_owned(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both only fail if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_aside(mut pipe: impl io::Read + Send + 'static) -> thread::JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes)?;
        Ok(bytes)
    })
}

fn collect(reader: Option<thread::JoinHandle<io::Result<Vec<u8>>>>) -> Result<Vec<u8>> {
    let Some(reader) = reader else {
        return Ok(Vec::new());
    };
    reader
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")))
        .map_err(Error::Wait)
}

fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
