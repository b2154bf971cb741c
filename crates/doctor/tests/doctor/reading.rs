//! Files that can't be read or parsed cause no findings, and no code of the app runs.

use crate::shop::{VARS, shop};
use std::fs;
use std::process::Command;

const RUNTIME: &str = "config/runtime.exs";

fn found(edits: &[(&str, &str)]) -> Vec<String> {
    let mut app = shop().config_vars(&VARS);
    for (from, to) in edits {
        app = app.edit(RUNTIME, from, to);
    }
    app.codes()
}

#[test]
fn settings_in_branches_and_loops_are_uncertain() {
    let port = "http: [port: String.to_integer(System.get_env(\"PORT\", \"4000\"))]";
    let guarded = format!(
        "debug_errors: false\n\nif System.get_env(\"X\") do\n  config :shop, ShopWeb.Endpoint, {port}\nelse\n  config :shop, ShopWeb.Endpoint, http: [port: 4000]\nend"
    );
    assert_eq!(found(&[(port, &guarded)]), Vec::<String>::new());
    let looped = "debug_errors: false\nfor app <- [:shop] do\n  config app, ShopWeb.Endpoint, http: [port: 1]\nend";
    assert_eq!(
        found(&[(port, looped)]).len(),
        1,
        "a note about what can't be read"
    );
    let in_try = format!(
        "debug_errors: false\ntry do\n  config :shop, ShopWeb.Endpoint, {port}\nrescue\n  _ -> :ok\nend"
    );
    assert_eq!(found(&[(port, &in_try)]), Vec::<String>::new());
}

#[test]
fn case_on_the_environment_takes_its_clause() {
    let port = "config :shop, ShopWeb.Endpoint,\n  http: [port: String.to_integer(System.get_env(\"PORT\", \"4000\"))]";
    let case = |prod: &str| {
        format!(
            "case config_env() do\n  :dev ->\n    config :shop, ShopWeb.Endpoint, http: [port: 4000]\n\n  :prod ->\n    config :shop, ShopWeb.Endpoint, http: [port: {prod}]\n\n  _ -> :ok\nend"
        )
    };
    assert_eq!(
        found(&[(port, &case("System.fetch_env!(\"PORT\")"))]),
        Vec::<String>::new()
    );
    assert_eq!(
        found(&[(port, &case("8080"))]),
        ["error port-not-from-environment config/runtime.exs:12"]
    );
}

#[test]
fn file_that_makes_no_sense_is_noted() {
    let app = shop().config_vars(&VARS).edit(
        RUNTIME,
        "if config_env() == :prod do",
        "if config_env() == :prod",
    );
    assert_eq!(app.codes(), ["note config-not-read config/runtime.exs:33"]);
    let app = shop()
        .config_vars(&VARS)
        .files(&[("lib/shop/bad.ex", "defmodule A do\n  File.cp!(\n")]);
    assert_eq!(app.codes(), ["note config-not-read lib/shop/bad.ex:2"]);
}

#[test]
fn nothing_of_the_repository_runs() {
    let app = shop();
    let marker = app.path().join("ran");
    let hook = format!("touch {}", marker.display());
    let app = app
        .edit(
            "elixir_buildpack.config",
            "elixir_version=",
            &format!("x=$({hook})\nelixir_version="),
        )
        .edit(
            "mix.exs",
            "use Mix.Project",
            &format!(
                "use Mix.Project\n  System.cmd(\"touch\", [\"{}\"])",
                marker.display()
            ),
        )
        .files(&[(".heroku/node/bin/node", &format!("#!/bin/sh\n{hook}\n"))]);
    assert!(!app.codes().is_empty());
    assert!(!marker.exists());
}

#[test]
fn committed_env_file_with_a_secret_is_noted() {
    let app = shop().config_vars(&VARS);
    let secret = "A=1\nexport SECRET_KEY_BASE=\"0123456789012345678901234567890123456789\"\n";
    let app = app.files(&[(".env", secret)]);
    assert_eq!(
        app.codes(),
        Vec::<String>::new(),
        "no repository, so nothing is committed"
    );
    let git = |args: &[&str]| {
        let run = Command::new("git")
            .args(args)
            .current_dir(app.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    assert_eq!(app.codes(), ["note env-file-committed .env:2"]);
    git(&["rm", "--quiet", "--cached", ".env", "config/extra.exs"]);
    assert_eq!(
        app.codes(),
        ["error import-not-committed config/config.exs:11"]
    );
    fs::remove_file(app.path().join(".git/index")).unwrap();
    assert_eq!(app.codes(), Vec::<String>::new(), "nothing is known");
}

#[test]
fn end_of_life_is_reported_where_the_version_is_requested() {
    let old = "elixir_version=1.14.5\nerlang_version=25.3.2.21\n";
    let app = shop()
        .config_vars(&VARS)
        .edit("mix.exs", "~> 1.18", "~> 1.14");
    let app = app.files(&[("elixir_buildpack.config", old)]);
    let found = [
        "warning end-of-life elixir_buildpack.config:1",
        "warning end-of-life elixir_buildpack.config:2",
    ];
    assert_eq!(app.codes(), found);
}

#[test]
fn compile_time_value_that_run_time_overrides_is_none() {
    let release = |runtime: &str| {
        let app = shop().config_vars(&VARS);
        let app = app.edit(
            "elixir_buildpack.config",
            "elixir_version",
            "release=true\nelixir_version",
        );
        let app = app.edit(
            "config/prod.exs",
            "import Config\n",
            "import Config\nconfig :shop, Shop.Mail, key: System.get_env(\"MAIL_KEY\")\n",
        );
        app.edit(
            RUNTIME,
            "import Config\n",
            &format!("import Config\n{runtime}\n"),
        )
        .codes()
    };
    assert_eq!(
        release(""),
        ["warning compile-time-value config/prod.exs:2"]
    );
    let overridden = "config :shop, Shop.Mail, key: System.get_env(\"MAIL_KEY\")";
    assert_eq!(release(overridden), Vec::<String>::new());
}
