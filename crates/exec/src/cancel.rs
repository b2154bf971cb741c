//! Cancellation: a signal ends the child processes, and the build cleans up before it exits.

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The time that children have to exit after `SIGTERM` before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// The cancellation flag, and the process groups to end with it. Shared by all threads that wait.
#[derive(Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    signal: AtomicI32,
    groups: Mutex<BTreeSet<i32>>,
}

impl Cancel {
    /// Makes SIGTERM, SIGINT and SIGHUP cancel the build instead of ending the process at once, which would leave
    /// links in the runtime path and staging directories behind.
    pub fn on_signals() -> io::Result<Arc<Self>> {
        let cancel = Arc::new(Self::default());
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let shared = Arc::clone(&cancel);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                shared.signal.store(signal, Ordering::SeqCst);
                shared.cancel();
            }
        });
        Ok(cancel)
    }

    /// Returns the flag, for download code, which doesn't depend on this crate.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Returns the number of the signal that cancelled the build, if any.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Sends SIGTERM to every child's process group, and kills the rest after a grace period.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.send(Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until && !self.lock().is_empty() {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.send(Signal::KILL);
    }

    pub fn enter(&self, group: i32) {
        self.lock().insert(group);
        // If the signal came between the start of the child and its registration, nothing else ends the child. It has
        // nothing to clean up yet.
        if self.is_cancelled() {
            kill(group, Signal::KILL);
        }
    }

    /// Runs a command to its end and collects its output. A background job that outlives the command
    /// ends with it.
    ///
    /// # Errors
    ///
    /// The command can't be started. A cancelled command returns the status of its signal.
    pub fn output(&self, command: &mut Command) -> io::Result<Output> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = i32::try_from(child.id()).unwrap_or_default();
        self.enter(group);
        let stdout = child.stdout.take().map(read_in_parallel);
        let stderr = child.stderr.take().map(read_in_parallel);
        let status = child.wait();
        self.leave(group);
        let text = |reader: Option<JoinHandle<Vec<u8>>>| {
            let text = reader.map(JoinHandle::join);
            text.and_then(Result::ok).unwrap_or_default()
        };
        Ok(Output {
            status: status?,
            stdout: text(stdout),
            stderr: text(stderr),
        })
    }

    /// Removes a group whose leader has exited, and ends the processes that the leader left running.
    pub fn leave(&self, group: i32) {
        self.lock().remove(&group);
        kill(group, Signal::KILL);
    }

    fn send(&self, signal: Signal) {
        for group in self.lock().iter() {
            kill(*group, signal);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<i32>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_in_parallel(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // Keep the text read before an error.
        let _ = pipe.read_to_end(&mut text);
        text
    })
}

pub(crate) fn kill(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group) {
        // An error means that the group has already ended.
        let _ = kill_process_group(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn background_job_does_not_delay_command_exit() {
        let started = Instant::now();
        let output = Cancel::default().output(&mut shell("sleep 30 & echo out; echo err >&2"));
        let output = output.unwrap();
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b"err\n"[..])
        );
        assert!(output.status.success() && started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn cancelling_stops_command_with_captured_output() {
        let cancel = Arc::new(Cancel::default());
        let other = Arc::clone(&cancel);
        let started = Instant::now();
        let canceller = std::thread::spawn(move || {
            while other.lock().is_empty() {
                std::thread::yield_now();
            }
            other.cancel();
        });
        // This command ignores SIGTERM and has to be killed.
        let output = cancel.output(&mut shell("trap '' TERM; sleep 30")).unwrap();
        canceller.join().unwrap();
        assert!(!output.status.success() && started.elapsed() < Duration::from_secs(20));
        // A command that starts after the cancellation also ends at once.
        let late = cancel.output(&mut shell("trap '' TERM; sleep 30")).unwrap();
        assert!(!late.status.success() && started.elapsed() < Duration::from_secs(20));
    }
}
