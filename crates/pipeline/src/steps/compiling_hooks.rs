//! Hooks that compile the app, as any mix task of the app does. If such a hook creates a file, either the hook itself
//! or compilation creates it. A cached `_build` skips compilation, so the file may be missing in the next build.

use crate::compilation::State;
use crate::context::Context;
use crate::steps::{compile_time_files, from_scratch, keys, run_hook};
use app::Setting;
use messages::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use store::json::PathText;
use walkdir::WalkDir;
use workdir::app_tree::Entries;
use workdir::generated_files::{FileChanges, GeneratedFiles};

/// Runs a hook after `_build` is restored and before it is saved. Records the files that it creates if it compiles
/// code.
pub(crate) fn run_watched_hook(
    ctx: &Context<'_>,
    key: &'static str,
    requested: Option<&Setting>,
) -> Result<(), Error> {
    if requested.is_none() {
        return Ok(());
    }
    let before = keys::entries(ctx)?;
    let compiled = last_compiled(ctx);
    run_hook::hook(ctx, key, requested)?;
    if last_compiled(ctx) <= compiled {
        return Ok(());
    }
    compile_time_files::untraced(ctx);
    let created = FileChanges::between(&before, &keys::entries(ctx)?).created;
    if created.is_empty() {
        return Ok(());
    }
    let mut state = ctx.compilation.state();
    if key == AFTER_COMPILE {
        // The next build can't find out whether compilation creates them, since this hook runs after the compile
        // step.
        state.now.by_hook = created.first().cloned().map(PathText);
    }
    let created = created
        .into_iter()
        .map(|path| (PathText(path), key.to_owned()));
    state.now.hook_files.extend(created);
    Ok(())
}

/// When the newest module in `_build` was written.
fn last_compiled(ctx: &Context<'_>) -> Option<SystemTime> {
    let lib = format!("_build/{}/lib", ctx.plan.mix_env.value);
    // APP/ebin/MODULE.beam
    let walk = WalkDir::new(ctx.mix_path(ctx.in_app(&lib)))
        .min_depth(3)
        .max_depth(3);
    let is_module = |path: &Path| {
        let folder = path.parent().and_then(Path::file_name);
        path.extension() == Some(OsStr::new("beam")) && folder == Some(OsStr::new("ebin"))
    };
    let modules = walk.into_iter().filter_map(Result::ok);
    let modules = modules.filter(|entry| is_module(entry.path()));
    modules
        .filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .max()
}

/// Removes the app's compiled code before a hook in which compilation is known to create files.
pub(crate) fn remove_compiled_before_hook(ctx: &Context<'_>) -> Result<(), Error> {
    let last = from_scratch::last_generated(ctx);
    let Some(path) = last.and_then(|last| last.by_hook) else {
        return Ok(());
    };
    let path = path.0.display();
    from_scratch::compile_from_scratch(ctx, &format!("a hook compiles it, which creates {path}"))
}

/// Returns why the app has to be compiled from scratch, if a hook hasn't created a file that it created in the last
/// build.
pub(crate) fn missing_hook_files(
    ctx: &Context<'_>,
    last: &GeneratedFiles,
    entries: &Entries,
) -> Option<String> {
    let missing = last.hook_files.iter();
    let missing = missing.filter(|(path, _)| !entries.contains_key(&path.0));
    let missing: Vec<(&PathText, &String)> = missing.collect();
    let (path, hook) = missing.first()?;
    let why = format!(
        "{hook} has not created {} again; it may be from compiling",
        path.0.display()
    );
    let paths = missing.into_iter().map(|(path, _)| path.0.clone());
    ctx.compilation.state().missing_hook_files = paths.collect();
    Some(why)
}

const AFTER_COMPILE: &str = "hook_post_compile";

impl State {
    /// Returns a file that compilation is known to create in a hook: in this build or an earlier one, it was missing
    /// until the app was compiled from scratch.
    pub(super) fn file_compiled_in_hook(&self, compiled: &FileChanges) -> Option<PathText> {
        let is_created = |path: &&PathBuf| compiled.created.contains(*path);
        let now = self.missing_hook_files.iter().find(is_created);
        let before = || {
            let last = self.last.as_ref()?.by_hook.clone()?;
            self.now.hook_files.contains_key(&last).then_some(last)
        };
        now.cloned().map(PathText).or_else(before)
    }
}
