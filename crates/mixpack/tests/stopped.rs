//! A signal stops a build of any front end with the same exit status, log and timeline.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A config file whose evaluation stops the build and then fails, as after Ctrl-C, which signals both. It is read
/// before versions are looked up.
const CONFIG: &str = "kill -TERM $PPID\nsleep 0.5\nexit 3\n";

/// An app whose build is stopped during planning, and directories for each front end.
struct Stopped {
    dir: tempfile::TempDir,
}

impl Stopped {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["app", "cache", "env", "home", "layers", "platform/env"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("app/mix.exs"), "[app: :shop]").unwrap();
        fs::write(dir.path().join("app/elixir_buildpack.config"), CONFIG).unwrap();
        fs::write(dir.path().join("plan.toml"), "").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, command: &str, paths: &[&str]) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mixpack"));
        process
            .arg(command)
            .args(paths.iter().map(|path| self.path(path)))
            .current_dir(self.path("app"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("NO_COLOR", "1");
        process
    }
}

#[track_caller]
fn assert_reported(mut process: Command, picture: &Path) {
    let Output {
        status,
        stdout,
        stderr,
    } = process.output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert_eq!(status.code(), Some(128 + 15), "{said}");
    let told = "Build failed: it was interrupted";
    assert!(said.contains(told), "{said}");
    assert!(!said.contains("elixir_buildpack.config"), "{said}");
    let svg = fs::read_to_string(picture).unwrap();
    assert!(svg.contains(": stopped before the first step</text>"));
}

#[test]
fn classic_build_reports_signal() {
    for command in ["compile", "test-compile"] {
        let app = Stopped::new();
        let mut process = app.command(command, &["app", "cache", "env"]);
        process.env("MIXPACK_TIMELINE", app.path("build.svg"));
        assert_reported(process, &app.path("build.svg"));
    }
}

#[test]
fn cloud_native_build_reports_signal() {
    let app = Stopped::new();
    let picture = app.path("platform/env/MIXPACK_TIMELINE");
    fs::write(picture, "build.svg").unwrap();
    let mut process = app.command("build", &["layers", "platform", "plan.toml"]);
    let buildpack = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    process
        .env("CNB_BUILDPACK_DIR", buildpack)
        .env("CNB_TARGET_OS", "linux")
        .env("CNB_TARGET_ARCH", "amd64")
        .env("CNB_TARGET_DISTRO_NAME", "ubuntu")
        .env("CNB_TARGET_DISTRO_VERSION", "24.04");
    // Run it in the app's directory, as the lifecycle does.
    assert_reported(process, &app.path("app/build.svg"));
}

#[test]
fn local_build_reports_signal() {
    let app = Stopped::new();
    let mut process = app.command("build", &[]);
    process
        .arg("--timeline")
        .args([app.path("build.svg"), app.path("app")]);
    assert_reported(process, &app.path("build.svg"));
}
