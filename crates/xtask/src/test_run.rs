//! `cargo xtask test`: sets up what the tests need and runs all of them.
//!
//! A test that cannot run is no test that passed: it is named and counted, and only what a list
//! of tolerated names holds may be left out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::builders;
use crate::commands;
use crate::dist;
use crate::package;
use crate::process::{Result, ensure};
use crate::requirements;
use crate::standing::Known;
use crate::test_binaries::{self, Outcome, Outcomes, TestBinary, TestId};
use crate::toolchains::{self, Places};

/// Whole builds at a time: each is busy with more than one core for a part of its time.
const AT_ONCE: &str = "--test-threads=2";
/// Names the executable that is tested.
const EXE: &str = "MIXPACK_EXE";
/// Names the package of it for `pack`.
const CNB: &str = "MIXPACK_CNB";

#[derive(Default)]
struct Tests {
    outcomes: Outcomes,
    not_run: Vec<TestId>,
}

struct Options {
    upstream: bool,
    tolerated: Option<PathBuf>,
}

pub(crate) fn test(args: &[OsString]) -> Result {
    let options = options(args)?;
    let root = Places::of_this_workspace()?.root().to_owned();
    let mut tests = Tests::default();
    let binaries = test_binaries::build(&root)?;
    let needing = |feature: Option<&'static str>| {
        let all = binaries.iter();
        all.filter(move |binary| binary.needs.as_deref() == feature)
    };
    for binary in needing(None) {
        binary.run(&[], &[], &mut tests.outcomes)?;
    }
    doc_tests(&root)?;
    let exe = dist::current(&root, &dist::AMD64)?;
    let root_user = geteuid().is_root();
    if root_user {
        toolchains::make()?;
        // Shells that have completions.
        ensure("zsh", "zsh")?;
        ensure("fish", "fish")?;
        // Brings up the network of a build that is cut off.
        ensure("ip", "iproute2")?;
    } else {
        println!("Whole builds need root: they run in namespaces of their own.");
    }
    for binary in needing(Some("toolchains")) {
        if root_user {
            binary.run(&[AT_ONCE], &[(EXE, &exe)], &mut tests.outcomes)?;
        } else {
            tests.not_run.extend(binary.names()?);
        }
    }
    for binary in needing(Some("emulated")) {
        match emulated(&root, root_user) {
            Ok(exe) => binary.run(&[AT_ONCE], &[(EXE, &exe)], &mut tests.outcomes)?,
            Err(why) => {
                println!("The arm64 executable cannot be run here: {why}");
                tests.not_run.extend(binary.names()?);
            }
        }
    }
    with_docker(&root, &exe, root_user, needing(Some("docker")), &mut tests)?;
    for binary in needing(Some("upstream")) {
        if options.upstream {
            binary.run(&["--test-threads=1"], &[(EXE, &exe)], &mut tests.outcomes)?;
        } else {
            tests.not_run.extend(binary.names()?);
        }
    }
    // All are told before one fails.
    let concluded = conclude(&tests, options.tolerated.as_deref());
    let known = Known {
        outcomes: &tests.outcomes,
        not_run: &tests.not_run,
    };
    let rows = requirements::check(&root, &known);
    commands::check(&known)?;
    rows?;
    concluded
}

/// Those that call `pack`. A daemon that this starts is stopped behind them.
fn with_docker<'a>(
    root: &Path,
    exe: &Path,
    root_user: bool,
    binaries: impl Iterator<Item = &'a TestBinary>,
    tests: &mut Tests,
) -> Result {
    // The images are made from what takes root.
    let docker = if root_user {
        builders::make()?
    } else {
        Err("making its images takes root".into())
    };
    if let Err(why) = &docker {
        println!("Builds with pack need Docker: {why}");
    }
    let packages = tempfile::tempdir()?;
    let package = package::cnb_to_test(root, &dist::AMD64, exe, packages.path())?;
    for binary in binaries {
        if docker.is_ok() {
            let env = [(EXE, exe), (CNB, package.as_path())];
            binary.run(&[AT_ONCE], &env, &mut tests.outcomes)?;
        } else {
            tests.not_run.extend(binary.names()?);
        }
    }
    Ok(())
}

/// The arm64 executable, where it can be run.
fn emulated(root: &Path, root_user: bool) -> Result<PathBuf> {
    if !root_user {
        return Err("whole builds need root".into());
    }
    ensure(whole_builds::EMULATOR, "qemu-user-static")?;
    dist::current(root, &dist::ARM64)
}

fn options(args: &[OsString]) -> Result<Options> {
    let mut options = Options {
        upstream: false,
        tolerated: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--upstream") => options.upstream = true,
            Some("--tolerate") => options.tolerated = args.next().map(PathBuf::from),
            _ => {
                return Err("usage: cargo xtask test [--upstream] [--tolerate FILE]".into());
            }
        }
    }
    Ok(options)
}

fn conclude(tests: &Tests, tolerated: Option<&Path>) -> Result {
    let of = |wanted: Outcome| {
        let all = tests.outcomes.iter();
        all.filter(move |(_, outcome)| **outcome == wanted)
            .map(|(id, _)| id)
    };
    println!();
    for id in of(Outcome::Failed) {
        println!("failed: {id}");
    }
    let left_out: Vec<&TestId> = tests.not_run.iter().chain(of(Outcome::Ignored)).collect();
    for id in &left_out {
        println!("not run: {id}");
    }
    let failed = of(Outcome::Failed).count();
    println!(
        "{} passed, {failed} failed, {} skipped",
        of(Outcome::Passed).count(),
        left_out.len()
    );
    if failed > 0 {
        return Err(format!("{failed} tests failed").into());
    }
    let Some(file) = tolerated else {
        return Ok(());
    };
    let list = std::fs::read_to_string(file)?;
    let missing: Vec<&str> = left_out
        .iter()
        .map(|id| id.path.as_str())
        .filter(|name| !list.lines().any(|line| line.trim() == *name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not run, and not in {}: {}",
        file.display(),
        missing.join(", ")
    )
    .into())
}

/// Examples in doc comments are no executables of their own.
fn doc_tests(root: &Path) -> Result {
    let status = Command::new("cargo")
        .args(["test", "--workspace", "--doc", "--quiet"])
        .current_dir(root)
        .stdin(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("an example in a doc comment fails".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(path: &str) -> TestId {
        TestId {
            label: "whole-builds/upstream".into(),
            path: path.into(),
        }
    }

    #[test]
    fn a_failed_test_fails_the_run() {
        let tests = Tests {
            outcomes: [(id("a"), Outcome::Passed), (id("b"), Outcome::Failed)].into(),
            not_run: Vec::new(),
        };
        let error = conclude(&tests, None).unwrap_err();
        assert_eq!(error.to_string(), "1 tests failed");
    }

    #[test]
    fn what_is_not_tolerated_fails() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tolerated");
        std::fs::write(&file, "# why\nknown\n").unwrap();
        let tests = |names: &[&str], ignored: &[&str]| Tests {
            outcomes: ignored
                .iter()
                .map(|name| (id(name), Outcome::Ignored))
                .collect(),
            not_run: names.iter().map(|name| id(name)).collect(),
        };
        assert!(conclude(&tests(&["known"], &[]), Some(&file)).is_ok());
        let error = conclude(&tests(&["known", "other"], &["third"]), Some(&file)).unwrap_err();
        assert!(error.to_string().ends_with(": other, third"), "{error}");
    }
}
