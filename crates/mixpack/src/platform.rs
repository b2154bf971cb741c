//! The commands that a platform calls.

use exec::cancel::Cancel;
use exec::command::Env;
use exec::log::{Log, Style};
use heroku::compile::Compile;
use messages::Error;
use pipeline::report::Report;
use pipeline::timeline;
use planning::record::Record;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The variable with the buildpack's own directory. The scripts in `bin/` set it.
pub(crate) const BUILDPACK_DIR: &str = "MIXPACK_BUILDPACK_DIR";
/// The variable with the executable that the scripts in `bin/` start.
const EXE: &str = "MIXPACK_EXE";

pub(crate) fn detect(build_dir: &Path) -> ExitCode {
    let named = std::env::var(app::facts::app_dir::CONFIG_VAR).ok();
    match app::detect::detect(build_dir, named) {
        Ok(name) => {
            print_text(&format!("{name}\n"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn compile(build_dir: PathBuf, cache_dir: PathBuf, env_dir: PathBuf) -> ExitCode {
    let request = platform_request(build_dir, cache_dir, env_dir);
    run(&request, allows_color(), heroku::compile::compile)
}

fn platform_request(build_dir: PathBuf, cache_dir: PathBuf, env_dir: PathBuf) -> Compile {
    Compile {
        build_dir,
        cache_dir,
        env_dir,
        buildpack_dir: std::env::var_os(BUILDPACK_DIR).map(PathBuf::from),
        process_env: process_env(),
        runtime_path: None,
        timeline: std::env::var_os(timeline::VARIABLE).map(PathBuf::from),
    }
}

pub(crate) fn release(build_dir: &Path) -> ExitCode {
    print_text(&heroku::release::release(build_dir));
    ExitCode::SUCCESS
}

pub(crate) fn test_compile(build_dir: PathBuf, cache_dir: PathBuf, env_dir: PathBuf) -> ExitCode {
    let request = platform_request(build_dir, cache_dir, env_dir);
    run(&request, allows_color(), heroku::test_compile::test_compile)
}

pub(crate) fn report(cache_dir: &Path) -> ExitCode {
    print_text(&Report::read(cache_dir));
    ExitCode::SUCCESS
}

/// Replaces this process by `mix test`. Only returns if it couldn't be started.
pub(crate) fn test(build_dir: &Path, env_dir: &Path) -> ExitCode {
    let problem = heroku::test::test(build_dir, env_dir, &process_env());
    eprintln!(" !     {problem}");
    ExitCode::FAILURE
}

/// Builds a slug for a user, with the log on stdout and stderr.
pub(crate) fn run_build(request: &Compile) -> ExitCode {
    run(request, has_color(), heroku::compile::compile)
}

/// Whether errors and warnings may have colours. Platforms show colours, even though stderr is a pipe.
fn allows_color() -> bool {
    std::env::var_os("NO_COLOR").is_none()
}

/// The same for a command that a user starts. Files and other programs get no colours.
pub(crate) fn has_color() -> bool {
    allows_color() && std::io::stderr().is_terminal()
}

type Entry = fn(&Compile, &Log, &Cancel) -> Result<Record, Error>;

fn run(request: &Compile, colour: bool, entry: Entry) -> ExitCode {
    let log = Log::to_stdio(colour, Style::Arrows);
    let cancel = match Cancel::on_signals() {
        Ok(cancel) => cancel,
        Err(error) => {
            log.error(&[format!("Signals cannot be handled here: {error}")]);
            return ExitCode::FAILURE;
        }
    };
    {
        let step = log.step(&format!("Mixpack {}", planning::record::VERSION));
        step.detail(&format!("sources {}", crate::source::DIGEST));
    }
    match entry(request, &log, &cancel) {
        Ok(_) => ExitCode::SUCCESS,
        Err(Error::Cancelled) => stopped(&cancel),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Returns the exit status of a shell for a process that was ended by a signal.
pub(crate) fn stopped(cancel: &Cancel) -> ExitCode {
    let signal = cancel.signal().and_then(|signal| u8::try_from(signal).ok());
    signal.map_or(ExitCode::FAILURE, |signal| ExitCode::from(128 + signal))
}

/// Returns the environment of this process, without variables that are only for Mixpack.
pub(crate) fn process_env() -> Env {
    std::env::vars_os()
        .filter(|(name, _)| {
            ![BUILDPACK_DIR, EXE, timeline::VARIABLE]
                .iter()
                .any(|ours| name == ours)
        })
        .collect()
}

/// Whether a text on stdout may have colours.
pub(crate) fn in_color() -> bool {
    std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal()
}

/// Prints a text. A closed pipe isn't an error.
pub(crate) fn print_text(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
