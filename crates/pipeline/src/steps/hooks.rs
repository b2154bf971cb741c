//! The hooks: commands of the app's config.

use crate::context::Context;
use crate::project::LastBuild;
use crate::steps::{compiling_hooks, generated_files, run_hook};
use messages::Error;

pub(crate) fn pre_compile(ctx: &Context<'_>) -> Result<(), Error> {
    run_hook::hook(ctx, "pre_compile", ctx.plan.hooks.pre_compile.as_ref())
}

pub(crate) fn hook_pre_fetch_dependencies(ctx: &Context<'_>) -> Result<(), Error> {
    let hook = ctx.plan.hooks.hook_pre_fetch_dependencies.as_ref();
    compiling_hooks::run_watched_hook(ctx, "hook_pre_fetch_dependencies", hook)
}

pub(crate) fn hook_pre_compile(ctx: &Context<'_>, restored: &LastBuild) -> Result<(), Error> {
    let hook = ctx.plan.hooks.hook_pre_compile.as_ref();
    compiling_hooks::run_watched_hook(ctx, "hook_pre_compile", hook)?;
    generated_files::before_compile(ctx, restored)
}

pub(crate) fn hook_post_compile(ctx: &Context<'_>) -> Result<(), Error> {
    let hook = ctx.plan.hooks.hook_post_compile.as_ref();
    compiling_hooks::run_watched_hook(ctx, "hook_post_compile", hook)
}

pub(crate) fn post_compile(ctx: &Context<'_>) -> Result<(), Error> {
    run_hook::hook(ctx, "post_compile", ctx.plan.hooks.post_compile.as_ref())
}
