//! Tests of the script, and of reading the files that it writes. Whole builds run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;

use tempfile::TempDir;

use super::{AppDir, BUILD_USER, Error, Sandbox, Stack};

fn sandbox() -> Sandbox {
    Sandbox {
        stack: Stack {
            root: "/images/a stack".into(),
        },
        binds: Vec::new(),
        env: Vec::new(),
        user: BUILD_USER,
        app: AppDir::default(),
        dir: TempDir::new().unwrap(),
        runs: AtomicU32::new(0),
    }
}

fn script(sandbox: &Sandbox) -> String {
    let command = sandbox
        .command("bin/compile", ["/tmp/build 1", "$cache"])
        .env("STACK", "heroku-24")
        .current_dir("/tmp");
    sandbox.script(Path::new("/run/0"), &command)
}

#[test]
fn script_mounts_filesystem_and_runs_program() {
    insta::assert_snapshot!(script(&sandbox().env("HOME", "/app").env("EMPTY", "")));
}

fn lines_about<'script>(script: &'script str, path: &str) -> Vec<&'script str> {
    script.lines().filter(|line| line.contains(path)).collect()
}

#[test]
fn script_mounts_requested_app_directory() {
    let missing = script(&sandbox().app_dir(AppDir::Missing));
    assert!(lines_about(&missing, "merged/app").is_empty());
    let read_only = script(&sandbox().app_dir(AppDir::ReadOnly));
    assert!(lines_about(&read_only, "merged/app")[1].contains("-o 'ro,mode=755'"));
    let slug = script(&sandbox().user(5).app_dir(AppDir::Bind("/".into())));
    assert!(lines_about(&slug, "merged/app")[1].starts_with("mount --bind / merged/app"));
    assert!(slug.contains("chroot '--userspec=+5:+5'"));
}

#[test]
fn only_read_only_bind_is_remounted() {
    let script = script(
        &sandbox()
            .bind_ro("/usr", "/opt/ro")
            .bind_rw("/usr", "/opt/rw"),
    );
    assert_eq!(lines_about(&script, "merged/opt/rw").len(), 2);
    assert!(lines_about(&script, "merged/opt/ro")[2].starts_with("mount -o remount,bind,ro "));
}

#[test]
fn later_bind_wins_at_same_path() {
    let script = script(
        &sandbox()
            .bind_ro("/usr", "/opt/place")
            .bind_rw("/etc", "/opt/place"),
    );
    let lines = lines_about(&script, "merged/opt/place");
    assert!(lines[1].starts_with("mount --bind /etc ") && lines.len() == 2);
}

#[test]
fn file_bind_creates_target_file() {
    let script = script(&sandbox().bind_ro("/etc/passwd", "/etc/deep/name"));
    let lines = lines_about(&script, "merged/etc/deep");
    assert!(lines[0].starts_with("mkdir -p merged/etc/deep "));
    assert!(lines[1].starts_with("touch merged/etc/deep/name "));
}

#[test]
fn sandbox_mount_points_do_not_count_as_writes() {
    let image = TempDir::new().unwrap();
    fs::create_dir_all(image.path().join("etc")).unwrap();
    let mut sandbox = sandbox().bind_ro("/usr", "/etc/deep/bound");
    sandbox.stack.root = image.path().to_owned();
    sandbox.runs = AtomicU32::new(2);
    let first = sandbox.run_dir(0).join("upper");
    let second = sandbox.run_dir(1).join("upper");
    for dir in ["etc/deep/bound", "app/x", "new"] {
        fs::create_dir_all(first.join(dir)).unwrap();
    }
    fs::create_dir_all(second.join("etc")).unwrap();
    fs::write(second.join("etc/passwd"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", first.join("etc/link")).unwrap();
    assert_eq!(
        sandbox.written_outside().unwrap(),
        ["/etc/link", "/etc/passwd", "/new"].map(PathBuf::from)
    );
}

#[test]
fn files_left_in_app_are_those_of_last_command() {
    let mut sandbox = sandbox();
    sandbox.runs = AtomicU32::new(2);
    fs::create_dir_all(sandbox.run_dir(1)).unwrap();
    fs::write(sandbox.run_dir(1).join("app"), b"./b\0./a dir\0").unwrap();
    assert_eq!(
        sandbox.left_in_app().unwrap(),
        ["a dir", "b"].map(PathBuf::from)
    );
}

#[test]
fn error_names_directory_without_image() {
    let dir = TempDir::new().unwrap();
    let error = Stack::at(dir.path()).unwrap_err();
    assert!(
        matches!(error, Error::NoImage { path } if path.ends_with(dir.path().file_name().unwrap()))
    );
}
