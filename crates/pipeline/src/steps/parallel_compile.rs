//! Compiles dependencies in several VMs at once. `mix compile` then finds the same results as if it had compiled them
//! itself, and compiles the rest.
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
use crate::steps::shared_dependencies::{self, Shared};
use crate::steps::{keys, mix_command};
use exec::Action;
use exec::command::{CommandError, HEARTBEAT_INTERVAL, Stopper};
use exec::log::{StepLog, seconds};
use exec::output_filter::OutputFilter;
use messages::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use store::json;
use store::tree::{self, TreeError};

/// The command that messages name. It does the same in one VM.
const SHOWN: &str = "mix compile";

/// Starting another VM and loading the project takes about this much processor time.
const START_SECONDS: f64 = 1.5;

/// Estimated seconds to compile a dependency until it has been measured: a minimum, and the time for each byte of
/// source code. Measured with Phoenix and its dependencies on one core of a server.
const SECONDS: (f64, f64) = (0.3, 1.0 / 100_000.0);

/// Compiles the dependencies that `mix compile` would compile, if several VMs are faster or a shared store may have
/// them. Returns whether any were compiled.
pub(crate) fn compile_dependencies(ctx: &Context<'_>, log: &StepLog<'_>) -> Result<bool, Error> {
    let store = shared_dependencies::open(ctx)?;
    let most = limit(ctx).unwrap_or_else(machine::compilers);
    if most < 2 && store.is_none() {
        return Ok(false);
    }
    if !has_own_vms(ctx.plan.elixir.build.version.as_ref()) {
        if store.is_some() {
            log.detail(
                "not using the shared store: Mixpack is untested with it for this Elixir version",
            );
        }
        if !ctx.env.contains_key(OsStr::new(VMS)) {
            log.detail("compiling dependencies in one VM: Mixpack is untested with several VMs for this Elixir version");
        }
        return Ok(false);
    }
    let measured = measured(ctx);
    let packages = packages(ctx);
    let seconds = |name: &str, code: &Code| {
        let by_size = SECONDS.0 + bytes(code.size) * SECONDS.1;
        measured.get(name).copied().unwrap_or(by_size)
    };
    let all = packages
        .iter()
        .map(|(name, code)| seconds(name, code))
        .sum();
    if store.is_none() && limit(ctx).is_none() && worthwhile_vms(most, all, 0.0) < 2 {
        return Ok(false);
    }
    let Some((mut list, config)) = list(ctx, store.is_some(), log)? else {
        return Ok(false);
    };
    if !list.iter().any(Dependency::is_to_compile) {
        return Ok(false);
    }
    let code = code(&list, packages);
    let undeclared = mentions::undeclared(&list, &code);
    let mentions = mentions::in_order(&undeclared);
    let estimates: BTreeMap<String, f64> = list
        .iter()
        .zip(&code)
        .map(|(dependency, code)| (dependency.name.clone(), seconds(&dependency.name, code)))
        .collect();
    let Some(store) = store else {
        return compile(ctx, log, &list, &mentions, (&estimates, measured), None);
    };
    let of_store = list.clone();
    let mac = |name: &str, value: &[u8]| store.mac(name, value);
    let shared = Shared::new(ctx, &store, &mac, (&of_store, &code, &undeclared), &config)?;
    if let Some(shared) = &shared {
        let taken = shared.take();
        for dependency in list.iter_mut().filter(|one| taken.contains(&one.name)) {
            dependency.state = dependencies::State::Compiled;
        }
    }
    let adding = shared.as_ref().filter(|shared| shared.adds());
    let compiled = compile(ctx, log, &list, &mentions, (&estimates, measured), adding);
    let taken = shared.is_some_and(|shared| shared.finish(log));
    Ok(compiled? || taken)
}

/// Compiles the dependencies of a list, if several VMs are faster, or for the shared store. Returns whether any were
/// compiled.
fn compile(
    ctx: &Context<'_>,
    log: &StepLog<'_>,
    list: &[Dependency],
    mentions: &BTreeSet<(usize, usize)>,
    (estimates, mut measured): (&BTreeMap<String, f64>, BTreeMap<String, f64>),
    shared: Option<&Shared<'_>>,
) -> Result<bool, Error> {
    let estimate = |dependency: &Dependency| estimates[&dependency.name];
    let to_compile = list.iter().filter(|one| one.is_to_compile());
    let total = to_compile.map(estimate).sum();
    let queue = Queue::new(list, mentions, estimate);
    let most = limit(ctx).unwrap_or_else(machine::compilers);
    let vms = match limit(ctx) {
        Some(_) => most.min(queue.len()),
        None => worthwhile_vms(most, total, queue.longest_path()).min(queue.len()),
    };
    // A single VM is no faster than mix, but traces the inputs for the shared store.
    if vms < if shared.is_some() { 1 } else { 2 } {
        return Ok(false);
    }
    log.detail(&match vms {
        1 => format!(
            "compiling {}",
            shared_dependencies::dependencies(queue.len())
        ),
        _ => format!("compiling {} dependencies in {vms} VMs", queue.len()),
    });
    let filter = ctx.output_filter(&Action::Compile);
    let work = Work::new(ctx, log, queue, filter, shared);
    let result = work.run(vms);
    measured.append(&mut work.lock().seconds);
    // Without the note, the next build uses estimates.
    let _ = json::to_string(&measured, "seconds")
        .and_then(|note| ctx.workspace.store.write_note(&note_name(ctx), &note));
    result?;
    Ok(true)
}

/// The code of the dependencies of a list.
fn code(list: &[Dependency], mut packages: BTreeMap<String, Code>) -> Vec<Code> {
    let code = |dependency: &Dependency| {
        let read = || mentions::read(&dependency.dir);
        packages.remove(&dependency.name).unwrap_or_else(read)
    };
    list.iter().map(code).collect()
}

fn limit(ctx: &Context<'_>) -> Option<usize> {
    let limit = ctx.workspace.environment.get(VMS)?;
    limit.trim().parse().ok()
}

/// Returns the number of VMs that saves the most time. `total` is the time of all dependencies in seconds, and
/// `longest_path` that of the longest chain.
fn worthwhile_vms(most: usize, total: f64, longest_path: f64) -> usize {
    let saved = |vms: usize| {
        let vms = f64::from(u16::try_from(vms).unwrap_or(u16::MAX));
        total - (total / vms).max(longest_path) - START_SECONDS * (vms - 1.0)
    };
    // Of equally fast numbers, take the lowest.
    (2..=most).rev().fold(
        1,
        |best, vms| if saved(vms) >= saved(best) { vms } else { best },
    )
}

#[expect(clippy::cast_precision_loss, reason = "it is an estimate")]
fn bytes(size: u64) -> f64 {
    size as f64
}

/// Lists the dependencies with mix, and the config too if they are `shared`. `None` if mix has to compile them
/// itself.
fn list(
    ctx: &Context<'_>,
    shared: bool,
    log: &StepLog<'_>,
) -> Result<Option<(Vec<Dependency>, String)>, Error> {
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let written = scratch.path().join("dependencies");
    let config = scratch.path().join("config");
    let (written_text, config_text) = (written.to_string_lossy(), config.to_string_lossy());
    let secrets = shared_dependencies::secret_names(ctx);
    let mut task = vec![DEPENDENCIES_TASK, &written_text];
    if shared {
        task.push(&config_text);
        task.extend(secrets.iter().map(String::as_str));
    }
    mix_command::mix(ctx, Action::Compile, &[&task], SHOWN, log)?;
    let list = fs::read_to_string(&written).unwrap_or_default();
    let config = fs::read_to_string(&config).unwrap_or_default();
    if let Some(task) = list.strip_prefix("alias\t") {
        log.detail(&format!(
            "compiling dependencies in one VM: mix.exs has an alias named {task}"
        ));
        return Ok(None);
    }
    Ok(dependencies::parse(&list).map(|list| (list, config)))
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

/// Dependencies that are compiled by several VMs, each controlled by a separate thread.
struct Work<'a> {
    ctx: &'a Context<'a>,
    log: &'a StepLog<'a>,
    /// Receives compiled dependencies.
    shared: Option<&'a Shared<'a>>,
    state: Mutex<State>,
    /// Signals that a dependency is compiled, or that no more will be.
    changed: Condvar,
}

/// A compiled dependency, and the inputs that compiling it read.
struct Compiled {
    name: String,
    reads: String,
}

struct State {
    queue: Queue,
    filter: Option<OutputFilter>,
    seconds: BTreeMap<String, f64>,
    /// The busy VMs, by the position of the dependency.
    running: BTreeMap<usize, Stopper>,
    error: Option<CommandError>,
    /// Directories in `_build` of interrupted dependencies.
    stopped: Vec<PathBuf>,
}

impl<'a> Work<'a> {
    fn new(
        ctx: &'a Context<'a>,
        log: &'a StepLog<'a>,
        queue: Queue,
        filter: Option<OutputFilter>,
        shared: Option<&'a Shared<'a>>,
    ) -> Self {
        Self {
            ctx,
            log,
            shared,
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
        let (compiled, to_add) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || self.add(to_add));
            for _ in 1..vms {
                let compiled = compiled.clone();
                scope.spawn(move || {
                    let session = self.start();
                    if let Some(session) = session.and_then(|one| self.compile(one, &compiled)) {
                        session.end(ctx.cancel);
                    }
                });
            }
            if let Some(session) = session.or_else(|| self.start()) {
                *ctx.session() = self.compile(session, &compiled);
            }
            drop(compiled);
        });
        let mut state = self.lock();
        if let Some(error) = state.error.take() {
            if self.ctx.cancel.is_cancelled() {
                self.log.detail("stopped");
            }
            // Remove partly compiled dependencies.
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

    /// Adds compiled dependencies to the shared store in the order received.
    fn add(&self, compiled: mpsc::Receiver<Compiled>) {
        for Compiled { name, reads } in compiled {
            if let (Some(shared), false) = (self.shared, self.ctx.cancel.is_cancelled()) {
                shared.add(&name, &reads);
            }
        }
    }

    /// Compiles with this VM until there is nothing left. Returns it if it still runs.
    fn compile(
        &self,
        mut session: MixSession,
        compiled: &mpsc::Sender<Compiled>,
    ) -> Option<MixSession> {
        let scratch = self.shared.and_then(|_| tempfile::tempdir().ok());
        while let Some((at, job)) = self.next(&session) {
            let reads = scratch.as_ref().map(|dir| dir.path().join(&job.name));
            let reads_word = reads
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned());
            let reads_word = reads_word.unwrap_or_else(|| "-".to_owned());
            let mut words = vec![DEPENDENCY_TASK.to_owned(), job.name.clone(), reads_word];
            words.extend(job.finds.iter().cloned());
            let started = Instant::now();
            let silent = || self.silent();
            let (lines, result) = session.collect(&[words], SHOWN, self.ctx.cancel, silent);
            let is_compiled = result.is_ok();
            // Send it before the dependencies that wait for it are compiled and added.
            if let Some(reads) = reads.filter(|_| is_compiled)
                && let Ok(reads) = fs::read_to_string(reads)
            {
                let name = job.name.clone();
                let _ = compiled.send(Compiled { name, reads });
            }
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

    /// Handles the end of a dependency, and logs its output as one block.
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

    /// Logs the dependencies being compiled, if nothing else has been logged for a while.
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
            // No more VMs than can be busy.
            (8, 40.0, 20.0, 2),
            (8, 40.0, 10.0, 4),
            // The fourth VM costs more than it saves.
            (4, 12.0, 1.0, 3),
        ] {
            assert_eq!(
                worthwhile_vms(most, total, longest_path),
                vms,
                "{most} {total}"
            );
        }
    }
}
