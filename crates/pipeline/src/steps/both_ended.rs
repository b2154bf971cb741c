//! What waits for both, compiling and installing JavaScript packages.

use crate::context::Context;
use crate::project::{LastBuild, Project};
use crate::steps::{digested_files, generated, installs, state};
use app::plan::StepName;
use messages::Error;
use std::path::PathBuf;
use workdir::app_tree::Entries;
use workdir::generated::Touched;
use workdir::sources::Sources;

/// To be called when compiling has ended. `before` and `after` are the app when it began and now.
pub(crate) fn compiled(
    ctx: &Context<'_>,
    before: &Entries,
    (after, project): (Entries, Project),
    restored: &LastBuild,
) -> Result<(), Error> {
    let of_installers = |path: &PathBuf| installs::is_of_installers(ctx, path);
    let touched = Touched::between(before, &after).without(of_installers);
    ctx.compilation.state().compiled = Some((touched, after, project));
    when_both_have_ended(ctx, &restored.pushed)
}

pub(crate) fn installs_ended(ctx: &Context<'_>, pushed: &Sources) -> Result<(), Error> {
    ctx.compilation.state().installs_ended = true;
    when_both_have_ended(ctx, pushed)
}

/// Does what has to wait for both, compiling and installing packages: sets generated files aside
/// before any other command can change them, and brings files of earlier deploys back, which must
/// not be taken for those that either creates.
pub(crate) fn when_both_have_ended(ctx: &Context<'_>, pushed: &Sources) -> Result<(), Error> {
    let compiled = {
        let mut state = ctx.compilation.state();
        let waits = ctx.plan.has(StepName::Javascript) && !state.installs_ended;
        state.compiled.take_if(|_| !waits)
    };
    match compiled {
        Some((touched, after, project)) => {
            generated::tell_apart(ctx, &touched, &after)?;
            state::save_compiled(ctx, pushed, &project)?;
            digested_files::restore_digested(ctx, &project.info)
        }
        None => Ok(()),
    }
}
