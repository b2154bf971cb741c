//! What the slug holds: nothing that no dyno uses, and everything that one does.

use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;
use whole_builds::{App, holds, lacks, npm_registry, size};

/// Files below `root` whose names end so.
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
fn what_no_dyno_uses_is_left_out_and_can_be_kept() {
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
        ".heroku/node/include",
        ".heroku/node/lib/node_modules",
        ".heroku/node/bin/npm",
        ".platform_tools/erlang/usr",
        ".platform_tools/elixir/lib/mix/lib",
    ] {
        assert!(slim.slug.join(gone).symlink_metadata().is_err(), "{gone}");
    }
    assert!(slim.slug.join(".heroku/node/bin/node").exists());
    let (_, left) = size(&slim.slug);
    let dyno = app.ship(slim);
    let page = dyno.start("mix phx.server").get("/");
    assert!(page.contains("Deployed by Mixpack"), "{page}");
    dyno.one_off("mix run --no-start -e 'IO.puts(1)'");
    dyno.one_off("bash -c \"echo 'IO.puts(40 + 2)' | iex -S mix\"");
    drop(dyno);

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
fn an_app_that_runs_node_keeps_what_it_runs() {
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
fn a_git_dependency_starts_with_and_without_git_and_has_no_history() {
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
fn what_the_procfile_starts_and_is_not_there_is_warned_of() {
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
fn a_release_can_be_all_that_ships() {
    let app = App::fixture("release");
    app.config("NPM_CONFIG_REGISTRY", &npm_registry());
    app.config("MIXPACK_SLIM", "full");
    // What the build makes at the top, or beside a dependency, is no part of the release either.
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
    let dyno = app.ship(deploy);
    assert!(dyno.start(&web).get("/").contains("Served by a release"));
    drop(dyno);

    app.write(
        "Procfile",
        "web: _build/prod/rel/storefront/bin/server\nconsole: iex -S mix\n",
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
}

#[test]
fn a_compiler_that_needs_make_is_warned_of_and_the_way_out_starts() {
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

    // What a release has, was compiled once.
    app.config("MIXPACK_RELEASE", "true");
    let released = app.deploy();
    released.expect_success();
    assert!(
        !released.log().contains("make is missing"),
        "{}",
        released.log()
    );
}
