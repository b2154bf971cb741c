//! What is known of compiling in this build, by steps that run in parallel.

use crate::project::Project;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tempfile::TempDir;
use workdir::app_tree::Entries;
use workdir::generated::{Generated, Touched};
use workdir::sources::Sources;

/// What is known of compiling in this build.
#[derive(Default)]
pub(crate) struct Compilation {
    pub(crate) state: Mutex<State>,
    /// Whether compiling and installing packages take turns.
    pub(crate) one_by_one: AtomicBool,
    pub(crate) turn: Mutex<()>,
}
impl Compilation {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(crate) struct State {
    /// What the last build kept.
    pub(crate) last: Option<Generated>,
    /// Files restored from the last build.
    pub(crate) restored: BTreeSet<PathBuf>,
    pub(crate) from_scratch: Option<Scope>,
    /// When `_build` was compiled, as it was restored.
    pub(crate) build: Option<u64>,
    /// The app when compiling began.
    pub(crate) sources: Sources,
    /// By commands that compile, the app when they had ended, and the project.
    pub(crate) compiled: Option<(Touched, Entries, Project)>,
    /// By compiling dependencies before that.
    pub(crate) renewed: Touched,
    /// By installing JavaScript packages.
    pub(crate) installed: Touched,
    pub(crate) installs_ended: bool,
    pub(crate) installs_skipped: bool,
    /// When the manifests of the last deploy were put in place, by Phoenix app.
    pub(crate) old_manifests: BTreeMap<String, Option<SystemTime>>,
    /// What hooks created in the last build while they compiled the app, and not in this one.
    pub(crate) missing_of_hooks: BTreeSet<PathBuf>,
    pub(crate) now: Generated,
    /// Copies of the files, as compiling left them.
    pub(crate) aside: Option<TempDir>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The app, umbrella children and path dependencies.
    App,
    Everything,
}
