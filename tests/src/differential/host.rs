//! The artifact host of sequences: that of the other tests, with a second version of some things.

use crate::{artifacts, copy, repository};
use mirror::{Server, git_package};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;
use walkdir::WalkDir;

pub(super) struct Host {
    pub(super) server: Server,
    /// Of the git dependency.
    pub(super) second_commit: String,
    _dir: TempDir,
}

impl Host {
    pub(super) fn shared() -> &'static Self {
        static HOST: OnceLock<Host> = OnceLock::new();
        HOST.get_or_init(|| {
            let dir = tempfile::tempdir().expect("a folder for a host");
            let root = dir.path().join("mirror");
            link_or_copy(&artifacts(), &root);
            publish_otp_patch(&root, dir.path());
            let second_commit = publish_second_commit(&root, dir.path());
            let server = Server::start(root).expect("the artifact mirror");
            crate::flag(&server, &[]);
            Host {
                server,
                second_commit,
                _dir: dir,
            }
        })
    }
}

/// A host that has OTP 27.3.4 too, which compiles the same code as 27.3.4.1.
pub fn with_otp_patch() -> &'static Server {
    &Host::shared().server
}

fn link_or_copy(from: &Path, to: &Path) {
    for entry in WalkDir::new(from) {
        let entry = entry.expect("a readable tree");
        let target = to.join(entry.path().strip_prefix(from).expect("below it"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).expect("a folder");
        } else if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target).expect("a file");
        }
    }
}

/// The output of a program, which must succeed.
#[track_caller]
pub(super) fn run(program: &str, args: &[&str], dir: &Path) -> String {
    let output = Command::new(program).args(args).current_dir(dir).output();
    let output = output.expect("the program runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim()
        .to_owned()
}

/// Publishes OTP 27.3.4, which equals 27.3.4.1 except for its version.
fn publish_otp_patch(root: &Path, scratch: &Path) {
    let list = root.join("builds/otp/amd64/ubuntu-24.04");
    run("mkdir", &["otp"], scratch);
    let archive = list.join("OTP-27.3.4.1.tar.gz");
    run(
        "tar",
        &["-xzf", &archive.to_string_lossy(), "-C", "otp"],
        scratch,
    );
    let versions = WalkDir::new(scratch.join("otp"))
        .into_iter()
        .filter_map(Result::ok);
    for file in versions.filter(|entry| entry.file_name() == "OTP_VERSION") {
        fs::write(file.path(), "27.3.4\n").expect("OTP_VERSION");
    }
    let patch = list.join("OTP-27.3.4.tar.gz");
    let args = [
        "-I",
        "gzip -1",
        "-cf",
        &patch.to_string_lossy(),
        "-C",
        "otp",
        ".",
    ];
    run("tar", &args, scratch);
    let sum = run("sha256sum", &[&patch.to_string_lossy()], scratch);
    let sum = sum.split(' ').next().expect("a checksum");
    let text = fs::read_to_string(list.join("builds.txt")).expect("the list");
    let line = format!("OTP-27.3.4 {:040} 2025-05-16T09:42:07Z {sum}\n", 1);
    // The file is shared with the other tests' host.
    fs::remove_file(list.join("builds.txt")).expect("a list to replace");
    fs::write(list.join("builds.txt"), line + &text).expect("the list");
    fs::remove_dir_all(scratch.join("otp")).expect("a folder to remove");
}

/// Gives the git dependency a second commit on its branch.
fn publish_second_commit(root: &Path, scratch: &Path) -> String {
    let sources = scratch.join("greeter");
    copy(
        &repository().join("fixtures/packages-git/greeter"),
        &sources,
    );
    let file = sources.join("lib/greeter.ex");
    let text = fs::read_to_string(&file).expect("the dependency");
    fs::write(&file, text.replace("Hello", "Welcome")).expect("the dependency");
    let next = scratch.join("next.git");
    let commit = git_package::make_bare(&sources, &next).expect("a repository");
    let served = root.join("git/greeter.git");
    // Its files are shared with the other tests' host.
    fs::remove_dir_all(&served).expect("a repository to replace");
    copy(&artifacts().join("git/greeter.git"), &served);
    let git = |args: &[&str]| {
        run(
            "git",
            &[&["-c", "safe.directory=*"], args].concat(),
            &served,
        )
    };
    // The second commit doesn't descend from the first, and Elixir 1.14 fetches nothing but branches.
    git(&["update-ref", "refs/heads/first", "refs/heads/main"]);
    git(&["fetch", "--quiet", &next.to_string_lossy(), "+main:next"]);
    git(&["update-ref", "refs/heads/main", &commit]);
    git(&["update-server-info"]);
    commit
}
