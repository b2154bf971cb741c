//! `cargo xtask test`: sets up what the tests need and runs all of them.
//!
//! A test that cannot run is no test that passed: it is named and counted, and only what a list
//! of tolerated names holds may be left out.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::dist;
use crate::process::Result;
use crate::toolchains::{self, Places};

/// Whole builds at a time: each is busy with more than one core for a part of its time.
const AT_ONCE: &str = "--test-threads=2";

#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
    not_run: Vec<String>,
}

struct Options {
    upstream: bool,
    tolerated: Option<PathBuf>,
}

pub(crate) fn test(args: &[OsString]) -> Result {
    let options = options(args)?;
    let root = Places::of_this_workspace()?.root().to_owned();
    let mut count = Count::default();
    cargo_test(&root, &["--workspace", "--quiet"], &[], None, &mut count)?;
    let exe = dist::build(&root)?;
    let whole = ["--package", "whole-builds", "--features"];
    if geteuid().is_root() {
        toolchains::make()?;
        let args = [&whole[..], &["toolchains"]].concat();
        cargo_test(&root, &args, &[AT_ONCE], Some(&exe), &mut count)?;
    } else {
        println!("Whole builds need root: they run in namespaces of their own.");
        let args = [&whole[..], &["toolchains"]].concat();
        count.not_run.extend(names(&root, &args)?);
    }
    let args = [&whole[..], &["upstream", "--test", "upstream"]].concat();
    if options.upstream {
        cargo_test(&root, &args, &["--test-threads=1"], Some(&exe), &mut count)?;
    } else {
        count.not_run.extend(names(&root, &args)?);
    }
    conclude(&count, options.tolerated.as_deref())
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

fn conclude(count: &Count, tolerated: Option<&Path>) -> Result {
    println!();
    for name in &count.not_run {
        println!("not run: {name}");
    }
    println!(
        "{} passed, {} failed, {} skipped",
        count.passed,
        count.failed,
        count.not_run.len()
    );
    if count.failed > 0 {
        return Err(format!("{} tests failed", count.failed).into());
    }
    let Some(file) = tolerated else {
        return Ok(());
    };
    let list = std::fs::read_to_string(file)?;
    let missing: Vec<&str> = count
        .not_run
        .iter()
        .map(String::as_str)
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

fn cargo(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .arg("test")
        .args(args)
        .current_dir(root)
        .stdin(Stdio::null());
    command
}

/// Runs `cargo test`, shows what it prints, and adds up its closing lines.
fn cargo_test(
    root: &Path,
    args: &[&str],
    test_args: &[&str],
    exe: Option<&Path>,
    count: &mut Count,
) -> Result {
    let mut command = cargo(root, args);
    command.arg("--no-fail-fast").arg("--").args(test_args);
    if let Some(exe) = exe {
        command.env("MIXPACK_EXE", exe);
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("cargo's output")?;
    for line in BufReader::new(out).lines() {
        let line = line?;
        if let Some((passed, failed)) = closing(&line) {
            count.passed += passed;
            count.failed += failed;
        }
        println!("{line}");
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        return Err(format!("cargo test ended with {status} and no failed test").into());
    }
    Ok(())
}

/// `test result: ok. 3 passed; 0 failed; …`
fn closing(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| {
        let part = counts.split("; ").find(|part| part.ends_with(word))?;
        part.split(' ').next()?.parse().ok()
    };
    Some((number(" passed")?, number(" failed")?))
}

/// The names of the tests that `cargo test` would run.
fn names(root: &Path, args: &[&str]) -> Result<Vec<String>> {
    let output = cargo(root, args)
        .args(["--quiet", "--", "--list", "--format=terse"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the tests cannot be listed".into());
    }
    Ok(String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let line = "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 1 filtered out; finished in 1.0s";
        assert_eq!(closing(line), Some((12, 2)));
        assert_eq!(closing("test a::b ... ok"), None);
    }

    #[test]
    fn what_is_not_tolerated_fails() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tolerated");
        std::fs::write(&file, "# why\nknown\n").unwrap();
        let count = |names: &[&str]| Count {
            passed: 1,
            failed: 0,
            not_run: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert!(conclude(&count(&["known"]), Some(&file)).is_ok());
        let error = conclude(&count(&["known", "other"]), Some(&file)).unwrap_err();
        assert!(error.to_string().ends_with(": other"), "{error}");
    }
}
