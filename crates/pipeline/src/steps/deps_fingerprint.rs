//! The fingerprint of the dependencies: with the same one as in the last build, `mix deps.get` would change
//! nothing and is skipped, so that Hex makes no request to its registry.
//!
//! mix reports whether each dependency in `deps` is the locked one. Only Hex could check the lockfile
//! against the requirements, with its registry. It did so in the build that saved the fingerprint, for the
//! same requirements and the same lockfile.

use crate::context::Context;
use crate::mix_info::FINGERPRINT_TASK;
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

/// The output of the task for a project without dependencies.
const NO_DEPENDENCIES: &[u8] = b"no dependencies";

/// Returns why `mix deps.get` with these arguments would change nothing, or `None` if it may.
pub(crate) fn up_to_date_reason(
    ctx: &Context<'_>,
    restored: &LastBuild,
    (args, shown): (&[&str], &str),
    log: &StepLog<'_>,
) -> Result<Option<&'static str>, Error> {
    if has_no_dependencies(ctx, args, shown, log)? {
        return Ok(Some("the app has no dependencies"));
    }
    let note = ctx.workspace.store.read_note(&fingerprint_note(ctx));
    let Some(note) = note.filter(|note| restored.deps && !note.is_empty()) else {
        return Ok(None);
    };
    let now = fingerprint(ctx, args, shown, log)?;
    let same = now.is_some_and(|now| now == note);
    Ok(same.then_some("dependencies and lockfile are unchanged"))
}

/// Returns whether the project has no dependencies.
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

/// Saves the fingerprint. To be called when `mix deps.get` has run.
pub(crate) fn save_fingerprint(
    ctx: &Context<'_>,
    args: &[&str],
    shown: &str,
    log: &StepLog<'_>,
) -> Result<(), Error> {
    let fingerprint = fingerprint(ctx, args, shown, log)?.unwrap_or_default();
    // If it can't be written, the next build runs `mix deps.get` again. An older note does no harm: it has
    // another digest, and mix checks deps in any case.
    let _ = ctx
        .workspace
        .store
        .write_note(&fingerprint_note(ctx), &fingerprint);
    Ok(())
}

/// Clears the fingerprint, so that `mix deps.get` runs in the next build.
pub(crate) fn clear_fingerprint(ctx: &Context<'_>) {
    // If it can't be written, nothing else of this build can be saved either.
    let _ = ctx.workspace.store.write_note(&fingerprint_note(ctx), "");
}

/// Returns a digest of everything but the registry that `mix deps.get` depends on. `None` if dependencies
/// have to be fetched.
fn fingerprint(
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

/// Returns what `mix deps.get` depends on, as mix reports it. `None` if dependencies have to be fetched.
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
        FINGERPRINT_TASK,
        &written.to_string_lossy(),
        only.unwrap_or(&""),
    ];
    mix_command::mix(ctx, Action::Deps, &[&task], shown, log)?;
    Ok(fs::read(&written).ok())
}

fn fingerprint_note(ctx: &Context<'_>) -> String {
    keys::entry_name(ctx, "settled")
}
