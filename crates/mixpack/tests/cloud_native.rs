//! What the lifecycle sees of `detect`: exit statuses and the build plan.

#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The folders of one detection.
struct Detection {
    dir: tempfile::TempDir,
}

impl Detection {
    fn of(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["app", "platform/env"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { dir }
    }

    fn run(&self, buildpack: &Path) -> Output {
        let in_dir = |name: &str| self.dir.path().join(name);
        Command::new(env!("CARGO_BIN_EXE_mixpack"))
            .arg("detect")
            .args([in_dir("platform"), in_dir("plan.toml")])
            .current_dir(in_dir("app"))
            .env_clear()
            .env("CNB_BUILDPACK_DIR", buildpack)
            .env("CNB_TARGET_OS", "linux")
            .env("CNB_TARGET_ARCH", "amd64")
            .env("CNB_TARGET_DISTRO_NAME", "ubuntu")
            .env("CNB_TARGET_DISTRO_VERSION", "24.04")
            .output()
            .unwrap()
    }

    fn plan(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("plan.toml")).ok()
    }
}

/// The folder of this repository, which is the buildpack.
fn buildpack() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn an_app_of_ours_passes_and_asks_for_what_it_brings() {
    let detection = Detection::of(&[("app/mix.exs", "[app: :shop]")]);
    let output = detection.run(buildpack());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let plan: toml::Table = detection.plan().unwrap().parse().unwrap();
    assert_eq!(plan["provides"][0]["name"].as_str(), Some("elixir"));
    assert_eq!(plan["requires"][0]["name"].as_str(), Some("elixir"));
}

#[test]
fn another_app_fails_with_a_reason_and_is_no_error() {
    let detection = Detection::of(&[("app/package.json", "{}")]);
    let output = detection.run(buildpack());
    assert_eq!(output.status.code(), Some(100), "{output:?}");
    assert_eq!(detection.plan(), None);
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("there is no mix.exs"), "{why}");
}

#[test]
fn the_app_may_be_in_a_folder_that_a_build_variable_names() {
    let variable = "platform/env/MIXPACK_APP_RELATIVE_PATH";
    let files = [
        ("app/a/b/c/d/mix.exs", "[app: :shop]"),
        (variable, "a/b/c/d"),
    ];
    assert_eq!(
        Detection::of(&files).run(buildpack()).status.code(),
        Some(0)
    );
    let without = Detection::of(&files[..1]);
    assert_eq!(without.run(buildpack()).status.code(), Some(100));
}

#[test]
fn what_is_wrong_with_the_buildpack_is_an_error_and_no_failure() {
    let detection = Detection::of(&[("app/mix.exs", "[app: :shop]")]);
    let output = detection.run(detection.dir.path());
    let code = output.status.code();
    assert!(code != Some(0) && code != Some(100), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("buildpack.toml"), "{said}");
}
