//! A second deploy compiles, installs and builds only what changed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::AppDir;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use whole_builds::differential::with_otp_patch;
use whole_builds::{App, Deploy, holds, lacks};

/// The values that the fixture's modules read at compile time, printed by the slug. Printing them compiles nothing.
fn report(app: &App, deploy: Deploy) -> String {
    let dyno = app.ship(deploy);
    dyno.one_off("mix run --no-start -e 'IO.puts(CompileEnv.report())'")
}

#[test]
fn recompiles_only_inputs_mix_does_not_track() {
    let app = App::fixture("compile-env");
    let first = app.deploy();
    first.expect_success();
    let said = report(&app, first);
    assert!(said.contains("\"level\":\"low\""), "{said}");

    // elixir-lang/elixir#15467: without Mixpack, mix would never compile such a dependency again.
    app.edit("config/config.exs", "low", "high");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "recompiling knobs: the config it was compiled with has changed",
    );
    lacks(&deploy, "jason_lite");
    let said = report(&app, deploy);
    assert!(said.contains("\"level\":\"high\""), "{said}");

    app.config("BANNER", "hello");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "recompiling the app: lib/compile_env.ex:4 reads BANNER, which has changed",
    );
    lacks(&deploy, "knobs");
    let said = report(&app, deploy);
    assert!(said.contains("\"banner\":\"hello\""), "{said}");

    app.config("KNOBS_REGION", "eu");
    let package = "defmodule CompileEnv.Package do\n  @package File.read!(\"deps/knobs/mix.exs\")\n  \
                   def package, do: @package\nend\n";
    app.write("lib/package.ex", package);
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "recompiling knobs: deps/knobs/lib/knobs.ex:5 reads KNOBS_REGION, which has changed",
    );
    lacks(&deploy, "jason_lite");
    let said = report(&app, deploy);
    assert!(said.contains("\"region\":\"eu\""), "{said}");

    // With another version of one dependency, only that one is compiled.
    app.lock_newer_knobs();
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "compiled 1 dependency: knobs");
    holds(
        &deploy,
        "recompiling the app: mix.lock changed, and lib/package.ex reads files of dependencies when it is compiled",
    );
    lacks(&deploy, "jason_lite");
    let said = report(&app, deploy);
    assert!(said.contains("\"region\":\"eu!\""), "{said}");

    // The commit is in a variable of the platform, with another value at every push.
    let commit = "defmodule CompileEnv.Commit do\n  @commit System.get_env(\"SOURCE_VERSION\")\n  \
                  def commit, do: @commit\nend\n";
    app.write("lib/commit.ex", commit);
    app.config("SOURCE_VERSION", "0ld");
    app.deploy().expect_success();
    app.config("SOURCE_VERSION", "n3w");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "recompiling the app: lib/commit.ex:2 reads SOURCE_VERSION, which has changed",
    );
    lacks(&deploy, "jason_lite");
    drop(deploy);

    app.config("NOT_READ", "by anything");
    let deploy = app.deploy();
    deploy.expect_success();
    let none: Vec<&str> = Vec::new();
    assert_eq!(deploy.compiled(), none, "{}", deploy.log());
    drop(deploy);

    app.edit("lib/other.ex", "CompileEnv.Other", "CompileEnv.Renamed");
    let deploy = app.deploy();
    deploy.expect_success();
    let ebin = deploy.slug.join("_build/prod/lib/compile_env/ebin");
    assert!(ebin.join("Elixir.CompileEnv.Renamed.beam").exists());
    assert!(!ebin.join("Elixir.CompileEnv.Other.beam").exists());
}

#[test]
fn users_of_recompiled_dependency_are_recompiled() {
    let app = App::fixture("compile-env");
    // The dependencies of Hex's packages are those in the lockfile.
    app.edit(
        "mix.lock",
        "[:mix], [], \"hexpm\", \"6314",
        "[:mix], [{:knobs, \">= 0.0.0\", [hex: :knobs, repo: \"hexpm\", optional: false]}], \"hexpm\", \"6314",
    );
    let module = "defmodule JasonLite.Level do
  @level Knobs.level()
  def level, do: @level
end";
    app.write("level.ex", module);
    app.write(
        "elixir_buildpack.config",
        "hook_pre_compile='cp level.ex deps/jason_lite/lib'\n",
    );
    app.deploy().expect_success();
    app.edit("config/config.exs", "low", "high");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "recompiling jason_lite: it depends on knobs");
    let dyno = app.ship(deploy);
    let said = dyno.one_off("mix run --no-start -e 'IO.puts(JasonLite.Level.level())'");
    assert_eq!(said.trim(), "high");
}

#[test]
fn hook_compile_and_alias_recompile_app_if_variable_changes() {
    let app = App::fixture("compile-env");
    let banner_after_change = |banner: &str| {
        app.config("BANNER", "old");
        app.deploy().expect_success();
        app.config("BANNER", banner);
        let deploy = app.deploy();
        deploy.expect_success();
        let said = report(&app, deploy);
        assert!(said.contains(&format!("\"banner\":\"{banner}\"")), "{said}");
    };
    app.write("elixir_buildpack.config", "hook_compile='mix compile'\n");
    banner_after_change("of the hook");

    // The alias passes `--force` to the function.
    app.remove("elixir_buildpack.config");
    let alias = "aliases: [compile: [\"compile\", fn _ -> :ok end]],\n      deps: deps()";
    app.edit("mix.exs", "deps: deps()", alias);
    banner_after_change("of the alias");
}

/// mix compares only the text of mix.exs.
#[test]
fn recompiles_app_if_files_that_it_reads_change() {
    let app = App::fixture("no-deps");
    let read = "version: String.trim(File.read!(\"VERSION\"))";
    app.edit("mix.exs", "version: \"0.1.0\"", read);
    app.write("VERSION", "0.1.0\n");
    let code = "defmodule NoDeps.Version do\n  @version Mix.Project.config()[:version]\n  \
                def version, do: @version\nend\n";
    app.write("lib/version.ex", code);
    app.deploy().expect_success();
    app.write("README.md", "mix.exs doesn't read this file\n");
    let deploy = app.deploy();
    deploy.expect_success();
    lacks(&deploy, "compiled");
    drop(deploy);

    app.write("VERSION", "0.2.0\n");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "recompiling the app: mix.exs evaluates to another project than in the last build\n",
    );
    let dyno = app.ship(deploy);
    let versions = "IO.inspect({NoDeps.Version.version(), Application.spec(:no_deps, :vsn)})";
    let said = dyno.one_off(&format!("mix run -e '{versions}'"));
    assert!(said.contains("{\"0.2.0\", ~c\"0.2.0\"}"), "{said}");
}

/// mix tracks only `@external_resource`.
#[test]
fn recompiles_app_if_files_change_that_modules_read() {
    let app = App::fixture("no-deps");
    let cats = [
        "defmodule NoDeps.Cats do",
        "  @external_resource \"priv/tracked\"",
        "  @names NoDeps.Names.all()",
        "  @read Application.app_dir(:no_deps, \"priv/read\")",
        "  @texts Enum.map([\"priv/tracked\", @read], &Task.await(Task.async(fn -> File.read!(&1) end)))",
        "  @missing File.exists?(\"priv/missing\")",
        "  def cats, do: {@names, @texts, @missing}",
        "end\n",
    ];
    app.write("lib/cats.ex", &cats.join("\n"));
    let names = "defmodule NoDeps.Names do\n  def all, do: Path.wildcard(\"priv/cats/*\")\nend\n";
    app.write("lib/names.ex", names);
    for path in [
        "priv/tracked",
        "priv/read",
        "priv/cats/tom",
        "priv/unread/a",
    ] {
        app.write(path, "old");
    }
    app.deploy().expect_success();

    app.write("priv/unread/a", "new");
    app.write("priv/unread/b", "new");
    app.write("priv/cats/tom", "only its name is read");
    let deploy = app.deploy();
    deploy.expect_success();
    let none: [&str; 0] = [];
    assert_eq!(deploy.compiled(), none, "{}", deploy.log());
    drop(deploy);

    app.write("priv/tracked", "new");
    let deploy = app.deploy();
    deploy.expect_success();
    lacks(&deploy, "recompiling the app");
    holds(&deploy, "compiled no_deps: 1 file");
    drop(deploy);

    for (path, why) in [
        ("priv/read", "priv/read changed, and lib/cats.ex reads it"),
        (
            "priv/missing",
            "priv/missing is new, and lib/cats.ex reads it",
        ),
        (
            "priv/cats/kit.eex",
            "priv/cats/kit.eex is new, and lib/cats.ex lists priv/cats",
        ),
    ] {
        app.write(path, "new");
        let deploy = app.deploy();
        deploy.expect_success();
        holds(
            &deploy,
            &format!("recompiling the app: {why} when it is compiled\n"),
        );
        drop(deploy);
    }
    let dyno = app.ship(app.deploy());
    let said = dyno.one_off("mix run -e 'IO.inspect(NoDeps.Cats.cats())'");
    let expected = "{[\"priv/cats/kit.eex\", \"priv/cats/tom\"], [\"new\", \"new\"], true}\n";
    assert!(said.ends_with(expected), "{said}");

    // A hook's VM isn't traced.
    app.write("elixir_buildpack.config", "hook_compile='mix compile'\n");
    app.deploy().expect_success();
    app.write("priv/unread/a", "newer");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "recompiling the app: priv/unread/a changed, and the cache doesn't tell whether code reads it when it is compiled\n",
    );
}

/// Compilers such as `make` compare times alone.
#[test]
fn refetches_dependency_that_reads_changed_variable() {
    let app = App::fixture_with_its_host("compile-env");
    // A hook stands in for it.
    app.write(
        "elixir_buildpack.config",
        "hook_pre_compile='echo $KNOBS_REGION >> deps/knobs/made; echo . >> deps/jason_lite/made'\n",
    );
    app.config("KNOBS_REGION", "eu");
    app.deploy().expect_success();
    app.host.forget_requests();
    app.config("KNOBS_REGION", "us");
    let deploy = app.deploy();
    deploy.expect_success();
    let made = |name: &str| fs::read_to_string(deploy.slug.join("deps").join(name).join("made"));
    assert_eq!(made("knobs").unwrap(), "us\n", "{}", deploy.log());
    assert_eq!(made("jason_lite").unwrap(), ".\n.\n", "{}", deploy.log());
    let requests = app.host.requests();
    let fetched = |name| requests.iter().any(|request| request.path.contains(name));
    assert!(
        fetched("tarballs/knobs-") && !fetched("tarballs/jason_lite-"),
        "{requests:?}"
    );
}

#[test]
fn config_can_read_fetched_dependencies() {
    let app = App::fixture("compile-env");
    let found =
        "if(File.dir?(Path.expand(\"../deps/knobs\", __DIR__)), do: \"there\", else: \"missing\")";
    app.edit("config/config.exs", "\"low\"", found);
    let deploy = app.deploy();
    deploy.expect_success();
    let said = report(&app, deploy);
    assert!(said.contains("\"level\":\"there\""), "{said}");
}

#[test]
fn packages_and_assets_are_rebuilt_if_inputs_change() {
    let mut app = App::fixture("phoenix-npm");
    // Some platforms also export the arguments of bin/compile, which differ in every build.
    app.sandbox = app.sandbox.env("BUILD_DIR", "/tmp/build_phoenixnpm0");
    let first = app.deploy();
    first.expect_success();
    holds(&first, "$ npm ci");
    drop(first);

    app.sandbox = app.sandbox.env("BUILD_DIR", "/tmp/build_phoenixnpm1");
    let unchanged = app.deploy();
    unchanged.expect_success();
    holds(&unchanged, "not needed: the assets are up to date");
    for command in ["$ npm ci", "$ npm run deploy", "$ mix phx.digest"] {
        lacks(&unchanged, command);
    }
    let manifest = unchanged.slug.join("priv/static/cache_manifest.json");
    assert!(manifest.exists());
    let dyno = app.ship(unchanged);
    let page = dyno.start("mix phx.server").get("/");
    let (_, script) = page.split_once("src=\"").expect("a script");
    let (script, _) = script.split_once('"').unwrap();
    assert!(dyno.start("mix phx.server").get(script).len() > 100);
    drop(dyno);

    // Code may use other CSS classes, so assets are rebuilt, with the installed packages.
    app.edit("lib/phoenix_npm/page.ex", "Deployed by", "Deployed with");
    let code = app.deploy();
    code.expect_success();
    lacks(&code, "$ npm ci");
    holds(&code, "up to date, restored from cache");
    holds(&code, "assets: rebuilding because the app's files changed");
    holds(&code, "$ npm run deploy");
    drop(code);

    // A directory of sources may have the name of one of mix's output directories.
    app.write(
        "assets/js/deps/greeting.js",
        "export default 'good morning'\n",
    );
    app.edit(
        "assets/js/app.js",
        "import {Socket}",
        "import greeting from \"./deps/greeting\"\nimport {Socket}",
    );
    app.edit("assets/js/app.js", "app: \"phoenix_npm\"", "app: greeting");
    let bundle = |deploy: &Deploy| {
        deploy.expect_success();
        fs::read_to_string(deploy.slug.join("priv/static/assets/app.js")).unwrap()
    };
    assert!(bundle(&app.deploy()).contains("good morning"));
    app.edit("assets/js/deps/greeting.js", "good morning", "good night");
    assert!(bundle(&app.deploy()).contains("good night"));

    app.config("API_URL", "https://api.example");
    let variable = app.deploy();
    variable.expect_success();
    lacks(&variable, "$ npm ci");
    holds(
        &variable,
        "assets: rebuilding because the environment changed (API_URL)",
    );
    drop(variable);

    app.config("MIXPACK_REUSE_ASSETS", "false");
    let switched = app.deploy();
    switched.expect_success();
    holds(&switched, "$ npm run deploy");
    drop(switched);
    app.unset("MIXPACK_REUSE_ASSETS");

    app.write("assets/.npmrc", "fund=false\n");
    let settings = app.deploy();
    settings.expect_success();
    holds(&settings, "$ npm ci");
    holds(
        &settings,
        "node_modules: reinstalling because assets/.npmrc is new",
    );
    drop(settings);

    app.edit(
        "assets/package.json",
        "\"scripts\"",
        "\"description\": \"x\",\n  \"scripts\"",
    );
    let package = app.deploy();
    package.expect_success();
    holds(&package, "$ npm ci");
    holds(
        &package,
        "node_modules: reinstalling because assets/package.json changed",
    );
    drop(package);

    // The cached packages differ from the installed ones.
    let modules = kept_tool(app.cache(), "node_modules-");
    fs::write(modules.join("tree/esbuild/package.json"), "{}").unwrap();
    app.edit("lib/phoenix_npm/page.ex", "Deployed with", "Deployed by");
    let tampered = app.deploy();
    tampered.expect_success();
    holds(
        &tampered,
        "the cached copy is invalid: esbuild/package.json was changed",
    );
    holds(&tampered, "$ npm ci");
}

/// The directory of a tool in the cache, by a prefix of its name.
fn kept_tool(cache: &Path, prefix: &str) -> PathBuf {
    let tools = fs::read_dir(cache.join("mixpack/tools")).unwrap();
    let mut found = tools.filter_map(Result::ok).filter(|entry| {
        entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(prefix))
    });
    let one = found.next().expect("such a tool").path();
    assert!(
        found.next().is_none(),
        "only what the last build used is kept"
    );
    one
}

#[test]
fn log_and_timeline_show_cached_and_failed_steps() {
    let mut app = App::cold_fixture("no-deps");
    app.sandbox = app
        .sandbox
        .env("MIXPACK_TIMELINE", "/tmp/cache/timeline.svg");
    app.write(
        "elixir_buildpack.config",
        "elixir_version=1.18.3\nerlang_version=27\nhook_compile='env | grep TIMELINE; mix compile'\n",
    );
    let picture = || {
        let svg = fs::read_to_string(app.cache().join("timeline.svg")).unwrap();
        let step = |name: &str| {
            let row = svg.lines().find(|line| line.contains(&format!(">{name}<")));
            row.expect("a row for the step").contains("class=\"kept\"")
        };
        ["erlang", "elixir", "hex", "restore", "compile"].map(step)
    };
    let first = app.deploy();
    first.expect_success();
    lacks(&first, "       from cache: ");
    // Only Mixpack reads it.
    lacks(&first, "MIXPACK_TIMELINE=");
    assert_eq!(picture(), [false; 5]);

    let second = app.deploy();
    second.expect_success();
    holds(&second, "       from cache: erlang, elixir, hex, _build\n");
    assert_eq!(picture(), [true, true, true, false, true]);

    app.edit("elixir_buildpack.config", "mix compile", "false");
    let failed = app.deploy();
    assert!(!failed.succeeded, "{}", failed.log());
    assert_eq!(picture(), [true, true, true, false, false]);
    let svg = fs::read_to_string(app.cache().join("timeline.svg")).unwrap();
    let row = svg.lines().find(|line| line.contains(">compile<"));
    let row = row.expect("a row for the step");
    assert!(row.contains("class=\"failed\"") && row.contains(" s, failed<"));
}

const UP_TO_DATE: &str = "not needed: dependencies and lockfile are unchanged";

/// The number of requests for packages, which shows whether `mix deps.get` ran.
#[track_caller]
fn registry(app: &App, deploy: &Deploy) -> usize {
    let requests = app.host.requests();
    app.host.forget_requests();
    let log = deploy.log();
    let is_run = log.contains("$ mix deps.get");
    assert_eq!(is_run, !log.contains(UP_TO_DATE), "{log}");
    let asked = requests.iter().filter(|request| {
        // The one request a day for advisories.
        let path = request.path.as_str();
        path.starts_with("/hex/") && path != "/hex/versions"
    });
    let asked = asked.count();
    assert!(is_run || asked == 0, "{asked} requests\n{log}");
    asked
}

#[test]
fn unchanged_dependencies_send_no_registry_request() {
    // Tests of umbrellas, of other folders than the root and of old versions of Elixir expect the same line
    // of the log.
    let app = App::fixture_with_its_host("plain-otp");
    let first = app.deploy();
    first.expect_success();
    assert!(registry(&app, &first) > 0);
    drop(first);
    let second = app.deploy();
    second.expect_success();
    holds(&second, UP_TO_DATE);
    assert_eq!(registry(&app, &second), 0);
    let none: Vec<&str> = Vec::new();
    assert_eq!(second.compiled(), none, "{}", second.log());
}

#[test]
fn changed_requirements_send_registry_requests() {
    let app = App::fixture_with_its_host("compile-env");
    let asked = |why: &str, deploy: Deploy| {
        deploy.expect_success();
        assert!(registry(&app, &deploy) > 0, "{why}: {}", deploy.log());
        deploy
    };
    let settled = |deploy: Deploy| {
        deploy.expect_success();
        assert_eq!(registry(&app, &deploy), 0, "{}", deploy.log());
    };
    asked("first", app.deploy());
    settled(app.deploy());

    app.edit("mix.exs", "{:knobs, \"~> 1.0\"}", "{:knobs, \">= 1.0.0\"}");
    asked("another requirement", app.deploy());

    // As before, an outdated lock is rejected and not recorded. The record of the previous requirement stays valid.
    app.edit("mix.exs", ">= 1.0.0", "~> 1.0.1");
    let refused = app.deploy();
    assert!(!refused.succeeded);
    assert!(registry(&app, &refused) > 0);
    holds(&refused, "mix.lock is out of date");
    app.edit("mix.exs", "~> 1.0.1", ">= 1.0.0");
    settled(app.deploy());

    app.lock_newer_knobs();
    let deploy = asked("another lock", app.deploy());
    holds(&deploy, "compiled 1 dependency: knobs");
    settled(app.deploy());

    let kept = app.cache().join("mixpack/state/deps-prod/tree/knobs");
    fs::remove_dir_all(&kept).unwrap();
    asked("a folder is missing in the cache", app.deploy());
    fs::write(kept.join("lib/knobs.ex"), "damaged").unwrap();
    asked("a file is damaged in the cache", app.deploy());
    settled(app.deploy());

    // The files are compared after the earlier hooks have run.
    let config = |hook: &str| {
        let versions = "elixir_version=1.18.3\nerlang_version=27\n";
        app.write(
            "elixir_buildpack.config",
            &format!("{versions}hook_pre_fetch_dependencies='{hook}'\n"),
        );
    };
    config("rm -r deps/knobs");
    asked("a hook has removed a folder", app.deploy());
    config("touch deps/knobs/.fetched");
    settled(app.deploy());
    config("sed -i s/1.0.1/1.0.0/ deps/knobs/.hex");
    asked(
        "a hook has changed what a folder says of itself",
        app.deploy(),
    );
    config("true");
    settled(app.deploy());

    app.edit(
        "mix.exs",
        "deps: deps()",
        "deps: deps(), aliases: [\"deps.get\": [\"deps.get\"]]",
    );
    asked("an alias", app.deploy());
    asked("an alias runs each time", app.deploy());
}

#[test]
fn mix_tasks_compile_once_and_again_if_cached_copy_is_damaged() {
    let app = App::fixture("no-deps");
    let first = app.deploy();
    first.expect_success();
    drop(first);
    let kept = || kept_tool(app.cache(), "mix_tasks-").join("tree");
    let session = || kept().join("Elixir.Mix.Tasks.Mixpack.Session.beam");
    let inode = || fs::metadata(session()).unwrap().ino();
    let compiled = inode();
    let second = app.deploy();
    second.expect_success();
    drop(second);
    assert_eq!(inode(), compiled);

    fs::write(session(), "damaged").unwrap();
    let third = app.deploy();
    third.expect_success();
    assert_ne!(inode(), compiled);
    assert!(fs::read(session()).unwrap().starts_with(b"FOR1"));
}

#[test]
fn app_without_dependencies_skips_deps_get() {
    const NONE: &str = "not needed: the app has no dependencies";
    let app = App::fixture("no-deps");
    for _ in 0..2 {
        let deploy = app.deploy();
        deploy.expect_success();
        holds(&deploy, NONE);
        lacks(&deploy, "$ mix deps.get");
    }
    // Its requirements count even without a lockfile.
    app.write(
        "libs/greeting/mix.exs",
        "defmodule Greeting.MixProject do\n  use Mix.Project\n\n  def project, do: [app: :greeting, version: \"0.1.0\"]\nend\n",
    );
    app.write(
        "libs/greeting/lib/greeting.ex",
        "defmodule Greeting do\nend\n",
    );
    app.edit(
        "mix.exs",
        "deps: []",
        "deps: [{:greeting, path: \"libs/greeting\"}]",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "$ mix deps.get");

    app.edit(
        "mix.exs",
        "deps: [{:greeting, path: \"libs/greeting\"}]",
        "deps: [], aliases: [\"deps.get\": [\"deps.get\", \"run -e 'IO.puts(:of_the_alias)'\"]]",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "$ mix deps.get");
    lacks(&deploy, NONE);
}

#[test]
fn failed_build_keeps_compiled_code() {
    let app = App::fixture("phoenix-npm");
    let [works, fails] = ["\"deploy\": \"", "\"deploy\": \"false && "];
    app.edit("assets/package.json", works, fails);
    let failed = app.deploy();
    assert!(!failed.succeeded, "{}", failed.log());
    holds(&failed, "compiled 2 dependencies: jason_lite, phoenix\n");

    app.edit("assets/package.json", fails, works);
    let [without, with] = [
        "erlang_version=",
        "hook_post_compile=false\nerlang_version=",
    ];
    app.edit("elixir_buildpack.config", without, with);
    app.edit(
        "lib/phoenix_npm/money.ex",
        "defmodule",
        "# Another line.\ndefmodule",
    );
    let failed = app.deploy();
    assert!(!failed.succeeded, "{}", failed.log());
    assert_eq!(
        failed.compiled(),
        ["compiled phoenix_npm: 3 files"],
        "{}",
        failed.log()
    );

    app.edit("elixir_buildpack.config", with, without);
    let deploy = app.deploy();
    deploy.expect_success();
    let none: Vec<&str> = Vec::new();
    assert_eq!(deploy.compiled(), none, "{}", deploy.log());
    holds(&deploy, "from cache: ");
}

#[test]
fn otp_patch_with_same_compiler_keeps_compiled_code() {
    let app = App::on(with_otp_patch(), "phoenix-npm", AppDir::Tmpfs);
    let [patch, next] = ["erlang_version=27.3.4", "erlang_version=27.3.4.1"];
    app.edit("elixir_buildpack.config", "erlang_version=27", patch);
    app.deploy().expect_success();
    app.edit("elixir_buildpack.config", patch, next);
    let kept = app.deploy();
    kept.expect_success();
    holds(&kept, "Installing Erlang/OTP 27.3.4.1");
    let none: Vec<&str> = Vec::new();
    assert_eq!(kept.compiled(), none, "{}", kept.log());
    holds(
        &kept,
        "from cache: elixir, node, hex, deps, node_modules, _build\n",
    );
    drop(kept);

    app.edit("elixir_buildpack.config", next, patch);
    app.config("MIXPACK_REBUILD_ON_OTP_PATCH", "true");
    let rebuilt = app.deploy();
    rebuilt.expect_success();
    holds(&rebuilt, "compiled 2 dependencies: jason_lite, phoenix\n");
    app.edit("elixir_buildpack.config", patch, next);
    let rebuilt = app.deploy();
    rebuilt.expect_success();
    holds(
        &rebuilt,
        "_build: discarded because OTP changed from 27.3.4 to 27.3.4.1\n",
    );
}
