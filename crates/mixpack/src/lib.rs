//! The executables: a single program, which gets its command from its own name or from its first argument.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod cloud_native;
mod completions;
mod doctor;
mod env_file;
mod explain;
mod help;
mod local;
mod migrate;
mod paragraph;
mod plan;
mod platform;
mod pull_request;
mod source;
mod table;

/// musl's own allocator makes threads wait for each other, and returns most memory at once: an unchanged build took a
/// sixth longer with it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use crate::platform::print_text;
use app::settings::name_typo;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// An invalid call, with the problem as a phrase.
pub(crate) struct Usage(String);

/// Runs the program. `name` is the command, if the executable has the command's name.
#[must_use]
pub fn main(name: Option<&str>) -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let command = match name {
        Some(name) => name.to_owned(),
        None if args.is_empty() => "--help".to_owned(),
        None => args.remove(0).to_string_lossy().into_owned(),
    };
    dispatch(&command, &args).unwrap_or_else(|Usage(problem)| {
        let command = help::of(&command).map_or_else(String::new, |_| format!(" {command}"));
        eprintln!("mixpack: {problem}\nTry mixpack{command} --help.");
        ExitCode::from(2)
    })
}

fn dispatch(command: &str, args: &[OsString]) -> Result<ExitCode, Usage> {
    let asks_for_help = |args: &[OsString]| matches!(args, [arg] if arg == "--help" || arg == "-h");
    if let (true, Some(help)) = (asks_for_help(args), help::of(command)) {
        print_text(help);
        return Ok(ExitCode::SUCCESS);
    }
    match command {
        "plan" => {
            let json = args.iter().any(|arg| arg == "--json");
            let rest: Vec<OsString> = args.iter().filter(|a| *a != "--json").cloned().collect();
            Ok(plan::plan(&one(command, &rest)?, json))
        }
        "doctor" => match doctor::Call::parse(args) {
            Some(call) => Ok(doctor::doctor(&call)),
            None => Err(Usage(
                "doctor expects one directory, and optionally --json, --sarif or --github, and --env FILE"
                    .to_owned(),
            )),
        },
        "explain" => {
            let code = match args {
                [] => None,
                [code] => code.to_str(),
                _ => return Err(Usage("explain expects one code".to_owned())),
            };
            print_text(&explain::explain(code, platform::in_color())?);
            Ok(ExitCode::SUCCESS)
        }
        "migrate" => match migrate::Call::parse(args) {
            Some(call) => Ok(migrate::migrate(&call)),
            None => Err(Usage(
                "migrate expects one directory, and optionally --write and --url URL".to_owned(),
            )),
        },
        "build" => match args {
            [option, file, dir] | [dir, option, file] if option == "--timeline" => {
                Ok(local::build(dir.as_ref(), Some(file.into())))
            }
            [layers, platform, plan] => Ok(cloud_native::build(
                layers.into(),
                platform.into(),
                plan.into(),
            )),
            _ => Ok(local::build(&one(command, args)?, None)),
        },
        "run" => match args {
            [dir] => Ok(local::run(&PathBuf::from(dir), "web")),
            [dir, kind] => Ok(local::run(&PathBuf::from(dir), &kind.to_string_lossy())),
            _ => Err(Usage("run expects DIR and optionally a process type".to_owned())),
        },
        "store-keys" => match args {
            [] => Ok(store_keys()),
            _ => Err(Usage("store-keys expects no arguments".to_owned())),
        },
        "completions" => {
            let shell = match args {
                [shell] => completions::of(&shell.to_string_lossy()),
                _ => None,
            };
            print_text(
                shell.ok_or_else(|| Usage("completions expects bash, zsh or fish".to_owned()))?,
            );
            Ok(ExitCode::SUCCESS)
        }
        "--version" | "-V" => {
            print_text(&format!(
                "mixpack {} (sources {})\n",
                planning::record::VERSION,
                source::DIGEST
            ));
            Ok(ExitCode::SUCCESS)
        }
        "--help" | "-h" | "help" => {
            let of_one = match args {
                [command] => help::of(&command.to_string_lossy()),
                _ => None,
            };
            print_text(of_one.unwrap_or(help::ALL));
            Ok(ExitCode::SUCCESS)
        }
        _ => dispatch_platform(command, args),
    }
}

/// Prints new keys for a shared store, as config vars.
fn store_keys() -> ExitCode {
    let Some(keys) = shared_store::generate() else {
        eprintln!("mixpack: could not generate keys, since this system has no random numbers");
        return ExitCode::FAILURE;
    };
    print_text(&format!(
        "\
# Builds that add to the store, and nobody else:
MIXPACK_STORE_SIGNING_KEY={}
# Builds that trust them, and only read:
MIXPACK_STORE_TRUST={}
# All builds that use the store:
MIXPACK_STORE_SECRET={}
",
        keys.signing_key, keys.public_key, keys.secret
    ));
    ExitCode::SUCCESS
}

/// Runs a command that only platforms call.
fn dispatch_platform(command: &str, args: &[OsString]) -> Result<ExitCode, Usage> {
    match command {
        // The classic API passes a directory, and the Cloud Native one a directory and a file.
        "detect" => match args {
            [platform, plan] => Ok(cloud_native::detect(platform.into(), plan.into())),
            _ => Ok(platform::detect(&one(command, args)?)),
        },
        "compile" => match args {
            [build, cache, env] => Ok(platform::compile(build.into(), cache.into(), env.into())),
            _ => Err(needs_three_directories(command)),
        },
        "test-compile" => match args {
            [build, cache, env] => Ok(platform::test_compile(
                build.into(),
                cache.into(),
                env.into(),
            )),
            _ => Err(needs_three_directories(command)),
        },
        "test" => match args {
            [build, env] => Ok(platform::test(build.as_ref(), env.as_ref())),
            _ => Err(Usage("test expects BUILD_DIR and ENV_DIR".to_owned())),
        },
        "report" => match args {
            [_, cache, _] => Ok(platform::report(cache.as_ref())),
            _ => Err(needs_three_directories(command)),
        },
        "release" => match args {
            // herokuish also passes the cache directory.
            [build] | [build, _] => Ok(platform::release(build.as_ref())),
            _ => Err(Usage("release expects BUILD_DIR".to_owned())),
        },
        other => {
            let meant = name_typo::nearest(other, help::commands());
            let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            Err(Usage(format!("there is no command {other:?}{meant}")))
        }
    }
}

fn needs_three_directories(command: &str) -> Usage {
    Usage(format!(
        "{command} expects BUILD_DIR, CACHE_DIR and ENV_DIR"
    ))
}

fn one(command: &str, args: &[OsString]) -> Result<PathBuf, Usage> {
    match args {
        [dir] if !dir.as_encoded_bytes().starts_with(b"--") => Ok(dir.into()),
        _ => Err(Usage(format!("{command} expects one directory"))),
    }
}
