//! Commands for maintainers: `cargo xtask COMMAND`.

mod archive;
mod bench;
mod builders;
mod debian;
mod demo;
mod differential;
mod dist;
mod docker;
mod elixir;
mod fixtures;
mod go_tools;
mod node;
mod otp;
mod package;
mod parts;
mod postgres;
mod process;
mod publish;
mod requirements;
mod serve;
mod stack_image;
mod stack_packages;
mod test_binaries;
mod test_run;
mod toolbox;
mod toolchains;
mod version;

use rustix::process::geteuid;
use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [--write]        build a Phoenix fixture through bin/ and boot it; with --write it is built
                        twice, and the timelines of both builds go to docs/
  test [--upstream] [--tolerate FILE]
                        set up what the tests need, and run all of them; with --upstream also
                        those that need the real artifact hosts; then compare what ran with
                        tests/requirements.toml
  differential [--pack] [--steps N] [--seeds FROM..TO] [--turns EXECUTABLE] | --replay STEPS
                        apply random changes to an app, one sequence a seed, and compare each
                        incremental build with a clean one; a run that was stopped continues.
                        With --turns another executable takes every other build
  requirements          only check that the tests that this names exist
  dist [--check]        build the executables that ship in bin/, or check that these sources give
                        the same ones in another folder
  package [DIR | --release TAG DIR]
                        write what people pin: tarballs and .cnb files, to target/package or DIR;
                        for a release, compare its tag, and add checksums and notes
  toolchains            make the test toolchains, the images, PostgreSQL, and where there is
                        Docker, pack with its builders
  bench [--rounds N] [--fixture NAME,…] [--only DEPLOY,…] [--against COMMIT|DIR,…] [--with NAME=VALUE]
        [--write]
                        measure deploys: ours, other buildpacks (unmodified, in this order) or
                        earlier commits (--against), ours with a config var (--with), and the bare
                        commands by hand; --against and --with may be given again; with --write
                        the tables go to docs/performance.md
  stack-packages CHECKOUT
                        write the table of libraries that Heroku's build images have and its run
                        images haven't, from a clone of github.com/heroku/base-images
  mirror [--port PORT]  serve the test toolchains on loopback
  fixtures lock         bring the locks of the fixtures in line with their packages";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = match words.split_first() {
        Some((command, args)) if command == "demo" => demo::demo(args),
        Some((command, args)) if command == "test" => test_run::test(args),
        Some((command, args)) if command == "differential" => differential::differential(args),
        Some((command, [])) if command == "requirements" => requirements::requirements(),
        Some((command, args)) if command == "dist" => dist::dist(args),
        Some((command, args)) if command == "package" => package::package(args),
        Some((command, [])) if command == "toolchains" => make_toolchains(),
        Some((command, args)) if command == "bench" => bench::bench(args),
        Some((command, args)) if command == "stack-packages" => {
            stack_packages::stack_packages(args)
        }
        Some((command, args)) if command == "mirror" => serve::serve(args),
        Some((command, args)) if command == "fixtures" => fixtures::run(args).map_err(Into::into),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `cargo xtask toolchains`: also makes `pack` and the builders, if this machine has Docker.
fn make_toolchains() -> process::Result {
    toolchains::make()?;
    // If sudo was needed, the command that it started has done this.
    if geteuid().is_root()
        && let Err(why) = builders::make()?
    {
        println!("Without Docker there are no builders for pack: {why}");
    }
    Ok(())
}
