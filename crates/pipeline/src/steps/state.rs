//! Restores `deps` and `_build` from the build cache, and saves them.

use crate::context::Context;
use crate::project::{AssetFiles, LastBuild, Project};
use crate::steps::compiled_modules::compiled_modules;
use crate::steps::keys::{self, Otp};
use crate::steps::{
    app_variables, cached_assets, compile_time_files, compiling_hooks, digested_files, executables,
    generated_files, git, release, stale_dependencies,
};
use app::Plan;
use app::plan::StepName;
use exec::log::{StepLog, seconds};
use exec::progress::megabytes;
use messages::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::tree::{self, TreeError};
use store::{Restored, Store};
use workdir::app_tree::Entries;
use workdir::sources::Sources;

/// The note with the modification times of the app's files.
const SOURCES: &str = "sources";
/// The note that marks an interrupted save: `_build` and its notes may come from different builds.
const UNFINISHED: &str = "unfinished";
/// The content of that note if a module of the saved `_build` is damaged.
const DAMAGED: &str = "damaged";
/// The directory in which buildpacks install tools.
const BUILDPACKS_DIR: &str = ".heroku";
/// The clock may be set back by this much without a warning.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

pub(crate) fn restore(ctx: &Context<'_>, otp: Otp) -> Result<Arc<LastBuild>, Error> {
    let log = ctx.log.step("Restoring cache");
    release::remove_old_release(ctx)?;
    let entries = keys::entries(ctx)?;
    let mut pushed = Sources::of(&entries, &Sources::default())?;
    ctx.tree.detect_pushed_deps(&entries);
    let mut found = LastBuild::default();
    for (name, key, step) in [
        ("deps", keys::deps_key(ctx, otp)?, StepName::Deps),
        ("_build", keys::build_key(ctx, otp)?, StepName::Compile),
    ] {
        let place = ctx.workspace.real(&ctx.in_app(name));
        let mut restored =
            ctx.workspace
                .store
                .restore(&keys::entry_name(ctx, name), &key, &place)?;
        if matches!(restored, Restored::Copied(_))
            && name == "_build"
            && let Some(reason) = unusable_reason(ctx, &place)
        {
            // Keep the directory itself: mix may reach it through a link.
            tree::clear(&place)?;
            restored = Restored::Dropped(vec![reason]);
        }
        let fact = format!("{}_cache", name.trim_start_matches('_'));
        ctx.report.set(&fact, restored.as_str());
        match restored {
            Restored::Nothing => log.detail(&format!("{name}: not in the cache")),
            Restored::InApp => log.detail(&format!("{name}: part of the app")),
            Restored::Copied(amount) => {
                if amount.files > 0 {
                    ctx.report.reused(step);
                    found.deps |= step == StepName::Deps;
                }
                log.detail(&format!(
                    "{name}: {} files, {}",
                    amount.files,
                    megabytes(amount.bytes)
                ));
                if name == "_build" {
                    found.build = true;
                    let compiled = keys::compiled_at(&place);
                    ctx.compilation.state().build = compiled.map(keys::unix_seconds);
                    compile_time_files::restore_reads(ctx);
                    restore_times(ctx, &mut pushed, &entries, compiled)?;
                }
            }
            Restored::Dropped(reasons) => {
                for reason in reasons {
                    log.detail(&format!("{name}: discarded because {reason}"));
                    if name == "_build" {
                        let why = format!("the compiled code was discarded: {reason}");
                        ctx.compilation.state().reasons.push(why);
                    }
                }
            }
        }
    }
    found.assets = cached_assets::restore_assets(ctx, (&pushed, otp), &log)?;
    found.pushed = pushed;
    // A hook or a step of a release may run the executables.
    let may_run_later = ctx.plan.hooks.any() || ctx.plan.steps.contains(&StepName::Release);
    if !cached_assets::assets_are_restored(ctx) || may_run_later {
        executables::restore_executables(ctx)?;
    }
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    // Ends the block of this step in the log.
    drop(log);
    if found.build {
        compiling_hooks::remove_compiled_before_hook(ctx)?;
    }
    Ok(Arc::new(found))
}

/// Returns why a restored `_build` can't be used, if so.
fn unusable_reason(ctx: &Context<'_>, place: &Path) -> Option<String> {
    let note = ctx.workspace.store.read_note(&unfinished(ctx));
    let reason = match note.as_deref() {
        None | Some("") => None,
        Some(DAMAGED) => Some("it contains a module that the VM can't load"),
        Some(_) => Some("the last build was interrupted while saving it"),
    };
    if let Some(reason) = reason {
        return Some(reason.to_owned());
    }
    if app_variables::noted_variables(ctx).is_none() || git::noted_git_answers(ctx).is_none() {
        return Some("the build cache doesn't say what it was compiled with".to_owned());
    }
    let now = SystemTime::now() + CLOCK_SLACK;
    keys::compiled_at(place)
        .is_some_and(|at| at > now)
        .then(|| "it is newer than the current time: the clock was set back".to_owned())
}

/// Returns the paths in `_build` that `mix release` creates. They are not cached.
fn products_in_build(ctx: &Context<'_>, project: &Project) -> Vec<String> {
    let build = ctx.in_app("_build");
    let made = [
        release::release_dirs(ctx, project),
        release::tarballs(ctx, project),
    ]
    .concat();
    let inside = made
        .iter()
        .filter_map(|path| path.strip_prefix(&build).ok());
    let inside = inside.filter_map(|path| Some(path.to_str()?.to_owned()));
    let rel = format!("{}/rel", ctx.plan.mix_env.value);
    inside.chain([rel]).collect()
}

fn unfinished(ctx: &Context<'_>) -> String {
    keys::entry_name(ctx, UNFINISHED)
}

/// Makes the next build discard the `_build` that this build saved.
pub(crate) fn discard_compiled(store: &dyn Store, plan: &Plan) -> Result<(), TreeError> {
    store.write_note(&keys::entry_of(plan, UNFINISHED), DAMAGED)
}

fn sources_note(ctx: &Context<'_>) -> String {
    format!("{}.json", keys::entry_name(ctx, SOURCES))
}

/// Returns the empty `priv` and `ebin` directories of dependencies, relative to `deps`. They were created for the build.
fn empty_outputs(ctx: &Context<'_>) -> Vec<String> {
    let deps = ctx.workspace.real(&ctx.in_app("deps"));
    let is_empty = |name: &String| {
        std::fs::read_dir(deps.join(name)).is_ok_and(|mut entries| entries.next().is_none())
    };
    let outputs = |name: &str| ["priv", "ebin"].map(|output| format!("{name}/{output}"));
    std::fs::read_dir(&deps)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(outputs(entry.ok()?.file_name().to_str()?)))
        .flatten()
        .filter(is_empty)
        .collect()
}

/// Restores the modification times of unchanged files. `compiled` is the time at which the restored code was compiled.
fn restore_times(
    ctx: &Context<'_>,
    pushed: &mut Sources,
    entries: &Entries,
    compiled: Option<SystemTime>,
) -> Result<(), Error> {
    let kept = ctx.workspace.store.read_note(&sources_note(ctx));
    let kept = kept.as_deref().and_then(Sources::parse).unwrap_or_default();
    {
        let changed = kept.differences(pushed);
        let mut state = ctx.compilation.state();
        state.changed_files = changed
            .map(|(path, verb)| (path.to_owned(), verb))
            .collect();
        state.changed_directories = kept.changed_directories(pushed);
    }
    // Python ignores compiled code if the time of its source has changed.
    let skipped = |path: &Path| path.starts_with(BUILDPACKS_DIR);
    Ok(pushed.restore_times(entries, &kept, later_second(compiled), skipped)?)
}

/// Saves compiled code before a later step can fail: some platforms keep the cache of a failed build.
pub(crate) fn save_compiled(
    ctx: &Context<'_>,
    pushed: &Sources,
    project: &Project,
) -> Result<(), Error> {
    let build = ctx.workspace.real(&ctx.in_app("_build"));
    let (compiled, restored) = (
        keys::compiled_at(&build).map(keys::unix_seconds),
        ctx.compilation.state().build,
    );
    if compiled == restored {
        return Ok(());
    }
    let modules = compiled_modules(ctx, restored);
    ctx.compilation.state().compiled_modules = Some(modules);
    match save_with_marker(ctx, || save_build(ctx, pushed, project).map(drop)) {
        // The last step saves again, and warns if the disk is still full.
        Err(Error::Tree(_)) if !ctx.cancel.is_cancelled() => Ok(()),
        kept => kept,
    }
}

/// Saves the cache. The app is built by now, so a failure here is only a warning.
pub(crate) fn save(
    ctx: &Context<'_>,
    restored: &LastBuild,
    project: &Project,
    assets: &AssetFiles,
) -> Result<(), Error> {
    let log = ctx.log.step("Saving cache");
    match save_with_marker(ctx, || save_all(ctx, restored, project, assets, &log)) {
        Err(Error::Tree(error)) if !ctx.cancel.is_cancelled() => {
            log.warning(&format!("the cache is incomplete: {error}"));
            log.warning("the next build repeats the missing work");
        }
        kept => kept?,
    }
    log.detail(&format!("done in {}", seconds(log.elapsed())));
    Ok(())
}

/// Saves several entries. A note marks them as incomplete until the last one is written, and a build that finds the
/// note uses none of them.
fn save_with_marker(
    ctx: &Context<'_>,
    keep: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let store = ctx.workspace.store;
    store.write_note(&unfinished(ctx), "unfinished")?;
    ctx.path.sync_new_files()?;
    keep()?;
    Ok(store.write_note(&unfinished(ctx), "")?)
}

fn save_all(
    ctx: &Context<'_>,
    restored: &LastBuild,
    project: &Project,
    assets: &AssetFiles,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    executables::save_executables(ctx)?;
    executables::remove_unpacked(ctx)?;
    digested_files::save_digested(ctx, &project.info)?;
    for line in save_build(ctx, &restored.pushed, project)? {
        log.detail(&line);
    }
    cached_assets::save_assets(ctx, assets, restored.assets.as_ref(), log)?;
    Ok(ctx.workspace.store.forget_unused()?)
}

/// Saves `deps`, `_build` and their notes. Returns lines for the log.
fn save_build(
    ctx: &Context<'_>,
    pushed: &Sources,
    project: &Project,
) -> Result<Vec<String>, Error> {
    let store = ctx.workspace.store;
    let build = ctx.workspace.real(&ctx.in_app("_build"));
    let products = products_in_build(ctx, project);
    let executables = executables::executable_names(ctx);
    let mut skip: Vec<&str> = executables.iter().map(String::as_str).collect();
    skip.extend(products.iter().map(String::as_str));
    let empty = empty_outputs(ctx);
    let mut lines = Vec::new();
    for (name, key, skip) in [
        (
            "deps",
            keys::deps_key(ctx, Otp::Installed)?,
            empty.iter().map(String::as_str).collect(),
        ),
        ("_build", keys::build_key(ctx, Otp::Installed)?, skip),
    ] {
        let from = ctx.workspace.real(&ctx.in_app(name));
        if !from.is_dir() {
            continue;
        }
        if name == "deps" {
            let packages = std::fs::read_dir(&from).map_or(0, Iterator::count);
            ctx.report.set("dependencies", packages);
        }
        let amount = store.save(&keys::entry_name(ctx, name), &key, &from, &skip)?;
        lines.push(format!(
            "{name}: {} files, {}",
            amount.files,
            megabytes(amount.bytes)
        ));
    }
    lines.extend(generated_files::save_generated(ctx)?);
    app_variables::save_variables(ctx)?;
    git::save_git_answers(ctx)?;
    compile_time_files::save_reads(ctx, keys::compiled_at(&build))?;
    stale_dependencies::save_projects(ctx, &project.info)?;
    let mut entries = keys::entries(ctx)?;
    entries.retain(|path, _| pushed.has(path));
    let sources = Sources::of(&entries, pushed)?.unchanged_from(pushed);
    let note = sources_note(ctx);
    store.write_note(&note, &sources.to_json(&note)?)?;
    Ok(lines)
}

/// Waits until the current time is in a later second than `time`, and returns it. Mix compares whole seconds, and warns
/// about times in the future.
fn later_second(time: Option<SystemTime>) -> SystemTime {
    loop {
        let now = SystemTime::now();
        if time.is_none_or(|time| keys::unix_seconds(now) > keys::unix_seconds(time)) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn compiled_files_are_older_than_later_changes() {
        let second = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = SystemTime::now();
        assert!(second(later_second(Some(now))) > second(now));
        let before = SystemTime::now();
        let long_ago = now - Duration::from_mins(1);
        assert!(later_second(Some(long_ago)) < before + Duration::from_millis(500));
    }

    #[test]
    fn cache_key_includes_compiler_options() {
        let names = [
            "ERL_COMPILER_OPTIONS",
            "ERL_CRASH_DUMP_SECONDS",
            "ELIXIR_ERL_OPTIONS",
            "MIX_TARGET",
            "MIX_HOME",
            "DATABASE_URL",
        ];
        let switches: Vec<&str> = names
            .into_iter()
            .filter(|name| keys::affects_compilation(name))
            .collect();
        assert_eq!(
            switches,
            ["ERL_COMPILER_OPTIONS", "ELIXIR_ERL_OPTIONS", "MIX_TARGET"]
        );
    }
}
