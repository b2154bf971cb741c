//! Apps that come from the two shell buildpacks: old config files, unusual directories, other platforms with the same
//! API, other buildpacks before and after.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::{AppDir, Override};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use walkdir::WalkDir;
use whole_builds::{
    App, Deploy, artifacts, compiling, holds, lacks, npm_registry, own_host, repository, said,
};

const NOTHING: [&str; 0] = [];
const CONFIG: &str = "elixir_buildpack.config";
const STATIC_CONFIG: &str = "phoenix_static_buildpack.config";

/// A program of the app's source, or of the sandbox.
fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn old_config_with_crlf_branch_and_all_hooks_builds() {
    // An upstream branch, with the files of 1.18.3.
    let host = own_host();
    let list = fs::read_to_string(artifacts().join("builds/elixir/builds.txt")).unwrap();
    let branch = |commit: &str| {
        let line = list
            .lines()
            .find(|line| line.starts_with("v1.18.3-otp-27 "))
            .unwrap();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words[0] = "v1.18-otp-27";
        words[1] = commit;
        format!("{list}{} \n", words.join(" "))
    };
    let listed = |commit: &str| {
        host.set_override(
            "/builds/elixir/builds.txt",
            Override::Body(branch(commit).into_bytes()),
        );
    };
    listed(&"1".repeat(40));
    let zip = artifacts().join("builds/elixir/v1.18.3-otp-27.zip");
    host.set_override("/builds/elixir/v1.18-otp-27.zip", Override::File(zip));

    let app = App::on(host, "no-deps", AppDir::Tmpfs);
    app.config("DATABASE_URL", "ecto://not-in-the-log");
    executable(
        &app.source().join("script/prepare"),
        "#!/bin/sh\nprintf '%s|' \"$@\" \"$PWD\" \"$FLAVOUR\" >> order.txt\necho >> order.txt\n",
    );
    let config = [
        "\u{feff}# Caf\u{e9}: the versions",
        "elixir_version=(branch v1.18)   # newest of the line",
        "erlang_version=27",
        "always_rebuild=false",
        "config_vars_to_export=(DATABASE_URL SECRET_KEY_BASE)",
        "FLAVOUR=vanilla",
        "pre_compile=\"echo pre_compile >> order.txt\"",
        "hook_pre_fetch_dependencies=\"script/prepare one 'two  three'\"",
        "hook_pre_compile=\"eval echo lib/* >> order.txt\"",
        "hook_compile=\"eval false; mix compile --force\"",
        "hook_post_compile='cargo --version >> order.txt && V=$FLAVOUR sh -c \"echo \\$V\" | tr a-z A-Z >> order.txt'",
        "post_compile=\"test -f _build/prod/lib/no_deps/ebin/no_deps.app && echo post_compile >> order.txt\"",
        "",
    ];
    app.write(CONFIG, &config.join("\r\n"));
    // Another buildpack has added it to PATH.
    executable(
        &app.sandbox.tmp().join("tools/cargo"),
        "#!/bin/sh\necho cargo 1.0\n",
    );
    let mut app = app;
    app.sandbox = app
        .sandbox
        .env("PATH", "/tmp/tools:/usr/local/bin:/usr/bin:/bin")
        .env("GIT_DIR", "/nowhere/.git");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "elixir branch v1.18 -> v1.18");
    holds(
        &deploy,
        "pre_compile (elixir_buildpack.config:7) is deprecated",
    );
    lacks(&deploy, "not-in-the-log");
    let order = fs::read_to_string(deploy.slug.join("order.txt")).unwrap();
    assert_eq!(
        order.lines().collect::<Vec<_>>(),
        [
            "pre_compile",
            "one|two  three|/app|vanilla|",
            "lib/no_deps.ex",
            "cargo 1.0",
            "VANILLA",
            "post_compile",
        ],
        "{}",
        deploy.log()
    );

    // The branch has not moved: nothing is fetched, and _build is restored.
    app.edit(
        CONFIG,
        "hook_compile=\"eval false; mix compile --force\"\r\n",
        "",
    );
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
    let fetched = |app: &App| {
        let requests = app.host.requests();
        requests
            .iter()
            .filter(|request| request.path.ends_with("v1.18-otp-27.zip"))
            .count()
    };
    assert_eq!(fetched(&app), 1);
    listed(&"2".repeat(40));
    app.edit(CONFIG, "always_rebuild=false", "always_rebuild=true");
    let moved = app.deploy();
    moved.expect_success();
    holds(&moved, "requested by always_rebuild=true");
    assert_ne!(moved.compiled(), NOTHING, "{}", moved.log());
    assert_eq!(fetched(&app), 2);
}

#[test]
fn builds_with_committed_platform_tools_custom_homes_and_no_env_dir() {
    let app = App::fixture("rebar-dep");
    let bogus = app.source().join(".platform_tools");
    executable(&bogus.join("erlang/bin/erl"), "#!/bin/sh\nexit 66\n");
    executable(
        &bogus.join("wkhtmltopdf"),
        "#!/bin/sh\necho a tool of the app\n",
    );
    let host = app.host.url();
    fs::remove_dir_all(app.sandbox.tmp().join("env")).unwrap();
    let mut app = app;
    for (name, value) in [
        ("HEX_BUILDS_URL", host.clone()),
        ("HEX_MIRROR", format!("{host}/hex")),
        ("HEX_UNSAFE_REGISTRY", "1".to_owned()),
        ("MIX_ENV", "staging".to_owned()),
        ("MIX_HOME", "/app/.homes/mix".to_owned()),
        ("HEX_HOME", "/app/.homes/hex".to_owned()),
    ] {
        app.sandbox = app.sandbox.env(name, value);
    }
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "compiled 1 dependency: ");
    holds(&deploy, "$ mix deps.get --only staging");
    for (place, there) in [
        (".homes/mix/archives", true),
        (".mix", false),
        ("_build/staging", true),
        ("_build/prod", false),
    ] {
        assert_eq!(deploy.slug.join(place).exists(), there, "{place}");
    }
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
    let mut dyno = app.ship(again);
    dyno.sandbox = dyno
        .sandbox
        .env("MIX_HOME", "/app/.homes/mix")
        .env("HEX_HOME", "/app/.homes/hex");
    let output = dyno.run("bash -c 'wkhtmltopdf && mix hex.info | head -n 1; mix run --no-start -e \"IO.puts(System.version()); IO.puts(Mix.env())\"'");
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("a tool of the app"), "{text}");
    assert!(text.contains("1.18.3\nstaging"), "{text}");
    assert_eq!(compiling(&text), NOTHING, "{text}");
}

#[test]
fn slug_for_custom_runtime_path_starts_without_compiling() {
    let app = App::fixture("phoenix-npm");
    app.edit(
        CONFIG,
        "elixir_version",
        "runtime_path=/tmp/srv/shop\nelixir_version",
    );
    app.write(STATIC_CONFIG, "node_version=24\nremove_node=false\n");
    fs::create_dir_all(app.sandbox.tmp().join("srv/shop")).unwrap();
    app.sandbox.give(app.sandbox.tmp().join("srv")).unwrap();
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(deploy.stderr.is_empty(), "{}", deploy.stderr);
    let srv = app.sandbox.tmp().join("srv/shop");
    assert_eq!(fs::read_dir(&srv).unwrap().count(), 0, "links are left");
    for file in [
        "elixir_buildpack_paths.sh",
        "phoenix_static_buildpack_paths.sh",
    ] {
        let script = fs::read_to_string(deploy.slug.join(".profile.d").join(file)).unwrap();
        assert!(script.contains("/tmp/srv/shop/"), "{script}");
        assert!(!script.contains("/app/"), "{script}");
    }
    fs::remove_dir(&srv).unwrap();
    fs::rename(&deploy.slug, &srv).unwrap();
    let script = "cd /tmp/srv/shop; for f in .profile.d/*.sh; do . $f; done; \
                  node --version; mix run --no-start -e 'IO.puts(:code.root_dir())'";
    let output = app.sandbox.command("bash", ["-ec", script]).output();
    let text = said(&output.unwrap());
    assert!(text.contains("v24."), "{text}");
    assert!(
        text.contains("/tmp/srv/shop/.platform_tools/erlang"),
        "{text}"
    );
    assert_eq!(compiling(&text), NOTHING, "{text}");
}

#[test]
fn herokuish_builds_and_starts_app() {
    let dir = tempfile::tempdir().unwrap();
    let app_dir = dir.path().join("app");
    let fixture = repository().join("fixtures/phoenix-npm");
    whole_builds::copy(&fixture, &app_dir);
    let mut app = App::fixture("phoenix-npm").in_app_dir(AppDir::Bind(app_dir.clone()));
    // An arbitrary uid, config vars also as variables, and the build directory as working directory.
    app.sandbox = app
        .sandbox
        .user(23_456)
        .env("GREETING", "hello dokku")
        .env("APP_DIR", "/app")
        .env("REQUEST_ID", "build-abc")
        .env("CURL_TIMEOUT", "180");
    app.write(".env", "GREETING=\"hello dokku\"\n");
    let tmp = app.sandbox.tmp();
    whole_builds::copy(app.source(), &tmp.join("build"));
    for place in [
        &tmp.join("build"),
        &tmp.join("cache"),
        &tmp.join("buildpack"),
        &app_dir,
    ] {
        app.sandbox.give(place).unwrap();
    }
    let call = |script: &str| {
        let command = app
            .sandbox
            .command("bash", ["-c", script])
            .current_dir("/tmp/build")
            .env("STACK", "heroku-24");
        command.output().unwrap()
    };
    let detect = call("/tmp/buildpack/bin/detect /tmp/build");
    // The platform ignores its exit status and checks only whether it prints anything.
    assert_eq!(detect.stdout, b"Phoenix\n");
    let built = call("/tmp/buildpack/bin/compile /tmp/build /tmp/cache /tmp/env");
    let log = said(&built);
    assert!(built.status.success(), "{log}");
    // Lines are read with `read`, which removes leading blanks. Headers stay headers.
    let headers = log.lines().filter(|line| line.starts_with("-----> "));
    assert!(headers.count() > 8, "{log}");
    let released = call("/tmp/buildpack/bin/release /tmp/build /tmp/cache");
    let yaml = String::from_utf8(released.stdout).unwrap();
    assert!(released.status.success(), "{yaml}");
    let (_, web) = yaml.split_once("\n  web: ").expect("a web process");
    let web: String = serde_json::from_str(web.trim()).unwrap();

    let gone = "rm -rf /app/* /app/.[a-z]*; mv /tmp/build/* /tmp/build/.[a-z]* /app/";
    let moved = call(gone);
    assert!(moved.status.success(), "{}", said(&moved));
    let start = format!(
        "cd /app; for f in /app/.profile.d/*.sh; do . $f; done; \
         export PORT=0; exec timeout -s TERM 5 $(eval echo \"{web}\")"
    );
    let output = app
        .sandbox
        .command("bash", ["-c", &start])
        .output()
        .unwrap();
    let text = said(&output);
    // Only the timeout stopped it.
    assert_eq!(output.status.code(), Some(124), "{text}");
    assert_eq!(compiling(&text), NOTHING, "{text}");
}

#[test]
fn old_static_buildpack_works_after_mixpack() {
    let app = App::fixture("phoenix-npm");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.write(
        STATIC_CONFIG,
        "node_version=24\nnpm_version=10.9.2\nremove_node=true\n",
    );
    // Committed by mistake; a cached copy came over it in the old buildpack.
    app.write("assets/node_modules/left-behind/index.js", "");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "npm 10.9.2");
    for gone in [
        ".heroku/node",
        "assets/node_modules",
        ".profile.d/phoenix_static_buildpack_paths.sh",
    ] {
        assert!(!deploy.slug.join(gone).exists(), "{gone}");
    }
    // Stands in for its `bin/compile`: a shell that exits when a command fails, after sourcing `export`, in the build
    // directory, with tools at their hard-coded paths.
    let build = deploy.build_dir.display();
    let script = format!(
        "set -e -o pipefail; source /tmp/buildpack/export; unset GIT_DIR\n\
         cd {build}; test ! -e .heroku/node\n\
         PATH={build}/.platform_tools/erlang/bin:{build}/.platform_tools/elixir/bin:/usr/bin:/bin\n\
         mix help phx.digest.clean > /dev/null; mix phx.digest; mix phx.digest.clean; echo \"done in $MIX_ENV\""
    );
    let later = app.sandbox.command("bash", ["-c", &script]);
    let output = later.env("STACK", "heroku-24").output().unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.ends_with("done in prod\n"), "{text}");
}

#[test]
fn buildpack_overwriting_node_does_not_damage_cache() {
    // As heroku/nodejs does if it runs later. Where links are possible, the slug and the cache share their files.
    let app = App::fixture("phoenix-npm");
    app.write(STATIC_CONFIG, "node_version=24\nremove_node=false\n");
    let deploy = app.deploy();
    deploy.expect_success();
    let node = deploy.slug.join(".heroku/node/bin/node");
    fs::write(&node, "#!/bin/sh\necho theirs\n").unwrap();
    let dyno = app.ship(deploy);
    let theirs = said(&dyno.run("node --version"));
    assert_eq!(theirs, "theirs\n");
    let again = app.deploy();
    again.expect_success();
    let ours = said(&app.ship(again).run("node --version"));
    assert!(ours.starts_with("v24."), "{ours}");
}

#[test]
fn default_release_starts_and_old_versions_do_not_pile_up() {
    let app = App::fixture("no-deps");
    app.edit(CONFIG, "erlang_version", "release=true\nerlang_version");
    app.edit(
        "mix.exs",
        "deps: []",
        "deps: [],\n      default_release: :back,\n      releases: [front: [], back: [applications: [runtime_tools: :permanent]]]",
    );
    app.deploy().expect_success();
    app.edit("mix.exs", "version: \"0.1.0\"", "version: \"0.2.0\"");
    let deploy = app.deploy();
    deploy.expect_success();
    assert_eq!(app.web(&deploy), "_build/prod/rel/back/bin/back start");
    let entries = |place: &str| {
        let entries = fs::read_dir(deploy.slug.join("_build/prod/rel").join(place)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(entries("."), ["back"]);
    let versions = entries("back/releases");
    assert!(versions.contains(&"0.2.0".to_owned()), "{versions:?}");
    assert!(!versions.contains(&"0.1.0".to_owned()), "{versions:?}");
    let dyno = app.ship(deploy);
    let output = dyno.run("_build/prod/rel/back/bin/back eval 'IO.puts(NoDeps.hello())'");
    assert!(said(&output).contains("world"), "{}", said(&output));

    app.edit("mix.exs", "default_release: :back,", "");
    let undecided = app.deploy();
    assert!(!undecided.succeeded);
    holds(&undecided, "front");
    holds(&undecided, "back");
}

#[test]
fn umbrella_release_contains_digests_of_both_phoenix_apps() {
    let app = App::fixture("umbrella");
    app.remove(STATIC_CONFIG);
    app.edit(CONFIG, "erlang_version", "release=true\nerlang_version");
    app.edit(
        "mix.exs",
        "deps: deps(),",
        "deps: deps(),\n      releases: [mall: [applications: [web: :permanent, admin: :permanent]]],",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let web = app.web(&deploy);
    assert_eq!(web, "_build/prod/rel/mall/bin/mall start");
    let mut manifests: Vec<String> = WalkDir::new(deploy.slug.join("_build/prod/rel/mall/lib"))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().ends_with("priv/static/cache_manifest.json"))
        .filter_map(|entry| {
            let lib = entry.path().ancestors().nth(3)?.file_name()?;
            Some(lib.to_str()?.split('-').next()?.to_owned())
        })
        .collect();
    manifests.sort();
    assert_eq!(manifests, ["admin", "web"], "{}", deploy.log());
    app.ship(deploy).start(&web).get("/");
}

/// A git repository in the sandbox with one library, which reads its colour when it is compiled.
fn library(app: &App, name: &str) -> String {
    let module = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    let dir = app.sandbox.tmp().join("git").join(name);
    fs::create_dir_all(dir.join("lib")).unwrap();
    fs::write(
        dir.join("mix.exs"),
        format!("defmodule {module}.MixProject do\n  use Mix.Project\n  def project, do: [app: :{name}, version: \"0.1.0\"]\nend\n"),
    )
    .unwrap();
    fs::write(
        dir.join(format!("lib/{name}.ex")),
        format!("defmodule {module} do\n  @colour Application.compile_env(:{name}, :colour, :none)\n  def colour, do: @colour\nend\n"),
    )
    .unwrap();
    for args in [
        &["init", "--quiet"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "commit",
            "--quiet",
            "-m",
            "One",
        ],
    ] {
        let status = Command::new("git").arg("-C").arg(&dir).args(args).status();
        assert!(status.unwrap().success());
    }
    app.sandbox.give(&dir).unwrap();
    format!("{{:{name}, git: \"/tmp/git/{name}\"}}")
}

#[test]
fn changed_compile_config_rebuilds_only_its_dependency() {
    let app = App::fixture("no-deps");
    let [paint, brush, paper] = ["paint", "brush", "paper"].map(|name| library(&app, name));
    app.edit(
        "mix.exs",
        "deps: []",
        &format!("deps: [{paint}, {brush}, {paper}]"),
    );
    app.write(
        "config/config.exs",
        "import Config\nconfig :paint, colour: :red\nconfig :brush, colour: :any\n",
    );
    app.write(
        "lib/removed.ex",
        "defmodule Removed do\n  def x, do: 1\nend\n",
    );
    let first = app.deploy();
    first.expect_success();
    let lock = fs::read_to_string(first.slug.join("mix.lock")).unwrap();
    let lock = lock.lines().filter(|line| !line.contains("\"paper\""));
    app.write(
        "mix.lock",
        &format!("{}\n", lock.collect::<Vec<_>>().join("\n")),
    );

    app.edit("config/config.exs", ":red", ":blue");
    app.edit("mix.exs", &format!(", {paper}"), "");
    app.remove("lib/removed.ex");
    let deploy = app.deploy();
    deploy.expect_success();
    assert_eq!(
        deploy.compiled(),
        ["compiled 1 dependency: paint", "compiled no_deps"],
        "{}",
        deploy.log()
    );
    assert!(
        !deploy.slug.join("deps/paper").exists(),
        "it is not used any more"
    );
    assert!(!deploy.slug.join("_build/prod/lib/paper").exists());
    let stale = deploy
        .slug
        .join("_build/prod/lib/no_deps/ebin/Elixir.Removed.beam");
    assert!(!stale.exists());
    let dyno = app.ship(deploy);
    let output = dyno.run("mix run -e 'IO.puts(Paint.colour())'");
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("blue"), "{text}");
    assert_eq!(compiling(&text), NOTHING, "{text}");
}

#[test]
fn stack_change_rebuilds_and_keeps_other_buildpacks_files() {
    let app = App::fixture("elixir-1-14");
    fs::create_dir_all(app.cache().join("node")).unwrap();
    fs::write(app.cache().join("node/theirs"), "kept").unwrap();
    fs::write(app.cache().join("stack"), "heroku-20\n").unwrap();
    app.deploy().expect_success();
    let app = app.stack_name(Some("heroku-22"));
    let other = app.deploy();
    other.expect_success();
    holds(&other, "builds for ubuntu-22.04");
    holds(&other, "_build: discarded because");
    drop(other);
    let app = app.stack_name(Some("heroku-24"));
    let back = app.deploy();
    back.expect_success();
    holds(&back, "builds for ubuntu-24.04");
    holds(&back, "_build: discarded because");
    let dyno = app.ship(back);
    let output = dyno.run("mix run --no-start -e 'IO.puts(:ran)'");
    assert!(said(&output).contains("ran"), "{}", said(&output));
    assert_eq!(
        fs::read_to_string(app.cache().join("node/theirs")).unwrap(),
        "kept"
    );
    assert_eq!(
        fs::read_to_string(app.cache().join("stack")).unwrap(),
        "heroku-20\n"
    );
}

/// The app's `mix.exs` with other aliases and further content.
fn shape(app: &App, mix_exs: &str, aliases: &str, after: &str) {
    let (head, rest) = mix_exs.split_once("  defp aliases do\n").unwrap();
    let (_, end) = rest.split_once("  end\n").unwrap();
    app.write(
        "mix.exs",
        &format!("{head}  defp aliases do\n    [{aliases}]\n  end\n{end}{after}"),
    );
}

/// Stands in for the package tailwind of hex.pm and its executable, which can't be fetched here: the task writes an
/// executable to the same place, and uses it to write a style sheet.
const TAILWIND: &str = r##"
defmodule Mix.Tasks.Tailwind.Install do
  use Mix.Task
  def path, do: Path.join(Path.dirname(Mix.Project.build_path()), "tailwind-linux-x64")
  def run(_) do
    File.mkdir_p!(Path.dirname(path()))
    File.write!(path(), "#!/bin/sh\nprintf 'body{color:red}' > \"$1\"\n")
    File.chmod!(path(), 0o755)
  end
end

defmodule Mix.Tasks.Tailwind do
  use Mix.Task
  def run([profile, "--minify"]) do
    unless File.exists?(Mix.Tasks.Tailwind.Install.path()), do: Mix.Tasks.Tailwind.Install.run([])
    File.mkdir_p!("priv/static/assets/css")
    {_, 0} = System.cmd(Mix.Tasks.Tailwind.Install.path(), ["priv/static/assets/css/app.css"])
    Mix.shell().info("tailwind of #{profile}")
  end
end
"##;

/// Stands in for the compiler of `LiveView` 1.1, which extracts hooks into `_build/ENV`.
const COLOCATED: &str = r#"
defmodule Mix.Tasks.Compile.Colocated do
  use Mix.Task.Compiler
  def run(_) do
    dir = Path.join(Mix.Project.build_path(), "phoenix-colocated/phoenix_esbuild_mix")
    File.mkdir_p!(dir)
    File.write!(Path.join(dir, "index.js"), "export const hooks = {colocated: true}\n")
    {:ok, []}
  end
end
"#;

#[test]
fn stock_phoenix_1_6_to_1_8_apps_deploy_without_config_file() {
    let app = App::fixture("phoenix-esbuild-mix");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove(CONFIG);
    app.remove("Procfile");
    let mix_exs = fs::read_to_string(app.source().join("mix.exs")).unwrap();
    let profiles = fs::read_to_string(app.source().join("config/config.exs")).unwrap();
    let digested = |deploy: &Deploy| {
        let text = fs::read_to_string(deploy.slug.join("priv/static/cache_manifest.json"));
        let json: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
        json["latest"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };

    // 1.6: esbuild alone, one profile `default`, no assets.setup.
    app.write(
        "config/config.exs",
        &profiles.replace("phoenix_esbuild_mix: [", "default: ["),
    );
    shape(
        &app,
        &mix_exs,
        r#"setup: ["deps.get"], "assets.deploy": ["esbuild default --minify", "phx.digest"]"#,
        "",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "$ mix assets.deploy");
    lacks(&deploy, "Node.js");
    assert!(digested(&deploy).contains(&"assets/app.js".to_owned()));
    assert_eq!(app.web(&deploy), "mix phx.server");
    fs::remove_dir_all(&deploy.slug).unwrap();

    // 1.7: also tailwind, profiles named after the app, assets.setup.
    app.write("config/config.exs", &profiles);
    shape(
        &app,
        &mix_exs,
        r#"setup: ["deps.get", "assets.setup", "assets.build"],
      "assets.setup": ["tailwind.install --if-missing", "esbuild.install --if-missing"],
      "assets.build": ["tailwind phoenix_esbuild_mix", "esbuild phoenix_esbuild_mix"],
      "assets.deploy": ["tailwind phoenix_esbuild_mix --minify", "esbuild phoenix_esbuild_mix --minify", "phx.digest"]"#,
        TAILWIND,
    );
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "tailwind of phoenix_esbuild_mix");
    let files = digested(&deploy);
    for file in ["assets/app.js", "assets/css/app.css"] {
        assert!(files.contains(&file.to_owned()), "{files:?}");
    }
    let in_build = fs::read_dir(deploy.slug.join("_build")).unwrap();
    let in_build: Vec<_> = in_build.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(in_build, ["prod"], "no executable is in the slug");
    fs::remove_dir_all(&deploy.slug).unwrap();

    // 1.8: hooks that the compiler of LiveView extracts, found below _build of the same MIX_ENV.
    shape(
        &app,
        &mix_exs.replace(
            "aliases: aliases(),",
            "aliases: aliases(),\n      compilers: [:colocated] ++ Mix.compilers(),",
        ),
        r#""assets.build": ["compile", "tailwind phoenix_esbuild_mix", "esbuild phoenix_esbuild_mix"],
      "assets.deploy": ["tailwind phoenix_esbuild_mix --minify", "esbuild phoenix_esbuild_mix --minify", "phx.digest"]"#,
        &format!("{TAILWIND}{COLOCATED}"),
    );
    app.edit(
        "assets/js/app.js",
        "import \"../css/app.css\"",
        "import {hooks} from \"phoenix-colocated/phoenix_esbuild_mix\"\nwindow.hooks = hooks\nimport \"../css/app.css\"",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let script = fs::read_to_string(deploy.slug.join("priv/static/assets/app.js")).unwrap();
    assert!(script.contains("colocated"), "{script}");
    let web = app.web(&deploy);
    let dyno = app.ship(deploy);
    let server = dyno.start(&web);
    let page = server.get("/");
    assert!(page.contains("/assets/app-"), "{page}");
    assert_eq!(compiling(&server.stop()), NOTHING);
}
