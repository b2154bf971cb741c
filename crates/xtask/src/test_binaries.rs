//! The test executables that cargo builds: what each holds, and running it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::process::Result;

/// A test by the executable that holds it, `app` or `app/plan`, and its path in there.
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

/// Turns on all features of `tests/Cargo.toml`, so that one build has every test.
const FEATURES: &str =
    "whole-builds/toolchains,whole-builds/docker,whole-builds/emulated,whole-builds/upstream";

/// A test executable: `PACKAGE` for the unit tests of its library or of the executable that has its
/// name, `PACKAGE/TARGET` for any other.
pub(crate) struct TestBinary {
    pub(crate) label: String,
    /// The feature of `tests/Cargo.toml` that names what its tests need, if any.
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

/// One of cargo's messages, if it is about a test executable.
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

/// `path+file:///work/crates/app#0.1.0`, or `…/tests#whole-builds@0.1.0` where the folder has
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

    /// The tests in it.
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

    /// Runs all of them with these variables, and shows what they print.
    pub(crate) fn run(
        &self,
        args: &[&str],
        env: &[(&str, &Path)],
        outcomes: &mut Outcomes,
    ) -> Result<()> {
        let expected = self.names()?;
        if expected.is_empty() {
            return Ok(());
        }
        println!("\n{}", self.label);
        let mut command = self.command();
        command.args(args).envs(env.iter().copied());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or("the tests' output")?;
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some((path, outcome)) = outcome(&line) {
                outcomes.insert(self.id(path), outcome);
            }
            println!("{line}");
        }
        child.wait()?;
        // One that ends the whole executable takes the others with it: they have failed too.
        for id in expected {
            outcomes.entry(id).or_insert(Outcome::Failed);
        }
        Ok(())
    }
}

/// `test a::b ... ok`; with ` - should panic` behind the name where that is expected.
fn outcome(line: &str) -> Option<(&str, Outcome)> {
    let (path, word) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let path = path.strip_suffix(" - should panic").unwrap_or(path);
    let outcome = match word.split([' ', ',']).next()? {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        "ignored" => Outcome::Ignored,
        _ => return None,
    };
    Some((path, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_off_the_lines_of_libtest() {
        assert_eq!(outcome("test a::b ... ok"), Some(("a::b", Outcome::Passed)));
        assert_eq!(
            outcome("test a - should panic ... FAILED"),
            Some(("a", Outcome::Failed))
        );
        assert_eq!(
            outcome("test a ... ignored, no network"),
            Some(("a", Outcome::Ignored))
        );
        assert_eq!(outcome("test result: ok. 12 passed; 2 failed"), None);
        assert_eq!(outcome("test a ... it says something itself"), None);
    }

    #[test]
    fn tests_need_the_feature_that_their_manifest_requires() {
        let manifest = "[[test]]\nname = \"a\"\n\n\
                        [[test]]\nname = \"b\"\nrequired-features = [\"docker\"]\n";
        let needs = needs(manifest).unwrap();
        assert_eq!(needs.get("whole-builds/a"), None);
        assert_eq!(needs["whole-builds/b"], "docker");
    }

    #[test]
    fn a_test_that_takes_the_executable_down_has_failed_and_so_have_those_behind_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let executable = dir.path().join("tests");
        let script = "#!/bin/sh\n\
            if [ \"$1\" = --list ]; then printf 'a: test\\nm::b: test\\nc: test\\n'; exit; fi\n\
            echo 'test a ... ok'; echo \"$1\"; kill -ABRT $$\n";
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
        binary.run(&["x"], &[], &mut outcomes).unwrap();
        let told: Vec<_> = outcomes
            .iter()
            .map(|(id, outcome)| (id.to_string(), *outcome))
            .collect();
        assert_eq!(
            told,
            [
                ("app::a".to_owned(), Outcome::Passed),
                ("app::c".to_owned(), Outcome::Failed),
                ("app::m::b".to_owned(), Outcome::Failed),
            ]
        );
    }

    #[test]
    fn an_executable_has_the_name_of_its_package_and_file() {
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
