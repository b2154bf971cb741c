//! The executable for arm64 under an emulator: that it starts, reads an app, plans for its own
//! architecture, finds hosts by name, and builds.
//!
//! In the build, only Mixpack is emulated. This test publishes Erlang and Node for amd64 under the names for arm64,
//! so they run natively.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::upstream::Upstream;
use mirror::{AppDir, Override, Server};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use whole_builds::{App, EMULATOR, artifact_host, own_host, repository};

const OTP: &str = "OTP-27.3.4.1.tar.gz";
const NODE: &str = "24.21.0";

fn executable() -> PathBuf {
    std::env::var_os("MIXPACK_EXE")
        .expect("MIXPACK_EXE: run `cargo xtask test`")
        .into()
}

/// An artifact host that publishes its files for amd64 as if they were for arm64.
fn arm64_host() -> Server {
    let host = artifact_host();
    let root = host.root();
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let body = |text: String| Override::Body(text.into_bytes());
    let (amd64, arm64) = (
        "builds/otp/amd64/ubuntu-24.04",
        "/builds/otp/arm64/ubuntu-24.04",
    );
    let node = |cpu: &str| format!("dist/v{NODE}/node-v{NODE}-linux-{cpu}.tar.gz");
    let sums = format!("dist/v{NODE}/SHASUMS256.txt");
    for (path, answer) in [
        (
            format!("{arm64}/builds.txt"),
            body(text(&format!("{amd64}/builds.txt"))),
        ),
        (
            format!("{arm64}/{OTP}"),
            Override::File(root.join(amd64).join(OTP)),
        ),
        (
            "/dist/index.json".to_owned(),
            body(text("dist/index.json").replace("linux-x64", "linux-arm64")),
        ),
        (
            format!("/{sums}"),
            body(text(&sums).replace("linux-x64", "linux-arm64")),
        ),
        (
            format!("/{}", node("arm64")),
            Override::File(root.join(node("x64"))),
        ),
    ] {
        host.set_override(path, answer);
    }
    host
}

/// Runs the executable on this machine, outside of any image.
fn emulate(args: &[&str], env: &[(&str, String)]) -> Output {
    Command::new(EMULATOR)
        .arg(executable())
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("NO_COLOR", "1")
        .envs(env.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the emulator runs")
}

fn fixture(name: &str) -> String {
    let dir = repository().join("fixtures").join(name);
    dir.to_str().unwrap().to_owned()
}

/// An app that is built by the emulated executable.
fn emulated(mut app: App) -> App {
    let script = app.sandbox.tmp().join("emulated");
    fs::write(
        &script,
        "#!/bin/sh\nexec /usr/local/lib/emulator /usr/local/lib/mixpack-arm64 \"$@\"\n",
    )
    .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    app.sandbox = app
        .sandbox
        .bind_ro(EMULATOR, "/usr/local/lib/emulator")
        .bind_ro(executable(), "/usr/local/lib/mixpack-arm64")
        // It replaces the executable that the scripts in bin/ start.
        .bind_ro(script, "/usr/local/lib/mixpack");
    app
}

#[test]
fn arm64_executable_starts() {
    let bytes = fs::read(executable()).unwrap();
    // e_machine of the ELF header: EM_AARCH64.
    assert_eq!(bytes[18..20], 183_u16.to_le_bytes());
    let output = emulate(&["--version"], &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.starts_with("mixpack 0."),
        "{said}"
    );
}

#[test]
fn arm64_detect_accepts_apps_and_explains_rejection() {
    let output = emulate(&["detect", &fixture("phoenix-npm")], &[]);
    assert!(output.status.success());
    assert!(!output.stdout.is_empty());
    let empty = tempfile::tempdir().unwrap();
    let output = emulate(&["detect", empty.path().to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
}

#[test]
fn arm64_detect_works_for_cnb_lifecycle() {
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("plan.toml");
    let detect = |app: &Path| {
        Command::new(EMULATOR)
            .arg(executable())
            .arg("detect")
            .args([dir.path(), &plan])
            .current_dir(app)
            .env_clear()
            .env("CNB_BUILDPACK_DIR", repository())
            .env("CNB_PLATFORM_DIR", dir.path())
            .env("CNB_BUILD_PLAN_PATH", &plan)
            .env("CNB_TARGET_OS", "linux")
            .env("CNB_TARGET_ARCH", "arm64")
            .env("CNB_TARGET_DISTRO_NAME", "ubuntu")
            .env("CNB_TARGET_DISTRO_VERSION", "24.04")
            .status()
            .expect("the emulator runs")
    };
    assert_eq!(detect(dir.path()).code(), Some(100));
    assert_eq!(detect(fixture("phoenix-npm").as_ref()).code(), Some(0));
    assert!(plan.exists());
}

#[test]
fn arm64_plan_targets_arm64() {
    let host = arm64_host();
    let env = [
        ("STACK", "heroku-24".to_owned()),
        ("HEX_BUILDS_URL", host.url()),
        ("NODEJS_ORG_MIRROR", format!("{}/dist", host.url())),
    ];
    let output = emulate(&["plan", "--json", &fixture("phoenix-npm")], &env);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["target"], "ubuntu-24.04 (arm64)");
    assert_eq!(plan["tools"]["node"]["version"], NODE);
    let lists: Vec<String> = host.requests().into_iter().map(|r| r.path).collect();
    assert!(
        lists.contains(&"/builds/otp/arm64/ubuntu-24.04/builds.txt".to_owned()),
        "{lists:?}"
    );
}

#[test]
fn arm64_resolves_hosts_and_trusts_system_certificates() {
    let upstream = Upstream::start(arm64_host()).unwrap();
    let host = own_host();
    let mut app = emulated(App::on(host, "no-deps", AppDir::Missing));
    app.sandbox = upstream.shown_to(app.sandbox).unwrap();
    let output = app
        .sandbox
        .command("/tmp/buildpack/bin/mixpack", ["plan", "/tmp/source"])
        .env("STACK", "heroku-24")
        .stdout(std::process::Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!upstream.server.requests().is_empty());
}

#[test]
fn arm64_fetches_unpacks_and_builds() {
    let host: &'static Server = Box::leak(Box::new(arm64_host()));
    let app = emulated(App::on(host, "phoenix-npm", AppDir::Tmpfs));
    // The programs of this Erlang are for amd64, which the boot check would reject.
    app.config("MIXPACK_BOOT_CHECK", "false");
    let first = app.deploy();
    first.expect_success();
    let fetched = |name: &str| {
        let mut requests = host.requests().into_iter();
        requests.any(|request| request.path.ends_with(name) && request.status == 200)
    };
    assert!(fetched(&format!("/otp/arm64/ubuntu-24.04/{OTP}")));
    assert!(fetched(&format!("/node-v{NODE}-linux-arm64.tar.gz")));
    for tool in [
        ".platform_tools/erlang/bin/erl",
        ".platform_tools/elixir/bin/mix",
    ] {
        assert!(first.slug.join(tool).exists(), "{tool}");
    }

    host.forget_requests();
    let second = app.deploy();
    second.expect_success();
    assert_eq!(second.compiled(), Vec::<&str>::new());
    assert!(!fetched(".tar.gz"));

    let dyno = app.ship(second);
    let web = dyno.start("mix phx.server");
    assert!(web.get("/").contains("Deployed by Mixpack"));
}
