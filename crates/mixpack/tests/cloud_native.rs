//! `detect` as the lifecycle sees it: exit statuses and the build plan. And `build` on the system that the lifecycle
//! names.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::{Override, Server};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The directories of one detection.
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
        let mut detect = self.phase("detect", &["platform", "plan.toml"]);
        detect.env("CNB_BUILDPACK_DIR", buildpack).output().unwrap()
    }

    /// A build for another system.
    fn build(&self, arch: &str, distro: &str, version: &str) -> Output {
        let mut build = self.phase("build", &["layers", "platform", "plan.toml"]);
        build
            .env("CNB_TARGET_ARCH", arch)
            .env("CNB_TARGET_DISTRO_NAME", distro)
            .env("CNB_TARGET_DISTRO_VERSION", version)
            .output()
            .unwrap()
    }

    fn phase(&self, name: &str, paths: &[&str]) -> Command {
        let in_dir = |name: &str| self.dir.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mixpack"));
        command
            .arg(name)
            .args(paths.iter().map(|path| in_dir(path)))
            .current_dir(in_dir("app"))
            .env_clear()
            .env("CNB_BUILDPACK_DIR", buildpack())
            .env("CNB_TARGET_OS", "linux")
            .env("CNB_TARGET_ARCH", "amd64")
            .env("CNB_TARGET_DISTRO_NAME", "ubuntu")
            .env("CNB_TARGET_DISTRO_VERSION", "24.04");
        command
    }

    fn plan(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("plan.toml")).ok()
    }
}

/// The root of this repository, which is the buildpack.
fn buildpack() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn elixir_app_passes_detection_and_requires_elixir() {
    let detection = Detection::of(&[("app/mix.exs", "[app: :shop]")]);
    let output = detection.run(buildpack());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let plan: toml::Table = detection.plan().unwrap().parse().unwrap();
    assert_eq!(plan["provides"][0]["name"].as_str(), Some("elixir"));
    assert_eq!(plan["requires"][0]["name"].as_str(), Some("elixir"));
}

#[test]
fn other_app_fails_detection_with_reason() {
    let detection = Detection::of(&[("app/package.json", "{}")]);
    let output = detection.run(buildpack());
    assert_eq!(output.status.code(), Some(100), "{output:?}");
    assert_eq!(detection.plan(), None);
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("there is no mix.exs"), "{why}");
}

#[test]
fn build_variable_selects_app_directory() {
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
fn broken_buildpack_is_an_error_not_a_failed_detection() {
    let detection = Detection::of(&[("app/mix.exs", "[app: :shop]")]);
    let output = detection.run(detection.dir.path());
    let code = output.status.code();
    assert!(code != Some(0) && code != Some(100), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("buildpack.toml"), "{said}");
}

/// Erlang is looked up in the builds for the system, or for the nearest one. Nothing is built, since the host only
/// has a version that isn't requested.
#[test]
fn every_target_of_buildpack_toml_gets_compatible_builds() {
    let expected = BTreeMap::from([
        ("ubuntu-22.04", "ubuntu-22.04"),
        ("ubuntu-24.04", "ubuntu-24.04"),
        ("ubuntu-26.04", "ubuntu-26.04"),
        ("debian-12", "ubuntu-22.04"),
        ("debian-13", "ubuntu-24.04"),
    ]);
    let text = fs::read_to_string(buildpack().join("buildpack.toml")).unwrap();
    let descriptor: toml::Table = text.parse().unwrap();
    let host = Server::start(tempfile::tempdir().unwrap().path()).unwrap();
    let files = [
        ("app/mix.exs", "[app: :shop]"),
        (
            "app/elixir_buildpack.config",
            "erlang_version=27\nelixir_version=1.18\n",
        ),
        ("platform/env/HEX_BUILDS_URL", &host.url()),
        ("layers/.keep", ""),
        ("plan.toml", ""),
    ];
    for target in descriptor["targets"].as_array().unwrap() {
        let arch = target["arch"].as_str().unwrap();
        let distros = target["distros"].as_array().unwrap();
        let mut seen = Vec::new();
        for distro in distros {
            let [name, version] = ["name", "version"].map(|key| distro[key].as_str().unwrap());
            let system = format!("{name}-{version}");
            let builds = expected[system.as_str()];
            let list = format!("/builds/otp/{arch}/{builds}/builds.txt");
            let only = format!("OTP-26.0 0000000 2023-05-16T11:22:33Z {}\n", "0".repeat(64));
            host.set_override(&list, Override::Body(only.into()));
            host.forget_requests();
            let app = Detection::of(&files);
            let output = app.build(arch, name, version);
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(builds), "{system}: {said}");
            let requests = host.requests();
            let lists = requests
                .iter()
                .filter(|one| one.path.starts_with("/builds/otp/"));
            let lists: Vec<&str> = lists.map(|request| request.path.as_str()).collect();
            assert!(!lists.is_empty(), "{said}");
            assert!(
                lists.iter().all(|path| *path == list),
                "{system}: {lists:?}"
            );
            seen.push(system);
        }
        seen.sort();
        assert!(seen.iter().eq(expected.keys()), "{arch}: {seen:?}");
    }
}
