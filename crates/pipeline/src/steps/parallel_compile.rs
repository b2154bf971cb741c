//! Compiling dependencies in several VMs at once. `mix compile` then finds them as it would have left them itself,
//! and compiles the rest.
//!
//! Since 1.19 mix can do this too (`MIX_OS_DEPS_COMPILE_PARTITION_COUNT`), but up to 1.20 it loses code paths and
//! compiler options on the way. Here each VM loads the project as mix does.

use crate::command_env::{VMS, has_own_vms};
use crate::context::Context;
use crate::dependencies::mentions::{self, Code};
use crate::dependencies::{self, Dependency, Job, Next, Queue};
use crate::machine;
use crate::mix_info::{DEPENDENCIES_TASK, DEPENDENCY_TASK};
use crate::mix_session::{MixSession, Outcome};
use crate::steps::{keys, mix_command};
use exec::Action;
use exec::command::{CommandError, HEARTBEAT_INTERVAL, Stopper};
use exec::log::{StepLog, seconds};
use exec::output_filter::OutputFilter;
use messages::Error;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::json;
use store::tree::{self, TreeError};

/// The command in messages: `mix compile` does the same in one VM.
const SHOWN: &str = "mix compile";

/// Starting another VM and loading the project takes about this much processor time.
const START_SECONDS: f64 = 1.5;

/// How long compiling a dependency takes at least, and for each byte of source code, until it has been measured. On one
/// core of a server, Phoenix with its dependencies.
const SECONDS: (f64, f64) = (0.3, 1.0 / 100_000.0);

/// Compiles the dependencies that `mix compile` would compile, if several VMs do it faster. Returns whether it has
/// compiled any.
pub(crate) fn compile_dependencies(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<bool, Error> {
    let most = limit(ctx).unwrap_or_else(machine::compilers);
    if most < 2 {
        return Ok(false);
    }
    if !has_own_vms(ctx.plan.elixir.build.version.as_ref()) {
        if !ctx.env.contains_key(OsStr::new(VMS)) {
            log.detail("compiling dependencies in one VM: Mixpack is untested with several VMs for this Elixir version");
        }
        return Ok(false);
    }
    let mut measured = measured(ctx);
    let mut packages = packages(ctx);
    let seconds = |name: &str, code: &Code| {
        let by_size = SECONDS.0 + bytes(code.size) * SECONDS.1;
        measured.get(name).copied().unwrap_or(by_size)
    };
    let all = packages
        .iter()
        .map(|(name, code)| seconds(name, code))
        .sum();
    if limit(ctx).is_none() && vms_that_pay(most, all, 0.0) < 2 {
        return Ok(false);
    }
    let Some(list) = list(ctx, log)? else {
        return Ok(false);
    };
    let code = |dependency: &Dependency| match dependency.state {
        dependencies::State::Compiled => Code::default(),
        _ => packages
            .remove(&dependency.name)
            .unwrap_or_else(|| mentions::read(&dependency.dir)),
    };
    let code: Vec<Code> = list.iter().map(code).collect();
    let estimates = list.iter().zip(&code);
    let estimates: BTreeMap<&str, f64> = estimates
        .map(|(dependency, code)| (dependency.name.as_str(), seconds(&dependency.name, code)))
        .collect();
    let estimate = |dependency: &Dependency| estimates[dependency.name.as_str()];
    let to_compile = list.iter().filter(|one| one.is_to_compile());
    let total = to_compile.map(estimate).sum();
    let queue = Queue::new(&list, &mentions::pairs(&list, &code), estimate);
    let vms = match limit(ctx) {
        Some(_) => most.min(queue.len()),
        None => vms_that_pay(most, total, queue.longest_path()),
    };
    if vms < 2 {
        return Ok(false);
    }
    log.detail(&format!(
        "compiling {} dependencies in {vms} VMs",
        queue.len()
    ));
    let filter = ctx.output_filter(&Action::Compile);
    let work = Work::new(ctx, log, queue, filter);
    let result = work.run(vms);
    measured.append(&mut work.lock().seconds);
    // Without it the next build estimates.
    let _ = json::to_string(&measured, "seconds")
        .and_then(|note| ctx.workspace.store.write_note(&note_name(ctx), &note));
    result?;
    Ok(true)
}

fn limit(ctx: &Context<'_>) -> Option<usize> {
    let limit = ctx.workspace.environment.get(VMS)?;
    limit.trim().parse().ok()
}

/// `total` are the seconds of all dependencies, and `longest_path` of those that wait for each other.
fn vms_that_pay(most: usize, total: f64, longest_path: f64) -> usize {
    let saved = |vms: usize| {
        let vms = f64::from(u16::try_from(vms).unwrap_or(u16::MAX));
        total - (total / vms).max(longest_path) - START_SECONDS * (vms - 1.0)
    };
    // The fewest of those that save the same.
    (2..=most).rev().fold(
        1,
        |best, vms| if saved(vms) >= saved(best) { vms } else { best },
    )
}

#[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
fn bytes(size: u64) -> f64 {
    size as f64
}

/// Asks mix for the dependencies. `None` if it has to compile them itself.
fn list(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<Option<Vec<Dependency>>, Error> {
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let written = scratch.path().join("dependencies");
    let task = [DEPENDENCIES_TASK, &written.to_string_lossy()];
    mix_command::mix(ctx, Action::Compile, &[&task], SHOWN, log)?;
    let list = fs::read_to_string(&written).unwrap_or_default();
    if let Some(task) = list.strip_prefix("alias\t") {
        log.detail(&format!(
            "compiling dependencies in one VM: mix.exs has an alias named {task}"
        ));
        return Ok(None);
    }
    Ok(dependencies::parse(&list))
}

/// The code of the packages in `deps`, by name.
fn packages(ctx: &Context<'_>) -> BTreeMap<String, Code> {
    let packages = fs::read_dir(ctx.workspace.real(&ctx.in_app("deps")));
    let packages = packages.into_iter().flatten().flatten();
    packages
        .map(|package| {
            let name = package.file_name().to_string_lossy().into_owned();
            (name, mentions::read(&package.path()))
        })
        .collect()
}

/// The seconds that compiling each dependency took in earlier builds.
fn measured(ctx: &Context<'_>) -> BTreeMap<String, f64> {
    let note = ctx.workspace.store.read_note(&note_name(ctx));
    note.and_then(|note| serde_json::from_str(&note).ok())
        .unwrap_or_default()
}

fn note_name(ctx: &Context<'_>) -> String {
    keys::entry_name(ctx, "seconds")
}

/// Dependencies that several VMs compile, each in its own thread.
struct Work<'a> {
    ctx: &'a Context<'a>,
    log: &'a StepLog<'a>,
    state: Mutex<State>,
    /// A dependency is compiled, or none will be any more.
    changed: Condvar,
}

struct State {
    queue: Queue,
    filter: Option<OutputFilter>,
    seconds: BTreeMap<String, f64>,
    /// The VMs that compile something, by what they compile.
    running: BTreeMap<usize, Stopper>,
    error: Option<CommandError>,
    /// Directories in `_build` of what was stopped.
    stopped: Vec<PathBuf>,
}

impl<'a> Work<'a> {
    fn new(
        ctx: &'a Context<'a>,
        log: &'a StepLog<'a>,
        queue: Queue,
        filter: Option<OutputFilter>,
    ) -> Self {
        Self {
            ctx,
            log,
            state: Mutex::new(State {
                queue,
                filter,
                seconds: BTreeMap::new(),
                running: BTreeMap::new(),
                error: None,
                stopped: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compiles everything. The VM of the other mix commands is one of them.
    fn run(&self, vms: usize) -> Result<(), Error> {
        let ctx = self.ctx;
        let session = ctx.session().take();
        std::thread::scope(|scope| {
            for _ in 1..vms {
                scope.spawn(|| {
                    if let Some(session) = self.start().and_then(|session| self.compile(session)) {
                        session.end(ctx.cancel);
                    }
                });
            }
            if let Some(session) = session.or_else(|| self.start()) {
                *ctx.session() = self.compile(session);
            }
        });
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            if self.ctx.cancel.is_cancelled() {
                self.log.detail("stopped");
            }
            // What was being compiled is there in part.
            for build in &state.stopped {
                tree::remove(build)?;
            }
            return Err(Error::command(Action::Compile)(error));
        }
        if let Some(filter) = state.filter.take() {
            filter.finish(self.log);
        }
        Ok(())
    }

    /// Starts a VM that has loaded the project. The others do its work if that fails.
    fn start(&self) -> Option<MixSession> {
        let ctx = self.ctx;
        let vm = keys::vm_key(ctx);
        let session =
            MixSession::start(&ctx.app_dir, &ctx.env, ctx.workspace.store, vm, ctx.cancel).ok()?;
        let load = [vec![DEPENDENCY_TASK.to_owned()]];
        match session.collect(&load, SHOWN, ctx.cancel, || {}).1 {
            Ok(Outcome::Open(session)) => Some(session),
            _ => None,
        }
    }

    /// Compiles with this VM until there is nothing left. Returns it if it still runs.
    fn compile(&self, mut session: MixSession) -> Option<MixSession> {
        while let Some((at, job)) = self.next(&session) {
            let mut words = vec![DEPENDENCY_TASK.to_owned(), job.name.clone()];
            words.extend(job.finds.iter().cloned());
            let started = Instant::now();
            let silent = || self.silent();
            let (lines, result) = session.collect(&[words], SHOWN, self.ctx.cancel, silent);
            session = self.end(at, &job, started.elapsed(), &lines, result)?;
        }
        Some(session)
    }

    /// Waits for the next dependency. `None` if there is none.
    fn next(&self, session: &MixSession) -> Option<(usize, Job)> {
        let mut state = self.lock();
        loop {
            match state.queue.next() {
                Next::Compile(at, job) => {
                    state.running.insert(at, session.stopper());
                    return Some((at, job));
                }
                Next::Done => return None,
                Next::Wait => {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Takes the output of a dependency as one block.
    fn end(
        &self,
        at: usize,
        job: &Job,
        took: Duration,
        lines: &[String],
        result: Result<Outcome, CommandError>,
    ) -> Option<MixSession> {
        let mut state = self.lock();
        let state = &mut *state;
        state.running.remove(&at);
        let failed = result.is_err();
        let is_first = state.error.is_none();
        for line in lines.iter().filter(|_| is_first) {
            match &mut state.filter {
                Some(filter) if !failed => filter.take(line),
                _ => self.log.detail(line),
            }
        }
        let session = match result {
            Ok(Outcome::Open(session)) => {
                state.seconds.insert(job.name.clone(), took.as_secs_f64());
                Some(session)
            }
            Ok(Outcome::Over) => {
                // mix compiles the rest.
                state.queue.abandon();
                None
            }
            Err(error) => {
                if is_first {
                    state.error = Some(error);
                    let others = state.queue.running().filter(|other| other.name != job.name);
                    state
                        .stopped
                        .extend(others.map(|other| other.build.clone()));
                    state.running.values().for_each(|stopper| stopper.stop());
                    state.queue.abandon();
                }
                None
            }
        };
        state.queue.done(at);
        self.changed.notify_all();
        session
    }

    /// Tells what is being compiled, if nothing else has been printed.
    fn silent(&self) {
        let names: Vec<String> = {
            let state = self.lock();
            state.queue.running().map(|job| job.name.clone()).collect()
        };
        let at = format!("{SHOWN}, at {}", names.join(" and "));
        self.log
            .progress(&format!("{at}, {}", seconds(self.log.elapsed())));
        self.log.heartbeat(&at, HEARTBEAT_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_vm_has_to_save_more_than_its_start() {
        for (most, total, longest_path, vms) in [
            (8, 1.0, 0.5, 1),
            (2, 40.0, 10.0, 2),
            // No more than can be busy.
            (8, 40.0, 20.0, 2),
            (8, 40.0, 10.0, 4),
            // The fourth one costs more than it saves.
            (4, 12.0, 1.0, 3),
        ] {
            assert_eq!(
                vms_that_pay(most, total, longest_path),
                vms,
                "{most} {total}"
            );
        }
    }
}
