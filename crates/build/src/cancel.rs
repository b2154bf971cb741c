//! Stopping in order: a signal ends the children and lets the build clean up after itself.

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long children may take to end after `SIGTERM` before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// Shared by everything that waits: whether to stop, and which process groups to take along.
#[derive(Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    signal: AtomicI32,
    groups: Mutex<BTreeSet<i32>>,
}

impl Cancel {
    /// Makes SIGTERM, SIGINT and SIGHUP cancel instead of ending the process at once: links in
    /// the runtime path and staging directories would stay behind.
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

    /// The flag itself, for the fetching code, which knows nothing of processes.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// The number of the signal that cancelled, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Asks every child's process group to end, and kills what is left after a grace period.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.send(Signal::TERM);
        let until = Instant::now() + GRACE;
        while Instant::now() < until && !self.lock().is_empty() {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.send(Signal::KILL);
    }

    pub(crate) fn enter(&self, group: i32) {
        self.lock().insert(group);
        // The signal may have come between the start of the child and its registration.
        if self.is_cancelled() {
            self.send(Signal::TERM);
        }
    }

    /// Forgets a group whose leader has ended, and ends what the leader left running.
    pub(crate) fn leave(&self, group: i32) {
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

fn kill(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group) {
        // A group that has ended already is what was wanted.
        let _ = kill_process_group(pid, signal);
    }
}
