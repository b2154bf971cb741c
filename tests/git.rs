//! Apps that ask git for the commit, in builds without a repository and on dynos without git.

use whole_builds::{App, holds, lacks};

const OLD: &str = "0123456789abcdef0123456789abcdef01234567";
const NEW: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// Asks git in mix.exs for the version, and in code for the commit.
fn app() -> App {
    let app = App::fixture("no-deps");
    app.edit("mix.exs", "version: \"0.1.0\"", "version: version()");
    app.edit(
        "mix.exs",
        "  def project do",
        "  defp version do\n    case System.cmd(\"git\", ~w(rev-parse --short HEAD), stderr_to_stdout: true) do\n      \
         {sha, 0} -> \"0.1.0+\" <> String.trim(sha)\n      _ -> \"0.1.0\"\n    end\n  end\n\n  def project do",
    );
    app
}

const VERSION: &str = "mix run --no-start -e 'IO.puts(Mix.Project.config()[:version])'";

#[test]
fn dyno_without_git_starts_without_compiling() {
    let app = app();
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "`git rev-parse --short HEAD` fails, since the build has no git repository",
    );
    let dyno = app.ship(deploy).without("/usr/bin/git");
    assert_eq!(dyno.one_off(VERSION), "0.1.0\n");
    dyno.one_off("bash -c '! git --version 2>/dev/null'");
}

#[test]
fn platform_commit_answers_git_and_recompiles_code_using_it() {
    let app = app();
    app.write(
        "lib/commit.ex",
        "defmodule Commit do\n  @sha System.cmd(\"git\", ~w(log -1 --format=%H)) |> elem(0)\n  def sha, do: @sha\nend\n",
    );
    app.config("SOURCE_VERSION", OLD);
    let first = app.deploy();
    first.expect_success();
    holds(
        &first,
        "`git rev-parse --short HEAD` is answered from SOURCE_VERSION",
    );
    lacks(&first, "fails, since the build has no git repository");

    let same = app.deploy();
    same.expect_success();
    assert_eq!(same.compiled(), [""; 0], "{}", same.log());

    app.config("SOURCE_VERSION", NEW);
    let second = app.deploy();
    second.expect_success();
    holds(
        &second,
        "recompiling the app: lib/commit.ex:2 may depend on",
    );
    let dyno = app.ship(second).without("/usr/bin/git");
    let said = dyno.one_off(
        "mix run --no-start -e 'IO.puts([Mix.Project.config()[:version], 32, Commit.sha()])'",
    );
    assert_eq!(said, format!("0.1.0+{} {NEW}\n\n", &NEW[..7]));
}
