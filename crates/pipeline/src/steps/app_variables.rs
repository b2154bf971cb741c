//! The note on the variables that the app's code may read at compile time, for comparison in the next build.

use crate::context::Context;
use crate::steps::keys;
use exec::environment::{is_build_specific, is_commit_variable};
use messages::Error;
use std::collections::BTreeSet;
use store::json;
use workdir::variables::Variables;

pub(crate) fn variables(ctx: &Context<'_>) -> Result<Variables, Error> {
    let counts = |name: &str| is_commit_variable(name) || !is_build_specific(name);
    let env = ctx.workspace.environment.for_commands();
    Ok(ctx.workspace.variables(&env, counts)?)
}

pub(crate) fn variables_note(ctx: &Context<'_>) -> String {
    format!("{}.json", keys::entry_name(ctx, "variables"))
}

pub(crate) fn noted_variables(ctx: &Context<'_>) -> Option<Variables> {
    let note = ctx.workspace.store.read_note(&variables_note(ctx))?;
    serde_json::from_str(&note).ok()
}

/// Returns the names of variables that were added, removed or changed since the last build.
pub(crate) fn changed_variables(ctx: &Context<'_>) -> Result<BTreeSet<String>, Error> {
    let Some(then) = noted_variables(ctx) else {
        return Ok(BTreeSet::new());
    };
    let now = variables(ctx)?;
    let names = then.keys().chain(now.keys());
    let changed = names.filter(|name| then.get(*name) != now.get(*name));
    Ok(changed.cloned().collect())
}

pub(crate) fn save_variables(ctx: &Context<'_>) -> Result<(), Error> {
    let note = variables_note(ctx);
    let variables = json::to_string(&variables(ctx)?, &note)?;
    Ok(ctx.workspace.store.write_note(&note, &variables)?)
}
