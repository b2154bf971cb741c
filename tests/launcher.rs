//! `bin/mixpack`, which chooses the executable for the machine: with a fake `uname`, and executables that only print
//! their names.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    /// A copy with executables for these architectures.
    fn with(architectures: &[&str]) -> Self {
        let copy = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let root = whole_builds::repository();
        fs::create_dir(copy.path("bin")).unwrap();
        fs::copy(root.join("bin/mixpack"), copy.path("bin/mixpack")).unwrap();
        for name in architectures {
            copy.script(
                &format!("bin/mixpack-linux-{name}"),
                &format!("echo {name} \"$MIXPACK_BUILDPACK_DIR\" \"$@\""),
            );
        }
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str, line: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Starts it on a machine of this system and hardware.
    fn start(&self, system: &str, machine: &str, exe: Option<&Path>) -> Output {
        self.script(
            "machine/uname",
            &format!("case $1 in -s) echo {system} ;; -m) echo {machine} ;; esac"),
        );
        let path = format!("{}:/usr/bin:/bin", self.path("machine").display());
        Command::new(self.path("bin/mixpack"))
            .arg("an argument")
            .env("PATH", path)
            .env_remove("MIXPACK_EXE")
            .envs(exe.map(|exe| ("MIXPACK_EXE", exe)))
            .output()
            .unwrap()
    }

    /// Its output, without the path of this copy.
    #[track_caller]
    fn refused(&self, output: &Output) -> String {
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        let said = String::from_utf8_lossy(&output.stderr);
        said.replace(self.dir.path().to_str().unwrap(), "DIR")
    }
}

#[test]
fn launcher_selects_executable_and_passes_arguments() {
    let copy = Copy::with(&["amd64", "arm64"]);
    for (machine, architecture) in [("x86_64", "amd64"), ("aarch64", "arm64")] {
        let output = copy.start("Linux", machine, None);
        let expected = format!("{architecture} {} an argument\n", copy.dir.path().display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

#[test]
fn mixpack_exe_overrides_executable() {
    let copy = Copy::with(&[]);
    copy.script("own", "echo own");
    let output = copy.start("Linux", "riscv64", Some(&copy.path("own")));
    assert_eq!(output.stdout, b"own\n");
    let output = copy.start("Linux", "x86_64", Some(&copy.path("gone")));
    insta::assert_snapshot!(copy.refused(&output), @r"
     !     The executable DIR/gone is missing, or may not be executed.
     !     MIXPACK_EXE names it: correct that, or unset it to start the one that ships.
    ");
}

#[test]
fn unsupported_machine_error_names_it() {
    let copy = Copy::with(&["amd64", "arm64"]);
    for (system, machine) in [("Linux", "armv7l"), ("Darwin", "x86_64")] {
        let said = copy.refused(&copy.start(system, machine, None));
        let first = said.lines().next().unwrap();
        let expected = format!(
            " !     Mixpack has no executable for this machine, which is {system} on {machine}."
        );
        assert_eq!(first, expected);
    }
    insta::assert_snapshot!(copy.refused(&copy.start("Linux", "riscv64", None)), @r"
     !     Mixpack has no executable for this machine, which is Linux on riscv64.
     !     It ships for Linux on amd64 (x86_64) and arm64 (aarch64). Elsewhere:
     !     cargo build --release --bin mixpack, then set MIXPACK_EXE to the file that this makes.
    ");
}

#[test]
fn package_for_wrong_architecture_differs_from_unsupported_machine() {
    let copy = Copy::with(&["amd64"]);
    insta::assert_snapshot!(copy.refused(&copy.start("Linux", "aarch64", None)), @r"
     !     The executable DIR/bin/mixpack-linux-arm64 is missing, or may not be executed.
     !     This copy of Mixpack is not whole, or is the package for another architecture.
     !     Take the one for arm64, or the repository, which has both.
    ");
}
