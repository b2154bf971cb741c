//! Running a command of the user.

use crate::context::Context;
use app::Asked;
use exec::Action;
use exec::command::{Env, Tool};
use messages::Error;

/// Runs a hook as a line of shell in the app's folder. A value that begins with `eval`, as
/// the Phoenix guide has it, means the same to bash.
pub(crate) fn hook(
    ctx: &Context<'_>,
    key: &'static str,
    asked: Option<&Asked>,
) -> Result<(), Error> {
    let Some(asked) = asked else {
        return Ok(());
    };
    // A hook may change what a waiting VM has read.
    ctx.end_session();
    let log = ctx.log.step(header(key));
    if matches!(key, "pre_compile" | "post_compile") {
        log.warning(&format!(
            "{key} ({}) is deprecated; hook_{key} runs next to mix compile",
            asked.origin
        ));
    }
    // A config file that bash evaluated has config vars' values in it.
    let shown = ctx.workspace.environment.without_values(&asked.value);
    log.detail(&format!("$ {}", shown.trim().replace('\n', "\n  ")));
    let env = shell_env(ctx);
    let mut tool = Tool::shell(&asked.value, &ctx.app_dir, &env);
    tool.shown.clone_from(&shown);
    let action = Action::Hook {
        key,
        asked: Asked::new(shown, asked.origin.clone()),
    };
    ctx.run_tool(action, &tool, &log)
}

/// What shell code of the app could always see: the variables of its config files too.
pub(crate) fn shell_env(ctx: &Context<'_>) -> Env {
    let mut env = ctx.env.clone();
    for (name, value) in &ctx.plan.shell_variables {
        env.insert(name.into(), value.into());
    }
    env
}

pub(crate) fn header(key: &str) -> &'static str {
    match key {
        "pre_compile" => "Running pre_compile",
        "hook_pre_fetch_dependencies" => "Running hook_pre_fetch_dependencies",
        "hook_pre_compile" => "Running hook_pre_compile",
        "hook_compile" => "Running hook_compile",
        "hook_post_compile" => "Running hook_post_compile",
        _ => "Running post_compile",
    }
}
