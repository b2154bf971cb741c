//! Interrupted builds and damaged caches don't make a later build wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use mirror::AppDir;
use mirror::stack::{Process, Signal};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};
use walkdir::WalkDir;
use whole_builds::{App, Deploy, lacks, unwrapped};

const FIXTURE: &str = "plain-otp";
const BEAM: &str = "_build/prod/lib/plain_otp/ebin/Elixir.PlainOtp.Build.beam";
/// With their names in the report.
const STEPS: [&str; 10] = [
    "planning", "erlang", "elixir", "hex", "restore", "deps", "compile", "profile", "save", "slim",
];

/// When builds are killed while they save the cache: in µs after that step has started.
const MOMENTS: [u64; 4] = [300, 1_000, 2_500, 5_000];
/// Sizes of the cache's disk, in KiB. With each size, a build with an empty cache fills the disk later.
const DISKS: [u64; 7] = [256, 4_000, 20_000, 40_000, 56_000, 60_000, 64_000];

/// The fixture, with an `/app` that the test can read.
struct Stopped {
    app: App,
    runtime: PathBuf,
    _dir: tempfile::TempDir,
    number: u32,
}

impl Stopped {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("app");
        fs::create_dir(&runtime).unwrap();
        let app = App::cold_fixture(FIXTURE).in_app_dir(AppDir::Bind(runtime.clone()));
        app.sandbox.give(&runtime).unwrap();
        let mut stopped = Self {
            app,
            runtime,
            _dir: dir,
            number: 10,
        };
        stopped.edit();
        stopped
    }

    /// Makes a new commit, with a module of the same size and another value.
    fn edit(&mut self) {
        self.number += 1;
        number_module(&self.app, self.number);
    }

    fn report(&self) -> PathBuf {
        self.app.cache().join("mixpack/report.json")
    }

    /// Starts a build, and stops it some time after the start of a step. Returns nothing if the build was finished by
    /// then.
    fn stop_at(&self, step: &str, after: Duration, signal: Signal) -> Option<Output> {
        let _ = fs::remove_file(self.report());
        let (mut process, _) = self.app.start_deploy();
        wait_for(step, &self.report(), &mut process);
        std::thread::sleep(after);
        let sent = process.signal(signal);
        let output = process.wait_with_output().unwrap();
        sent.ok().map(|()| output)
    }

    fn left_in_app(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.runtime).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Runs a whole build with the current cache, and checks that it equals a clean one.
    #[track_caller]
    fn build_is_right(&self, context: &str) -> Deploy {
        let deploy = self.app.deploy();
        assert!(deploy.succeeded, "{context}:\n{}", deploy.log());
        assert_eq!(self.left_in_app(), [""; 0].map(PathBuf::from), "{context}");
        assert_right(&deploy, self.number, context);
        deploy
    }
}

fn number_module(app: &App, number: u32) {
    let text = format!("defmodule PlainOtp.Build do\n  def number, do: :build_{number}\nend\n");
    app.write("lib/plain_otp/build.ex", &text);
}

/// Waits until a step has begun.
fn wait_for(step: &str, report: &Path, process: &mut Process) {
    let until = Instant::now() + Duration::from_mins(1);
    let begun = format!("\"build_step\":\"{step}\"");
    let ended = format!("\"{step}_duration\"");
    loop {
        let report = fs::read_to_string(report).unwrap_or_default();
        if report.contains(&begun) || report.contains(&ended) {
            return;
        }
        if process.try_wait().unwrap().is_some() {
            return;
        }
        assert!(Instant::now() < until, "{step} does not begin: {report}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// A `.beam` file without its chunk `Dbgi`; any other file unchanged. The bytes of the same debug information depend
/// on the modules that the VM has loaded: OTP 26 and newer order the keys of maps by the creation of their atoms. The
/// form is that of `beam_lib`: `FOR1`, a length, `BEAM`, and chunks of a name, a length and bytes up to a multiple of
/// four.
fn without_debug_info(file: Vec<u8>) -> Vec<u8> {
    if !file.starts_with(b"FOR1") {
        return file;
    }
    let mut kept = Vec::new();
    let mut rest = &file[12..];
    while let [a, b, c, d, l0, l1, l2, l3, ..] = *rest {
        let length = u32::from_be_bytes([l0, l1, l2, l3]).next_multiple_of(4);
        let (chunk, behind) = rest.split_at(8 + usize::try_from(length).unwrap());
        if [a, b, c, d] != *b"Dbgi" {
            kept.extend(chunk);
        }
        rest = behind;
    }
    assert!(
        !kept.is_empty() && rest.is_empty(),
        "chunks of a .beam file"
    );
    kept
}

/// Every entry of a slug: its type, its mode, and its content or target.
type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

fn tree(root: &Path) -> Tree {
    WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            let path = entry.path();
            let mode = entry.metadata().unwrap().permissions().mode();
            let bytes = if entry.file_type().is_symlink() {
                fs::read_link(path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else {
                without_debug_info(fs::read(path).unwrap())
            };
            (path.strip_prefix(root).unwrap().to_owned(), (mode, bytes))
        })
        // Mix's manifests contain times.
        .filter(|(path, _)| {
            path.parent()
                .is_none_or(|parent| parent.file_name() != Some(".mix".as_ref()))
        })
        .filter(|(path, _)| path != Path::new(BEAM) && !path.ends_with("build.ex"))
        // The registry's data, which Hex caches in builds that request it.
        .filter(|(path, _)| !path.starts_with(".hex/registry"))
        .collect()
}

/// The slug of a build with an empty cache: the provenance names the host that tools were downloaded from.
fn reference() -> &'static Tree {
    static REFERENCE: OnceLock<Tree> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let app = App::cold_fixture(FIXTURE);
        number_module(&app, 10);
        let deploy = app.deploy();
        deploy.expect_success();
        tree(&deploy.slug)
    })
}

#[track_caller]
fn assert_right(deploy: &Deploy, number: u32, context: &str) {
    let (found, expected) = (tree(&deploy.slug), reference());
    let differing: Vec<&PathBuf> = found
        .keys()
        .chain(expected.keys())
        .filter(|path| found.get(*path) != expected.get(*path))
        .collect();
    let none: [&PathBuf; 0] = [];
    assert_eq!(differing, none, "{context}:\n{}", deploy.log());
    let beam = fs::read(deploy.slug.join(BEAM)).unwrap();
    let wanted = format!("build_{number}").into_bytes();
    let is_there = beam.windows(wanted.len()).any(|bytes| bytes == wanted);
    assert!(is_there, "{context}: stale code\n{}", deploy.log());
    fs::remove_dir_all(&deploy.slug).unwrap();
}

/// Together they take a few milliseconds.
const LAST: [&str; 3] = ["save", "profile", "slim"];

#[test]
fn signal_at_any_step_stops_build_cleanly_and_next_build_is_correct() {
    let mut stopped = Stopped::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        for step in STEPS {
            let context = format!("{signal:?} at {step}");
            stopped.edit();
            if let Some(output) = stopped.stop_at(step, Duration::ZERO, signal) {
                let log = String::from_utf8_lossy(&output.stdout);
                let log = format!("{log}{}", String::from_utf8_lossy(&output.stderr));
                // The last steps may be done already.
                let code_found = output.status.code();
                assert!(
                    code_found == Some(code) || (LAST.contains(&step) && code_found == Some(0)),
                    "{context}: {code_found:?}\n{log}"
                );
            }
            assert_eq!(
                stopped.left_in_app(),
                [""; 0].map(PathBuf::from),
                "{context}"
            );
        }
        // The second signal arrives with a filled cache.
        stopped.build_is_right(&format!("after {signal:?} at every step"));
    }
}

#[test]
fn build_is_correct_after_kill_at_any_point() {
    // With an empty cache, a build that is killed twice leaves no complete entry.
    let mut stopped = Stopped::new();
    for step in STEPS {
        stopped.edit();
        stopped.stop_at(step, Duration::ZERO, Signal::KILL);
    }
    stopped.build_is_right("after a kill at every step");
    for step in STEPS {
        stopped.edit();
        stopped.stop_at(step, Duration::ZERO, Signal::KILL);
        stopped.build_is_right(&format!("after a kill at {step}"));
    }
    // Saving takes a few milliseconds.
    for micros in MOMENTS {
        stopped.edit();
        stopped.stop_at("save", Duration::from_micros(micros), Signal::KILL);
        // Revert to the source of the previous build: modification times alone would not show it.
        stopped.number -= 2;
        stopped.edit();
        stopped.build_is_right(&format!("after a kill {micros} µs into save"));
        stopped.number += 1;
    }
}

/// An app whose dependencies two VMs compile, each for some seconds.
fn with_slow_dependencies() -> App {
    let app = App::fixture("everything");
    app.git_from(&format!("{}/git/", app.host.url()));
    app.config("MIX_OS_DEPS_COMPILE_PARTITION_COUNT", "2");
    let config = "elixir_buildpack.config";
    let text = fs::read_to_string(app.source().join(config)).unwrap();
    let slow = ["greeter", "knobs"]
        .map(|dep| format!("echo 'Process.sleep(5_000)' > deps/{dep}/lib/slow.ex"))
        .join("; ");
    app.write(config, &format!("{text}\nhook_pre_compile=\"{slow}\"\n"));
    app
}

#[test]
fn stopped_build_leaves_no_running_vm() {
    let script = r#"
        /tmp/buildpack/bin/compile "$1" /tmp/cache /tmp/env > /tmp/log 2>&1 &
        pid=$!
        # The report names the step that began last. JavaScript packages install in parallel.
        until grep -Eq '"build_step":"(compile|javascript)"' /tmp/cache/mixpack/report.json 2> /dev/null; do
          kill -0 $pid || { cat /tmp/log; exit 2; }
        done
        vms() { grep -l beam /proc/[0-9]*/comm 2> /dev/null | wc -l; }
        for n in $(seq 100); do [ $(vms) -ge $4 ] && break; sleep 0.1; done
        [ $(vms) -ge $4 ] || { echo "$(vms) VMs run"; exit 3; }
        kill -$2 $pid
        wait $pid
        for n in $(seq $3); do
          [ $(vms) = 0 ] && exit 0
          sleep 0.1
        done
        echo "it still runs"; exit 4
    "#;
    for (app, vms) in [
        (App::fixture(FIXTURE), "1"),
        (with_slow_dependencies(), "2"),
    ] {
        // After a normal stop nothing has to wait; after a kill, mix itself has to notice it.
        for (signal, tenths) in [("TERM", "1"), ("KILL", "100")] {
            let _ = fs::remove_file(app.cache().join("mixpack/report.json"));
            let build_dir = app.checkout();
            let build_dir = build_dir.to_str().unwrap();
            let args = ["-c", script, "bash", build_dir, signal, tenths, vms];
            let command = app.sandbox.command("bash", args).env("STACK", "heroku-24");
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let code = output.status.code();
            assert_eq!(code, Some(0), "{signal}, {vms} VMs: {said}");
        }
    }
}

#[test]
fn concurrent_builds_sharing_a_cache_are_both_correct() {
    let app = App::cold_fixture(FIXTURE);
    number_module(&app, 10);
    let started: Vec<_> = (0..2).map(|_| app.start_deploy()).collect();
    let mut waited = 0;
    for (process, build_dir) in started {
        let Output {
            status,
            stdout,
            stderr,
        } = process.wait_with_output().unwrap();
        let deploy = Deploy {
            succeeded: status.success(),
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            slug: app.on_host(&build_dir),
            build_dir,
            left_in_app: Vec::new(),
            took: Duration::ZERO,
        };
        deploy.expect_success();
        waited += usize::from(
            deploy
                .stdout
                .contains("for another build, which uses the cache"),
        );
        assert_right(&deploy, 10, "beside another build");
    }
    assert_eq!(waited, 1, "builds that waited for the other");
}

/// A small filesystem, which is removed after the test.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, kib: u64) -> Self {
        fs::create_dir(&at).unwrap();
        let disk = Self(at);
        disk.run(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"],
        );
        disk
    }

    fn resize(&self, kib: u64) {
        self.run("mount", &["-o", &format!("remount,size={kib}k")]);
    }

    fn run(&self, program: &str, args: &[&str]) {
        let status = Command::new(program).args(args).arg(&self.0).status();
        assert!(status.unwrap().success(), "{program} {args:?}");
    }

    /// KiB.
    fn used(&self) -> u64 {
        let mut df = Command::new("df");
        let output = df
            .args(["--output=used", "-k"])
            .arg(&self.0)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().nth(1).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn build_is_correct_after_disk_fills_at_any_point() {
    let mut stopped = Stopped::new();
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(dir.path().join("cache"), 256);
    stopped.app.sandbox.give(&disk.0).unwrap();
    stopped.app.sandbox = stopped.app.sandbox.bind_rw(&disk.0, "/tmp/cache");
    let mut failed = 0;
    for kib in DISKS {
        disk.resize(kib);
        stopped.edit();
        let deploy = stopped.app.deploy();
        let context = format!("{kib} KiB");
        if deploy.succeeded {
            assert_right(&deploy, stopped.number, &context);
        } else {
            failed += 1;
            let log = unwrapped(&deploy);
            assert!(log.contains("Error code: file-system"), "{context}:\n{log}");
            assert!(log.contains("No space left on device"), "{context}:\n{log}");
            assert_eq!(
                stopped.left_in_app(),
                [""; 0].map(PathBuf::from),
                "{context}"
            );
        }
    }
    assert!(failed >= 4, "{failed} builds failed");
    disk.resize(400_000);
    stopped.edit();
    stopped.build_is_right("with room again");

    // The disk has room for the tools only: the app is built, and the rest isn't cached.
    for kind in ["_build-prod", "deps-prod"] {
        fs::remove_dir_all(disk.0.join("mixpack/state").join(kind)).unwrap();
    }
    disk.resize(disk.used() + 60);
    stopped.edit();
    let deploy = stopped.build_is_right("without room to keep it");
    // The warning names this entry, or the record, which is saved at the same time.
    let said = ["the cache is incomplete", "could not be cached"];
    assert!(
        said.iter().any(|said| deploy.log().contains(said)),
        "{}",
        deploy.log()
    );
    // The disk is full, even for notes, once everything is fetched.
    let config = "elixir_buildpack.config";
    let fill = "hook_pre_fetch_dependencies='cat /dev/zero > /tmp/cache/filler || true'\n";
    stopped.app.write(config, fill);
    let _ = fs::remove_dir_all(disk.0.join("mixpack/state/deps-prod"));
    let deploy = stopped.app.deploy();
    assert!(deploy.log().contains("No space left"), "{}", deploy.log());
    deploy.expect_success();
    fs::remove_file(disk.0.join("filler")).unwrap();
    fs::remove_dir_all(&deploy.slug).unwrap();
    stopped.app.remove(config);

    disk.resize(400_000);
    stopped.edit();
    let deploy = stopped.build_is_right("after one that was not kept");
    let said = "_build: discarded because the last build was interrupted while saving it";
    let nothing = "_build: not in the cache";
    assert!(
        deploy.stdout.contains(said) || deploy.stdout.contains(nothing),
        "{}",
        deploy.log()
    );

    // A build directory that is too small.
    let small = Disk::mount(dir.path().join("build"), 20_000);
    whole_builds::copy(stopped.app.source(), &small.0);
    stopped.app.sandbox.give(&small.0).unwrap();
    stopped.app.sandbox = stopped.app.sandbox.bind_rw(&small.0, "/tmp/build_small");
    let deploy = stopped.app.compile(Path::new("/tmp/build_small"));
    assert_eq!(deploy.code, Some(1), "{}", deploy.log());
    assert!(
        unwrapped(&deploy).contains("No space left on device"),
        "{}",
        deploy.log()
    );
    stopped.edit();
    stopped.build_is_right("after a build directory that was full");
}

fn give_to(user: u32, path: &Path) {
    for entry in WalkDir::new(path) {
        lchown(entry.unwrap().path(), Some(user), Some(user)).unwrap();
    }
}

#[test]
fn unusable_cache_is_logged_and_build_succeeds() {
    let mut stopped = Stopped::new();
    stopped.build_is_right("an empty cache");
    stopped.edit();
    give_to(0, stopped.app.cache());
    let of_another = stopped.build_is_right("a cache of another user");
    give_to(mirror::stack::BUILD_USER, stopped.app.cache());
    stopped.edit();
    give_to(0, &stopped.app.cache().join("mixpack/state/_build-prod"));
    let partly = stopped.build_is_right("a part of the cache of another user");
    give_to(mirror::stack::BUILD_USER, stopped.app.cache());
    let cache = stopped.app.cache().to_owned();
    stopped.edit();
    stopped.app.sandbox = stopped.app.sandbox.bind_ro(cache, "/tmp/cache");
    let read_only = stopped.build_is_right("a cache that is read-only");
    for (deploy, why) in [
        (of_another, "Permission denied"),
        (partly, "Permission denied"),
        (read_only, "Read-only file system"),
    ] {
        let log = deploy.log();
        assert!(log.contains("The cache is unusable"), "{log}");
        assert!(log.contains(why), "{log}");
        assert!(log.contains("_build: not in the cache"), "{log}");
    }
}

fn file_named(below: &Path, name: &str) -> PathBuf {
    let mut walk = WalkDir::new(below).into_iter().map(Result::unwrap);
    let found = walk.find(|entry| entry.file_type().is_file() && entry.file_name() == name);
    found.unwrap_or_else(|| panic!("no {name}")).into_path()
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

fn set_modified(path: &Path, time: SystemTime) {
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[test]
fn damaged_node_in_cache_is_installed_again() {
    let app = App::fixture("phoenix-npm");
    app.deploy().expect_success();
    let packed = file_named(&app.cache().join("mixpack/tools"), "node.zst");
    let time = modified(&packed);
    let mut bytes = fs::read(&packed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&packed, bytes).unwrap();
    set_modified(&packed, time);

    let deploy = app.deploy();
    deploy.expect_success();
    let warning = "bin/node: cannot unpack: ";
    assert!(deploy.log().contains(warning), "{}", deploy.log());
    lacks(&deploy, "from cache: erlang, elixir, node");
    let next = app.deploy();
    next.expect_success();
    assert!(!next.log().contains(warning), "{}", next.log());
}

#[test]
fn modified_cache_is_logged_as_a_miss() {
    let mut stopped = Stopped::new();
    stopped.build_is_right("an empty cache");
    let kept = stopped.app.cache().join("mixpack");
    let expect = |stopped: &mut Stopped, context: &str, lines: &[&str]| {
        stopped.edit();
        let deploy = stopped.build_is_right(context);
        for line in lines {
            assert!(
                deploy.log().contains(line),
                "{context}: {line}\n{}",
                deploy.log()
            );
        }
    };

    // Truncate a program, a library, and compiled code.
    for name in ["mix", "lists.beam", "Elixir.JasonLite.beam"] {
        let file = file_named(&kept, name);
        let time = modified(&file);
        let half = fs::metadata(&file).unwrap().len() / 2;
        let file_to_cut = File::options().write(true).open(&file).unwrap();
        file_to_cut.set_len(half).unwrap();
        set_modified(&file, time);
    }
    expect(
        &mut stopped,
        "cut short",
        &[
            "lists.beam was changed",
            "bin/mix was changed",
            "_build: discarded because its files were modified",
        ],
    );

    // Flip bits in a cache that was packed and unpacked, where only the content differs.
    let moved = stopped.app.cache().with_file_name("moved");
    let copied = Command::new("cp").arg("-a").arg(&kept).arg(&moved).status();
    assert!(copied.unwrap().success());
    fs::remove_dir_all(&kept).unwrap();
    fs::rename(&moved, &kept).unwrap();
    let flipped = file_named(&kept.join("tools"), "lists.beam");
    let time = modified(&flipped);
    let mut bytes = fs::read(&flipped).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&flipped, bytes).unwrap();
    set_modified(&flipped, time);
    expect(&mut stopped, "flipped", &["lists.beam was changed"]);

    // Links out of the cache.
    let outside = stopped.app.sandbox.tmp().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    let beam = file_named(&kept.join("state"), "Elixir.PlainOtp.Build.beam");
    fs::remove_file(&beam).unwrap();
    std::os::unix::fs::symlink("/tmp/outside/precious", &beam).unwrap();
    fs::remove_dir_all(kept.join("tools")).unwrap();
    std::os::unix::fs::symlink("/tmp/outside", kept.join("tools")).unwrap();
    expect(
        &mut stopped,
        "links that lead out",
        &["_build: discarded because its files were modified"],
    );
    let left: Vec<_> = fs::read_dir(&outside)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["precious"]);

    fs::remove_dir_all(&kept).unwrap();
    std::os::unix::fs::symlink("/tmp/outside", &kept).unwrap();
    expect(
        &mut stopped,
        "a link for the whole cache",
        &["_build: not in the cache"],
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);

    fs::write(kept.join("format"), "1").unwrap();
    let dropped = "discarding the cache: another version of Mixpack made it";
    expect(
        &mut stopped,
        "another version",
        &[dropped, "_build: not in the cache"],
    );
}

#[test]
fn recompiles_changed_files_regardless_of_mtimes_and_clock() {
    let app = App::cold_fixture(FIXTURE);
    let deploy = |number: u32, times: Option<SystemTime>| {
        number_module(&app, number);
        let build_dir = app.checkout();
        if let Some(time) = times {
            for entry in WalkDir::new(app.on_host(&build_dir)) {
                let entry = entry.unwrap();
                if entry.file_type().is_file() {
                    set_modified(entry.path(), time);
                }
            }
        }
        app.compile(&build_dir)
    };
    let day = Duration::from_hours(24);
    let long_ago = SystemTime::UNIX_EPOCH + 18_000 * day;
    assert_right(&deploy(11, Some(long_ago)), 11, "one time for all files");
    assert_right(
        &deploy(12, Some(long_ago)),
        12,
        "the same time for another commit",
    );
    let same = deploy(12, Some(SystemTime::now() + 3 * day));
    assert_eq!(same.compiled(), [""; 0], "{}", same.log());
    assert_right(&same, 12, "a time to come");

    // The clock goes two days back after this build.
    let hook = "find _build/ -path '*/.mix/*' -exec touch -d '2 days' {} +";
    app.write(
        "elixir_buildpack.config",
        &format!("hook_post_compile=\"{hook}\"\n"),
    );
    deploy(13, None).expect_success();
    app.remove("elixir_buildpack.config");
    let back = deploy(14, None);
    let said = "_build: discarded because it is newer than the current time";
    assert!(back.stdout.contains(said), "{}", back.log());
    assert_right(&back, 14, "a clock that was set back");
}

#[test]
fn documented_interruptions_match_tests() {
    let steps = STEPS.len();
    let (first, last) = (DISKS[0], DISKS[DISKS.len() - 1]);
    let milliseconds = MOMENTS.map(|micros| Duration::from_micros(micros).as_secs_f64() * 1000.0);
    let rows = [
        (format!("SIGTERM at each of {steps} steps"), steps),
        (format!("SIGINT at each of {steps} steps"), steps),
        (
            format!("SIGKILL at each of {steps} steps, one after the other from an empty cache"),
            steps,
        ),
        (
            format!("SIGKILL at each of {steps} steps, each followed by a whole build"),
            steps,
        ),
        (
            format!(
                "SIGKILL {} ms to {} ms into keeping the build",
                milliseconds[0], milliseconds[3]
            ),
            MOMENTS.len(),
        ),
        (
            format!("the cache's disk has {first} KiB to {last} KiB"),
            DISKS.len(),
        ),
    ];
    let doc = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reliability.md");
    let doc = fs::read_to_string(doc).unwrap();
    for (what, count) in rows {
        let row = format!("| {what} | {count} | ");
        assert!(
            doc.contains(&row),
            "docs/reliability.md does not hold {row:?}"
        );
    }
}
