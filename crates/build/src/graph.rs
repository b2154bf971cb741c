//! Runs the steps of a plan: each as soon as what it needs has ended, beside whatever else may
//! run; the user's own commands alone.

use crate::cancel::Cancel;
use crate::error::Error;
use app::plan::{StepName, StepPlan};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// When a step ran, from the start of the first one, and how it ended.
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
    /// It is why the build failed.
    Failed,
    /// Broken off: by a signal, or since another step had failed.
    Stopped,
}

/// Runs every step by calling `work` with its name, on a thread of its own.
///
/// After a failure no further step begins; the ones that run are cancelled, and the first failure
/// is the result. What ran until then is told too.
pub(crate) fn run(
    steps: &[StepPlan],
    cancel: &Cancel,
    work: &(dyn Fn(StepName) -> Result<(), Error> + Sync),
) -> (Vec<Timing>, Result<(), Error>) {
    let begun = Instant::now();
    let mut waiting: Vec<&StepPlan> = steps.iter().collect();
    let mut running: Vec<&StepPlan> = Vec::new();
    let mut ended = BTreeSet::new();
    let mut timings = Vec::new();
    let mut failure = None;
    let (report, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        loop {
            while failure.is_none() && !cancel.is_cancelled() {
                let Some(at) = next(&waiting, &running, &ended) else {
                    break;
                };
                let step = waiting.remove(at);
                running.push(step);
                let report = report.clone();
                scope.spawn(move || {
                    let started = begun.elapsed();
                    let result = work(step.name);
                    let took = begun.elapsed().saturating_sub(started);
                    // The receiver lives as long as any step runs.
                    let _ = report.send((step.name, started, took, result));
                });
            }
            if running.is_empty() {
                break;
            }
            let Ok((name, started, took, result)) = reports.recv() else {
                break;
            };
            running.retain(|step| step.name != name);
            ended.insert(name);
            let broken_off = failure.is_some() || cancel.signal().is_some();
            timings.push(Timing {
                name,
                started,
                took,
                ended: match result {
                    Ok(()) => Ended::Done,
                    Err(Error::Cancelled) => Ended::Stopped,
                    Err(_) if broken_off => Ended::Stopped,
                    Err(_) => Ended::Failed,
                },
            });
            if let Err(error) = result {
                if failure.is_none() && !running.is_empty() {
                    cancel.cancel();
                }
                // A step that was cancelled by another's failure has nothing to tell.
                failure.get_or_insert(error);
            }
        }
    });
    let result = match failure {
        Some(error) => Err(error),
        None if !waiting.is_empty() => Err(Error::Cancelled),
        None => Ok(()),
    };
    (timings, result)
}

fn next(waiting: &[&StepPlan], running: &[&StepPlan], ended: &BTreeSet<StepName>) -> Option<usize> {
    if running.iter().any(|step| step.alone) {
        return None;
    }
    let ready = |step: &&&StepPlan| step.needs.iter().all(|need| ended.contains(need));
    // A step that must run alone goes first once it is ready: others would keep it waiting.
    if let Some(alone) = waiting.iter().find(|step| step.alone && ready(step)) {
        return running
            .is_empty()
            .then(|| waiting.iter().position(|step| step.name == alone.name))
            .flatten();
    }
    waiting.iter().position(|step| ready(&step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn step(name: StepName, needs: &[StepName], alone: bool) -> StepPlan {
        StepPlan {
            name,
            needs: needs.to_vec(),
            alone,
        }
    }

    #[test]
    fn steps_overlap_where_they_may_and_hooks_run_alone() {
        use StepName::{Compile, Deps, HookPostCompile, HookPreCompile, Javascript};
        let steps = [
            step(Deps, &[], false),
            step(HookPreCompile, &[Deps], true),
            step(Javascript, &[HookPreCompile], false),
            step(Compile, &[HookPreCompile], false),
            step(HookPostCompile, &[Compile, Javascript], true),
        ];
        let now = AtomicUsize::new(0);
        let seen = Mutex::new(Vec::new());
        let (timings, result) = run(&steps, &Cancel::default(), &|name| {
            let beside = now.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            seen.lock()
                .unwrap()
                .push((name, beside.max(now.load(Ordering::SeqCst) - 1)));
            std::thread::sleep(Duration::from_millis(50));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        });
        result.unwrap();
        assert_eq!(timings.len(), 5);
        assert!(timings.iter().all(|timing| timing.ended == Ended::Done));
        let seen = seen.into_inner().unwrap();
        let beside = |name| seen.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(beside(HookPreCompile), 0);
        assert_eq!(beside(HookPostCompile), 0);
        assert_eq!(beside(Compile), 1);
        assert_eq!(beside(Javascript), 1);
        assert_eq!(seen.first().unwrap().0, Deps);
        assert_eq!(seen.last().unwrap().0, HookPostCompile);
    }

    #[test]
    fn after_a_failure_nothing_new_begins_and_the_first_failure_is_told() {
        use StepName::{Compile, Deps, Javascript};
        let steps = [
            step(Deps, &[], false),
            step(Javascript, &[], false),
            step(Compile, &[Deps], false),
        ];
        let cancel = Cancel::default();
        let ran = Mutex::new(Vec::new());
        let (timings, result) = run(&steps, &cancel, &|name| {
            ran.lock().unwrap().push(name);
            if name == Javascript {
                while !cancel.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                return Err(Error::Cancelled);
            }
            Err(Error::Architecture("the first".into()))
        });
        assert!(matches!(result, Err(Error::Architecture(_))));
        assert!(!ran.into_inner().unwrap().contains(&Compile));
        let told: Vec<_> = timings.iter().map(|t| (t.name, t.ended)).collect();
        let expected = [(Deps, Ended::Failed), (Javascript, Ended::Stopped)];
        assert_eq!(told, expected);
    }
}
