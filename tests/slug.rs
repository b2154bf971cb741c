//! The slug contains no file that dynos don't use, and every file that they do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::{AppDir, Override};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use toolchain::unneeded_files::{DEVELOPMENT, RARELY_USED};
use walkdir::WalkDir;
use whole_builds::postgres::{Postgres, bring_driver};
use whole_builds::{
    App, Deploy, Dyno, artifacts, compiling, holds, lacks, npm_registry, own_host, size,
};

const CONFIG: &str = "elixir_buildpack.config";
const STATIC_CONFIG: &str = "phoenix_static_buildpack.config";

/// Files below `root` whose names have this ending.
fn ending(root: &Path, end: &str) -> Vec<PathBuf> {
    WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| entry.file_name().to_string_lossy().ends_with(end))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

const NO_PATHS: Vec<PathBuf> = Vec::new();

#[test]
fn slug_omits_build_only_files_unless_slim_is_none() {
    let app = App::fixture("phoenix-npm");
    let slim = app.deploy();
    slim.expect_success();
    assert!(
        slim.stdout
            .contains("Set MIXPACK_SLIM=none to keep everything")
    );
    let tools = slim.slug.join(".platform_tools");
    assert!(!sources_of_otp(&slim.slug));
    assert_eq!(ending(&tools, ".a"), NO_PATHS);
    for gone in [
        "assets/node_modules",
        ".hex/packages",
        ".heroku/node",
        ".platform_tools/erlang/usr",
        ".platform_tools/elixir/lib/mix/lib",
    ] {
        assert!(slim.slug.join(gone).symlink_metadata().is_err(), "{gone}");
    }
    let (_, left) = size(&slim.slug);
    let dyno = app.ship(slim);
    let page = dyno.start("mix phx.server").get("/");
    assert!(page.contains("Deployed by Mixpack"), "{page}");
    dyno.one_off("mix run --no-start -e 'IO.puts(1)'");
    // The static buildpack put the app's own scripts on PATH.
    let path = dyno.run("echo $PATH").stdout;
    let path = String::from_utf8_lossy(&path);
    assert!(
        path.contains("/app/bin:") && !path.contains("node"),
        "{path}"
    );
    dyno.one_off("bash -c \"echo 'IO.puts(40 + 2)' | iex -S mix\"");
    drop(dyno);

    app.write(STATIC_CONFIG, "node_version=24\nremove_node=false\n");
    let asked = app.deploy();
    asked.expect_success();
    for (path, stays) in [("bin/node", true), ("include", false), ("bin/npm", false)] {
        assert_eq!(
            asked.slug.join(".heroku/node").join(path).exists(),
            stays,
            "{path}"
        );
    }

    app.config("MIXPACK_SLIM", "none");
    let whole = app.deploy();
    whole.expect_success();
    assert!(!whole.stdout.contains("Pruning"), "{}", whole.stdout);
    assert!(sources_of_otp(&whole.slug));
    assert!(whole.slug.join("assets/node_modules/esbuild").exists());
    assert!(whole.slug.join(".heroku/node/bin/npm").exists());
    let (_, all) = size(&whole.slug);
    assert!(left * 10 < all * 7, "{left} of {all} bytes are left");
}

fn sources_of_otp(slug: &Path) -> bool {
    ending(&slug.join(".platform_tools/erlang"), ".erl")
        .iter()
        .any(|path| path.parent().is_some_and(|folder| folder.ends_with("src")))
}

#[test]
fn app_that_runs_node_keeps_node_modules() {
    let app = App::fixture("phoenix-npm");
    app.write(
        "lib/phoenix_npm/render.ex",
        "defmodule PhoenixNpm.Render do\n  def run, do: System.cmd(\"node\", [\"-e\", \"require('esbuild'); console.log(6 * 7)\"], cd: \"assets\")\nend\n",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(deploy.slug.join("assets/node_modules/esbuild").exists());
    assert!(
        deploy.stdout.contains(
            "keeping node_modules and npm because lib/phoenix_npm/render.ex:2 runs Node.js"
        ),
        "{}",
        deploy.stdout
    );
    let again = app.deploy();
    again.expect_success();
    let dyno = app.ship(again);
    let said = dyno.one_off("mix run --no-start -e 'IO.inspect(PhoenixNpm.Render.run())'");
    assert!(said.contains("42"), "{said}");
    dyno.one_off("npm --version");
}

#[test]
fn git_dependency_starts_without_git_and_ships_no_history() {
    let app = App::fixture("git-dep");
    app.git_from(&format!("{}/git/", app.host.url()));
    let deploy = app.deploy();
    deploy.expect_success();
    let git = deploy.slug.join("deps/greeter/.git");
    assert!(ending(&git, "").len() <= 3, "{:?}", ending(&git, ""));
    let dyno = app.ship(deploy);
    dyno.one_off("bash -c \"git --version && mix run --no-start -e 'IO.puts(1)'\"");
    let without = dyno.without("/usr/bin/git");
    without
        .one_off("bash -c \"! git --version 2>/dev/null && mix run --no-start -e 'IO.puts(1)'\"");
}

#[test]
fn warns_about_missing_procfile_commands() {
    let app = App::fixture("no-deps");
    app.write(
        "Procfile",
        "web: bin/server\nclock: ./script/clock\nworker: bin/worker\nrelease: MIX_ENV=dev mix help\n",
    );
    app.write("script/clock", "true");
    let deploy = app.deploy();
    deploy.expect_success();
    for warning in [
        "The Procfile's web starts bin/server, which does not exist.",
        "To build a release, set release=true in elixir_buildpack.config.",
        "The Procfile's clock starts ./script/clock, which is not executable.",
        "The Procfile's worker starts bin/worker, which does not exist.",
        "Procfile: release sets MIX_ENV=dev, but the build compiles for prod",
    ] {
        holds(&deploy, warning);
    }
    app.write(
        "Procfile",
        "web: mix run --no-halt\nclock: sh script/clock\n",
    );
    lacks(&app.deploy(), "The Procfile's");
}

#[test]
fn slim_full_ships_only_release() {
    let app = App::fixture("release");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.config("MIXPACK_SLIM", "full");
    // Files that the build creates in the root or next to a dependency don't belong to the release either.
    app.edit(
        "elixir_buildpack.config",
        "release=true",
        "release=true\nhook_post_compile=\"echo made > made && mkdir -p deps/made && echo made > deps/made/file\"",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let mut top: Vec<String> = fs::read_dir(&deploy.slug)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    top.sort();
    assert_eq!(top, [".mixpack", ".profile.d", "_build"]);
    let web = app.web(&deploy);
    let mut dyno = app.ship(deploy);
    dyno.config_vars
        .insert("ERL_EPMD_PORT".to_owned(), free_port());
    let server = dyno.start(&web);
    assert!(server.get("/").contains("Served by a release"));
    let release = "_build/prod/rel/storefront/bin/storefront";
    for command in [
        &format!("{release} rpc 'IO.puts(40 + 2)'"),
        &format!("bash -c \"echo 'IO.puts(40 + 2)' | timeout 30 {release} remote\""),
    ] {
        let answer = dyno.one_off(command);
        assert!(answer.contains("42"), "{command}: {answer}");
    }
    drop(server);
    drop(dyno);

    app.write(
        "Procfile",
        "web: _build/prod/rel/storefront/bin/server\nconsole: iex -S mix\n",
    );
    app.edit(
        "mix.exs",
        "storefront: [",
        "storefront: [strip_beams: false, ",
    );
    let more = app.deploy();
    more.expect_success();
    assert!(
        more.log()
            .contains("the Procfile's console calls mix, iex or elixir"),
        "{}",
        more.log()
    );
    assert!(more.slug.join(".platform_tools/elixir/bin/iex").exists());
    // The app's own options decide whether its release is stripped.
    let build = more.slug.join("_build/prod");
    for (root, has_it) in [(build.join("lib"), false), (build.join("rel"), true)] {
        let module = named(&root, "Elixir.Shop.Application.beam");
        assert_eq!(has_debug_info(&module), has_it, "{}", module.display());
    }
    let dyno = app.ship(more);
    dyno.one_off("bash -c \"echo 'IO.puts(40 + 2)' | iex -S mix\"");
    let answer = dyno.one_off(&format!("{release} eval 'IO.puts(40 + 2)'"));
    assert!(answer.contains("42"), "{answer}");
}

#[test]
fn warns_about_mix_compiler_that_needs_make_and_suggested_fix_starts() {
    let app = App::fixture("no-deps");
    let mix_exs = fs::read_to_string(app.source().join("mix.exs")).unwrap();
    let compiler = "defmodule Mix.Tasks.Compile.CallMake do\n  use Mix.Task.Compiler\n\n  def run(_) do\n    \
                    System.find_executable(\"make\") || Mix.raise(\"make is missing\")\n    {:noop, []}\n  end\nend\n\n";
    app.write("mix.exs", &format!("{compiler}{mix_exs}"));
    app.edit(
        "mix.exs",
        "deps: []",
        "deps: [],\n      compilers: [:call_make] ++ Mix.compilers()",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    for text in [
        "make is missing",
        "it runs compilers at every start (call_make of no_deps)",
        "web: mix run --no-halt --no-compile",
    ] {
        assert!(deploy.log().contains(text), "{text}: {}", deploy.log());
    }
    let dyno = app.ship(deploy).without("/usr/bin/make");
    assert!(!dyno.run("mix run -e 'IO.puts(1)'").status.success());
    let said = dyno.one_off("mix run --no-compile -e 'IO.puts(NoDeps.hello())'");
    assert!(said.contains("world"), "{said}");

    // A release's code is already compiled.
    app.config("MIXPACK_RELEASE", "true");
    let released = app.deploy();
    released.expect_success();
    assert!(
        !released.log().contains("make is missing"),
        "{}",
        released.log()
    );
}

#[test]
fn debug_symbols_ship_with_slim_none_alone_and_cache_keeps_them() {
    let app = App::fixture("plain-otp");
    app.write("c_src/empty.c", "int answer(void) { return 42; }\n");
    let library = "_build/prod/lib/jason_lite/port.so";
    // mix compares files of the app with what it compiled.
    let own = "_build/prod/lib/plain_otp/own.so";
    let hook = format!("cc -g -shared -fPIC -o {library} c_src/empty.c && cp {library} {own}");
    app.write(CONFIG, &format!("hook_post_compile=\"{hook}\"\n"));
    let bytes = |dir: &Path| fs::read(dir.join(library)).unwrap();
    let debug = |bytes: &[u8]| memchr::memmem::find(bytes, b"c_src/empty.c").is_some();

    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "dependencies: debug symbols");
    let shipped = bytes(&deploy.slug);
    assert!(shipped.starts_with(b"\x7fELF") && !debug(&shipped));
    assert!(debug(&fs::read(deploy.slug.join(own)).unwrap()));
    let cached = WalkDir::new(app.cache())
        .into_iter()
        .filter_map(Result::ok)
        .find(|entry| entry.file_name() == "port.so")
        .expect("the library in the cache");
    assert!(debug(&fs::read(cached.path()).unwrap()));
    let symbol = format!("nm --dynamic {library}");
    let symbols = app.sandbox.command(
        "sh",
        [
            "-c",
            &format!("cd {} && {symbol}", deploy.build_dir.display()),
        ],
    );
    let symbols = symbols.output().unwrap();
    assert!(
        String::from_utf8_lossy(&symbols.stdout).contains("T answer"),
        "{symbols:?}"
    );

    app.config("MIXPACK_SLIM", "none");
    let whole = app.deploy();
    whole.expect_success();
    assert!(debug(&bytes(&whole.slug)));
}

#[test]
fn graphical_applications_ship_if_an_application_names_one() {
    // Stands in for upstream's OTP, since Debian's, which the tests use, has none of them.
    let dir = tempfile::tempdir().unwrap();
    let folder = "builds/otp/amd64/ubuntu-24.04";
    let list = fs::read_to_string(artifacts().join(folder).join("builds.txt")).unwrap();
    let reference = list
        .split_whitespace()
        .find(|name| name.starts_with("OTP-27"))
        .expect("OTP 27 in the list");
    let script = format!(
        "gzip -dc {}/{folder}/{reference}.tar.gz > otp.tar
         for app in wx-2.4 et-1.7; do
           mkdir -p top/lib/$app/ebin
           echo \"{{application,${{app%-*}},[{{vsn,\\\"1\\\"}},{{modules,[]}},{{registered,[]}},{{applications,[kernel,stdlib]}}]}}.\" > top/lib/$app/ebin/${{app%-*}}.app
         done
         tar --append --file otp.tar top && gzip -1 otp.tar",
        artifacts().display()
    );
    let made = Command::new("sh")
        .args(["-ec", &script])
        .current_dir(&dir)
        .status();
    assert!(made.unwrap().success());
    let host = own_host();
    let line = format!("{reference} {:040} 2025-01-01T00:00:00Z\n", 0);
    host.set_override(
        format!("/{folder}/builds.txt"),
        Override::Body(line.into_bytes()),
    );
    let archive = Override::File(dir.path().join("otp.tar.gz"));
    host.set_override(format!("/{folder}/{reference}.tar.gz"), archive);
    let app = App::on(host, "no-deps", AppDir::Tmpfs);
    let applications = |slug: &Path| -> Vec<bool> {
        let lib = slug.join(".platform_tools/erlang/lib");
        ["wx-2.4", "et-1.7"]
            .iter()
            .map(|name| lib.join(name).exists())
            .collect()
    };

    let deploy = app.deploy();
    deploy.expect_success();
    holds(&deploy, "Erlang: debugger, et, observer, reltool, wx");
    assert_eq!(applications(&deploy.slug), [false, false]);

    app.edit(
        "mix.exs",
        "extra_applications: [",
        "extra_applications: [:wx, ",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    lacks(&deploy, "Erlang: debugger");
    assert_eq!(applications(&deploy.slug), [true, true]);
    let dyno = app.ship(deploy);
    dyno.one_off("mix run -e ':ok = Application.ensure_started(:wx)'");
}

/// A port that nothing listens on.
fn free_port() -> String {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    address.unwrap().port().to_string()
}

/// Whether a compiled module has its debug information.
fn has_debug_info(module: &Path) -> bool {
    memchr::memmem::find(&fs::read(module).unwrap(), b"Dbgi").is_some()
}

/// The only file below `root` of this name.
fn named(root: &Path, name: &str) -> PathBuf {
    let found = ending(root, name);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

/// `full` comes first: it must not affect later slugs from the same cache.
#[test]
fn every_slim_level_boots() {
    let app = App::fixture("postgres");
    bring_driver(&app);
    // With coverage, tests need the debug information of the covered modules.
    app.write(
        CONFIG,
        "elixir_version=1.18\nerlang_version=27\ntest_args='--no-start --cover'\n",
    );
    app.edit(
        "mix.exs",
        "deps: deps()",
        "test_coverage: [summary: [threshold: 0]],\n      deps: deps()",
    );
    // Both a call and config keep an application of Erlang.
    app.write(
        "lib/guestbook/directory.ex",
        "defmodule Guestbook.Directory do\n  def open(host), do: :eldap.open([host])\n  def check(module), do: :eunit.test(module)\nend\n",
    );
    app.edit(
        "config/config.exs",
        "config :guestbook, ecto_repos",
        "config :guestbook, transfer: :tftp\nconfig :guestbook, ecto_repos",
    );
    app.write("test/test_helper.exs", "ExUnit.start()\n");
    app.write(
        "test/repo_test.exs",
        "defmodule RepoTest do\n  use ExUnit.Case\n  test \"repo\", do: assert Guestbook.Repo.module_info(:exports)\nend\n",
    );
    for level in ["full", "standard", "none"] {
        app.config("MIXPACK_SLIM", level);
        let deploy = app.deploy();
        deploy.expect_success();
        expect_code_of_level(&app, &deploy, level);
        let dyno = app.ship(deploy);
        expect_to_boot(dyno, level);
        // The other levels keep more.
        if level == "full" {
            expect_tests_to_pass(&app);
        }
    }
}

#[track_caller]
fn expect_tests_to_pass(app: &App) {
    let tests = app.test_compile(None);
    tests.expect_success();
    lacks(&tests, "debug info and docs");
    let dyno = app.ship(tests).with_buildpack();
    let tested = dyno.one_off("/tmp/buildpack/bin/test /app /tmp/env");
    assert!(tested.contains("1 test, 0 failures"), "{tested}");
    assert!(tested.contains("Guestbook.Repo\n"), "{tested}");
}

#[track_caller]
fn expect_code_of_level(app: &App, deploy: &Deploy, level: &str) {
    let is_full = level == "full";
    let tools = deploy.slug.join(".platform_tools");
    let of_app = "Elixir.Guestbook.Repo.beam";
    for (root, module) in [
        (&tools.join("erlang/lib"), "otp_internal.beam"),
        (&tools.join("elixir/lib"), "Elixir.Mix.beam"),
        (&deploy.slug.join("_build"), of_app),
    ] {
        let module = named(root, module);
        assert_eq!(has_debug_info(&module), !is_full, "{}", module.display());
    }
    // It was pushed.
    let driver = named(&deploy.slug.join("vendor"), "pgsql_proto.beam");
    assert!(has_debug_info(&driver));
    let cached = app.cache().join("mixpack/state/_build-prod");
    assert!(has_debug_info(&named(&cached, of_app)));
    let lib = fs::read_dir(tools.join("erlang/lib")).unwrap();
    let names = lib.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter_map(|name| Some(name.split_once('-')?.0.to_owned()));
    let mut rare: Vec<String> = names
        .filter(|name| RARELY_USED.contains(&name.as_str()))
        .collect();
    rare.sort();
    if level == "full" {
        assert_eq!(rare, ["eldap", "eunit", "tftp"]);
    } else {
        assert!(rare.contains(&"snmp".to_owned()), "{rare:?}");
    }
    let is_whole = level == "none";
    for name in DEVELOPMENT {
        let stays = is_whole || name == "eunit";
        assert_eq!(rare.contains(&name.to_owned()), stays, "{rare:?}");
    }
    for (label, is_logged) in [
        ("Erlang: unused applications", !is_whole),
        (
            "To keep one, add it to extra_applications in mix.exs",
            !is_whole,
        ),
        ("Erlang: debug info and docs", is_full),
        ("Elixir: debug info and docs", is_full),
        ("app and dependencies: debug info and docs", is_full),
    ] {
        assert_eq!(deploy.log().contains(label), is_logged, "{}", deploy.log());
    }
}

/// Prints the modules of OTP and Elixir, and the applications, that need one of the applications named by
/// its arguments.
const CALLERS: &str = r##"
directories = Path.wildcard("#{:code.lib_dir()}/*/ebin") ++ Path.wildcard("#{:code.lib_dir(:elixir)}/../*/ebin")
name = fn ebin -> ebin |> Path.dirname() |> Path.basename() |> String.split("-") |> hd() end
{rare, others} = Enum.split_with(directories, &(name.(&1) in System.argv()))
beams = fn directories -> Enum.flat_map(directories, &Path.wildcard(&1 <> "/*.beam")) end
rare_modules = MapSet.new(beams.(rare), &(&1 |> Path.basename(".beam") |> String.to_atom()))

for beam <- beams.(others) do
  {:ok, {module, [imports: imports]}} = :beam_lib.chunks(String.to_charlist(beam), [:imports])
  if Enum.any?(imports, fn {called, _, _} -> called in rare_modules end), do: IO.puts("needs: #{module}")
end

for directory <- others, app <- Path.wildcard(directory <> "/*.app") do
  {:ok, [{:application, name, properties}]} = :file.consult(app)
  needed = Keyword.get(properties, :applications, []) ++ Keyword.get(properties, :included_applications, [])
  if Enum.any?(needed, &(to_string(&1) in System.argv())), do: IO.puts("needs: #{name}")
end

IO.puts("#{length(rare)} applications")
"##;

#[track_caller]
fn expect_to_boot(mut dyno: Dyno, level: &str) {
    let postgres = Postgres::start();
    for (name, value) in [
        ("DATABASE_URL", postgres.database_url()),
        ("SECRET_KEY_BASE", "s".repeat(64)),
        ("ERL_EPMD_PORT", free_port()),
    ] {
        dyno.config_vars.insert(name.to_owned(), value);
    }
    let migrated = dyno.one_off("mix ecto.migrate");
    assert!(
        migrated.contains("== Migrated 20260101120000"),
        "{migrated}"
    );
    // mix generates it again if the directory of the modules is newer.
    assert!(!migrated.contains("Generated"), "{level}: {migrated}");
    let shell = dyno.one_off("bash -c \"echo 'IO.puts(40 + 2)' | iex -S mix\"");
    assert!(shell.contains("42"), "{level}: {shell}");
    if level == "none" {
        fs::write(dyno.app.join("callers.exs"), CALLERS).unwrap();
        let callers = dyno.one_off(&format!("elixir callers.exs {}", RARELY_USED.join(" ")));
        let needs: Vec<&str> = callers
            .lines()
            .filter_map(|line| line.strip_prefix("needs: "))
            .collect();
        assert_eq!(needs, ["mod_auth_mnesia", "observer_backend"], "{callers}");
        let count = callers.trim_end().lines().last().unwrap();
        assert!(!count.starts_with("0 "), "{callers}");
    }
    let node = "--cookie c --name";
    let web = dyno.start(&format!("elixir {node} web@127.0.0.1 -S mix phx.server"));
    assert!(web.get("/").starts_with("hello from the database"));
    let remote = dyno.one_off(&format!(
        "bash -c \"echo 'IO.puts(node())' | timeout 30 iex {node} shell@127.0.0.1 --remsh web@127.0.0.1\""
    ));
    assert!(remote.contains("1> web@127.0.0.1"), "{level}: {remote}");
    let log = web.stop();
    assert_eq!(compiling(&log), [""; 0], "{log}");
}
