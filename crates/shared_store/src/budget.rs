//! The time that a slow or broken store may cost a build.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time that may be lost before reading stops, and before writing stops.
const READING: Duration = Duration::from_secs(2);
const WRITING: Duration = Duration::from_secs(3);
/// The time that a useful response may take without counting as lost, besides the time for its bytes at the lowest
/// speed. It is long for a server, but the machine may be busy compiling.
const ALLOWANCE: Duration = Duration::from_secs(1);
/// The shortest wait without a response that counts as a fault of the store, and not only as the end of the budget.
const SILENCE: Duration = Duration::from_secs(1);
/// The lowest acceptable speed of a request, in bytes per second.
const LOWEST_SPEED: u64 = 256 * 1024;
/// The number of faults after which the build continues without the store.
const MAX_FAULTS: u32 = 2;
/// How often a waiting request checks the clock and the cancel flag.
const TICK: Duration = Duration::from_millis(20);

/// Counts the bytes that a request has moved so far.
#[derive(Debug)]
pub(crate) struct Moved {
    started: Instant,
    bytes: AtomicU64,
    /// When the last byte moved, in milliseconds after the start.
    last: AtomicU64,
}

impl Moved {
    fn new(started: Instant) -> Self {
        Self {
            started,
            bytes: AtomicU64::default(),
            last: AtomicU64::default(),
        }
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let last = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(last, Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns when the last byte moved.
    fn last(&self) -> Instant {
        self.started + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) effect: Effect,
    /// Completes "The shared store at … ". Contains no secrets.
    pub(crate) text: String,
}

/// The effect of a fault on the rest of the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The store isn't used any more.
    Off,
    /// Nothing more is written.
    NoWrites,
    /// The second one has the effect of `Off`.
    Counts,
    /// No other request is affected.
    Alone,
}

impl Fault {
    pub(crate) fn new(effect: Effect, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { effect, text }
    }
}

/// Runs requests until they have cost a build too much time.
///
/// Time counts as lost while a request is open that fails, finds nothing, or takes longer than its size explains.
/// Parallel requests lose the same time only once.
#[derive(Debug)]
pub(crate) struct Budget {
    cancel: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lost: Duration,
    /// The time until which `lost` has been counted.
    counted: Option<Instant>,
    faults: u32,
    is_off: bool,
    has_no_writes: bool,
    /// The text of the first fault.
    trouble: Option<String>,
}

impl State {
    /// The time that may still be lost, or `None` if the store isn't used for this any more.
    fn remaining(&self, purpose: Purpose) -> Option<Duration> {
        let (is_off, limit) = match purpose {
            Purpose::Read => (self.is_off, READING),
            Purpose::Write => (self.is_off || self.has_no_writes, WRITING),
        };
        let remaining = limit.saturating_sub(self.lost);
        (!is_off && !remaining.is_zero()).then_some(remaining)
    }

    /// Returns the time between `from` and `to` that isn't counted yet.
    fn uncounted(&self, from: Instant, to: Instant) -> Duration {
        let from = self.counted.map_or(from, |counted| counted.max(from));
        to.saturating_duration_since(from)
    }

    fn lose(&mut self, purpose: Purpose, from: Instant, to: Instant) {
        let lost = self.uncounted(from, to);
        if !lost.is_zero() {
            self.counted = Some(to);
            // On a busy machine, reads take longer than allowed. That is no reason to stop writing.
            self.lost = match purpose {
                Purpose::Read => (self.lost + lost).min(READING.max(self.lost)),
                Purpose::Write => self.lost + lost,
            };
        }
        if self.lost >= READING {
            self.trouble.get_or_insert_with(|| TOO_SLOW.to_owned());
        }
    }

    fn fault(&mut self, fault: Fault) {
        match fault.effect {
            Effect::Off => self.is_off = true,
            Effect::NoWrites => self.has_no_writes = true,
            Effect::Counts => self.faults += 1,
            Effect::Alone => {}
        }
        self.is_off |= self.faults >= MAX_FAULTS;
        self.trouble.get_or_insert(fault.text);
    }
}

const TOO_SLOW: &str = "is too slow to be of use";

impl Budget {
    pub(crate) fn new(cancel: Arc<AtomicBool>) -> Self {
        let state = Mutex::default();
        Self { cancel, state }
    }

    /// The state is valid after every statement that changes it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_spent(&self, purpose: Purpose) -> bool {
        self.state().remaining(purpose).is_none()
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.state().fault(fault);
    }

    /// Returns the sentence for the log.
    pub(crate) fn trouble(&self, place: &str) -> Option<String> {
        let state = self.state();
        let text = state.trouble.as_ref()?;
        let is_over = |purpose| state.remaining(purpose).is_none();
        let effect = match (is_over(Purpose::Read), is_over(Purpose::Write)) {
            (true, true) => "; the build goes on without it",
            (true, false) => "; the build reads nothing more from it",
            (false, true) => "; the build adds nothing more to it",
            (false, false) => "",
        };
        Some(format!("The shared store at {place} {text}{effect}."))
    }

    /// Runs a request on its own thread and waits for it no longer than the budget allows. `is_useful` returns
    /// whether a response was worth waiting for.
    ///
    /// Abandoned requests end by their own timeouts, or with the process.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        purpose: Purpose,
        is_useful: fn(&T) -> bool,
        request: impl FnOnce(&Moved) -> Result<T, Fault> + Send + 'static,
    ) -> Option<T> {
        if self.is_spent(purpose) || self.is_cancelled() {
            return None;
        }
        let started = Instant::now();
        let moved = Arc::new(Moved::new(started));
        let (sender, answers) = mpsc::sync_channel(1);
        let of_request = Arc::clone(&moved);
        let thread = thread::Builder::new().spawn(move || {
            // The receiver of an abandoned request is gone.
            drop(sender.send(request(&of_request)));
        });
        if let Err(error) = thread {
            let text = format!("can't be used, since no thread could be started: {error}");
            self.fault(Fault::new(Effect::Off, text));
            return None;
        }
        let answer = loop {
            match answers.recv_timeout(TICK) {
                Ok(answer) => break answer,
                Err(RecvTimeoutError::Disconnected) => {
                    break Err(Fault::new(Effect::Counts, "can't be used"));
                }
                Err(RecvTimeoutError::Timeout) if self.is_cancelled() => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(fault) = self.lateness(purpose, &moved) {
                        break Err(fault);
                    }
                }
            }
        };
        let useful = answer.as_ref().is_ok_and(is_useful);
        let allowance = if useful {
            ALLOWANCE + time_of(moved.bytes())
        } else {
            Duration::ZERO
        };
        let mut state = self.state();
        // Record this fault first, since its text says more than that time was lost.
        let value = answer.map_err(|fault| state.fault(fault)).ok();
        state.lose(purpose, started + allowance, Instant::now());
        value
    }

    /// Returns the fault of a request that has taken too long for the bytes that it has moved.
    fn lateness(&self, purpose: Purpose, moved: &Moved) -> Option<Fault> {
        let state = self.state();
        let now = Instant::now();
        // An upload is soon in the system's buffers, even if the server is slow.
        let from = moved.last().min(moved.started + time_of(moved.bytes()));
        let lost = state.uncounted(from, now);
        let is_in_time = |remaining| lost < remaining;
        if state.remaining(purpose).is_some_and(is_in_time) {
            return None;
        }
        let idle = now.saturating_duration_since(moved.last());
        if idle >= SILENCE {
            let text = format!("didn't answer within {:.1} s", idle.as_secs_f64());
            return Some(Fault::new(Effect::Counts, text));
        }
        Some(Fault::new(Effect::Alone, TOO_SLOW))
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// Returns the time for this number of bytes at the lowest speed.
fn time_of(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / LOWEST_SPEED)
}
