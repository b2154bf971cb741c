//! Runs mix commands, in the VM of the previous command if it is still waiting.

use crate::context::Context;
use crate::mix_info::MixInfo;
use crate::mix_session::{MixSession, Outcome};
use crate::project::Project;
use crate::steps::{compile_time_files, git, keys};
use app::plan::launcher;
use exec::Action;
use exec::log::StepLog;
use messages::Error;
use std::ffi::OsStr;

/// Variables with command-line flags and code paths for the VM. Sources: erl(1), elixir(1).
const VM_SWITCHES: [&str; 5] = [
    "ELIXIR_ERL_OPTIONS",
    "ERL_AFLAGS",
    "ERL_FLAGS",
    "ERL_LIBS",
    "ERL_ZFLAGS",
];

/// Starts the VM while the cache is restored. The VM waits for the first command before it loads Mix.
pub(crate) fn start_vm(ctx: &Context<'_>) {
    // The VM reads the directories in these variables when it starts, and they may not be restored yet.
    let has_switches = VM_SWITCHES
        .iter()
        .any(|name| ctx.env.contains_key(OsStr::new(name)));
    // The hook runs first. It may take long, and change files that the VM reads.
    if has_switches || ctx.plan.hooks.hook_pre_fetch_dependencies.is_some() {
        return;
    }
    // If it can't be started, the first command reports why.
    *ctx.session() = start_session(ctx).ok();
}

fn start_session(ctx: &Context<'_>) -> Result<MixSession, Error> {
    let (cancel, store) = (ctx.cancel, ctx.workspace.store);
    MixSession::start(&ctx.app_dir, &ctx.env, store, keys::vm_key(ctx), cancel)
}

/// Runs tasks in the top directory of the project.
pub(crate) fn mix(
    ctx: &Context<'_>,
    action: Action,
    tasks: &[&[&str]],
    shown: &str,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    let (cancel, store) = (ctx.cancel, ctx.workspace.store);
    let waiting = ctx.session().take();
    let session = match waiting {
        Some(session) => session,
        None => start_session(ctx)?,
    };
    let tasks: Vec<Vec<String>> = tasks
        .iter()
        .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
        .collect();
    let filter = ctx.output_filter(&action);
    match session.run(&tasks, shown, filter, log, cancel) {
        Ok(Outcome::Open(mut session)) => {
            // Without the cached tasks, the next build only takes longer.
            let _ = session.cache_tasks(store);
            compile_time_files::add_reads(ctx, &session.take_reads()?)?;
            *ctx.session() = Some(session);
        }
        Ok(Outcome::Over) => compile_time_files::untraced(ctx),
        Err(error) => {
            git::report_git_answers(ctx, log);
            return Err(Error::command(action)(error));
        }
    }
    Ok(())
}

/// Runs tasks without arguments in a directory of the app.
pub(crate) fn mix_in(
    ctx: &Context<'_>,
    action: Action,
    tasks: &[&str],
    folder: &str,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    let together = tasks.join(", ");
    let shown = match tasks {
        [_, _, ..] => format!("do {together}"),
        _ => together,
    };
    if folder == ctx.plan.app_dir.value {
        let shown = format!("mix {shown}");
        log.detail(&format!("$ {shown}"));
        let tasks: Vec<&[&str]> = tasks.iter().map(std::slice::from_ref).collect();
        return mix(ctx, action, &tasks, &shown, log);
    }
    let args: Vec<&str> = shown.split(' ').collect();
    ctx.tool(action, "mix", &args, &ctx.mix_path(folder), log)
}

/// Returns the namespace of Phoenix's mix tasks: `phx`, or `phoenix` before Phoenix 1.3.
pub(crate) fn phoenix_ex<'p>(ctx: &'p Context<'_>, info: &'p MixInfo) -> &'p str {
    info.phoenix_ex(&ctx.plan.phoenix_ex)
}

/// Returns the command of `web` for a command that runs in the app's directory. Logs it if it differs from the plan, or
/// from an earlier answer of mix.
pub(crate) fn web(
    ctx: &Context<'_>,
    project: &Project,
    command: &str,
    log: &StepLog<'_>,
) -> String {
    let command = launcher::command(&ctx.plan.app_dir.value, command);
    let planned = ctx.plan.processes.get("web").map(|web| &web.command);
    if project
        .web()
        .or(planned)
        .is_some_and(|told| *told != command)
    {
        log.detail(&format!("web: {command}"));
    }
    command
}
