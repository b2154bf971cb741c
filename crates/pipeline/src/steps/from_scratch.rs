//! Compiling the app from scratch.

use crate::compilation::Scope;
use crate::context::Context;
use crate::steps::keys;
use messages::Error;
use std::fs;
use store::tree::{self, TreeError};
use store::{self};
use workdir::generated_files::GeneratedFiles;

/// A command that replaces `mix compile` may do more than that, so it begins without anything.
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
    // The VM that waits for commands may have loaded some of it.
    ctx.end_session();
    let env = ctx.in_app(&format!("_build/{}", ctx.plan.mix_env.value));
    let env = ctx.mix_path(env);
    ctx.compilation.state().from_scratch = Some(scope);
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

/// The directories in `_build/APP` with code that mix derives from the sources. The other ones make native code
/// incremental: Cargo's target directory, object files.
pub(crate) const COMPILED: [&str; 4] = ["consolidated", "ebin", "include", "priv"];

/// The directory of mix's manifests.
pub(crate) const MANIFESTS: &str = ".mix";

/// The manifest whose time says when dependencies were last compiled. They aren't compiled again.
pub(crate) const DEPENDENCIES_MANIFEST: &str = "compile.lock";

/// The same for all applications of an umbrella, in `_build/MIX_ENV`.
pub(crate) const UMBRELLA_OUTPUTS: [&str; 2] = [".mix", "consolidated"];
