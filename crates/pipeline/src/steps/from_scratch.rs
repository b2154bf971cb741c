//! Compiling the app from scratch.

use crate::compilation::{CompileTimeReads, Scope};
use crate::context::Context;
use crate::steps::keys;
use messages::Error;
use std::fs;
use store::tree::{self, TreeError};
use store::{self};
use workdir::generated_files::GeneratedFiles;

/// Removes the app's compiled code, or all compiled code if a command replaces `mix compile`, since it may do more
/// than compile the app.
pub(crate) fn compile_from_scratch(ctx: &Context<'_>, why: &str) -> Result<(), Error> {
    let scope = if ctx.plan.hooks.hook_compile.is_some() {
        Scope::Everything
    } else {
        Scope::App
    };
    let log = ctx.log.step("Removing compiled code");
    log.detail(&format!("compiling the app from scratch because {why}"));
    ctx.compilation.state().reasons.push(why.to_owned());
    remove_compiled(ctx, scope)
}

pub(crate) fn remove_compiled(ctx: &Context<'_>, scope: Scope) -> Result<(), Error> {
    // The waiting VM may have loaded some of this code.
    ctx.end_session();
    let env = ctx.in_app(&format!("_build/{}", ctx.plan.mix_env.value));
    let env = ctx.mix_path(env);
    let mut state = ctx.compilation.state();
    state.from_scratch = Some(scope);
    state.compile_time_reads = CompileTimeReads::default();
    drop(state);
    if scope == Scope::Everything {
        if env.is_dir() {
            tree::clear(&env)?;
        }
        return Ok(());
    }
    for name in UMBRELLA_OUTPUTS {
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
            if manifest.file_name() != DEPENDENCIES_MANIFEST {
                tree::remove(&manifest.path())?;
            }
        }
    }
    Ok(())
}

pub(crate) fn last_generated(ctx: &Context<'_>) -> Option<GeneratedFiles> {
    let note = ctx.workspace.store.read_note(&generated_note(ctx))?;
    serde_json::from_str(&note).ok()
}

pub(crate) fn generated_note(ctx: &Context<'_>) -> String {
    format!("{}.json", keys::entry_name(ctx, "generated"))
}

/// The directories in `_build/APP` with code that mix derives from the sources. The other directories are for
/// incremental builds of native code, such as Cargo's target directory and object files.
pub(crate) const COMPILED: [&str; 4] = ["consolidated", "ebin", "include", "priv"];

/// The directory of mix's manifests.
pub(crate) const MANIFESTS: &str = ".mix";

/// The manifest whose time says when dependencies were last compiled. It stays, since dependencies aren't recompiled.
pub(crate) const DEPENDENCIES_MANIFEST: &str = "compile.lock";

/// The directories of compiled code and manifests of a whole umbrella, in `_build/MIX_ENV`.
pub(crate) const UMBRELLA_OUTPUTS: [&str; 2] = [".mix", "consolidated"];
