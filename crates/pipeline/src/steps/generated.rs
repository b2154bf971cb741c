//! Keeping and restoring what compiling creates outside of `_build`, and compiling the app from
//! scratch where that can't be restored.

use crate::app_tree::Entries;
use crate::context::{Context, VERSION};
use crate::generated::{self, Generated, Touched};
use crate::leaked_secrets::Finders;
use crate::sources::Sources;
use crate::steps::project::Project;
use crate::steps::state::{self, LastBuild};
use crate::variables::Salted;
use app::plan::StepName;
use exec::environment::{names_the_commit, tells_builds_apart};
use exec::log::StepLog;
use exec::progress::megabytes;
use exec::secrets;
use messages::Error;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::json::{self, PathText};
use store::tree::{self, TreeError};
use store::{self, Key, Restored};
use tempfile::TempDir;

/// What mix derives from the sources of an application, in its directory in `_build`. What else is
/// there makes native code incremental: Cargo's target directory, object files.
const COMPILED: [&str; 4] = ["consolidated", "ebin", "include", "priv"];
/// The directory of mix's manifests.
const MANIFESTS: &str = ".mix";
/// The manifest whose time says when dependencies were last compiled. They aren't compiled again.
const OF_DEPENDENCIES: &str = "compile.lock";
/// The same for all applications of an umbrella, in `_build/MIX_ENV`.
const COMPILED_TOGETHER: [&str; 2] = [".mix", "consolidated"];
/// The extensions of what mix compiles.
const CODE: [&str; 4] = ["erl", "ex", "xrl", "yrl"];
/// Created, and rewritten, by `mix deps.get`.
const LOCK: &str = "mix.lock";

/// What is known of compiling in this build.
#[derive(Default)]
pub(crate) struct Compilation {
    state: Mutex<State>,
    /// Whether compiling and installing packages take turns.
    one_by_one: AtomicBool,
    turn: Mutex<()>,
}

#[derive(Default)]
pub(super) struct State {
    /// What the last build kept.
    pub(super) last: Option<Generated>,
    /// Files restored from the last build.
    restored: BTreeSet<PathBuf>,
    pub(super) from_scratch: Option<Scope>,
    /// When `_build` was compiled, as it was restored.
    pub(super) build: Option<u64>,
    /// The app when compiling began.
    sources: Sources,
    /// By commands that compile, the app when they had ended, and the project.
    compiled: Option<(Touched, Entries, Project)>,
    /// By compiling dependencies before that.
    renewed: Touched,
    /// By installing JavaScript packages.
    installed: Touched,
    installs_ended: bool,
    installs_skipped: bool,
    /// What hooks created in the last build while they compiled the app, and not in this one.
    pub(super) missing_of_hooks: BTreeSet<PathBuf>,
    pub(super) now: Generated,
    /// Copies of the files, as compiling left them.
    aside: Option<TempDir>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The app, umbrella children and path dependencies.
    App,
    Everything,
}

impl Context<'_> {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let lock = self.compilation.state.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    fn generated_note(&self) -> String {
        format!("{}.json", self.kept_as("generated"))
    }

    /// Keeps compiling and installing packages apart where it isn't known which of them creates a
    /// file.
    pub(crate) fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        let compilation = &self.compilation;
        let taken = || {
            compilation
                .turn
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        self.takes_turns().then(taken)
    }

    pub(crate) fn takes_turns(&self) -> bool {
        self.compilation.one_by_one.load(Ordering::SeqCst)
    }

    pub(crate) fn take_turns(&self) {
        self.compilation.one_by_one.store(true, Ordering::SeqCst);
    }

    /// Everything but files that compiling depends on.
    fn generated_key(&self) -> Result<Key, Error> {
        let plan = self.plan;
        let salted = Salted::of(self.workspace.store)?;
        let env = self.seen_by_the_app();
        let variables = self.workspace.variables(&env, |name| {
            names_the_commit(name) || !tells_builds_apart(name)
        })?;
        let how = json::to_vec(
            &(&plan.hooks, &plan.assets, &plan.phoenix_ex),
            Path::new("key"),
        )?;
        let node = plan.node.as_ref().map(|node| node.version.clone());
        let mut key = self.build_key()?;
        key.extend(
            [
                ("hooks and assets", salted.value(&how)),
                ("Node.js", node.unwrap_or_default()),
                ("Mixpack", VERSION.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        key.extend(store::key_of_variables(variables));
        Ok(key)
    }

    /// To be called when dependencies are in place and every hook before compiling has run.
    pub(crate) fn before_compile(&self, restored: &LastBuild) -> Result<(), Error> {
        let entries = self.entries()?;
        let sources = Sources::of(&entries, &restored.pushed)?;
        let key = self.generated_key()?;
        let last = self.last_generated();
        let (is_decided, build) = {
            let state = self.state();
            (state.from_scratch.is_some(), state.build)
        };
        let of_build = last.as_ref().filter(|last| last.build == build);
        if restored.build && !is_decided {
            match self.why_from_scratch(of_build, &key, (&sources, &entries))? {
                Some(why) => self.compile_from_scratch(&why)?,
                None => self.restore_generated(of_build, &sources, &entries)?,
            }
        }
        let installs = self.known_installs();
        let unclear = last.as_ref().is_some_and(|last| last.unclear.is_some());
        if unclear || installs.is_some_and(|installs| installs.unclear) {
            self.take_turns();
        }
        let mut state = self.state();
        state.last = last;
        state.now.key = key;
        state.sources = sources;
        Ok(())
    }

    fn why_from_scratch(
        &self,
        last: Option<&Generated>,
        key: &Key,
        (sources, entries): (&Sources, &Entries),
    ) -> Result<Option<String>, Error> {
        let Some(last) = last else {
            let why = "the cache doesn't list the generated files";
            return Ok(Some(why.to_owned()));
        };
        if let Some(why) = self.missing_of_hooks(last, entries) {
            return Ok(Some(why));
        }
        let variables = self.changed_variables()?;
        let changed = || {
            let variable = variables.first().map(|name| format!("{name} changed"));
            let differences = store::differences(&last.key, key);
            variable
                .filter(|_| !differences.is_empty())
                .or(differences.into_iter().next())
        };
        let salted = Salted::of(self.workspace.store)?;
        Ok(last.why_from_scratch(&sources.salted(&salted), changed))
    }

    fn restore_generated(
        &self,
        last: Option<&Generated>,
        sources: &Sources,
        entries: &Entries,
    ) -> Result<(), Error> {
        let Some(last) = last.filter(|last| !last.files.is_empty()) else {
            return Ok(());
        };
        let files = if last.is_nothing() {
            last.tracked(sources)
        } else {
            last.files.iter().collect()
        };
        let scratch = tempfile::tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let kept = scratch.path().join("kept");
        let store = self.workspace.store;
        let restored = store.restore(&self.kept_as("generated"), &Key::new(), &kept)?;
        let Restored::Taken(amount) = restored else {
            return self.compile_from_scratch("the generated files are not in the cache");
        };
        if let Err(path) = generated::put_back(&files, &kept, &self.dir, entries)? {
            let path = path.display();
            return self.compile_from_scratch(&format!("{path} can't be restored"));
        }
        let log = self.log.step("Restoring generated files");
        log.detail(&format!(
            "{} generated files, {}",
            amount.files,
            megabytes(amount.bytes)
        ));
        let paths = files.into_keys().map(|path| path.0.clone());
        self.state().restored = paths.collect();
        Ok(())
    }

    /// A command that replaces `mix compile` may do more than that, so it begins without anything.
    pub(super) fn compile_from_scratch(&self, why: &str) -> Result<(), Error> {
        let scope = if self.plan.hooks.hook_compile.is_some() {
            Scope::Everything
        } else {
            Scope::App
        };
        let log = self.log.step("Removing compiled code");
        log.detail(&format!("compiling the app from scratch because {why}"));
        self.remove_compiled(scope)
    }

    fn remove_compiled(&self, scope: Scope) -> Result<(), Error> {
        // The VM that waits for commands may have loaded some of it.
        self.end_session();
        let env = self.in_app(&format!("_build/{}", self.plan.mix_env.value));
        let env = self.seen(env);
        self.state().from_scratch = Some(scope);
        if scope == Scope::Everything {
            if env.is_dir() {
                tree::clear(&env)?;
            }
            return Ok(());
        }
        for name in COMPILED_TOGETHER {
            tree::remove(&env.join(name))?;
        }
        let Ok(applications) = fs::read_dir(env.join("lib")) else {
            return Ok(());
        };
        let deps = self.workspace.real(&self.in_app("deps"));
        for application in applications.filter_map(Result::ok) {
            let is_fetched =
                !self.tree.deps_are_pushed() && deps.join(application.file_name()).is_dir();
            if is_fetched || !application.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let application = application.path();
            for name in COMPILED {
                tree::remove(&application.join(name))?;
            }
            for manifest in fs::read_dir(application.join(MANIFESTS))
                .into_iter()
                .flatten()
            {
                let manifest = manifest.map_err(TreeError::at(&application, "list"))?;
                if manifest.file_name() != OF_DEPENDENCIES {
                    tree::remove(&manifest.path())?;
                }
            }
        }
        Ok(())
    }

    /// Removes all compiled code where the app's own was compiled from scratch and something of the
    /// last build was not generated again: a dependency may have done that. `before` and `now` are the
    /// app when compiling began and has ended.
    pub(crate) fn must_compile_everything(
        &self,
        before: &Entries,
        now: &Entries,
        log: &StepLog<'_>,
    ) -> Result<bool, Error> {
        let missing = {
            let state = self.state();
            let last = state.last.as_ref();
            let last = last.filter(|_| state.from_scratch == Some(Scope::App));
            let of_hooks = state.missing_of_hooks.iter();
            let of_hooks = of_hooks
                .map(PathBuf::as_path)
                .find(|path| !now.contains_key(*path));
            let missing = last.and_then(|last| last.missing(before, now).or(of_hooks));
            missing.map(Path::to_owned)
        };
        let Some(path) = missing else {
            return Ok(false);
        };
        log.detail(&format!(
            "compiling dependencies from scratch too: the last build generated {}, and this one doesn't",
            path.display()
        ));
        self.remove_compiled(Scope::Everything)?;
        Ok(true)
    }

    /// The first file of code that is new since the app was as in `before`, but for what mix has
    /// created and compiled in one go.
    pub(crate) fn new_code(&self, before: &Entries, now: &Entries) -> Option<PathBuf> {
        let created = Touched::between(before, now).created.into_iter();
        let state = self.state();
        let is_code = |path: &PathBuf| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| CODE.contains(&extension))
                && !generated::is_tracked(path, &state.sources)
        };
        created.into_iter().find(is_code)
    }

    pub(super) fn last_generated(&self) -> Option<Generated> {
        let note = self.workspace.store.read_note(&self.generated_note())?;
        serde_json::from_str(&note).ok()
    }

    /// Runs what compiles dependencies before the compile step.
    pub(crate) fn watch_renewal(
        &self,
        renew: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let before = self.entries()?;
        renew()?;
        let touched = Touched::between(&before, &self.entries()?);
        self.state().renewed.extend(touched);
        Ok(())
    }

    /// What `mix deps.get` does to the app beside its folder and the lockfile, if anything.
    pub(crate) fn touched_by_deps_get(&self, before: &Entries) -> Result<Option<PathBuf>, Error> {
        let touched = Touched::between(before, &self.entries()?);
        let lock = self.in_app(LOCK);
        let path = touched.paths().find(|path| **path != lock).cloned();
        Ok(path)
    }

    /// To be called when compiling has ended. `before` and `after` are the app when it began and now.
    pub(crate) fn compiled(
        &self,
        before: &Entries,
        (after, project): (Entries, Project),
        restored: &LastBuild,
    ) -> Result<(), Error> {
        let of_installers = |path: &PathBuf| self.is_of_installers(path);
        let touched = Touched::between(before, &after).without(of_installers);
        self.state().compiled = Some((touched, after, project));
        self.when_both_have_ended(&restored.pushed)
    }

    /// To be called when packages have been installed, before anything of them is kept. Until
    /// compiling has ended too, nobody knows whose the files are. `before` is the app when that began.
    pub(crate) fn installed(&self, before: &Entries) -> Result<(), Error> {
        let touched = Touched::between(before, &self.entries()?);
        let mut state = self.state();
        let of_installers = |path: &PathBuf| self.is_of_installers(path);
        state.installed.extend(touched.without(of_installers));
        let is_told_apart = state.aside.is_some() || self.takes_turns();
        let unclear = !is_told_apart && state.installed.paths().next().is_some();
        self.note_installs(state.installed.paths(), unclear)
    }

    /// Packages aren't installed: the assets are those of the last build.
    pub(crate) fn installs_skipped(&self) {
        self.state().installs_skipped = true;
    }

    /// Installs what was skipped.
    pub(crate) fn install_after_all(&self, restored: &LastBuild) -> Result<(), Error> {
        let skipped = std::mem::take(&mut self.state().installs_skipped);
        if skipped {
            self.javascript(restored)
        } else {
            Ok(())
        }
    }

    pub(crate) fn installs_ended(&self, pushed: &Sources) -> Result<(), Error> {
        self.state().installs_ended = true;
        self.when_both_have_ended(pushed)
    }

    /// Does what has to wait for both, compiling and installing packages: sets generated files aside
    /// before any other command can change them, and brings files of earlier deploys back, which must
    /// not be taken for those that either creates.
    fn when_both_have_ended(&self, pushed: &Sources) -> Result<(), Error> {
        let compiled = {
            let mut state = self.state();
            let waits = self.plan.has(StepName::Javascript) && !state.installs_ended;
            state.compiled.take_if(|_| !waits)
        };
        match compiled {
            Some((touched, after, project)) => {
                self.tell_apart(&touched, &after)?;
                self.save_compiled(pushed, &project)?;
                self.restore_digested(&project.info)
            }
            None => Ok(()),
        }
    }

    fn tell_apart(&self, touched: &Touched, after: &Entries) -> Result<(), Error> {
        let mut state = self.state();
        let salted = Salted::of(self.workspace.store)?;
        let of_installs: BTreeSet<&PathBuf> = state.installed.paths().collect();
        let unclear = touched.paths().find(|path| of_installs.contains(path));
        let mut now = Generated {
            unclear: unclear.cloned().map(PathText),
            ..state.now.clone()
        };
        let files = touched.created.iter().chain(&state.renewed.created);
        let files = files.filter(|path| !of_installs.contains(path));
        let files = files.chain(&state.restored);
        let files = files.filter(|path| after.contains_key(*path));
        let files: BTreeSet<PathBuf> = files.cloned().collect();
        for path in touched.changed.iter().chain(&state.renewed.changed) {
            let entry = after.get(path);
            let is_ours = state.restored.contains(path) || of_installs.contains(path);
            if is_ours || entry.is_some_and(|entry| state.sources.is_same(path, entry)) {
                continue;
            }
            let left = entry.map(|entry| generated::content_of(entry, &salted));
            now.changed.insert(PathText(path.clone()), left);
        }
        now.by_hook = state.made_by_compiling_in_hook(touched);
        let aside = tempfile::tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        self.set_aside((&files, after), aside.path(), &salted, &mut now);
        if of_installs.iter().next().is_some() {
            self.note_installs(state.installed.paths(), now.unclear.is_some())?;
        }
        if !now.files.is_empty() || !now.changed.is_empty() || now.unclear.is_some() {
            now.sources = state.sources.salted(&salted);
        }
        state.now = now;
        state.aside = Some(aside);
        Ok(())
    }

    /// The app has been compiled: that a file can't be copied does not end the build.
    fn set_aside(
        &self,
        (files, entries): (&BTreeSet<PathBuf>, &Entries),
        aside: &Path,
        salted: &Salted,
        now: &mut Generated,
    ) {
        let secrets = secrets::not_to_keep(&self.workspace.environment);
        let finders = Finders::of(&secrets);
        let copied = generated::set_aside(files, entries, aside).and_then(|mut made| {
            let found = generated::read(&mut made, aside, salted, &finders)?;
            Ok((made, found))
        });
        match copied {
            Ok((made, found)) => {
                now.files = made;
                now.not_kept = found;
            }
            Err(error) => {
                now.files = generated::without_content(files, entries);
                let first = now.files.keys().next();
                now.not_kept = first.map(|path| (path.0.display().to_string(), error.to_string()));
            }
        }
    }

    /// What compiling has generated, relative to the app.
    pub(crate) fn generated_paths(&self) -> Vec<PathBuf> {
        let state = self.state();
        state.now.files.keys().map(|path| path.0.clone()).collect()
    }

    /// The first generated file that is not as in the last build.
    pub(crate) fn generated_difference(&self) -> Option<PathBuf> {
        let state = self.state();
        let none = Generated::default();
        state.now.difference(state.last.as_ref().unwrap_or(&none))
    }

    /// Gives lines for the log.
    pub(crate) fn save_generated(&self) -> Result<Vec<String>, Error> {
        let mut lines = Vec::new();
        let mut state = self.state();
        let (store, name) = (self.workspace.store, self.kept_as("generated"));
        let build = self.workspace.real(&self.in_app("_build"));
        state.now.build = state::compiled_at(&build).map(state::second_of);
        let now = &state.now;
        match &state.aside {
            Some(aside) if !now.files.is_empty() && now.not_kept.is_none() => {
                let amount = store.save(&name, &Key::new(), aside.path(), &[])?;
                lines.push(format!(
                    "generated files: {} files, {}",
                    amount.files,
                    megabytes(amount.bytes)
                ));
            }
            _ => store.drop_state(&name)?,
        }
        if let Some(why) = now.why_not_restorable() {
            lines.push(format!(
                "each build compiles the app from scratch because {why}"
            ));
        }
        let secrets = secrets::not_to_keep(&self.workspace.environment);
        let without = generated::without_names(now, &Finders::of(&secrets));
        let note = self.generated_note();
        let json = json::to_string(without.as_ref().unwrap_or(now), &note)?;
        store.write_note(&note, &json)?;
        Ok(lines)
    }
}
