//! Whether `mix deps.get` would change nothing: then it is left out, and Hex asks its registry for
//! no package.
//!
//! mix says that each dependency in `deps` is the one in the lock. That the lock is in step with
//! what is asked for, only Hex could say, with the registry: it has said so when the same was asked
//! for with the same lock, whatever the registry has got since.

use crate::context::Context;
use crate::mix_info::SETTLED_TASK;
use crate::project::LastBuild;
use crate::steps::{keys, mix_command};
use exec::Action;
use exec::log::StepLog;
use messages::Error;
use std::fs;
use std::path::Path;
use store::json;
use store::tree::TreeError;
use workdir::variables::Salted;

/// What the task writes where there is nothing to go by.
const NO_DEPENDENCIES: &[u8] = b"no dependencies";

/// Why `mix deps.get` with these arguments has nothing to do, if that is known.
pub(crate) fn is_settled(
    ctx: &Context<'_>,
    restored: &LastBuild,
    (args, shown): (&[&str], &str),
    log: &StepLog<'_>,
) -> Result<Option<&'static str>, Error> {
    if has_no_dependencies(ctx, args, shown, log)? {
        return Ok(Some("the app has no dependencies"));
    }
    let note = ctx.workspace.store.read_note(&settled_note(ctx));
    let Some(note) = note.filter(|note| restored.deps && !note.is_empty()) else {
        return Ok(None);
    };
    let now = settled(ctx, args, shown, log)?;
    let same = now.is_some_and(|now| now == note);
    Ok(same.then_some("dependencies and lockfile are unchanged"))
}

/// Whether mix asks for no dependency at all.
fn has_no_dependencies(
    ctx: &Context<'_>,
    args: &[&str],
    shown: &str,
    log: &StepLog<'_>,
) -> Result<bool, Error> {
    let lock = ctx.workspace.real(&ctx.in_app("mix.lock"));
    if lock.exists() {
        return Ok(false);
    }
    let inputs = inputs_of_deps_get(ctx, args, shown, log)?;
    Ok(inputs.is_some_and(|inputs| inputs == NO_DEPENDENCIES))
}

/// To be called when `mix deps.get` has run.
pub(crate) fn keep_settled(
    ctx: &Context<'_>,
    args: &[&str],
    shown: &str,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    let settled = settled(ctx, args, shown, log)?.unwrap_or_default();
    // Where there is no room for it, the next build asks again. An older note does no harm: it
    // holds for what it was written of, and mix looks at deps all the same.
    let _ = ctx.workspace.store.write_note(&settled_note(ctx), &settled);
    Ok(())
}

/// Has `mix deps.get` run in the next build.
pub(crate) fn forget_settled(ctx: &Context<'_>) {
    // Where there is no room for this, there is none for what was kept of this build either.
    let _ = ctx.workspace.store.write_note(&settled_note(ctx), "");
}

/// A digest of all that `mix deps.get` goes by beside the registry, if nothing is to be fetched.
fn settled(
    ctx: &Context<'_>,
    args: &[&str],
    shown: &str,
    log: &StepLog<'_>,
) -> Result<Option<String>, Error> {
    let Some(inputs) = inputs_of_deps_get(ctx, args, shown, log)? else {
        return Ok(None);
    };
    let salted = Salted::of(ctx.workspace.store)?;
    let is_hex = |name: &str| name.starts_with("HEX_");
    let variables = ctx.workspace.variables(&ctx.env, is_hex)?;
    let mut all = args.join(" ").into_bytes();
    all.extend(json::to_vec(&variables, Path::new("settled"))?);
    all.extend(inputs);
    Ok(Some(salted.value(&all)))
}

/// What mix says that it would go by, if nothing is to be fetched.
fn inputs_of_deps_get(
    ctx: &Context<'_>,
    args: &[&str],
    shown: &str,
    log: &StepLog<'_>,
) -> Result<Option<Vec<u8>>, Error> {
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let written = scratch.path().join("settled");
    let only = args.iter().skip_while(|arg| **arg != "--only").nth(1);
    let task = [
        SETTLED_TASK,
        &written.to_string_lossy(),
        only.unwrap_or(&""),
    ];
    mix_command::mix(ctx, Action::Deps, &[&task], shown, log)?;
    Ok(fs::read(&written).ok())
}

fn settled_note(ctx: &Context<'_>) -> String {
    keys::kept_as(ctx, "settled")
}
