//! Caches files that compilation creates outside `_build`. If they can't be restored, the app is compiled from
//! scratch.

use crate::compilation::Scope;
use crate::context::Context;
use crate::project::LastBuild;
use crate::steps::keys::{self, Otp};
use crate::steps::{app_variables, compiling_hooks, from_scratch, installs};
use exec::environment::{is_build_specific, is_commit_variable};
use exec::log::StepLog;
use exec::progress::megabytes;
use exec::secrets;
use messages::Error;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use store::json::{self, PathText};
use store::tree::TreeError;
use store::{self, Key, Restored};
use workdir::app_tree::Entries;
use workdir::generated_files::{self, FileChanges, GeneratedFiles};
use workdir::leaked_secrets::Finders;
use workdir::sources::Sources;
use workdir::variables::Salted;

/// The extensions of source files that mix compiles.
const CODE: [&str; 4] = ["erl", "ex", "xrl", "yrl"];
/// The lockfile, which `mix deps.get` creates and rewrites.
const LOCK: &str = "mix.lock";

/// Returns a lock that compiling and installing packages take in turns, if either may create the same files and it
/// isn't known which.
pub(crate) fn turn<'a>(ctx: &'a Context<'_>) -> Option<MutexGuard<'a, ()>> {
    let compilation = &ctx.compilation;
    let lock_turn = || {
        compilation
            .turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    takes_turns(ctx).then(lock_turn)
}

pub(crate) fn takes_turns(ctx: &Context<'_>) -> bool {
    ctx.compilation.sequential.load(Ordering::SeqCst)
}

pub(crate) fn take_turns(ctx: &Context<'_>) {
    ctx.compilation.sequential.store(true, Ordering::SeqCst);
}

/// Returns the key with all inputs of compilation except files.
fn generated_key(ctx: &Context<'_>) -> Result<Key, Error> {
    let plan = ctx.plan;
    let salted = Salted::of(ctx.workspace.store)?;
    let env = keys::app_variables(ctx);
    let variables = ctx.workspace.variables(&env, |name| {
        is_commit_variable(name) || !is_build_specific(name)
    })?;
    let input = json::to_vec(
        &(&plan.hooks, &plan.assets, &plan.phoenix_ex),
        Path::new("key"),
    )?;
    let node = plan.node.as_ref().map(|node| node.version.clone());
    let mut key = keys::build_key(ctx, Otp::Installed)?;
    key.extend(
        [
            ("hooks and assets", salted.value(&input)),
            ("Node.js", node.unwrap_or_default()),
            ("Mixpack", planning::record::VERSION.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    key.extend(store::key_of_variables(variables));
    Ok(key)
}

/// Restores generated files, or decides to compile from scratch. To be called when dependencies are in place and
/// every hook before compiling has run.
pub(crate) fn before_compile(ctx: &Context<'_>, restored: &LastBuild) -> Result<(), Error> {
    let entries = keys::entries(ctx)?;
    let sources = Sources::of(&entries, &restored.pushed)?;
    let key = generated_key(ctx)?;
    let last = from_scratch::last_generated(ctx);
    let (is_decided, build) = {
        let state = ctx.compilation.state();
        (state.from_scratch.is_some(), state.build)
    };
    let of_build = last.as_ref().filter(|last| last.build == build);
    if restored.build && !is_decided {
        match why_from_scratch(ctx, of_build, &key, (&sources, &entries))? {
            Some(why) => from_scratch::compile_from_scratch(ctx, &why)?,
            None => restore_generated(ctx, of_build, &sources, &entries)?,
        }
    }
    let installs = installs::known_installs(ctx);
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
    last: Option<&GeneratedFiles>,
    key: &Key,
    (sources, entries): (&Sources, &Entries),
) -> Result<Option<String>, Error> {
    let Some(last) = last else {
        let why = "the cache doesn't list the generated files";
        return Ok(Some(why.to_owned()));
    };
    if let Some(why) = compiling_hooks::missing_hook_files(ctx, last, entries) {
        return Ok(Some(why));
    }
    let variables = app_variables::changed_variables(ctx)?;
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
    last: Option<&GeneratedFiles>,
    sources: &Sources,
    entries: &Entries,
) -> Result<(), Error> {
    let Some(last) = last.filter(|last| !last.files.is_empty()) else {
        return Ok(());
    };
    let files = if last.is_regenerated_by_mix() {
        last.tracked(sources)
    } else {
        last.files.iter().collect()
    };
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let saved = scratch.path().join("kept");
    let store = ctx.workspace.store;
    let restored = store.restore(&keys::entry_name(ctx, "generated"), &Key::new(), &saved)?;
    let Restored::Copied(amount) = restored else {
        return from_scratch::compile_from_scratch(ctx, "the generated files are not in the cache");
    };
    if let Err(path) = generated_files::restore_files(&files, &saved, &ctx.dir, entries)? {
        let path = path.display();
        return from_scratch::compile_from_scratch(ctx, &format!("{path} can't be restored"));
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

/// Removes all compiled code if the app's own was compiled from scratch, and a file of the last build was not
/// generated again: compiling a dependency may have created it. `before` and `now` have the app's files at the start
/// and the end of compiling.
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
        let hook_files = state.missing_hook_files.iter();
        let hook_files = hook_files
            .map(PathBuf::as_path)
            .find(|path| !now.contains_key(*path));
        let missing = last.and_then(|last| last.missing(before, now).or(hook_files));
        missing.map(Path::to_owned)
    };
    let Some(path) = missing else {
        return Ok(false);
    };
    log.detail(&format!(
        "compiling dependencies from scratch too: the last build generated {}, and this one doesn't",
        path.display()
    ));
    from_scratch::remove_compiled(ctx, Scope::Everything)?;
    Ok(true)
}

/// Returns the first source file that was created since `before`, except those that mix created and compiled in one
/// run.
pub(crate) fn new_code(ctx: &Context<'_>, before: &Entries, now: &Entries) -> Option<PathBuf> {
    let created = FileChanges::between(before, now).created.into_iter();
    let state = ctx.compilation.state();
    let is_code = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| CODE.contains(&extension))
            && !generated_files::is_tracked(path, &state.sources)
    };
    created.into_iter().find(is_code)
}

/// Runs a command that compiles dependencies before the compile step, and records the files that it changes.
pub(crate) fn watch_deps_compile(
    ctx: &Context<'_>,
    renew: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let before = keys::entries(ctx)?;
    renew()?;
    let changes = FileChanges::between(&before, &keys::entries(ctx)?);
    ctx.compilation.state().renewed.extend(changes);
    Ok(())
}

/// Returns a file that `mix deps.get` changed in the app, apart from `deps` and the lockfile.
pub(crate) fn path_changed_by_deps_get(
    ctx: &Context<'_>,
    before: &Entries,
) -> Result<Option<PathBuf>, Error> {
    let changes = FileChanges::between(before, &keys::entries(ctx)?);
    let lock = ctx.in_app(LOCK);
    let path = changes.paths().find(|path| **path != lock).cloned();
    Ok(path)
}

/// Records the files that installing created. To be called before packages are cached. Their origin is unclear until
/// compiling has ended too. `before` has the app's files before installing.
pub(crate) fn installed(ctx: &Context<'_>, before: &Entries) -> Result<(), Error> {
    let changes = FileChanges::between(before, &keys::entries(ctx)?);
    let mut state = ctx.compilation.state();
    let of_installers = |path: &PathBuf| installs::is_manager_file(ctx, path);
    state.installed.extend(changes.without(of_installers));
    let origins_are_known = state.copies.is_some() || takes_turns(ctx);
    let unclear = !origins_are_known && state.installed.paths().next().is_some();
    installs::note_installs(ctx, state.installed.paths(), unclear)
}

/// Records that no packages are installed, since the assets were restored.
pub(crate) fn installs_skipped(ctx: &Context<'_>) {
    ctx.compilation.state().installs_skipped = true;
}

pub(crate) fn separate_origins(
    ctx: &Context<'_>,
    changes: &FileChanges,
    after: &Entries,
) -> Result<(), Error> {
    let mut state = ctx.compilation.state();
    let salted = Salted::of(ctx.workspace.store)?;
    let of_installs: BTreeSet<&PathBuf> = state.installed.paths().collect();
    let unclear = changes.paths().find(|path| of_installs.contains(path));
    let mut now = GeneratedFiles {
        unclear: unclear.cloned().map(PathText),
        ..state.now.clone()
    };
    let files = changes.created.iter().chain(&state.renewed.created);
    let files = files.filter(|path| !of_installs.contains(path));
    let files = files.chain(&state.restored);
    let files = files.filter(|path| after.contains_key(*path));
    let files: BTreeSet<PathBuf> = files.cloned().collect();
    for path in changes.changed.iter().chain(&state.renewed.changed) {
        let entry = after.get(path);
        let is_mixpack_file = state.restored.contains(path) || of_installs.contains(path);
        if is_mixpack_file || entry.is_some_and(|entry| state.sources.is_same(path, entry)) {
            continue;
        }
        let left = entry.map(|entry| generated_files::content_of(entry, &salted));
        now.changed.insert(PathText(path.clone()), left);
    }
    now.by_hook = state.file_compiled_in_hook(changes);
    let copies =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    copy_files(ctx, (&files, after), copies.path(), &salted, &mut now);
    if of_installs.iter().next().is_some() {
        installs::note_installs(ctx, state.installed.paths(), now.unclear.is_some())?;
    }
    if !now.files.is_empty() || !now.changed.is_empty() || now.unclear.is_some() {
        now.sources = state.sources.salted(&salted);
    }
    state.now = now;
    state.copies = Some(copies);
    Ok(())
}

/// Copies generated files. A failure doesn't fail the build, since the app has been compiled.
fn copy_files(
    ctx: &Context<'_>,
    (files, entries): (&BTreeSet<PathBuf>, &Entries),
    copies: &Path,
    salted: &Salted,
    now: &mut GeneratedFiles,
) {
    let secrets = secrets::uncacheable(&ctx.workspace.environment);
    let finders = Finders::of(&secrets);
    let result = generated_files::copy_files(files, entries, copies).and_then(|mut made| {
        let found = generated_files::read(&mut made, copies, salted, &finders)?;
        Ok((made, found))
    });
    match result {
        Ok((made, found)) => {
            now.files = made;
            now.uncacheable = found;
        }
        Err(error) => {
            now.files = generated_files::without_content(files, entries);
            let first = now.files.keys().next();
            now.uncacheable = first.map(|path| (path.0.display().to_string(), error.to_string()));
        }
    }
}

/// Returns the generated files, relative to the app.
pub(crate) fn generated_paths(ctx: &Context<'_>) -> Vec<PathBuf> {
    let state = ctx.compilation.state();
    state.now.files.keys().map(|path| path.0.clone()).collect()
}

/// Returns the first generated file that differs from the last build.
pub(crate) fn generated_difference(ctx: &Context<'_>) -> Option<PathBuf> {
    let state = ctx.compilation.state();
    let none = GeneratedFiles::default();
    state.now.difference(state.last.as_ref().unwrap_or(&none))
}

/// Saves the generated files. Returns lines for the log.
pub(crate) fn save_generated(ctx: &Context<'_>) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    let mut state = ctx.compilation.state();
    let (store, name) = (ctx.workspace.store, keys::entry_name(ctx, "generated"));
    let build = ctx.workspace.real(&ctx.in_app("_build"));
    state.now.build = keys::compiled_at(&build).map(keys::unix_seconds);
    let now = &state.now;
    match &state.copies {
        Some(copies) if !now.files.is_empty() && now.uncacheable.is_none() => {
            let amount = store.save(&name, &Key::new(), copies.path(), &[])?;
            lines.push(format!(
                "generated files: {} files, {}",
                amount.files,
                megabytes(amount.bytes)
            ));
        }
        _ => store.drop_state(&name)?,
    }
    if let Some(why) = now.unrestorable_reason() {
        lines.push(format!(
            "each build compiles the app from scratch because {why}"
        ));
    }
    let secrets = secrets::uncacheable(&ctx.workspace.environment);
    let without = generated_files::without_names(now, &Finders::of(&secrets));
    let note = from_scratch::generated_note(ctx);
    let json = json::to_string(without.as_ref().unwrap_or(now), &note)?;
    store.write_note(&note, &json)?;
    Ok(lines)
}
