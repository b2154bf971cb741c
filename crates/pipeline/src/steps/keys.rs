//! The keys of cache entries: the inputs that each depends on.

use crate::context::Context;
use crate::erlang_compiler;
use app::Plan;
use exec::command::Env;
use messages::Error;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use store::tree::TreeError;
use store::{Key, digest, json};
use walkdir::{DirEntry, WalkDir};
use workdir::app_tree::Entries;

/// Returns the name of a cache entry for this `MIX_ENV`, so that tests don't drop the entries of a deploy.
pub(crate) fn entry_name(ctx: &Context<'_>, name: &str) -> String {
    entry_of(ctx.plan, name)
}

/// The same as [`entry_name`], from a plan.
pub(crate) fn entry_of(plan: &Plan, name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let mix_env: String = plan.mix_env.value.chars().map(word).collect();
    format!("{name}-{mix_env}")
}

/// Returns the key of `deps`, apart from `mix.lock`. Compiling a dependency may leave files next to its sources, such
/// as a NIF in `priv`, which `make` considers current even if another compiler built them. They may also contain code
/// of a revoked writer.
pub(crate) fn deps_key(ctx: &Context<'_>, otp: Otp) -> Result<Key, Error> {
    let target = &ctx.plan.target;
    let mut key = compiler_key(ctx, otp)?;
    key.insert("stack".to_owned(), target.stack.clone());
    key.insert("architecture".to_owned(), target.arch.to_string());
    let app_dir = &ctx.plan.app_dir.value;
    if app_dir != "." {
        key.insert("app folder".to_owned(), app_dir.clone());
    }
    if let Some(settings) = planning::shared_store_settings(&ctx.workspace.environment)? {
        let trust = digest::sha256(settings.trust().as_bytes());
        key.insert("the shared store's trust list".to_owned(), trust);
    }
    key.extend(ctx.workspace.variables(&ctx.env, affects_compilation)?);
    Ok(key)
}

/// The installed Erlang and Elixir versions, which compile the code.
pub(crate) fn vm_key(ctx: &Context<'_>) -> Key {
    // A branch gets a new build under the same name with each commit.
    let build = |version: &str, is_branch: bool, commit: &str| {
        if is_branch {
            format!("{version} ({commit})")
        } else {
            version.to_owned()
        }
    };
    let plan = ctx.plan;
    let (otp, elixir) = (&plan.erlang.build, &plan.elixir.build);
    [
        (
            "OTP",
            build(&plan.erlang.version, otp.version.is_none(), &otp.git_sha),
        ),
        (
            "Elixir",
            build(&elixir.reference, elixir.version.is_none(), &elixir.git_sha),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Whether OTP is installed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otp {
    Installed,
    /// OTP is being installed, in the version of the last build.
    AsPlanned,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CompilerNote {
    /// The name of the build in upstream's list.
    pub(crate) otp: String,
    pub(crate) digest: String,
}

/// The note with the result of [`erlang_compiler::digest`] for an OTP build.
pub(crate) const COMPILER: &str = "compiler.json";

/// Returns the key with the parts of Erlang/OTP that affect compiled code. An OTP patch with the same key keeps
/// `_build`.
pub(crate) fn compiler_key(ctx: &Context<'_>, otp: Otp) -> Result<Key, Error> {
    let plan = ctx.plan;
    let mut key = vm_key(ctx);
    if plan.rebuild_on_otp_patch || plan.erlang.build.version.is_none() {
        return Ok(key);
    }
    let compiler = compiler_digest(ctx, otp)?.unwrap_or_default();
    key.insert("OTP".to_owned(), plan.otp_major.to_string());
    key.insert(
        "the compiler, a header or a native library of OTP".to_owned(),
        compiler,
    );
    Ok(key)
}

/// Returns the digest of this build's OTP, from the note of an earlier build or from the installed OTP. `None` if
/// there is no note and OTP isn't installed yet.
pub(crate) fn compiler_digest(ctx: &Context<'_>, otp: Otp) -> Result<Option<String>, Error> {
    let store = ctx.workspace.store;
    let name = &ctx.plan.erlang.build.reference;
    let note = store.read_note(COMPILER);
    let noted = note.and_then(|note| serde_json::from_str::<CompilerNote>(&note).ok());
    if let Some(noted) = noted.filter(|noted| noted.otp == *name) {
        return Ok(Some(noted.digest));
    }
    if otp == Otp::AsPlanned {
        return Ok(None);
    }
    let root = ctx.workspace.real(&ctx.workspace.places.erlang);
    let noted = CompilerNote {
        otp: name.clone(),
        digest: erlang_compiler::digest(&root)?,
    };
    // Without the note, the next build computes the digest again.
    let _ = store.write_note(COMPILER, &json::to_string(&noted, COMPILER)?);
    Ok(Some(noted.digest))
}

/// Returns the key of compiled code, apart from its sources, which mix checks.
pub(crate) fn build_key(ctx: &Context<'_>, otp: Otp) -> Result<Key, Error> {
    let plan = ctx.plan;
    let mut key = deps_key(ctx, otp)?;
    key.extend(
        [
            ("MIX_ENV", plan.mix_env.value.clone()),
            (
                "working directory",
                ctx.app_dir.to_string_lossy().into_owned(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    Ok(key)
}

/// Returns whether a variable is an option of Mix or of the VM that affects compiled code, such as
/// `ERL_COMPILER_OPTIONS` or `MIX_TARGET`. Options for paths, output and concurrency do not.
pub(crate) fn affects_compilation(name: &str) -> bool {
    const NOT: [&str; 9] = [
        "ERL_EPMD_ADDRESS",
        "ERL_EPMD_PORT",
        "ERL_ROOTDIR",
        "MIX_ARCHIVES",
        "MIX_DEBUG",
        "MIX_ENV",
        "MIX_HOME",
        "MIX_QUIET",
        "MIX_REBAR3",
    ];
    let switch = name.starts_with("ERL_") || name.starts_with("MIX_");
    let aside = ["ERL_CRASH_DUMP", "MIX_INSTALL_", "MIX_OS_"];
    name == "ELIXIR_ERL_OPTIONS"
        || (switch && !NOT.contains(&name) && !aside.iter().any(|prefix| name.starts_with(prefix)))
}

/// Lists the app's files, without those that the build writes.
pub(crate) fn entries(ctx: &Context<'_>) -> Result<Entries, TreeError> {
    ctx.tree.entries(ctx.path)
}

/// Returns the variables that the app's code may read.
pub(crate) fn app_variables(ctx: &Context<'_>) -> Env {
    let mut env = ctx.workspace.environment.for_commands();
    let exported = ctx.plan.exported.iter().chain(&ctx.plan.shell_variables);
    env.extend(exported.map(|(name, value)| (name.into(), value.into())));
    env
}

/// Returns the time of the newest of mix's manifests in a `_build`, which mix compares with sources.
pub(crate) fn compiled_at(build: &Path) -> Option<SystemTime> {
    let is_manifest = |entry: &DirEntry| {
        let folder = entry.path().parent().and_then(Path::file_name);
        folder.is_some_and(|name| name == ".mix")
    };
    // _build/ENV/lib/APP/.mix/compile.elixir
    let walk = WalkDir::new(build).min_depth(5).max_depth(5);
    let walk = walk.into_iter().filter_map(Result::ok).filter(is_manifest);
    walk.filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .max()
}

/// Returns the time in seconds since 1970, the precision of cache archives.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
