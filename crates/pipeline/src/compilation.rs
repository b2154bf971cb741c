//! The state of compiling, shared by steps that run in parallel.

use crate::project::Project;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tempfile::TempDir;
use workdir::app_tree::Entries;
use workdir::generated_files::{FileChanges, GeneratedFiles};
use workdir::sources::Sources;

/// The state of compiling in this build.
#[derive(Default)]
pub(crate) struct Compilation {
    pub(crate) state: Mutex<State>,
    /// Whether compiling and installing packages take turns.
    pub(crate) sequential: AtomicBool,
    pub(crate) turn: Mutex<()>,
}

impl Compilation {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(crate) struct State {
    /// The generated files of the last build.
    pub(crate) last: Option<GeneratedFiles>,
    /// Files restored from the last build.
    pub(crate) restored: BTreeSet<PathBuf>,
    pub(crate) from_scratch: Option<Scope>,
    /// Reasons to compile more than the changed files, for the end of the log.
    pub(crate) reasons: Vec<String>,
    /// Dependencies whose compiled code came from a shared store.
    pub(crate) taken: BTreeSet<String>,
    /// Files of the app that differ from those that the restored `_build` was compiled from, each with a verb.
    pub(crate) changed_files: Vec<(PathBuf, &'static str)>,
    /// Directories of the app that exist only now or only then, each with a verb.
    pub(crate) changed_directories: Vec<(PathBuf, &'static str)>,
    pub(crate) compile_time_reads: CompileTimeReads,
    /// Set when compiling has ended, if anything was compiled.
    pub(crate) compiled_modules: Option<CompiledModules>,
    /// The time when the restored `_build` was compiled.
    pub(crate) build: Option<u64>,
    /// The app when compiling began.
    pub(crate) sources: Sources,
    /// The file changes by compile commands, the app after the last one, and the project.
    pub(crate) compiled: Option<(FileChanges, Entries, Project)>,
    /// The file changes by compiling dependencies before the compile step.
    pub(crate) renewed: FileChanges,
    /// The file changes by installing JavaScript packages.
    pub(crate) installed: FileChanges,
    pub(crate) installs_ended: bool,
    pub(crate) installs_skipped: bool,
    /// When the manifests of the last deploy were put in place, by Phoenix app.
    pub(crate) old_manifests: BTreeMap<String, Option<SystemTime>>,
    /// Files that hooks created in the last build while they compiled the app, but not in this one.
    pub(crate) missing_hook_files: BTreeSet<PathBuf>,
    pub(crate) now: GeneratedFiles,
    /// Copies of the generated files, made at the end of compiling.
    pub(crate) copies: Option<TempDir>,
}

/// The files that the modules in `_build` read when they were compiled.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct CompileTimeReads {
    /// When the newest module was compiled, in seconds since 1970. In another `_build`, another version of Mixpack has
    /// compiled modules.
    pub(crate) compiled: Option<u64>,
    /// Whether another VM than Mixpack's has compiled modules.
    pub(crate) incomplete: bool,
    /// The source file of a module by the salted digest of what it read, or an empty string if that module is unknown.
    /// The digests are salted since a path may contain the value of a config var.
    pub(crate) sources: BTreeMap<String, String>,
}

/// The modules and dependencies that this build compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CompiledModules {
    /// Modules of the app's own projects.
    pub(crate) modules: Vec<String>,
    /// Names of the OTP applications of dependencies.
    pub(crate) dependencies: Vec<String>,
    /// Why the modules were compiled, if known.
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The app, umbrella children and path dependencies.
    App,
    Everything,
}
