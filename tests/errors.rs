//! Invalid input: each kind is rejected with its own message and leaves the app's files and `/app` unchanged, and the
//! next deploy, with corrected input and the same cache, succeeds.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mirror::authority::SigningKey;
use mirror::{AppDir, Override};
use serde_json::json;
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use walkdir::WalkDir;
use whole_builds::{App, Deploy, artifacts, own_host};

const CONFIG: &str = "elixir_buildpack.config";
const GOOD_CONFIG: &str = "elixir_version=1.18.3\nerlang_version=27\n";
const OTP: &str = "/builds/otp/amd64/ubuntu-24.04/OTP-27.3.4.1.tar.gz";
const ELIXIR: &str = "/builds/elixir/v1.18.3-otp-27.zip";

/// The app without a dependency, and an artifact host whose requests and faults are its own.
fn small_app() -> App {
    let host = own_host();
    App::on(host, "no-deps", AppDir::Tmpfs)
}

/// The same with tools in its cache, for faults that have nothing to do with those.
fn small_app_with_tools() -> App {
    App::fixture_with_its_host("no-deps")
}

/// Every file of a tree, by its path in it.
fn files(tree: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    WalkDir::new(tree)
        .into_iter()
        .map(|entry| entry.expect("a readable tree"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry
                .path()
                .strip_prefix(tree)
                .expect("below it")
                .to_owned();
            (path, fs::read(entry.path()).expect("a readable file"))
        })
        .collect()
}

/// The error in the log, without colours and without parts that vary between runs.
fn error(app: &App, deploy: &Deploy) -> String {
    let text = deploy
        .stderr
        .replace("\x1b[1;31m", "")
        .replace("\x1b[0m", "");
    let at = text
        .find(" !     Build failed:")
        .unwrap_or_else(|| panic!("no error in the log:\n{}", deploy.log()));
    text[at..]
        .replace(&app.host.url(), "http://HOST")
        .replace(&*deploy.build_dir.to_string_lossy(), "BUILD_DIR")
        .trim_end()
        .lines()
        .map(|line| match line.split_once(" (read on 2") {
            Some((list, _)) => format!("{list} (read on TIME)"),
            None => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The step that fails if no plan can be made. No step follows it.
const PLANNING: &str = "Planning";

/// Deploys, which must fail cleanly. The log contains the block of the `step` that failed. Parallel steps may log
/// later blocks, but without a plan no step starts.
#[track_caller]
fn fails(app: &App, step: &str) -> (Deploy, String) {
    let deploy = app.deploy();
    assert_eq!(deploy.code, Some(1), "{}", deploy.log());
    let headers: Vec<&str> = deploy
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("-----> "))
        .collect();
    let last = headers.last().copied().unwrap_or_default();
    let begun = headers.iter().any(|header| header.starts_with(step));
    assert!(begun, "{step:?} is not among {headers:?}");
    assert_eq!(last == PLANNING, step == PLANNING, "{headers:?}");
    assert!(!headers.contains(&"Built"), "{headers:?}");
    let left = files(&deploy.slug);
    for (path, bytes) in files(app.source()) {
        assert!(
            left.get(&path) == Some(&bytes),
            "{} has changed",
            path.display()
        );
    }
    let in_app = &deploy.left_in_app;
    assert!(in_app.is_empty(), "left in /app: {in_app:?}");
    let error = error(app, &deploy);
    (deploy, error)
}

#[track_caller]
fn succeeds(app: &App) -> Deploy {
    let deploy = app.deploy();
    deploy.expect_success();
    deploy
}

/// The archives that were requested from the host.
fn archives(app: &App) -> Vec<String> {
    let is_archive = |path: &String| [".gz", ".zip", ".ez"].iter().any(|end| path.ends_with(end));
    app.host
        .requests()
        .into_iter()
        .map(|request| request.path)
        .filter(is_archive)
        .collect()
}

/// Deploys an app that can't be built and checks its message, besides what [`fails`] checks.
#[track_caller]
fn refused(app: &App, step: &str, name: &str) {
    let (_, error) = fails(app, step);
    insta::assert_snapshot!(name, error);
}

/// The same for a version. Returns the lines that the message suggests to paste.
#[track_caller]
fn refused_with_lines(app: &App, name: &str) -> String {
    let (_, error) = fails(app, PLANNING);
    insta::assert_snapshot!(name, error);
    let (_, advice) = error
        .split_once(", replace line")
        .expect("lines to replace");
    let lines = advice.lines().skip(1);
    let lines: Vec<&str> = lines
        .map_while(|line| line.strip_prefix(" !       "))
        .collect();
    lines.join("\n") + "\n"
}

#[test]
fn unavailable_version_fails_build() {
    let app = small_app();
    for (name, config) in [
        (
            "erlang_unknown",
            "elixir_version=1.18.3\nerlang_version=99\n",
        ),
        (
            "elixir_unknown",
            "# newest\nelixir_version=1.99\nerlang_version=27\n",
        ),
        (
            "erlang_malformed",
            "elixir_version=1.18\nerlang_version=twenty\n",
        ),
        (
            "elixir_malformed",
            "elixir_version=1.18.3.1\nerlang_version=27\n",
        ),
        (
            "pair_incompatible",
            "elixir_version=1.14\nerlang_version=27\n",
        ),
    ] {
        app.write(CONFIG, config);
        app.host.forget_requests();
        let suggested = refused_with_lines(&app, name);
        // From the lists alone.
        assert_eq!(archives(&app), [""; 0]);
        app.write(CONFIG, &suggested);
        succeeds(&app);
    }
    app.write(CONFIG, GOOD_CONFIG);
    succeeds(&app);
    app.remove(CONFIG);
    app.write(
        ".tool-versions",
        "nodejs 22\nerlang 27.9\nelixir 1.18.3-otp-27\n",
    );
    let suggested = refused_with_lines(&app, "tool_versions_unknown");
    app.write(".tool-versions", &format!("nodejs 22\n{suggested}"));
    let mended = succeeds(&app);
    assert_eq!(mended.compiled(), [""; 0], "what was built before is kept");
}

#[test]
fn unsupported_stack_fails_build() {
    let mut app = small_app();
    for (stack, name) in [
        ("heroku-20", "stack_end_of_life"),
        ("ubuntu", "stack_unknown"),
        // The version rules know it, but upstream has no builds for it.
        ("heroku-98", "stack_of_the_future"),
    ] {
        app = app.stack_name(Some(stack));
        refused(&app, PLANNING, name);
        app = app.stack_name(Some("heroku-24"));
        succeeds(&app);
    }
}

#[test]
fn unreadable_files_fail_build() {
    let app = small_app();
    let mix_exs = fs::read_to_string(app.source().join("mix.exs")).expect("mix.exs");
    app.remove("mix.exs");
    refused(&app, PLANNING, "no_mix_exs");
    app.write("mix.exs", &mix_exs);
    succeeds(&app);

    app.write(CONFIG, "elixir_version=1.18.3\nerlang_version=$(echo 27\n");
    refused(&app, PLANNING, "config_syntax");
    app.write(CONFIG, "elixir_version=1.18.3\nerlang_version=$(echo 27)\n");
    succeeds(&app);

    let package = "{\n  \"scripts\": {\n    \"deploy\" \"esbuild\"\n  }\n}\n";
    app.write("assets/package.json", package);
    refused(&app, PLANNING, "package_json");
    app.remove("assets/package.json");
    succeeds(&app);
}

#[test]
fn unreachable_host_fails_build() {
    let app = small_app();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let closed = format!("http://{}", port.expect("a port that nobody listens on"));
    app.config("HEX_BUILDS_URL", &closed);
    let (deploy, error) = fails(&app, PLANNING);
    insta::assert_snapshot!("host_unreachable", error.replace(&closed, "http://CLOSED"));
    assert!(deploy.took < Duration::from_secs(40), "{:?}", deploy.took);
    app.config("HEX_BUILDS_URL", &app.host.url());
    succeeds(&app);
}

#[test]
fn checksum_mismatch_fails_build() {
    let app = small_app();
    // Well-formed, so that only the checksum differs.
    let other = artifacts().join("builds/otp/amd64/ubuntu-24.04/OTP-25.2.3.tar.gz");
    app.host.set_override(OTP, Override::File(other));
    refused(&app, "Installing Erlang", "checksum_mismatch");
    app.host.clear_override(OTP);
    succeeds(&app);
}

#[test]
fn missing_archive_fails_build() {
    let app = small_app();
    app.host.set_override(ELIXIR, Override::Status(404));
    refused(&app, "Installing Elixir", "archive_missing");
    app.host.clear_override(ELIXIR);
    succeeds(&app);
}

#[test]
fn unlisted_installer_fails_build() {
    let app = small_app();
    let lists = ["/installs/hex.csv", "/installs/hex-1.x.csv"];
    for list in lists {
        let row = format!("9.9.9,{},1.99.0,99\n", "ab".repeat(64));
        app.host
            .set_override(list, Override::Body(row.into_bytes()));
    }
    refused(&app, "Installing ", "installer_not_listed");
    for list in lists {
        app.host.clear_override(list);
    }
    succeeds(&app);
}

#[test]
fn installer_list_signed_by_unknown_key_fails_build() {
    let app = small_app();
    let key = SigningKey::make().expect("a key");
    for list in ["installs/hex.csv", "installs/rebar.csv"] {
        let text = fs::read(artifacts().join(list)).expect("the list");
        let signature = key.sign(&text).expect("a signature");
        let path = format!("/{list}.signed");
        app.host
            .set_override(path, Override::Body(signature.into()));
    }
    refused(&app, "Installing Hex and rebar3", "list_not_signed");

    // As `mix local.public_keys` writes it.
    let public = key.public().expect("the key's public half");
    app.write(".mix/public_keys/mirror.pub", &public);
    let built = succeeds(&app);
    let verified = "sha512 and signature verified";
    assert!(built.stdout.contains(verified), "{}", built.log());
}

#[test]
fn failing_hook_fails_build() {
    let app = small_app_with_tools();
    for (key, step) in [
        ("pre_compile", "Running pre_compile"),
        (
            "hook_pre_fetch_dependencies",
            "Running hook_pre_fetch_dependencies",
        ),
        ("hook_pre_compile", "Running hook_pre_compile"),
        ("hook_compile", "Running hook_compile"),
        ("hook_post_compile", "Running hook_post_compile"),
        ("post_compile", "Running post_compile"),
    ] {
        let hook = format!("{GOOD_CONFIG}{key}=\"eval echo checking the licence && exit 3\"\n");
        app.write(CONFIG, &hook);
        refused(&app, step, &format!("failing_{key}"));
        app.write(CONFIG, GOOD_CONFIG);
        succeeds(&app);
    }
}

/// The checksum of another package.
const WRONG_LOCK: &str = r#"%{
  "jason_lite": {:hex, :jason_lite, "1.0.0", "3bcb9eb37cec272f25110fdee5e904af0a854a9e95625a117ee08b5be09e422c", [:mix], [], "hexpm", "e7ec6369146488bf905782e94df9c5d0ba7b1e694b2f1f15f02a97115678a7af"},
}
"#;

#[test]
fn mix_errors_fail_build() {
    let app = small_app_with_tools();
    app.edit("mix.exs", "deps: []", "deps: [{:nonesuch, \"~> 1.0\"}]");
    refused(&app, "Fetching dependencies", "deps_no_such_package");
    app.edit("mix.exs", ":nonesuch", ":jason_lite");
    let fetched = succeeds(&app);
    assert!(
        fetched.stdout.contains("compiled 1 dependency: jason_lite"),
        "{}",
        fetched.log()
    );
    drop(fetched);

    app.write("mix.lock", WRONG_LOCK);
    refused(&app, "Fetching dependencies", "deps_lock_mismatch");
    app.remove("mix.lock");
    succeeds(&app);

    app.edit("lib/no_deps.ex", "do: :world", "do: planet()");
    refused(&app, "Compiling", "compile_undefined");
    app.edit("lib/no_deps.ex", "do: planet()", "do: :moon");
    let mended = succeeds(&app);
    assert!(
        mended.stdout.contains("compiled no_deps: 1 file"),
        "{}",
        mended.log()
    );
    assert_eq!(mended.compiled().len(), 1, "{}", mended.log());

    app.edit("lib/no_deps.ex", "do: :moon", "do: [:moon");
    refused(&app, "Compiling", "compile_syntax");
    app.edit("lib/no_deps.ex", "do: [:moon", "do: :sun");
    succeeds(&app);
}

/// A `package.json` with this script `deploy` and these dependencies.
fn package(script: &str, dependencies: &str) -> String {
    format!(
        "{{\n  \"name\": \"site\",\n  \"private\": true,\n  \"scripts\": {{\"deploy\": \"{script}\"}},\n  \"dependencies\": {{{dependencies}}}\n}}\n"
    )
}

/// The lockfile of a package without dependencies.
const LOCK: &str = r#"{
  "name": "site",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {"": {"name": "site"}}
}
"#;

#[test]
fn javascript_errors_fail_build() {
    const PACKAGE: &str = "assets/package.json";
    let app = small_app_with_tools();
    app.write("phoenix_static_buildpack.config", "node_version=22\n");
    app.write("assets/package-lock.json", LOCK);
    app.write(PACKAGE, &package("true", "\"left\": \"file:../left\""));
    refused(&app, "Installing JavaScript dependencies", "npm_ci");
    app.write(PACKAGE, &package("true", ""));
    succeeds(&app);

    app.write(PACKAGE, &package("echo bundling && exit 3", ""));
    refused(&app, "Building assets", "asset_script");
    app.write(PACKAGE, &package("true", ""));
    succeeds(&app);

    app.write(
        "compile",
        "echo \"in $phoenix_dir\" > /dev/null\nfalse\necho never\n",
    );
    refused(&app, "Building assets", "custom_script");
    app.write("compile", "true\n");
    succeeds(&app);
}

/// A package manager that does nothing, as npm packs it.
fn idle_pnpm() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("package");
    fs::create_dir_all(package.join("bin")).expect("a folder");
    let json = r#"{"name": "pnpm", "version": "9.1.0", "bin": {"pnpm": "bin/pnpm.cjs"}}"#;
    fs::write(package.join("package.json"), json).expect("package.json");
    fs::write(package.join("bin/pnpm.cjs"), "#!/usr/bin/env node\n").expect("its program");
    let made = Command::new("tar")
        .args(["--create", "--gzip", "--file", "pnpm.tgz", "package"])
        .current_dir(folder.path())
        .status();
    assert!(made.expect("tar runs").success());
    fs::read(folder.path().join("pnpm.tgz")).expect("the archive")
}

#[test]
fn package_manager_checksum_mismatch_fails_build() {
    let app = small_app_with_tools();
    let archive = idle_pnpm();
    let serve = |published: &[u8]| {
        let sum = BASE64_STANDARD.encode(Sha512::digest(published));
        let tarball = format!("{}/npm/pnpm/-/pnpm-9.1.0.tgz", app.host.url());
        let dist = json!({"tarball": tarball, "integrity": format!("sha512-{sum}")});
        let version = json!({"name": "pnpm", "version": "9.1.0", "dist": dist});
        let document = json!({"name": "pnpm", "dist-tags": {"latest": "9.1.0"}, "versions": {"9.1.0": version}});
        let document = document.to_string().into_bytes();
        app.host.set_override("/npm/pnpm", Override::Body(document));
    };
    let file = Override::Body(archive.clone());
    app.host.set_override("/npm/pnpm/-/pnpm-9.1.0.tgz", file);
    app.config("NPM_CONFIG_REGISTRY", &format!("{}/npm/", app.host.url()));
    // npm would wait for minutes before retrying.
    app.config("NPM_CONFIG_FETCH_RETRIES", "0");
    app.write("phoenix_static_buildpack.config", "node_version=22\n");
    let json = package("true", "").replacen('{', "{\n  \"packageManager\": \"pnpm@9.1.0\",", 1);
    app.write("assets/package.json", &json);
    app.write("assets/pnpm-lock.yaml", "lockfileVersion: '9.0'\n");
    serve(b"something else");
    let (_, error) = fails(&app, "Installing pnpm 9.1.0");
    // The archive's checksum depends on this machine's tar and gzip.
    let lines = error
        .lines()
        .map(|line| match line.split_once(" but got ") {
            Some((before, _)) => before,
            None => line,
        });
    let error = lines.collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("package_manager_not_as_published", error);
    serve(&archive);
    succeeds(&app);
}

/// Causes that a tool reports are explained below its complete output.
#[test]
fn tool_output_is_explained_and_kept_whole() {
    let app = small_app_with_tools();
    app.write(
        "config/config.exs",
        "import Config\nconfig :no_deps, secret: System.fetch_env!(\"SECRET_KEY_BASE\")\n",
    );
    let (deploy, error) = fails(&app, "Fetching dependencies");
    insta::assert_snapshot!("cause_environment_variable", error);
    let raw = "(System.EnvError) could not fetch environment variable \"SECRET_KEY_BASE\"";
    assert!(deploy.stdout.contains(raw), "{}", deploy.log());
    app.config("SECRET_KEY_BASE", "0123456789");
    succeeds(&app);
    app.write(
        "config/config.exs",
        "import Config\nimport_config \"prod.secret.exs\"\n",
    );
    refused(&app, "Fetching dependencies", "cause_config_file");
    app.remove("config/config.exs");

    // A dependency in the app's own repository, with code that this Elixir rejects.
    app.write("libs/old/mix.exs", OLD_LIBRARY);
    app.write(
        "libs/old/lib/old.ex",
        "defmodule Old do\n  def now, do: epoch()\nend\n",
    );
    app.edit("mix.exs", "deps: []", "deps: [{:old, path: \"libs/old\"}]");
    // A submodule that was not fetched.
    app.edit("mix.exs", "libs/old", "libs/empty");
    std::fs::create_dir_all(app.source().join("libs/empty")).unwrap();
    refused(&app, "Compiling", "cause_path_dependency");
    app.edit("mix.exs", "libs/empty", "libs/old");
    refused(&app, "Compiling", "cause_dependency");
    app.write(
        "libs/old/lib/old.ex",
        "defmodule Old do\n  def now, do: 0\nend\n",
    );
    succeeds(&app);

    // The kernel does this to a process when memory runs out.
    app.write(
        CONFIG,
        &format!("{GOOD_CONFIG}hook_post_compile=\"eval echo packing && kill -9 \\$\\$\"\n"),
    );
    let (deploy, error) = fails(&app, "Running hook_post_compile");
    insta::assert_snapshot!("cause_killed", error);
    assert!(deploy.stdout.contains("packing"), "{}", deploy.log());
    app.write(CONFIG, GOOD_CONFIG);
    let mended = succeeds(&app);
    assert!(!mended.log().contains("Error code:"), "{}", mended.log());
}

const OLD_LIBRARY: &str = r#"defmodule Old.MixProject do
  use Mix.Project
  def project, do: [app: :old, version: "0.1.0", elixir: "~> 1.99"]
end
"#;
