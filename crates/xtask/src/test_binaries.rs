//! Lists and runs the test executables that cargo builds.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use serde::Deserialize;

use crate::process::Result;

/// A test: its executable, `app` or `app/plan`, and its path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestId {
    pub(crate) label: String,
    pub(crate) path: String,
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.label, self.path)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Ignored,
}

pub(crate) type Outcomes = BTreeMap<TestId, Outcome>;

/// Variables that tests need, besides those of this process.
pub(crate) type Environment = Vec<(&'static str, PathBuf)>;

/// The features of `tests/Cargo.toml`. With all of them, one build has every test.
pub(crate) const FEATURES: &str =
    "whole-builds/toolchains,whole-builds/docker,whole-builds/emulated,whole-builds/upstream";

/// A test executable: `PACKAGE` for the unit tests of its library or of the executable with its name,
/// `PACKAGE/TARGET` for others.
pub(crate) struct TestBinary {
    pub(crate) label: String,
    /// The feature of `tests/Cargo.toml` with the requirements of its tests, if any.
    pub(crate) needs: Option<String>,
    executable: PathBuf,
    package: PathBuf,
}

/// Builds all tests of the workspace.
pub(crate) fn build(root: &Path) -> Result<Vec<TestBinary>> {
    let output = Command::new("cargo")
        .args(["test", "--workspace", "--features", FEATURES])
        .args(["--no-run", "--message-format=json-render-diagnostics"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the tests cannot be built".into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut binaries: Vec<TestBinary> = text.lines().filter_map(artifact).collect();
    let needs = needs(&fs::read_to_string(root.join("tests/Cargo.toml"))?)?;
    for binary in &mut binaries {
        binary.needs = needs.get(&binary.label).cloned();
    }
    binaries.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(binaries)
}

/// The features that tests of whole builds require, by label.
fn needs(manifest: &str) -> Result<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    struct Manifest {
        test: Vec<Test>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Test {
        name: String,
        #[serde(default)]
        required_features: Vec<String>,
    }
    let manifest: Manifest = toml::from_str(manifest)?;
    let tests = manifest.test.into_iter();
    let needs = tests.filter_map(|test| {
        let feature = test.required_features.into_iter().next()?;
        Some((format!("whole-builds/{}", test.name), feature))
    });
    Ok(needs.collect())
}

/// Parses a message of cargo. `None` if it isn't about a test executable.
fn artifact(line: &str) -> Option<TestBinary> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let executable = message["executable"].as_str()?.into();
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let package = package_name(message["package_id"].as_str()?);
    let target = message["target"]["name"].as_str()?;
    let unit = match message["target"]["kind"][0].as_str()? {
        "lib" => true,
        "bin" => target == package,
        _ => false,
    };
    Some(TestBinary {
        label: if unit {
            package.to_owned()
        } else {
            format!("{package}/{target}")
        },
        needs: None,
        executable,
        package: manifest.parent()?.to_owned(),
    })
}

/// Returns the package in `path+file:///…/crates/app#0.1.0`, or in `…/tests#whole-builds@0.1.0` if the directory has
/// another name.
fn package_name(id: &str) -> &str {
    let (place, version) = id.rsplit_once('#').unwrap_or((id, ""));
    match version.split_once('@') {
        Some((name, _)) => name,
        None => place.rsplit('/').next().unwrap_or(place),
    }
}

impl TestBinary {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.package)
            .env("CARGO_MANIFEST_DIR", &self.package)
            .stdin(Stdio::null());
        command
    }

    fn id(&self, path: &str) -> TestId {
        TestId {
            label: self.label.clone(),
            path: path.to_owned(),
        }
    }

    /// Lists its tests.
    pub(crate) fn names(&self) -> Result<Vec<TestId>> {
        let output = self
            .command()
            .args(["--list", "--format=terse"])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("the tests of {} cannot be listed", self.label).into());
        }
        Ok(String::from_utf8(output.stdout)?
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .map(|path| self.id(path))
            .collect())
    }

    /// Runs a test. Returns its output too.
    fn run_one(&self, test: &TestId, env: &Environment) -> io::Result<(Outcome, String)> {
        let output = self
            .command()
            .args(["--exact", &test.path])
            .envs(env.iter().map(|(name, value)| (name, value)))
            .output()?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let outcome = match printed.lines().find_map(outcome) {
            Some(outcome) if output.status.success() => outcome,
            _ => Outcome::Failed,
        };
        Ok((outcome, printed))
    }
}

/// Runs all tests of these executables, each with its environment, `at_once` in parallel.
///
/// Each test is a separate process: a killed one doesn't affect others, and no core waits for the last test of an
/// executable.
pub(crate) fn run(
    binaries: &[(&TestBinary, Environment)],
    at_once: usize,
    outcomes: &mut Outcomes,
) -> Result<()> {
    let mut tests = Vec::new();
    for (binary, env) in binaries {
        tests.extend(binary.names()?.into_iter().map(|id| (*binary, env, id)));
    }
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(outcomes);
    let worker = || -> io::Result<()> {
        while let Some((binary, env, id)) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let started = Instant::now();
            let (outcome, printed) = binary.run_one(id, env)?;
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            let seconds = started.elapsed().as_secs_f64();
            println!("{outcome:?} in {seconds:.1} s: {id}");
            if outcome == Outcome::Failed {
                println!("{printed}");
            }
            outcomes.insert(id.clone(), outcome);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(worker)).collect();
        let mut results = workers.into_iter().map(ScopedJoinHandle::join);
        results.try_for_each(|result| result.expect("a worker does not panic"))
    })?;
    Ok(())
}

/// Parses the outcome in `test a::b ... ok`.
fn outcome(line: &str) -> Option<Outcome> {
    let (_, word) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match word.split([' ', ',']).next()? {
        "ok" => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        "ignored" => Some(Outcome::Ignored),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_outcomes_from_libtest_output() {
        assert_eq!(outcome("test a::b ... ok"), Some(Outcome::Passed));
        let panics = "test a - should panic ... FAILED";
        assert_eq!(outcome(panics), Some(Outcome::Failed));
        let ignored = "test a ... ignored, no network";
        assert_eq!(outcome(ignored), Some(Outcome::Ignored));
        assert_eq!(outcome("test result: ok. 12 passed; 2 failed"), None);
        assert_eq!(outcome("test a ... it says something itself"), None);
    }

    #[test]
    fn tests_need_required_features_of_manifest() {
        let manifest = "[[test]]\nname = \"a\"\n\n\
                        [[test]]\nname = \"b\"\nrequired-features = [\"docker\"]\n";
        let needs = needs(manifest).unwrap();
        assert_eq!(needs.get("whole-builds/a"), None);
        assert_eq!(needs["whole-builds/b"], "docker");
    }

    #[test]
    fn killed_test_fails_and_others_still_run() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let executable = dir.path().join("tests");
        let script = "#!/bin/sh\n\
            case $1:$2 in\n\
            --list:*) printf 'a: test\\nm::b: test\\nc: test\\n';;\n\
            --exact:a) echo \"test a ... $WORD\";;\n\
            --exact:m::b) echo 'test m::b ... ok'; kill -ABRT $$;;\n\
            --exact:c) echo 'running 0 tests';;\n\
            esac\n";
        std::fs::write(&executable, script).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&executable, mode).unwrap();
        let binary = TestBinary {
            label: "app".into(),
            needs: None,
            executable,
            package: dir.path().into(),
        };
        let mut outcomes = Outcomes::new();
        let env: Environment = vec![("WORD", "ok".into())];
        run(&[(&binary, env)], 2, &mut outcomes).unwrap();
        let found: Vec<_> = outcomes
            .iter()
            .map(|(id, outcome)| (id.to_string(), *outcome))
            .collect();
        assert_eq!(
            found,
            [
                ("app::a".to_owned(), Outcome::Passed),
                ("app::c".to_owned(), Outcome::Failed),
                ("app::m::b".to_owned(), Outcome::Failed),
            ]
        );
    }

    #[test]
    fn executable_is_named_after_package_and_file() {
        let message = |id: &str, target: &str, kind: &str| {
            let json = serde_json::json!({"reason": "compiler-artifact", "profile": {"test": true},
                "executable": "/t/x-1", "manifest_path": "/w/crates/app/Cargo.toml", "package_id": id,
                "target": {"name": target, "kind": [kind]}});
            artifact(&json.to_string()).map(|binary| binary.label)
        };
        let label = |id, target, kind| message(id, target, kind).unwrap();
        assert_eq!(
            label("path+file:///w/crates/app#0.1.0", "app", "lib"),
            "app"
        );
        assert_eq!(
            label("path+file:///w/crates/app#0.1.0", "plan", "test"),
            "app/plan"
        );
        assert_eq!(
            label("path+file:///w/crates/fetch#0.1.0", "fetch", "test"),
            "fetch/fetch"
        );
        assert_eq!(
            label("path+file:///w/crates/xtask#0.1.0", "xtask", "bin"),
            "xtask"
        );
        assert_eq!(
            label("path+file:///w/tests#whole-builds@0.1.0", "plan", "test"),
            "whole-builds/plan"
        );
        assert!(artifact(r#"{"reason": "build-finished", "success": true}"#).is_none());
    }
}
