//! The boot check: builds of apps that wouldn't start on the run image, and of apps that would.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};
use whole_builds::{App, Deploy, artifacts, bare_image, holds, lacks, stack, unwrapped};

const CONFIG: &str = "elixir_buildpack.config";
/// The library of a package that Heroku's run images don't have. The image of these tests has it.
const LIBRARY: &str = "libquadmath.so.0";
const LIBRARY_DIR: &str = "usr/lib/x86_64-linux-gnu";
const APT_DIR: &str = ".apt/usr/lib/x86_64-linux-gnu";
const LAST_OF_RUN_IMAGE: &str = "/var/lib/dpkg/info/ca-certificates-java.list";

const SOURCE: &str = "#include <erl_nif.h>
#include <quadmath.h>
#include <stdlib.h>

static ERL_NIF_TERM root(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  double number;
  (void)argc;
  // Calls a function of the C library.
  if (getenv(\"NO_FAST_MATH\"))
    return enif_make_badarg(env);
  if (!enif_get_double(env, argv[0], &number))
    return enif_make_badarg(env);
  return enif_make_double(env, (double)sqrtq(number));
}

static ErlNifFunc functions[] = {{\"root\", 1, root, 0}};

ERL_NIF_INIT(Elixir.NoDeps.Fast, functions, NULL, NULL, NULL, NULL)
";

const MODULE: &str = "defmodule NoDeps.Fast do
  @on_load :load

  def load, do: :erlang.load_nif(Application.app_dir(:no_deps, \"priv/fast_nif\"), 0)
  def root(_), do: :erlang.nif_error(:not_loaded)
end
";

/// An app with a NIF in `priv` that needs `libquadmath.so.0`, on an image like Heroku's, to which dpkg added
/// that library at a time after (or before) the run image was complete.
struct WithNif {
    app: App,
    list: tempfile::NamedTempFile,
}

fn with_nif(linker_options: &[&str]) -> WithNif {
    let mut app = App::fixture("no-deps");
    let list = tempfile::NamedTempFile::new().unwrap();
    app.sandbox = app.sandbox.bind_ro(list.path(), LAST_OF_RUN_IMAGE);
    let app = WithNif { app, list };
    app.run_image_is_complete_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    app.app.write("lib/no_deps/fast.ex", MODULE);
    app.compile_nif(linker_options);
    app
}

impl WithNif {
    fn run_image_is_complete_at(&self, time: SystemTime) {
        self.list.as_file().set_modified(time).unwrap();
    }

    /// Compiles the NIF in the sandbox, and adds it to the app's source.
    fn compile_nif(&self, linker_options: &[&str]) {
        let tmp = self.app.sandbox.tmp();
        let headers = tmp.join("otp");
        if !headers.exists() {
            fs::create_dir(&headers).unwrap();
            let otp = artifacts().join("builds/otp/amd64/ubuntu-24.04/OTP-27.3.4.1.tar.gz");
            let status = Command::new("tar")
                .arg("-xzf")
                .arg(otp)
                .arg("-C")
                .arg(&headers)
                .args(["--strip-components=3", "--wildcards", "OTP-*/usr/include/*"])
                .status();
            assert!(status.unwrap().success());
        }
        fs::write(tmp.join("fast_nif.c"), SOURCE).unwrap();
        let args = "-shared -fPIC -I /tmp/otp -o /tmp/fast_nif.so /tmp/fast_nif.c -lquadmath";
        let args = args.split(' ').chain(linker_options.iter().copied());
        let output = self.app.sandbox.command("cc", args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        self.ship(
            "priv/fast_nif.so",
            &fs::read(tmp.join("fast_nif.so")).unwrap(),
        );
    }

    /// Adds a file to the app's source.
    fn ship(&self, path: &str, content: &[u8]) {
        let path = self.app.source().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn nif(&self) -> Vec<u8> {
        fs::read(self.app.source().join("priv/fast_nif.so")).unwrap()
    }
}

fn library() -> Vec<u8> {
    fs::read(stack().root().join(LIBRARY_DIR).join(LIBRARY)).unwrap()
}

fn replaced(content: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut content = content.to_vec();
    let at = content.windows(from.len()).position(|part| part == from);
    let at = at.expect("the bytes to replace");
    content[at..at + to.len()].copy_from_slice(to);
    content
}

#[track_caller]
fn fails(deploy: &Deploy, code: &str) {
    assert!(!deploy.succeeded, "{}", deploy.log());
    holds(deploy, &format!("Error code: {code}"));
}

/// Checks that the boot check reports neither an error nor a warning.
#[track_caller]
fn is_silent(deploy: &Deploy) {
    deploy.expect_success();
    lacks(deploy, "boot_check");
}

#[track_caller]
fn warns(deploy: &Deploy, text: &str) {
    deploy.expect_success();
    let log = unwrapped(deploy).replace("\x1b[1;33m", "");
    let log = log.replace("\x1b[0m", "").replace("\n !     ", " ");
    assert!(
        log.contains(text) && log.contains("boot_check=false"),
        "{log}"
    );
}

const NEEDS: &str = "needs libquadmath.so.0, which is missing at run time";

#[test]
fn library_that_only_the_build_image_has_fails_the_build() {
    let nif = with_nif(&[]);
    let deploy = nif.app.deploy();
    fails(&deploy, "boot-library-missing");
    let log = unwrapped(&deploy);
    assert!(
        log.contains(&format!(
            "Build failed: _build/prod/lib/no_deps/priv/fast_nif.so {NEEDS}"
        )),
        "{log}"
    );
    assert!(log.contains("Ubuntu package libquadmath0"), "{log}");
    insta::assert_snapshot!(deploy.stderr);

    // Nothing has changed.
    fails(&nif.app.deploy(), "boot-library-missing");

    nif.app.config("MIXPACK_BOOT_CHECK", "false");
    let unchecked = nif.app.deploy();
    is_silent(&unchecked);
    // The check is right: this image has no libquadmath.
    let output = nif.app.ship_to(&bare_image(), unchecked).run(ROOT);
    assert!(!output.status.success(), "{output:?}");
}

const ROOT: &str = "mix run --no-compile -e 'IO.inspect(NoDeps.Fast.root(49.0))'";

#[test]
fn release_with_a_nif_that_lacks_its_library_fails() {
    let nif = with_nif(&[]);
    nif.app
        .edit(CONFIG, "erlang_version", "release=true\nerlang_version");
    let deploy = nif.app.deploy();
    fails(&deploy, "boot-library-missing");
    holds(
        &deploy,
        "_build/prod/rel/no_deps/lib/no_deps-0.1.0/priv/fast_nif.so",
    );
}

#[test]
fn package_that_the_run_image_has_by_now_is_no_fault() {
    let nif = with_nif(&[]);
    nif.run_image_is_complete_at(SystemTime::now() + Duration::from_hours(24));
    is_silent(&nif.app.deploy());
}

#[test]
fn library_in_the_slug_is_found() {
    // In the directory to which buildpack-apt installs it.
    let nif = with_nif(&[]);
    nif.app.write("Aptfile", "libquadmath0\n");
    warns(&nif.app.deploy(), NEEDS);
    nif.ship(&format!("{APT_DIR}/{LIBRARY}"), &library());
    is_silent(&nif.app.deploy());

    // In a directory of LD_LIBRARY_PATH.
    let nif = with_nif(&[]);
    nif.app.write(
        ".profile.d/libraries.sh",
        "export LD_LIBRARY_PATH=/app/vendor/lib\n",
    );
    nif.ship(&format!("vendor/lib/{LIBRARY}"), &library());
    let deploy = nif.app.deploy();
    is_silent(&deploy);
    let root = nif.app.ship_to(&bare_image(), deploy).one_off(ROOT);
    assert!(root.contains("7.0"), "{root}");

    // Next to the NIF, whose run path names the directory.
    let nif = with_nif(&["-Wl,-rpath,$ORIGIN/lib"]);
    nif.ship(&format!("priv/lib/{LIBRARY}"), &library());
    let deploy = nif.app.deploy();
    is_silent(&deploy);
    let root = nif.app.ship_to(&bare_image(), deploy).one_off(ROOT);
    assert!(root.contains("7.0"), "{root}");
}

#[test]
fn library_that_is_nowhere_is_a_warning() {
    let nif = with_nif(&[]);
    let missing = replaced(&nif.nif(), b"libquadmath.so.0", b"libquadmoth.so.0");
    nif.ship("priv/fast_nif.so", &missing);
    warns(
        &nif.app.deploy(),
        "Neither the app nor the image of heroku-24 has this library.",
    );
    // Nothing loads this one.
    nif.app.remove("lib/no_deps/fast.ex");
    is_silent(&nif.app.deploy());
}

#[test]
fn newer_glibc_and_other_architectures_fail_unless_another_variant_is_there() {
    let nif = with_nif(&[]);
    nif.ship(&format!("{APT_DIR}/{LIBRARY}"), &library());
    let content = nif.nif();
    let newer = replaced(&content, b"GLIBC_2.2.5\0", b"GLIBC_9.9.9\0");
    nif.ship("priv/fast_nif.so", &newer);
    let deploy = nif.app.deploy();
    fails(&deploy, "boot-library-too-old");
    let log = unwrapped(&deploy);
    assert!(
        log.contains("needs GLIBC_9.9.9, which libc.so.6 on heroku-24 doesn't have"),
        "{log}"
    );

    let mut foreign = content.clone();
    // The machine, in the header: AArch64.
    foreign[18] = 183;
    nif.ship("priv/fast_nif.so", &foreign);
    let deploy = nif.app.deploy();
    fails(&deploy, "boot-wrong-architecture");
    let log = unwrapped(&deploy);
    assert!(
        log.contains("is compiled for arm64, but the app runs on amd64"),
        "{log}"
    );

    nif.ship("priv/x86_64/fast_nif.so", &content);
    is_silent(&nif.app.deploy());
}

#[test]
fn port_program_without_its_library_is_a_warning() {
    let nif = with_nif(&[]);
    nif.app.remove("priv/fast_nif.so");
    let tmp = nif.app.sandbox.tmp();
    let source = "#include <quadmath.h>\n#include <stdlib.h>\nint main(int n, char **v) { return (int)sqrtq(atof(v[n - 1])); }\n";
    fs::write(tmp.join("port.c"), source).unwrap();
    let args = ["-o", "/tmp/fast_nif", "/tmp/port.c", "-lquadmath"];
    let output = nif.app.sandbox.command("cc", args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let to = nif.app.source().join("priv/fast_nif");
    fs::copy(tmp.join("fast_nif"), &to).unwrap();
    warns(&nif.app.deploy(), NEEDS);
}

#[test]
fn herokuish_runs_apps_on_its_build_image() {
    let nif = with_nif(&[]);
    let checkout = nif.app.on_host(&nif.app.checkout());
    let build = PathBuf::from("/tmp/build");
    fs::rename(checkout, nif.app.on_host(&build)).unwrap();
    is_silent(&nif.app.compile(&build));
}

#[test]
fn truncated_module_fails_the_build() {
    let app = App::fixture("no-deps");
    let beam = "_build/prod/lib/no_deps/ebin/Elixir.NoDeps.beam";
    app.edit(
        CONFIG,
        "erlang_version",
        &format!("hook_post_compile=\"truncate --size=300 {beam}\"\nerlang_version"),
    );
    let deploy = app.deploy();
    fails(&deploy, "boot-module-unusable");
    holds(&deploy, &format!("the VM can't load the module {beam}"));
    holds(&deploy, "It is truncated.");
    // The damaged module isn't used again.
    app.edit(CONFIG, "truncate --size=300", "ls");
    let fixed = app.deploy();
    is_silent(&fixed);
    holds(
        &fixed,
        "_build: discarded because it contains a module that the VM can't load",
    );
}

#[test]
fn web_that_starts_a_missing_release_fails_and_other_processes_warn() {
    let app = App::fixture("no-deps");
    app.write("Procfile", "web: _build/prod/rel/nodeps/bin/nodeps start\n");
    let deploy = app.deploy();
    fails(&deploy, "boot-release-not-built");
    holds(&deploy, "The build made no release.");

    app.edit(CONFIG, "erlang_version", "release=true\nerlang_version");
    let deploy = app.deploy();
    fails(&deploy, "boot-release-not-built");
    let log = unwrapped(&deploy);
    assert!(
        log.contains(
            "the Procfile's web starts _build/prod/rel/nodeps/bin/nodeps, which doesn't exist"
        ) && log.contains("  web: _build/prod/rel/no_deps/bin/no_deps start"),
        "{log}"
    );

    app.edit("Procfile", "web:", "worker:");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "The Procfile's worker starts _build/prod/rel/nodeps/bin/nodeps, which does not exist",
    );
}
