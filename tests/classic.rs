//! Heroku's classic API: fixtures are built, shipped, booted and built again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::stack::Signal;
use mirror::{AppDir, Override};
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;
use whole_builds::{
    App, Deploy, Dyno, artifacts, beams, compiling, files_with, holds, links_that_leave, listing,
    npm_registry, own_host, repository, said, size,
};

const NOTHING: [&str; 0] = [];
const NO_PATHS: [PathBuf; 0] = [];
const UP_TO_DATE: &str = "not needed: dependencies and lockfile are unchanged";

/// Boots `web`, and checks that neither it nor one-off commands compile anything.
#[track_caller]
fn boots_without_compiling(dyno: &Dyno, web: &str, path: &str) -> String {
    let server = dyno.start(web);
    let page = server.get(path);
    let said = server.stop();
    assert_eq!(compiling(&said), NOTHING, "{said}");
    compiles_nothing(dyno, "mix run --no-start -e 'IO.puts(:ran)'");
    page
}

#[track_caller]
fn compiles_nothing(dyno: &Dyno, command: &str) -> String {
    let output = dyno.run(command);
    let said = said(&output);
    assert!(output.status.success(), "{command}: {said}");
    assert_eq!(compiling(&said), NOTHING, "{command}: {said}");
    assert!(!said.contains("warning"), "{command}: {said}");
    said
}

/// The digested names in a manifest.
fn digested(slug: &Path, phoenix_dir: &str) -> Vec<String> {
    let path = slug
        .join(phoenix_dir)
        .join("priv/static/cache_manifest.json");
    let text = fs::read_to_string(path).expect("a manifest");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let latest = json["latest"].as_object().expect("a map");
    latest
        .values()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn phoenix_npm_redeploy_compiles_only_changes() {
    let app = App::fixture("phoenix-npm");
    let detected = app.detect();
    assert!(detected.status.success());
    assert_eq!(detected.stdout, b"Phoenix\n");

    let cold = app.deploy();
    cold.expect_success();
    assert_eq!(links_that_leave(&cold.slug), NO_PATHS);
    let first = beams(&cold.slug, ".");
    assert!(
        digested(&cold.slug, ".")
            .iter()
            .any(|name| name.starts_with("assets/app-"))
    );
    let web = app.web(&cold);
    assert_eq!(web, "mix phx.server");
    let dyno = app.ship(cold);
    let page = boots_without_compiling(&dyno, &web, "/");
    assert!(page.contains("Deployed by Mixpack"), "{page}");
    // The app finds files of dependencies at run time: CA certificates, NIFs, translations.
    let read = "mix run --no-start -e 'File.read!(Application.app_dir(:phoenix, \"priv/static/phoenix.mjs\"))'";
    compiles_nothing(&dyno, read);
    let (_, script) = page.split_once("src=\"").expect("a script");
    let (script, _) = script.split_once('"').unwrap();
    assert!(
        dyno.start(&web).get(script).len() > 100,
        "{script} is served"
    );

    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(unchanged.compiled(), NOTHING, "{}", unchanged.log());
    assert_eq!(beams(&unchanged.slug, "."), first);
    drop(unchanged);

    app.edit(
        "lib/phoenix_npm/page.ex",
        "Deployed by Mixpack",
        "Deployed again",
    );
    let changed = app.deploy();
    changed.expect_success();
    let second = beams(&changed.slug, ".");
    let touched: Vec<_> = second
        .iter()
        .filter(|(path, time)| first.get(*path) != Some(time))
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(touched, ["Elixir.PhoenixNpm.Page.beam"]);
    assert_eq!(
        changed.compiled(),
        ["compiled phoenix_npm: 1 file"],
        "{}",
        changed.log()
    );
    let dyno = app.ship(changed);
    let page = boots_without_compiling(&dyno, &web, "/");
    assert!(page.contains("Deployed again"), "{page}");
}

#[test]
fn build_writes_only_to_its_own_directories() {
    let app = App::fixture("phoenix-npm");
    let deploy = app.deploy();
    deploy.expect_success();
    assert_eq!(app.sandbox.written_outside().unwrap(), NO_PATHS);
    assert_eq!(deploy.left_in_app, NO_PATHS, "links are left in /app");
    let mut in_tmp: Vec<String> = fs::read_dir(app.sandbox.tmp())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    in_tmp.sort();
    // mix has directories of its own there (its lock, its messages between processes), and so does node.
    in_tmp.retain(|name| !name.starts_with("mix_") && name != "node-compile-cache");
    assert_eq!(
        in_tmp,
        ["build_phoenixnpm0", "buildpack", "cache", "env", "source"]
    );
    let cached: Vec<_> = fs::read_dir(app.cache()).unwrap().collect();
    assert_eq!(cached.len(), 1, "only a folder of ours in the cache");
    let downloads = app.cache().join("mixpack/scratch/npm");
    assert!(!downloads.exists(), "node_modules is cached as installed");
    let in_buildpack: Vec<_> = fs::read_dir(app.sandbox.tmp().join("buildpack"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    // Its executables, and the files for later buildpacks.
    assert_eq!(
        in_buildpack.len(),
        3,
        "bin, export and its tools: {in_buildpack:?}"
    );
}

#[test]
fn assets_built_by_hook_are_not_rebuilt() {
    let app = App::fixture("phoenix-esbuild-mix");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        !deploy.stdout.contains("Installing Node.js"),
        "no package.json, no Node"
    );
    holds(&deploy, "hook_post_compile builds them");
    assert!(!deploy.stdout.contains("Digesting static files"));
    assert!(
        digested(&deploy.slug, ".")
            .iter()
            .any(|name| name.starts_with("assets/app-"))
    );
    let left = WalkDir::new(deploy.slug.join("_build"))
        .max_depth(1)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("esbuild"))
        .count();
    assert_eq!(left, 0, "the hook's `rm -f _build/esbuild*` has run");
    let dyno = app.ship(deploy);
    let page = boots_without_compiling(&dyno, "mix phx.server", "/");
    assert!(page.contains("/assets/app-"), "{page}");
}

#[test]
fn plain_app_uses_tool_versions() {
    let app = App::fixture("plain-otp");
    let detected = app.detect();
    assert_eq!(detected.stdout, b"Elixir\n");
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        deploy.stdout.contains("(from .tool-versions:1)"),
        "{}",
        deploy.stdout
    );
    assert!(
        deploy.stdout.contains("(from .tool-versions:2)"),
        "{}",
        deploy.stdout
    );
    assert_eq!(app.web(&deploy), "mix run --no-halt");
    let dyno = app.ship(deploy);
    // Until it says so, which takes a slow machine more than a few seconds.
    let until_started = "while read -r line <&${COPROC[0]}; do echo \"$line\"; [[ $line != *started* ]] || break; done";
    let output = dyno.run(&format!(
        "bash -c 'coproc timeout 60 mix run --no-halt; {until_started}; kill $COPROC_PID'"
    ));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("plain_otp worker started"), "{said}");
    assert_eq!(compiling(&said), NOTHING, "{said}");
}

#[test]
fn app_without_dependencies_leaves_no_empty_directories() {
    let app = App::fixture("no-deps");
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(!deploy.slug.join("deps").exists());
    assert!(!deploy.slug.join("priv").exists());
    let dyno = app.ship(deploy);
    compiles_nothing(&dyno, "mix run --no-start -e 'IO.puts(1)'");
}

#[test]
fn both_phoenix_apps_of_umbrella_get_assets() {
    let app = App::fixture("umbrella");
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        digested(&deploy.slug, "apps/web")
            .iter()
            .any(|name| name.starts_with("assets/"))
    );
    assert_eq!(links_that_leave(&deploy.slug), NO_PATHS);
    let web = app.web(&deploy);
    assert_eq!(web, "mix phx.server");
    let dyno = app.ship(deploy);
    boots_without_compiling(&dyno, &web, "/");
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
    holds(&again, UP_TO_DATE);

    // Without the old static buildpack's setting every Phoenix app is built.
    app.remove("phoenix_static_buildpack.config");
    let both = app.deploy();
    both.expect_success();
    for child in ["apps/web", "apps/admin"] {
        assert!(
            !digested(&both.slug, child).is_empty(),
            "{child}: {}",
            both.log()
        );
    }
    assert_eq!(both.compiled(), NOTHING, "{}", both.log());
}

#[test]
fn git_dependency_is_fetched_and_cached() {
    let app = App::fixture("git-dep");
    app.git_from(&format!("{}/git/", app.host.url()));
    // A leaked GIT_DIR would lead every git command to the wrong repository.
    app.config("GIT_DIR", "/nowhere");
    let deploy = app.deploy();
    deploy.expect_success();
    let dyno = app.ship(deploy);
    let said = compiles_nothing(&dyno, "mix run -e 'IO.puts(:ran)'");
    assert!(said.contains("greeting"), "{said}");
    app.config("GIT_CONFIG_KEY_0", "url.http://127.0.0.1:9/.insteadOf");
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
}

#[test]
fn rebar3_dependency_compiles() {
    let app = App::cold_fixture("rebar-dep");
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        deploy.stdout.contains("compiled 1 dependency: "),
        "{}",
        deploy.stdout
    );
    let requests = app.host.requests();
    assert!(
        requests
            .iter()
            .any(|r| r.path.contains("/installs/") && r.path.contains("rebar3"))
    );
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
}

#[test]
fn release_contains_digested_assets_and_serves() {
    let app = App::fixture("release");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    let deploy = app.deploy();
    deploy.expect_success();
    let web = app.web(&deploy);
    assert_eq!(web, "_build/prod/rel/storefront/bin/server");
    let manifests = WalkDir::new(deploy.slug.join("_build/prod/rel/storefront"))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().ends_with("priv/static/cache_manifest.json"))
        .count();
    assert_eq!(manifests, 1, "{}", deploy.log());
    let dyno = app.ship(deploy);
    let page = dyno.start(&web).get("/");
    assert!(page.contains("/assets/app-"), "{page}");
    // Without the overlay, only the profile makes the release start its server.
    app.remove("rel/overlays/bin/server");
    let deploy = app.deploy();
    let web = app.web(&deploy);
    assert_eq!(web, "_build/prod/rel/storefront/bin/storefront start");
    app.ship(deploy).start(&web).get("/");
}

#[test]
fn undefined_release_is_named_after_app() {
    let app = App::fixture("no-deps");
    app.edit(
        "elixir_buildpack.config",
        "erlang_version",
        "release=true\nerlang_version",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let web = app.web(&deploy);
    assert_eq!(web, "_build/prod/rel/no_deps/bin/no_deps start");
    let dyno = app.ship(deploy);
    let version = dyno.run("_build/prod/rel/no_deps/bin/no_deps version");
    assert_eq!(version.stdout, b"no_deps 0.1.0\n");
}

#[test]
fn elixir_1_14_on_otp_25_builds_and_boots() {
    let app = App::fixture("elixir-1-14");
    let deploy = app.deploy();
    deploy.expect_success();
    let web = app.web(&deploy);
    let dyno = app.ship(deploy);
    boots_without_compiling(&dyno, &web, "/");
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
    holds(&again, UP_TO_DATE);
}

#[test]
fn archive_without_checksum_is_installed_with_notice() {
    // The list of Ubuntu 22.04 still has old lines with three fields.
    let app = App::fixture("elixir-1-14").stack_name(Some("heroku-22"));
    let deploy = app.deploy();
    deploy.expect_success();
    let not_verified = "NOT verified: upstream publishes no checksum of it";
    assert_eq!(
        deploy.stdout.matches(not_verified).count(),
        1,
        "{}",
        deploy.stdout
    );
}

#[test]
fn otp_installed_for_other_root_runs_from_app() {
    let host = own_host();
    let mirror = artifacts();
    let list = fs::read_to_string(mirror.join("builds/otp/amd64/ubuntu-24.04/builds.txt")).unwrap();
    let reference = list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| name.starts_with("OTP-27"))
        .expect("OTP 27 in the list");
    let archive = WalkDir::new(mirror.join("erlef"))
        .into_iter()
        .filter_map(Result::ok)
        .find(|entry| entry.path().to_string_lossy().ends_with(".tar.gz"))
        .expect("the installed archive")
        .into_path();
    let folder = "/builds/otp/amd64/ubuntu-24.04";
    let line =
        format!("{reference} 0000000000000000000000000000000000000000 2025-01-01T00:00:00Z\n");
    host.set_override(
        format!("{folder}/builds.txt"),
        Override::Body(line.into_bytes()),
    );
    host.set_override(
        format!("{folder}/{reference}.tar.gz"),
        Override::File(archive),
    );
    let app = App::on(host, "no-deps", AppDir::Tmpfs);
    let deploy = app.deploy();
    deploy.expect_success();
    let dyno = app.ship(deploy);
    let root = compiles_nothing(
        &dyno,
        "erl -noshell -eval 'io:put_chars(code:root_dir()),halt().'",
    );
    assert_eq!(root, "/app/.platform_tools/erlang");
}

#[test]
fn unusable_runtime_path_builds_in_place_with_warning() {
    for (app_dir, name) in [
        (AppDir::ReadOnly, "read-only"),
        (AppDir::Missing, "missing"),
    ] {
        let host = own_host();
        let app = App::on(host, "no-deps", app_dir);
        let deploy = app.deploy();
        deploy.expect_success();
        assert!(
            deploy.stderr.contains("/app is unusable during the build"),
            "{name}: {}",
            deploy.log()
        );
        let dyno = app.ship(deploy);
        let version = dyno.run("elixir --version");
        assert!(version.status.success(), "{name}");
    }
}

#[test]
fn building_in_runtime_path_needs_no_links() {
    let host = own_host();
    let dir = tempfile::tempdir().unwrap();
    let app_dir = dir.path().join("app");
    fs::create_dir(&app_dir).unwrap();
    let app = App::on(host, "phoenix-npm", AppDir::Bind(app_dir.clone()));
    whole_builds::copy(&repository().join("fixtures/phoenix-npm"), &app_dir);
    app.sandbox.give(&app_dir).unwrap();
    let deploy = app.compile(Path::new("/app"));
    deploy.expect_success();
    assert!(deploy.stderr.is_empty(), "{}", deploy.stderr);
    let boot = app.sandbox.command("bash", ["-lc", "cd /app && . .profile.d/elixir_buildpack_paths.sh && mix run --no-start -e 'IO.puts(:ran)'"]);
    let output = boot.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ran"), "{said}");
    assert_eq!(compiling(&said), NOTHING, "{said}");
    // Build again in the same directory, where all files exist already.
    let again = app.compile(Path::new("/app"));
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
}

#[test]
fn source_copy_in_runtime_path_is_unchanged() {
    // As in a build with herokuish.
    let dir = tempfile::tempdir().unwrap();
    let app_dir = dir.path().join("app");
    whole_builds::copy(&repository().join("fixtures/umbrella"), &app_dir);
    let app = App::fixture("umbrella").in_app_dir(AppDir::Bind(app_dir.clone()));
    app.sandbox.give(&app_dir).unwrap();
    let before = listing(&app_dir);
    let deploy = app.deploy();
    deploy.expect_success();
    assert_eq!(listing(&app_dir), before);
    let web = app.web(&deploy);
    let dyno = app.ship(deploy);
    boots_without_compiling(&dyno, &web, "/");
}

#[test]
fn terminated_build_cleans_up_and_next_build_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let app_dir = dir.path().join("app");
    fs::create_dir(&app_dir).unwrap();
    let app = App::fixture("no-deps").in_app_dir(AppDir::Bind(app_dir.clone()));
    app.sandbox.give(&app_dir).unwrap();
    app.edit(
        "elixir_buildpack.config",
        "erlang_version",
        "hook_pre_compile=\"sleep 300\"\nerlang_version",
    );
    let (mut process, build_dir) = app.start_deploy();
    // The links are there once the hook runs; Elixir's folder is seen through them.
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let slug = app
        .sandbox
        .tmp()
        .join(build_dir.strip_prefix("/tmp").unwrap());
    while !slug.join("_build").exists() || !app_dir.join("mix.exs").is_symlink() {
        assert!(
            std::time::Instant::now() < until,
            "the build does not begin"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_secs(8));
    process.signal(Signal::TERM).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("it was interrupted"), "{said}");
    assert_eq!(fs::read_dir(&app_dir).unwrap().count(), 0, "links are left");
    app.edit(
        "elixir_buildpack.config",
        "hook_pre_compile=\"sleep 300\"\n",
        "",
    );
    app.deploy().expect_success();
}

#[test]
fn hooks_run_in_elixir_buildpack_order_with_shell_syntax() {
    let app = App::fixture("no-deps");
    let note = |name: &str| format!("{name}=\"X={name} && echo $X >> order.txt | cat\"\n");
    let hooks: String = [
        "pre_compile",
        "hook_pre_fetch_dependencies",
        "hook_pre_compile",
        "hook_post_compile",
        "post_compile",
    ]
    .map(|name| note(name).replace("$X", "\\$X"))
    .concat();
    app.write(
        "elixir_buildpack.config",
        &format!("elixir_version=1.18\nerlang_version=27\n{hooks}hook_compile='eval echo hook_compile >> order.txt; mix compile'\n"),
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let order = fs::read_to_string(deploy.slug.join("order.txt")).unwrap();
    assert_eq!(
        order.lines().collect::<Vec<_>>(),
        [
            "pre_compile",
            "hook_pre_fetch_dependencies",
            "hook_pre_compile",
            "hook_compile",
            "hook_post_compile",
            "post_compile"
        ]
    );
    assert!(
        deploy
            .stderr
            .contains("pre_compile (elixir_buildpack.config:3) is deprecated")
    );
}

#[test]
fn config_file_with_shell_code_is_evaluated_by_bash() {
    let app = App::fixture("no-deps");
    app.write(
        "elixir_buildpack.config",
        "if [ \"$CHOICE\" = new ]; then elixir_version=$(echo 1.18); fi\nerlang_version=27\nexport GREETING=\"from the file\"\n\
         hook_post_compile='echo \"$GREETING\" > greeting.txt'\nhook_pre_compile=\"echo $TOKEN > /dev/null\"\n",
    );
    app.config("CHOICE", "new");
    app.config("TOKEN", "s3cret-of-a-hook");
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        deploy.stdout.contains("$ echo $TOKEN > /dev/null"),
        "{}",
        deploy.stdout
    );
    assert!(!deploy.log().contains("s3cret-of-a-hook"));
    assert!(
        deploy
            .stdout
            .contains("elixir 1.18 -> 1.18.3 (from elixir_buildpack.config)"),
        "{}",
        deploy.stdout
    );
    let greeting = fs::read_to_string(deploy.slug.join("greeting.txt")).unwrap();
    assert_eq!(greeting, "from the file\n");
}

#[test]
fn later_buildpack_finds_tools_through_export() {
    let app = App::fixture("phoenix-npm");
    // The second build takes them from the cache, which holds Node compressed.
    for _ in 0..2 {
        app.deploy().expect_success();
        let later = app.sandbox.command(
            "bash",
            [
                "-ec",
                ". /tmp/buildpack/export; cd /tmp; elixir --version; node --version; npm --version; echo \"$MIX_ENV\"",
            ],
        );
        let output = later.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("Elixir 1.18.3") && said.contains("v24.") && said.ends_with("prod\n"),
            "{said}"
        );
        let cached = WalkDir::new(app.cache().join("mixpack/tools"));
        let cached = cached.into_iter().filter_map(Result::ok);
        let executables: Vec<_> = cached
            .filter(|entry| {
                entry
                    .path()
                    .parent()
                    .is_some_and(|dir| dir.ends_with("tree/bin"))
            })
            .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"node"))
            .map(|entry| entry.file_name().to_owned())
            .collect();
        assert_eq!(executables, ["node.zst"]);
    }
}

#[test]
fn path_dependency_is_not_compiled_at_boot() {
    let app = App::fixture("no-deps");
    app.write(
        "libs/inner/mix.exs",
        "defmodule Inner.MixProject do\n  use Mix.Project\n  def project, do: [app: :inner, version: \"0.1.0\"]\nend\n",
    );
    app.write(
        "libs/inner/lib/inner.ex",
        "defmodule Inner do\n  def x, do: :inner\nend\n",
    );
    let mix_exs = "defmodule NoDeps.MixProject do\n  use Mix.Project\n  def project, do: [app: :no_deps, version: \"0.1.0\", deps: [{:inner, path: \"libs/inner\"}]]\nend\n";
    app.write("mix.exs", mix_exs);
    let deploy = app.deploy();
    deploy.expect_success();
    let dyno = app.ship(deploy);
    let said = compiles_nothing(&dyno, "mix run --no-start -e 'IO.inspect(Inner.x())'");
    assert!(said.contains(":inner"), "{said}");
}

#[test]
fn non_elixir_app_fails_detection_with_one_line() {
    let app = App::fixture("no-deps");
    app.remove("mix.exs");
    let detected = app.detect();
    assert_eq!(detected.status.code(), Some(1));
    assert!(detected.stdout.is_empty());
    let why = String::from_utf8(detected.stderr).unwrap();
    assert_eq!(why.lines().count(), 1, "{why}");
    assert!(why.contains("mix.exs"), "{why}");
}

#[test]
fn config_vars_reach_build_unchanged_and_never_reach_slug() {
    let app = App::fixture("no-deps");
    let value = "line one\nline \"two\" $HOME 'x' \u{e9}\n";
    app.config("AWKWARD", value);
    app.config("SECRET_MARKER", "m4rk3r-of-a-secret");
    app.edit(
        "elixir_buildpack.config",
        "erlang_version",
        "hook_post_compile='printf %s \"$AWKWARD\" | sha256sum > sum.txt'\nerlang_version",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let sum = fs::read_to_string(deploy.slug.join("sum.txt")).unwrap();
    let mut child = std::process::Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), value.as_bytes()).unwrap();
    let expected = child.wait_with_output().unwrap().stdout;
    assert_eq!(sum.as_bytes(), expected);
    for tree in [deploy.slug.as_path(), app.cache()] {
        assert_eq!(files_with(tree, b"m4rk3r-of-a-secret"), NO_PATHS);
    }
    assert!(!deploy.log().contains("m4rk3r-of-a-secret"));
}

#[test]
fn repeated_builds_do_not_grow_cache_or_slug() {
    let app = App::fixture("no-deps");
    let sizes = |deploy: &Deploy| [size(&deploy.slug), size(app.cache())];
    app.deploy().expect_success();
    // From the second build on, the report of the previous build exists.
    let second = app.deploy();
    second.expect_success();
    let once = sizes(&second);
    drop(second);
    for _ in 0..3 {
        app.deploy().expect_success();
    }
    for ((files, bytes), (files_once, bytes_once)) in sizes(&app.deploy()).iter().zip(once) {
        assert_eq!(*files, files_once);
        // mix packs times into its manifests, so their size varies by a few bytes.
        assert!(
            bytes.abs_diff(bytes_once) < 256,
            "{bytes} after six, {bytes_once} after two"
        );
    }
}

#[test]
fn new_clean_build_value_triggers_one_clean_build() {
    let app = App::fixture("plain-otp");
    let dropped = "Clearing cache";
    let clean = |deploy: Deploy, why: Option<&str>| {
        deploy.expect_success();
        let said = deploy.stdout.split_once(dropped).map(|(_, after)| after);
        let said = said.and_then(|after| after.trim_start().lines().next());
        let expected = why.map(|why| format!("requested by {why}"));
        assert_eq!(said, expected.as_deref(), "{}", deploy.log());
        // Check the effect too, not only the message.
        let compiled = compiling(&deploy.stdout);
        assert_eq!(compiled.is_empty(), why.is_none(), "{compiled:?}");
        fs::remove_dir_all(&deploy.slug).unwrap();
    };
    app.deploy().expect_success();
    clean(app.deploy(), None);
    let by_var = "MIXPACK_CLEAN_BUILD, which has a new value";
    app.config("MIXPACK_CLEAN_BUILD", "1700000001");
    clean(app.deploy(), Some(by_var));
    clean(app.deploy(), None);
    // A value that was used for one build has no effect when it is set again.
    app.unset("MIXPACK_CLEAN_BUILD");
    clean(app.deploy(), None);
    app.config("MIXPACK_CLEAN_BUILD", "1700000001");
    clean(app.deploy(), None);
    app.config("MIXPACK_CLEAN_BUILD", "1700000002");
    clean(app.deploy(), Some(by_var));

    // If another setting also requests a clean build, that build uses up the new value.
    app.config("MIXPACK_CLEAN_BUILD", "1700000003");
    app.write("elixir_buildpack.config", "always_rebuild=true\n");
    clean(app.deploy(), Some("always_rebuild=true"));
    clean(app.deploy(), Some("always_rebuild=true"));
    app.remove("elixir_buildpack.config");
    clean(app.deploy(), None);

    let kept = fs::read_to_string(app.cache().join("mixpack/clean-build")).unwrap();
    assert!(kept.len() == 8 && !kept.contains("17000"), "{kept}");
}
