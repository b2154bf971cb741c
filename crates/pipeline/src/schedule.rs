//! Runs and times the steps of a build, and stops the others when one of them fails.

use crate::report::Report;
use app::plan::StepName;
use exec::cancel::Cancel;
use messages::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};
use std::{mem, panic};
use workdir::bounds::Bounds;

/// When a step ran, relative to the start of the schedule, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub name: StepName,
    pub started: Duration,
    pub took: Duration,
    pub ended: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// The build failed because of this step.
    Failed,
    /// A signal, or the failure of another step, interrupted it.
    Stopped,
}

/// The build ends here. [`Schedule::end`] has the reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopped;

/// The steps that have run so far.
pub(crate) struct Schedule<'a> {
    planned: &'a [StepName],
    cancel: &'a Cancel,
    report: &'a Report,
    bounds: &'a Bounds,
    start: Instant,
    running: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    timings: Vec<Timing>,
    /// The first failure. Later ones are consequences of it.
    failure: Option<Error>,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(
        planned: &'a [StepName],
        cancel: &'a Cancel,
        report: &'a Report,
        bounds: &'a Bounds,
    ) -> Self {
        Self {
            planned,
            cancel,
            report,
            bounds,
            start: Instant::now(),
            running: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Runs a step on this thread, if it is planned. Does nothing after the build has failed or been cancelled.
    pub(crate) fn run<T: Default>(
        &self,
        name: StepName,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Stopped> {
        if self.state().failure.is_some() || self.cancel.is_cancelled() {
            return Err(Stopped);
        }
        if !self.planned.contains(&name) {
            return Ok(T::default());
        }
        self.report.set("build_step", name.as_str());
        let started = self.start.elapsed();
        self.running.fetch_add(1, Ordering::SeqCst);
        let guard = CancelOnPanic(self.cancel);
        // A command of the app may have created a link since the last step.
        let result = self.bounds.check().and_then(|()| work());
        drop(guard);
        let others = self.running.fetch_sub(1, Ordering::SeqCst) > 1;
        let took = self.start.elapsed().saturating_sub(started);
        self.report.took(name.as_str(), took);
        let mut state = self.state();
        let interrupted = state.failure.is_some() || self.cancel.signal().is_some();
        state.timings.push(Timing {
            name,
            started,
            took,
            ended: match result {
                Ok(_) => Ended::Done,
                Err(Error::Cancelled) => Ended::Stopped,
                Err(_) if interrupted => Ended::Stopped,
                Err(_) => Ended::Failed,
            },
        });
        result.map_err(|error| {
            if !matches!(error, Error::Cancelled) {
                // Another step may have begun since.
                self.report.set("build_step", name.as_str());
            }
            let is_first = state.failure.is_none();
            state.failure.get_or_insert(error);
            drop(state);
            if is_first && others {
                self.cancel.cancel();
            }
            Stopped
        })
    }

    /// Starts a step on a separate thread.
    pub(crate) fn spawn<'scope, T: Clone + Default + Send + 'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        name: StepName,
        work: impl FnOnce() -> Result<T, Error> + Send + 'scope,
    ) -> Step<'scope, T> {
        Step::Running(scope.spawn(move || self.run(name, work)))
    }

    /// Starts a step on a separate thread, where it waits for the value of another step. Returns both values.
    pub(crate) fn spawn_after<'scope, F, T>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        mut first: Step<'scope, F>,
        name: StepName,
        work: impl FnOnce(&F) -> Result<T, Error> + Send + 'scope,
    ) -> Step<'scope, (F, T)>
    where
        F: Clone + Send + 'scope,
        T: Clone + Default + Send + 'scope,
    {
        Step::Running(scope.spawn(move || {
            let value = first.join()?;
            let own = self.run(name, || work(&value))?;
            Ok((value, own))
        }))
    }

    /// The timings, and the first failure if the steps did not all succeed.
    pub(crate) fn end<T>(self, result: Result<T, Stopped>) -> (Vec<Timing>, Result<T, Error>) {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let failure = state.failure.unwrap_or(Error::Cancelled);
        (state.timings, result.map_err(|Stopped| failure))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step on a separate thread.
pub(crate) enum Step<'scope, T> {
    Running(ScopedJoinHandle<'scope, Result<T, Stopped>>),
    Ended(Result<T, Stopped>),
}

impl<T: Clone> Step<'_, T> {
    /// Waits for the step's value. Resumes its panic in this thread.
    pub(crate) fn join(&mut self) -> Result<T, Stopped> {
        let ended = match mem::replace(self, Self::Ended(Err(Stopped))) {
            Self::Running(thread) => {
                let joined = thread.join();
                joined.unwrap_or_else(|cause| panic::resume_unwind(cause))
            }
            Self::Ended(value) => value,
        };
        *self = Self::Ended(ended.clone());
        ended
    }
}

/// Cancels the other steps if one panics. Otherwise the build would wait for them.
struct CancelOnPanic<'a>(&'a Cancel);

impl Drop for CancelOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StepName::{Compile, Deps, Javascript, Node};
    use tempfile::TempDir;

    const ALL: [StepName; 4] = [Node, Deps, Javascript, Compile];

    fn parts() -> (TempDir, Cancel, Report, Bounds) {
        let folder = tempfile::tempdir().unwrap();
        let report = Report::begin(folder.path());
        (folder, Cancel::default(), report, Bounds::default())
    }

    fn until_cancelled(cancel: &Cancel) -> Result<(), Error> {
        while !cancel.is_cancelled() {
            thread::sleep(Duration::from_millis(5));
        }
        Err(Error::Cancelled)
    }

    #[test]
    fn failed_step_stops_others_and_is_the_result() {
        let (_folder, cancel, report, bounds) = parts();
        let schedule = Schedule::new(&ALL, &cancel, &report, &bounds);
        let result = thread::scope(|scope| {
            let mut javascript = schedule.spawn(scope, Javascript, || until_cancelled(&cancel));
            while schedule.running.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let deps = schedule.run(Deps, || Err::<(), _>(Error::Architecture("first".into())));
            assert!(deps.is_err() && javascript.join().is_err());
            schedule.run(Compile, || -> Result<(), Error> {
                unreachable!("no step begins after a failure")
            })
        });
        let (timings, result) = schedule.end(result);
        assert!(matches!(result, Err(Error::Architecture(_))));
        let mut ended: Vec<_> = timings.iter().map(|t| (t.name, t.ended)).collect();
        ended.sort_by_key(|(name, _)| *name);
        assert_eq!(ended, [(Deps, Ended::Failed), (Javascript, Ended::Stopped)]);
    }

    #[test]
    fn step_waits_for_its_dependency_and_runs_parallel_to_the_rest() {
        let (_folder, cancel, report, bounds) = parts();
        let schedule = Schedule::new(&ALL, &cancel, &report, &bounds);
        let result = thread::scope(|scope| {
            let node = schedule.spawn(scope, Node, || {
                thread::sleep(Duration::from_millis(50));
                Ok(())
            });
            let mut javascript = schedule.spawn_after(scope, node, Javascript, |()| Ok(()));
            schedule.run(Compile, || Ok(()))?;
            javascript.join()
        });
        let (timings, result) = schedule.end(result);
        result.unwrap();
        let of = |name| *timings.iter().find(|timing| timing.name == name).unwrap();
        assert!(of(Javascript).started >= of(Node).started + of(Node).took);
        assert!(of(Compile).started < of(Javascript).started);
    }

    #[test]
    fn unplanned_step_is_skipped() {
        let (_folder, cancel, report, bounds) = parts();
        let schedule = Schedule::new(&[Deps], &cancel, &report, &bounds);
        let result = schedule.run(Node, || -> Result<(), Error> {
            unreachable!("it is not planned")
        });
        let result = result.and_then(|()| schedule.run(Deps, || Ok(())));
        let (timings, result) = schedule.end(result);
        result.unwrap();
        assert_eq!(timings.len(), 1);
    }

    #[test]
    fn panic_stops_other_steps() {
        let (_folder, cancel, report, bounds) = parts();
        let schedule = Schedule::new(&ALL, &cancel, &report, &bounds);
        let result = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            thread::scope(|scope| {
                let mut node = schedule.spawn(scope, Node, || until_cancelled(&cancel));
                let mut deps =
                    schedule.spawn(scope, Deps, || -> Result<(), Error> { panic!("a bug") });
                let _ = node.join();
                deps.join()
            })
        }));
        assert!(result.is_err());
    }
}
