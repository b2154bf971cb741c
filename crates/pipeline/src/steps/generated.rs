//! Keeping and restoring what compiling creates outside of `_build`, and compiling the app from
//! scratch where that can't be restored.

use crate::app_tree::Entries;
use crate::context::{Context, VERSION};
use crate::generated::{self, Generated, Touched};
use crate::leaked_secrets::Finders;
use crate::record::Tools;
use crate::sources::Sources;
use crate::steps::compiling_hooks;
use crate::steps::digested_files;
use crate::steps::javascript;
use crate::steps::kept_assets;
use crate::steps::project::Project;
use crate::steps::stale;
use crate::steps::state::{self, LastBuild, Otp};
use crate::variables::Salted;
use app::plan::StepName;
use exec::environment::{names_the_commit, tells_builds_apart};
use exec::log::StepLog;
use exec::progress::megabytes;
use exec::secrets;
use messages::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
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

impl Compilation {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    /// When the manifests of the last deploy were put in place, by Phoenix app.
    pub(super) old_manifests: BTreeMap<String, Option<SystemTime>>,
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

fn generated_note(ctx: &Context<'_>) -> String {
    format!("{}.json", state::kept_as(ctx, "generated"))
}

/// Keeps compiling and installing packages apart where it isn't known which of them creates a
/// file.
pub(crate) fn turn<'a>(ctx: &'a Context<'_>) -> Option<MutexGuard<'a, ()>> {
    let compilation = &ctx.compilation;
    let taken = || {
        compilation
            .turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    takes_turns(ctx).then(taken)
}

pub(crate) fn takes_turns(ctx: &Context<'_>) -> bool {
    ctx.compilation.one_by_one.load(Ordering::SeqCst)
}

pub(crate) fn take_turns(ctx: &Context<'_>) {
    ctx.compilation.one_by_one.store(true, Ordering::SeqCst);
}

/// Everything but files that compiling depends on.
fn generated_key(ctx: &Context<'_>) -> Result<Key, Error> {
    let plan = ctx.plan;
    let salted = Salted::of(ctx.workspace.store)?;
    let env = kept_assets::seen_by_the_app(ctx);
    let variables = ctx.workspace.variables(&env, |name| {
        names_the_commit(name) || !tells_builds_apart(name)
    })?;
    let how = json::to_vec(
        &(&plan.hooks, &plan.assets, &plan.phoenix_ex),
        Path::new("key"),
    )?;
    let node = plan.node.as_ref().map(|node| node.version.clone());
    let mut key = state::build_key(ctx, Otp::Installed)?;
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
pub(crate) fn before_compile(ctx: &Context<'_>, restored: &LastBuild) -> Result<(), Error> {
    let entries = state::entries(ctx)?;
    let sources = Sources::of(&entries, &restored.pushed)?;
    let key = generated_key(ctx)?;
    let last = last_generated(ctx);
    let (is_decided, build) = {
        let state = ctx.compilation.state();
        (state.from_scratch.is_some(), state.build)
    };
    let of_build = last.as_ref().filter(|last| last.build == build);
    if restored.build && !is_decided {
        match why_from_scratch(ctx, of_build, &key, (&sources, &entries))? {
            Some(why) => compile_from_scratch(ctx, &why)?,
            None => restore_generated(ctx, of_build, &sources, &entries)?,
        }
    }
    let installs = javascript::known_installs(ctx);
    let unclear = last.as_ref().is_some_and(|last| last.unclear.is_some());
    if unclear || installs.is_some_and(|installs| installs.unclear) {
        take_turns(ctx);
    }
    let mut state = ctx.compilation.state();
    state.last = last;
    state.now.key = key;
    state.sources = sources;
    Ok(())
}

fn why_from_scratch(
    ctx: &Context<'_>,
    last: Option<&Generated>,
    key: &Key,
    (sources, entries): (&Sources, &Entries),
) -> Result<Option<String>, Error> {
    let Some(last) = last else {
        let why = "the cache doesn't list the generated files";
        return Ok(Some(why.to_owned()));
    };
    if let Some(why) = compiling_hooks::missing_of_hooks(ctx, last, entries) {
        return Ok(Some(why));
    }
    let variables = stale::changed_variables(ctx)?;
    let changed = || {
        let variable = variables.first().map(|name| format!("{name} changed"));
        let differences = store::differences(&last.key, key);
        variable
            .filter(|_| !differences.is_empty())
            .or(differences.into_iter().next())
    };
    let salted = Salted::of(ctx.workspace.store)?;
    Ok(last.why_from_scratch(&sources.salted(&salted), changed))
}

fn restore_generated(
    ctx: &Context<'_>,
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
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let kept = scratch.path().join("kept");
    let store = ctx.workspace.store;
    let restored = store.restore(&state::kept_as(ctx, "generated"), &Key::new(), &kept)?;
    let Restored::Taken(amount) = restored else {
        return compile_from_scratch(ctx, "the generated files are not in the cache");
    };
    if let Err(path) = generated::put_back(&files, &kept, &ctx.dir, entries)? {
        let path = path.display();
        return compile_from_scratch(ctx, &format!("{path} can't be restored"));
    }
    let log = ctx.log.step("Restoring generated files");
    log.detail(&format!(
        "{} generated files, {}",
        amount.files,
        megabytes(amount.bytes)
    ));
    let paths = files.into_keys().map(|path| path.0.clone());
    ctx.compilation.state().restored = paths.collect();
    Ok(())
}

/// A command that replaces `mix compile` may do more than that, so it begins without anything.
pub(super) fn compile_from_scratch(ctx: &Context<'_>, why: &str) -> Result<(), Error> {
    let scope = if ctx.plan.hooks.hook_compile.is_some() {
        Scope::Everything
    } else {
        Scope::App
    };
    let log = ctx.log.step("Removing compiled code");
    log.detail(&format!("compiling the app from scratch because {why}"));
    remove_compiled(ctx, scope)
}

fn remove_compiled(ctx: &Context<'_>, scope: Scope) -> Result<(), Error> {
    // The VM that waits for commands may have loaded some of it.
    ctx.end_session();
    let env = ctx.in_app(&format!("_build/{}", ctx.plan.mix_env.value));
    let env = ctx.seen(env);
    ctx.compilation.state().from_scratch = Some(scope);
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
    let deps = ctx.workspace.real(&ctx.in_app("deps"));
    for application in applications.filter_map(Result::ok) {
        let is_fetched = !ctx.tree.deps_are_pushed() && deps.join(application.file_name()).is_dir();
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
    ctx: &Context<'_>,
    before: &Entries,
    now: &Entries,
    log: &StepLog<'_>,
) -> Result<bool, Error> {
    let missing = {
        let state = ctx.compilation.state();
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
    remove_compiled(ctx, Scope::Everything)?;
    Ok(true)
}

/// The first file of code that is new since the app was as in `before`, but for what mix has
/// created and compiled in one go.
pub(crate) fn new_code(ctx: &Context<'_>, before: &Entries, now: &Entries) -> Option<PathBuf> {
    let created = Touched::between(before, now).created.into_iter();
    let state = ctx.compilation.state();
    let is_code = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| CODE.contains(&extension))
            && !generated::is_tracked(path, &state.sources)
    };
    created.into_iter().find(is_code)
}

pub(super) fn last_generated(ctx: &Context<'_>) -> Option<Generated> {
    let note = ctx.workspace.store.read_note(&generated_note(ctx))?;
    serde_json::from_str(&note).ok()
}

/// Runs what compiles dependencies before the compile step.
pub(crate) fn watch_renewal(
    ctx: &Context<'_>,
    renew: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let before = state::entries(ctx)?;
    renew()?;
    let touched = Touched::between(&before, &state::entries(ctx)?);
    ctx.compilation.state().renewed.extend(touched);
    Ok(())
}

/// What `mix deps.get` does to the app beside its folder and the lockfile, if anything.
pub(crate) fn touched_by_deps_get(
    ctx: &Context<'_>,
    before: &Entries,
) -> Result<Option<PathBuf>, Error> {
    let touched = Touched::between(before, &state::entries(ctx)?);
    let lock = ctx.in_app(LOCK);
    let path = touched.paths().find(|path| **path != lock).cloned();
    Ok(path)
}

/// To be called when compiling has ended. `before` and `after` are the app when it began and now.
pub(crate) fn compiled(
    ctx: &Context<'_>,
    before: &Entries,
    (after, project): (Entries, Project),
    restored: &LastBuild,
) -> Result<(), Error> {
    let of_installers = |path: &PathBuf| javascript::is_of_installers(ctx, path);
    let touched = Touched::between(before, &after).without(of_installers);
    ctx.compilation.state().compiled = Some((touched, after, project));
    when_both_have_ended(ctx, &restored.pushed)
}

/// To be called when packages have been installed, before anything of them is kept. Until
/// compiling has ended too, nobody knows whose the files are. `before` is the app when that began.
pub(crate) fn installed(ctx: &Context<'_>, before: &Entries) -> Result<(), Error> {
    let touched = Touched::between(before, &state::entries(ctx)?);
    let mut state = ctx.compilation.state();
    let of_installers = |path: &PathBuf| javascript::is_of_installers(ctx, path);
    state.installed.extend(touched.without(of_installers));
    let is_told_apart = state.aside.is_some() || takes_turns(ctx);
    let unclear = !is_told_apart && state.installed.paths().next().is_some();
    javascript::note_installs(ctx, state.installed.paths(), unclear)
}

/// Packages aren't installed: the assets are those of the last build.
pub(crate) fn installs_skipped(ctx: &Context<'_>) {
    ctx.compilation.state().installs_skipped = true;
}

/// Installs what was skipped.
pub(crate) fn install_after_all(
    ctx: &Context<'_>,
    restored: &LastBuild,
    managers: &Tools,
) -> Result<(), Error> {
    let skipped = std::mem::take(&mut ctx.compilation.state().installs_skipped);
    if skipped {
        javascript::install(ctx, restored, managers)
    } else {
        Ok(())
    }
}

pub(crate) fn installs_ended(ctx: &Context<'_>, pushed: &Sources) -> Result<(), Error> {
    ctx.compilation.state().installs_ended = true;
    when_both_have_ended(ctx, pushed)
}

/// Does what has to wait for both, compiling and installing packages: sets generated files aside
/// before any other command can change them, and brings files of earlier deploys back, which must
/// not be taken for those that either creates.
fn when_both_have_ended(ctx: &Context<'_>, pushed: &Sources) -> Result<(), Error> {
    let compiled = {
        let mut state = ctx.compilation.state();
        let waits = ctx.plan.has(StepName::Javascript) && !state.installs_ended;
        state.compiled.take_if(|_| !waits)
    };
    match compiled {
        Some((touched, after, project)) => {
            tell_apart(ctx, &touched, &after)?;
            state::save_compiled(ctx, pushed, &project)?;
            digested_files::restore_digested(ctx, &project.info)
        }
        None => Ok(()),
    }
}

fn tell_apart(ctx: &Context<'_>, touched: &Touched, after: &Entries) -> Result<(), Error> {
    let mut state = ctx.compilation.state();
    let salted = Salted::of(ctx.workspace.store)?;
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
    let aside =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    set_aside(ctx, (&files, after), aside.path(), &salted, &mut now);
    if of_installs.iter().next().is_some() {
        javascript::note_installs(ctx, state.installed.paths(), now.unclear.is_some())?;
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
    ctx: &Context<'_>,
    (files, entries): (&BTreeSet<PathBuf>, &Entries),
    aside: &Path,
    salted: &Salted,
    now: &mut Generated,
) {
    let secrets = secrets::not_to_keep(&ctx.workspace.environment);
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
pub(crate) fn generated_paths(ctx: &Context<'_>) -> Vec<PathBuf> {
    let state = ctx.compilation.state();
    state.now.files.keys().map(|path| path.0.clone()).collect()
}

/// The first generated file that is not as in the last build.
pub(crate) fn generated_difference(ctx: &Context<'_>) -> Option<PathBuf> {
    let state = ctx.compilation.state();
    let none = Generated::default();
    state.now.difference(state.last.as_ref().unwrap_or(&none))
}

/// Gives lines for the log.
pub(crate) fn save_generated(ctx: &Context<'_>) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let mut state = ctx.compilation.state();
    let (store, name) = (ctx.workspace.store, state::kept_as(ctx, "generated"));
    let build = ctx.workspace.real(&ctx.in_app("_build"));
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
    let secrets = secrets::not_to_keep(&ctx.workspace.environment);
    let without = generated::without_names(now, &Finders::of(&secrets));
    let note = generated_note(ctx);
    let json = json::to_string(without.as_ref().unwrap_or(now), &note)?;
    store.write_note(&note, &json)?;
    Ok(lines)
}
