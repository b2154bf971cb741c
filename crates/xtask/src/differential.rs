//! `cargo xtask differential`: sequences of builds beyond those that the tests run.

use crate::builders;
use crate::dist;
use crate::process::Result;
use crate::toolchains::{self, Places};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use whole_builds::differential::{Api, Turns, check, replay};

const USAGE: &str =
    "usage: cargo xtask differential [--pack] [--steps N] [--seeds FROM..TO] [--turns EXECUTABLE]
       cargo xtask differential [--pack] --replay STEPS";

/// The maximum time for shortening a sequence that shows a difference.
const SHORTEN: Duration = Duration::from_mins(10);

struct Options {
    api: Api,
    seeds: Range<u64>,
    /// The number of steps of each sequence.
    steps: usize,
    /// An executable that alternates with the tested one.
    other: Option<PathBuf>,
    replay: Option<String>,
}

pub(crate) fn differential(args: &[OsString]) -> Result {
    let options = options(args).ok_or(USAGE)?;
    let places = Places::of_this_workspace()?;
    toolchains::make()?;
    // Keep the daemon until the last build has ended.
    let _docker = match options.api {
        Api::Classic => None,
        Api::CloudNative => Some(builders::make()??),
    };
    let tested = match std::env::var_os("MIXPACK_EXE") {
        Some(exe) => exe.into(),
        None => dist::current(places.root(), &dist::AMD64)?,
    };
    let scratch = tempfile::tempdir()?;
    let turns = options.other.map(|other| Turns {
        tested: tested.clone(),
        other,
        place: scratch.path().join("mixpack"),
    });
    let executable = turns.as_ref().map_or(tested, |turns| turns.place.clone());
    whole_builds::test_executable(executable);
    if let Some(steps) = &options.replay {
        return replay(options.api, steps, turns.as_ref())
            .map_err(|found| found.to_string().into());
    }
    let done = places
        .root()
        .join(format!("target/differential-{:?}", options.api));
    let steps = options.steps;
    let mut passed: BTreeSet<String> = match fs::read_to_string(&done) {
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => return Err(error.into()),
    };
    let mut failed = Vec::new();
    for seed in options.seeds {
        let name = format!("{seed} {steps}");
        if turns.is_none() && passed.contains(&name) {
            continue;
        }
        match check(options.api, seed, steps, SHORTEN, turns.as_ref()) {
            Ok(()) if turns.is_some() => {}
            Ok(()) => {
                passed.insert(name);
                let lines: Vec<&str> = passed.iter().map(String::as_str).collect();
                fs::write(&done, lines.join("\n"))?;
            }
            Err(found) => {
                println!("seed {seed}, shortened: {found}");
                failed.push(seed.to_string());
            }
        }
    }
    println!(
        "{} sequences passed, listed in {}",
        passed.len(),
        done.display()
    );
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("builds differ with seeds {}", failed.join(", ")).into())
    }
}

fn options(args: &[OsString]) -> Option<Options> {
    let mut options = Options {
        api: Api::Classic,
        seeds: 0..50,
        steps: 10,
        other: None,
        replay: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next()?.to_str();
        match arg.to_str()? {
            "--pack" => options.api = Api::CloudNative,
            "--steps" => options.steps = value()?.parse().ok()?,
            "--seeds" => {
                let (from, to) = value()?.split_once("..")?;
                options.seeds = from.parse().ok()?..to.parse().ok()?;
            }
            "--turns" => options.other = Some(value()?.into()),
            "--replay" => options.replay = Some(value()?.to_owned()),
            _ => return None,
        }
    }
    Some(options)
}
