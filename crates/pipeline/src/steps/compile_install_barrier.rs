//! The barrier after compiling and installing JavaScript packages, which may run in parallel.

use crate::context::Context;
use crate::project::{LastBuild, Project};
use crate::steps::{digested_files, generated_files, installs, state};
use app::plan::StepName;
use messages::Error;
use std::path::PathBuf;
use workdir::app_tree::Entries;
use workdir::generated_files::FileChanges;
use workdir::sources::Sources;

/// To be called when compiling has ended. `before` has the app's files from before, and `after` has those of now.
pub(crate) fn compiled(
    ctx: &Context<'_>,
    before: &Entries,
    (after, project): (Entries, Project),
    restored: &LastBuild,
) -> Result<(), Error> {
    let of_installers = |path: &PathBuf| installs::is_manager_file(ctx, path);
    let changes = FileChanges::between(before, &after).without(of_installers);
    ctx.compilation.state().compiled = Some((changes, after, project));
    after_both(ctx, &restored.pushed)
}

pub(crate) fn installs_ended(ctx: &Context<'_>, pushed: &Sources) -> Result<(), Error> {
    ctx.compilation.state().installs_ended = true;
    after_both(ctx, pushed)
}

/// Copies generated files before another command can change them, and restores digested files of earlier
/// deploys. Both have to wait until compiling and installing have ended, since either creates files.
pub(crate) fn after_both(ctx: &Context<'_>, pushed: &Sources) -> Result<(), Error> {
    let compiled = {
        let mut state = ctx.compilation.state();
        let waits = ctx.plan.has(StepName::Javascript) && !state.installs_ended;
        state.compiled.take_if(|_| !waits)
    };
    match compiled {
        Some((changes, after, project)) => {
            generated_files::separate_origins(ctx, &changes, &after)?;
            state::save_compiled(ctx, pushed, &project)?;
            digested_files::restore_digested(ctx, &project.info)
        }
        None => Ok(()),
    }
}
