//! Tests whether mix starts without build tools, as on a dyno.
//!
//! Mix runs the compilers of the project, and of path dependencies, whenever it starts. One that calls
//! make or a C compiler works in the build and fails on the dyno.

use crate::context::Context;
use crate::project::Project;
use crate::steps::{mix_command, release};
use exec::Action;
use exec::command::{CommandError, Env, Tool};
use exec::log::StepLog;
use messages::Error;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use store::tree::TreeError;

/// Programs that only build images have.
const BUILD_TOOLS: [&str; 23] = [
    "ar",
    "as",
    "autoconf",
    "automake",
    "c++",
    "cargo",
    "cc",
    "clang",
    "clang++",
    "cmake",
    "cpp",
    "g++",
    "gcc",
    "gfortran",
    "gmake",
    "go",
    "ld",
    "libtool",
    "make",
    "ninja",
    "pkg-config",
    "rustc",
    "zig",
];

/// Compiles again without build tools, if the project has compilers that may need them, and warns if that fails.
/// Returns whether it compiled, since that may create files.
pub(crate) fn try_start(
    ctx: &Context<'_>,
    project: &Project,
    log: &StepLog<'_>,
) -> Result<bool, Error> {
    let compilers = &project.info.compilers;
    let procfile = release::procfile(ctx).unwrap_or_default();
    let starts_mix = project.release.is_none() || procfile.calling_mix().is_some();
    if compilers.is_empty() || !starts_mix {
        return Ok(false);
    }
    let scratch =
        tempfile::tempdir().map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
    let mut env = ctx.env.clone();
    let path = without_build_tools(&env, scratch.path())
        .map_err(TreeError::at(scratch.path(), "link programs in"))?;
    env.insert("PATH".into(), path);
    log.detail("$ mix compile (without build tools, as at run time)");
    let tool = Tool::new("mix", &["compile"], &ctx.app_dir, &env);
    match tool.run(ctx.output_filter(&Action::Compile), log, ctx.cancel) {
        Ok(()) => Ok(true),
        Err(CommandError::Cancelled) => Err(Error::Cancelled),
        Err(_) => {
            warn_of_compilers(ctx, project, log);
            Ok(true)
        }
    }
}

fn warn_of_compilers(ctx: &Context<'_>, project: &Project, log: &StepLog<'_>) {
    let info = &project.info;
    let names: Vec<String> = info
        .compilers
        .iter()
        .map(|(app, name)| format!("{name} of {app}"))
        .collect();
    // mix compiles dependencies to find a package's task, whatever its switches, unless they are loaded before.
    let task = if project.phoenix {
        let server = mix_command::phoenix_ex(ctx, info);
        format!("mix do deps.loadpaths --no-compile, {server}.server --no-compile")
    } else {
        "mix run --no-halt --no-compile".to_owned()
    };
    log.warning(&format!(
        "mix fails to start without build tools, because it runs compilers at every start ({}).\n\
         Have every process in the Procfile start mix with --no-compile:\n  web: {task}\n\
         Or build a release (release=true), or move the native code into a dependency, which mix compiles only once.",
        names.join(", ")
    ));
}

/// Returns `PATH` with each directory that contains build tools replaced by a directory of links without them.
fn without_build_tools(env: &Env, scratch: &Path) -> std::io::Result<OsString> {
    let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let hidden: BTreeSet<&OsStr> = BUILD_TOOLS.iter().map(OsStr::new).collect();
    let mut folders = Vec::new();
    for (number, folder) in std::env::split_paths(&path).enumerate() {
        if !hidden.iter().any(|tool| folder.join(tool).exists()) {
            folders.push(folder);
            continue;
        }
        let links = scratch.join(number.to_string());
        fs::create_dir(&links)?;
        for entry in fs::read_dir(&folder)? {
            let name = entry?.file_name();
            if !hidden.contains(name.as_os_str()) {
                symlink(folder.join(&name), links.join(&name))?;
            }
        }
        folders.push(links);
    }
    std::env::join_paths(folders).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_check_hides_build_tools_only() {
        let dir = tempfile::tempdir().unwrap();
        let [system, tools, scratch] =
            ["bin", "tools", "scratch"].map(|name| dir.path().join(name));
        for folder in [&system, &tools, &scratch] {
            fs::create_dir(folder).unwrap();
        }
        for program in [system.join("make"), system.join("sed"), tools.join("mix")] {
            fs::write(program, "").unwrap();
        }
        let path = std::env::join_paths([&tools, &system]).unwrap();
        let env = Env::from([("PATH".into(), path)]);
        let path = without_build_tools(&env, &scratch).unwrap();
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        assert_eq!(folders[0], tools);
        assert!(folders[1].join("sed").exists() && !folders[1].join("make").exists());
    }
}
