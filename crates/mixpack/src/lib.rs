//! The executables: one program, called by the name of what a platform wants of it, or with that
//! name as its first argument.

mod cloud_native;
mod local;
mod plan;
mod platform;
mod source;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Mixpack builds Elixir and Phoenix apps for Heroku, Dokku, Gigalixir, Cloud Native platforms
and your own machine.

For people:
  mixpack plan [--json] DIR    show what would be built, and why
  mixpack build DIR            build the app in DIR like Heroku does, into a slug beside the cache
  mixpack run DIR [TYPE]       start a process of that slug (web) on $PORT (4000)

For platforms (the classic buildpack API):
  mixpack detect BUILD_DIR
  mixpack compile BUILD_DIR CACHE_DIR ENV_DIR
  mixpack release BUILD_DIR
  mixpack report BUILD_DIR CACHE_DIR ENV_DIR
  mixpack test-compile BUILD_DIR CACHE_DIR ENV_DIR
  mixpack test BUILD_DIR ENV_DIR

For platforms (the Cloud Native Buildpack API, in the app's folder):
  mixpack detect PLATFORM_DIR PLAN
  mixpack build LAYERS_DIR PLATFORM_DIR PLAN

  mixpack --version            the version, and the digest of the sources it was built from
";

/// A call that does not make sense, in words.
pub(crate) struct Usage(String);

/// Runs the program; `name` is the command when the executable has the command's name.
#[must_use]
pub fn main(name: Option<&str>) -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let command = match name {
        Some(name) => name.to_owned(),
        None if args.is_empty() => "--help".to_owned(),
        None => args.remove(0).to_string_lossy().into_owned(),
    };
    dispatch(&command, &args).unwrap_or_else(|Usage(problem)| {
        eprintln!("mixpack: {problem}\nTry mixpack --help.");
        ExitCode::from(2)
    })
}

fn dispatch(command: &str, args: &[OsString]) -> Result<ExitCode, Usage> {
    match command {
        // The classic API has one folder here, the Cloud Native one a folder and a file.
        "detect" => match args {
            [platform, plan] => Ok(cloud_native::detect(platform.into(), plan.into())),
            _ => Ok(platform::detect(&one(command, args)?)),
        },
        "compile" => match args {
            [build, cache, env] => Ok(platform::compile(build.into(), cache.into(), env.into())),
            _ => Err(three_folders(command)),
        },
        "test-compile" => match args {
            [build, cache, env] => Ok(platform::test_compile(
                build.into(),
                cache.into(),
                env.into(),
            )),
            _ => Err(three_folders(command)),
        },
        "test" => match args {
            [build, env] => Ok(platform::test(build.as_ref(), env.as_ref())),
            _ => Err(Usage("test wants BUILD_DIR and ENV_DIR".to_owned())),
        },
        "report" => match args {
            [_, cache, _] => Ok(platform::report(cache.as_ref())),
            _ => Err(three_folders(command)),
        },
        "release" => match args {
            // herokuish names the cache too.
            [build] | [build, _] => Ok(platform::release(build.as_ref())),
            _ => Err(Usage("release wants BUILD_DIR".to_owned())),
        },
        "plan" => {
            let json = args.iter().any(|arg| arg == "--json");
            let rest: Vec<OsString> = args.iter().filter(|a| *a != "--json").cloned().collect();
            Ok(plan::plan(&one(command, &rest)?, json))
        }
        "build" => match args {
            [layers, platform, plan] => Ok(cloud_native::build(
                layers.into(),
                platform.into(),
                plan.into(),
            )),
            _ => Ok(local::build(&one(command, args)?)),
        },
        "run" => match args {
            [dir] => Ok(local::run(&PathBuf::from(dir), "web")),
            [dir, kind] => Ok(local::run(&PathBuf::from(dir), &kind.to_string_lossy())),
            _ => Err(Usage("run wants DIR and perhaps a process type".to_owned())),
        },
        "--version" | "-V" => {
            println!("mixpack {} (sources {})", build::VERSION, source::DIGEST);
            Ok(ExitCode::SUCCESS)
        }
        "--help" | "-h" | "help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(Usage(format!("there is no command {other:?}"))),
    }
}

fn three_folders(command: &str) -> Usage {
    Usage(format!("{command} wants BUILD_DIR, CACHE_DIR and ENV_DIR"))
}

fn one(command: &str, args: &[OsString]) -> Result<PathBuf, Usage> {
    match args {
        [dir] if !dir.as_encoded_bytes().starts_with(b"--") => Ok(dir.into()),
        _ => Err(Usage(format!("{command} wants one folder"))),
    }
}
