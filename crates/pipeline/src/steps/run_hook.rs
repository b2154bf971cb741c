//! Runs hooks.

use crate::context::Context;
use app::Setting;
use exec::Action;
use exec::command::{Env, Tool};
use messages::Error;

/// Runs a hook as a bash command in the app's directory. A value that begins with `eval`, as in the Phoenix guide,
/// works too.
pub(crate) fn hook(
    ctx: &Context<'_>,
    key: &'static str,
    requested: Option<&Setting>,
) -> Result<(), Error> {
    let Some(requested) = requested else {
        return Ok(());
    };
    // A hook may change files that the waiting VM has read.
    ctx.end_session();
    let log = ctx.log.step(header(key));
    if matches!(key, "pre_compile" | "post_compile") {
        log.warning(&format!(
            "{key} ({}) is deprecated; hook_{key} runs next to mix compile",
            requested.origin
        ));
    }
    // A hook from a config file may contain expanded values of config vars.
    let shown = ctx.workspace.environment.without_values(&requested.value);
    log.detail(&format!("$ {}", shown.trim().replace('\n', "\n  ")));
    let env = shell_env(ctx);
    let mut tool = Tool::shell(&requested.value, &ctx.app_dir, &env);
    tool.shown.clone_from(&shown);
    let action = Action::Hook {
        key,
        requested: Setting::new(shown, requested.origin.clone()),
    };
    ctx.run_tool(action, &tool, &log)?;
    Ok(ctx.path.replace_copied_links()?)
}

/// Returns the environment of the app's shell code, which includes the variables of its config files.
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
