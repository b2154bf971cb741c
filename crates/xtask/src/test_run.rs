//! `cargo xtask test`: sets up what the tests need and runs all of them.
//!
//! A test that can't run doesn't count as passed: it is reported, and fails the run unless a list of tolerated names
//! contains it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use rustix::fs::statvfs;
use rustix::process::geteuid;

use crate::builders;
use crate::dist;
use crate::docker::Daemon;
use crate::package;
use crate::process::{Result, ensure};
use crate::requirements;
use crate::test_binaries::{self, FEATURES, Outcome, Outcomes, TestId};
use crate::toolchains::{self, Places};

/// The variable with the tested executable.
const EXE: &str = "MIXPACK_EXE";
/// The variable with its package for `pack`.
const CNB: &str = "MIXPACK_CNB";
/// The variable with the directory for temporary files.
const TEMPORARY: &str = "TMPDIR";
/// Twice the space of a few parallel whole builds, in bytes.
const ENOUGH_MEMORY: u64 = 8 << 30;

/// The executables with the longest tests, by label. They run first, so that no core is idle at the end.
const FIRST: [&str; 5] = [
    "whole-builds/differential",
    "whole-builds/arm64",
    "whole-builds/cloud_native",
    "whole-builds/interruptions",
    "whole-builds/formats",
];

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
    let cores = thread::available_parallelism()?.get();
    let temporary = (TEMPORARY, temporary());

    let of = |feature: Option<&'static str>| {
        let all = binaries.iter();
        all.filter(move |binary| binary.needs.as_deref() == feature)
    };
    let unit: Vec<_> = of(None)
        .map(|binary| (binary, vec![temporary.clone()]))
        .collect();
    test_binaries::run(&unit, cores, &mut tests.outcomes)?;
    doc_tests(&root)?;

    let exe = dist::current(&root, &dist::AMD64)?;
    let prepared = Prepared::new(&root)?;
    let packages = tempfile::tempdir()?;
    let docker = match &prepared.docker {
        Ok(_) => {
            let pack = builders::pack()?;
            let cnb = package::cnb(&root, &dist::AMD64, &exe, &pack, packages.path())?;
            Ok(vec![(EXE, exe.clone()), (CNB, cnb)])
        }
        Err(why) => Err(why.clone()),
    };
    let upstream = if options.upstream {
        Ok(())
    } else {
        Err("without --upstream".to_owned())
    };
    let arm64 = prepared.arm64.map(|arm64| vec![(EXE, arm64)]);
    let tools = tempfile::tempdir_in(&temporary.1)?;
    if prepared.toolchains.is_ok() {
        whole_builds::test_executable(exe.clone());
        whole_builds::install_tools(tools.path());
    }
    let tools = (whole_builds::TOOLS, tools.path().to_owned());
    let exe = (EXE, exe);
    let mut builds = Vec::new();
    for (feature, needed) in [
        (
            "toolchains",
            prepared
                .toolchains
                .map(|()| vec![exe.clone(), tools.clone()]),
        ),
        ("docker", docker),
        ("emulated", arm64),
        ("upstream", upstream.map(|()| vec![exe.clone()])),
    ] {
        match needed {
            Ok(mut env) => {
                env.push(temporary.clone());
                builds.extend(of(Some(feature)).map(|binary| (binary, env.clone())));
            }
            Err(why) => {
                println!("Tests of the feature `{feature}` don't run: {why}");
                for binary in of(Some(feature)) {
                    tests.not_run.extend(binary.names()?);
                }
            }
        }
    }
    builds.sort_by_key(|(binary, _)| {
        let place = FIRST.iter().position(|label| *label == binary.label);
        place.unwrap_or(FIRST.len())
    });
    // Whole builds sometimes wait for the disk, the network and servers, so run a few more than there are cores.
    test_binaries::run(&builds, cores + 2, &mut tests.outcomes)?;

    // Unlike wall time, CPU time can be compared on busy machines.
    let total = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let (user, system) = (
        total.user_time().num_seconds(),
        total.system_time().num_seconds(),
    );
    println!("\nCPU time: {user} s, and {system} s in the kernel");

    // Report all results before failing.
    let concluded = conclude(&tests, options.tolerated.as_deref());
    let all: Vec<TestId> = tests.outcomes.into_keys().chain(tests.not_run).collect();
    requirements::check(&root, &all)?;
    concluded
}

/// A requirement of tests, or the reason why it is unavailable.
type Available<T> = std::result::Result<T, String>;

/// The requirements of whole builds.
struct Prepared {
    toolchains: Available<()>,
    /// A daemon that was started here stops when this is dropped.
    docker: Available<Daemon>,
    /// The executable, on a machine that can run it.
    arm64: Available<PathBuf>,
}

impl Prepared {
    fn new(root: &Path) -> Result<Self> {
        if !geteuid().is_root() {
            let why = "whole builds run in namespaces of their own, which takes root";
            return Ok(Self {
                toolchains: Err(why.to_owned()),
                docker: Err(why.to_owned()),
                arm64: Err(why.to_owned()),
            });
        }
        toolchains::make()?;
        // For tests of completions.
        ensure("zsh", "zsh")?;
        ensure("fish", "fish")?;
        // For tests of shared stores.
        ensure("/usr/sbin/nginx", "nginx")?;
        // The registry to which the lifecycle pushes images without Docker.
        ensure("docker-registry", "docker-registry")?;
        // Sets up the network of offline builds.
        ensure("ip", "iproute2")?;
        let arm64 = ensure(whole_builds::EMULATOR, "qemu-user-static")
            .and_then(|()| dist::current(root, &dist::ARM64));
        Ok(Self {
            toolchains: Ok(()),
            docker: builders::make()?,
            arm64: arm64.map_err(|why| why.to_string()),
        })
    }
}

/// The directory for files of tests. Memory halves the total time: on ext4, creating files is much slower while
/// others are being deleted.
fn temporary() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match statvfs(memory) {
        Ok(stat) if stat.f_bavail * stat.f_frsize >= ENOUGH_MEMORY => memory.to_owned(),
        _ => std::env::temp_dir(),
    }
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

/// Examples in doc comments have no test executables.
fn doc_tests(root: &Path) -> Result {
    let status = Command::new("cargo")
        // Use the features of the other tests, so that nothing is recompiled.
        .args(["test", "--workspace", "--features", FEATURES])
        .args(["--doc", "--quiet"])
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
    fn tests_to_run_first_exist() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        for label in FIRST {
            let name = label.strip_prefix("whole-builds/").unwrap();
            assert!(tests.join(name).with_extension("rs").is_file(), "{label}");
        }
    }

    #[test]
    fn failed_test_fails_run() {
        let tests = Tests {
            outcomes: [(id("a"), Outcome::Passed), (id("b"), Outcome::Failed)].into(),
            not_run: Vec::new(),
        };
        let error = conclude(&tests, None).unwrap_err();
        assert_eq!(error.to_string(), "1 tests failed");
    }

    #[test]
    fn untolerated_skipped_test_fails_run() {
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
