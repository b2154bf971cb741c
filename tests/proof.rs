//! Uses the URL of this repository as a platform does: clones it and builds as an unprivileged user, on an image with
//! neither cargo nor curl, with no network but the mirror.
//!
//! The image is the bare one, which has no git and no compiler either. The clone is made outside, as by the platform.
//! Other tests cover the other ways to get `bin/`: all other whole builds use a copy of `bin/` alone, as in the
//! tarball (`xtask::package`), and `drop_in` calls it as herokuish does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::stack::NETWORK_VARIABLES;
use mirror::{Override, Server};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use whole_builds::{App, bare_image, compiling, own_host, repository};

/// The variable with the directory of npm packages, for the process without network.
const PACKAGES: &str = "PROOF_PACKAGES";

const NAME: &str = "fresh_clone_builds_and_boots_with_mirror_only";

fn successful(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The npm packages that the fixture's lockfile requires on this machine, as name and version.
fn locked() -> Vec<(&'static str, String)> {
    let lock = repository().join("fixtures/phoenix-npm/assets/package-lock.json");
    let lock: Value = serde_json::from_slice(&fs::read(lock).unwrap()).unwrap();
    ["esbuild", "@esbuild/linux-x64"]
        .map(|name| {
            let package = &lock["packages"][format!("node_modules/{name}")];
            (name, package["version"].as_str().unwrap().to_owned())
        })
        .into()
}

/// The file that `npm pack` makes of a package.
fn packed(dir: &Path, name: &str, version: &str) -> PathBuf {
    let stem = name.trim_start_matches('@').replace('/', "-");
    dir.join(format!("{stem}-{version}.tgz"))
}

/// Makes the host an npm registry too. Returns the registry's URL.
fn serve_packages(host: &Server, dir: &Path) -> String {
    let url = format!("{}/npm/", host.url());
    for (name, version) in locked() {
        let file = packed(dir, name, &version);
        let tarball = format!("/npm/{name}/-/{name}-{version}.tgz");
        let manifest = json!({
            "name": name,
            "dist-tags": { "latest": version },
            "versions": { &version: {
                "name": name,
                "version": version,
                "dist": { "tarball": format!("{}{tarball}", host.url()) },
            }},
        });
        let path = format!("/npm/{}", name.replace('/', "%2f"));
        host.set_override(path, Override::Body(manifest.to_string().into_bytes()));
        host.set_override(tarball, Override::File(file));
    }
    url
}

#[test]
fn fresh_clone_builds_and_boots_with_mirror_only() {
    if let Some(packages) = std::env::var_os(PACKAGES) {
        return build_and_boot(Path::new(&packages));
    }
    let packages = tempfile::tempdir().unwrap();
    let names = locked()
        .into_iter()
        .map(|(name, version)| format!("{name}@{version}"));
    successful(
        Command::new("npm")
            .args(["pack", "--pack-destination"])
            .arg(packages.path())
            .args(names),
    );
    // Run this test again in a network namespace with nothing but loopback.
    let mut alone = Command::new("unshare");
    alone
        .args([
            "--net",
            "sh",
            "-ec",
            "ip link set lo up; exec \"$0\" \"$@\"",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(PACKAGES, packages.path());
    for name in NETWORK_VARIABLES {
        alone.env_remove(name);
    }
    let said = successful(&mut alone);
    // Check that it ran at all.
    assert!(said.contains("1 passed"), "{said}");
}

fn build_and_boot(packages: &Path) {
    let host = own_host();
    let registry = serve_packages(host, packages);
    let bare = bare_image();
    let mut app = App::on_image_with(&bare, host, "phoenix-npm").stack_name(Some("heroku-24"));
    app.config("NPM_CONFIG_REGISTRY", &registry);

    let clone = app.sandbox.tmp().join("buildpack");
    fs::remove_dir_all(&clone).unwrap();
    // The checkout may belong to another user, which git must be told to accept.
    let settings = packages.join("gitconfig");
    fs::write(&settings, "[safe]\n\tdirectory = *\n").unwrap();
    successful(
        Command::new("git")
            .env("GIT_CONFIG_GLOBAL", settings)
            .args(["clone", "--quiet", "--no-hardlinks"])
            .args([repository(), &clone]),
    );
    // The executable under test replaces that of the newest commit. The two are equal if the latter is current, which
    // `cargo xtask dist --check` verifies.
    if let Some(executable) = std::env::var_os("MIXPACK_EXE") {
        fs::copy(executable, clone.join("bin/mixpack-linux-amd64")).unwrap();
    }
    app.sandbox.give(&clone).unwrap();
    app.sandbox = app.sandbox.env("MIXPACK_EXE", "");

    let script = "id -u; for name in cargo curl wget git gcc make node erl elixir; do \
                  ! command -v $name; done; sed -n 's/^ *\\(.*\\):.*/\\1/p' /proc/net/dev";
    let inside = app.sandbox.command("bash", ["-c", script]).output();
    let inside = String::from_utf8(inside.unwrap().stdout).unwrap();
    assert_eq!(inside.lines().collect::<Vec<_>>(), ["1000", "lo"]);

    let detected = app.detect();
    assert_eq!(detected.stdout, b"Phoenix\n");
    let deploy = app.deploy();
    deploy.expect_success();
    let asked: Vec<String> = host
        .requests()
        .into_iter()
        .filter(|request| request.status == 200)
        .map(|request| request.path)
        .collect();
    for part in ["/otp/", "/elixir/v1.18", "/dist/v24", "/hex/", "/npm/"] {
        assert!(asked.iter().any(|path| path.contains(part)), "{asked:?}");
    }

    let web = app.web(&deploy);
    let dyno = app.ship_to(&bare, deploy);
    let web = dyno.start(&web);
    let page = web.get("/");
    assert!(page.contains("Deployed by Mixpack"), "{page}");
    let (_, script) = page.split_once("src=\"").expect("a script");
    let (script, _) = script.split_once('"').unwrap();
    assert!(web.get(script).len() > 100, "{script} is served");
    let log = web.stop();
    assert!(compiling(&log).is_empty(), "{log}");
}
