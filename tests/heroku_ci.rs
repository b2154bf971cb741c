//! Heroku CI (`bin/test-compile`, `bin/test`) and `bin/report`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::AppDir;
use mirror::stack::Signal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use whole_builds::{App, Dyno, compiling, lacks, own_host, repository, said};

const NOTHING: [&str; 0] = [];
const TEST: &str = "/tmp/buildpack/bin/test /app /tmp/env";

/// Runs `bin/test`. Returns its output and exit status.
#[track_caller]
fn tests(dyno: &Dyno, variables: &str) -> (String, Option<i32>) {
    let output = dyno.run(&format!("env {variables} {TEST}"));
    let said = said(&output);
    assert_eq!(compiling(&said), NOTHING, "{said}");
    (said, output.status.code())
}

#[test]
fn ci_tests_run_in_moved_directory_and_keep_deploy_cache() {
    let app = App::fixture("phoenix-npm");
    // Inherited from the pipeline, and meant for the deployed app.
    app.config("MIX_ENV", "prod");
    app.deploy().expect_success();
    app.edit(
        "elixir_buildpack.config",
        "elixir_version",
        "test_args=\"--trace --seed '0'\"\nelixir_version",
    );
    let built = app.test_compile(None);
    built.expect_success();
    assert!(
        built.stdout.contains("MIX_ENV test (for mix test)"),
        "{}",
        built.stdout
    );
    assert!(
        built.stdout.contains("$ mix deps.get --check-locked\n"),
        "{}",
        built.stdout
    );
    // Tests may use all of it.
    lacks(&built, "Erlang: unused applications");
    lacks(&built, "debug info and docs");
    let deployed = app.deploy();
    deployed.expect_success();
    assert_eq!(deployed.compiled(), NOTHING, "{}", deployed.log());
    drop(deployed);

    let mut dyno = app.ship(built).with_buildpack();
    dyno.sandbox = dyno.sandbox.env("MIX_ENV", "prod");
    assert!(!dyno.app.join("_build/prod").exists());
    let (passed, code) = tests(&dyno, "");
    assert_eq!(code, Some(0), "{passed}");
    assert!(passed.contains("1 test, 0 failures"), "{passed}");
    // From the config file: `--trace` prints the name of every test.
    assert!(passed.contains("* test the page has a value"), "{passed}");
    let (excluded, code) = tests(&dyno, "test_args='--exclude test'");
    assert_eq!(code, Some(0), "{excluded}");
    assert!(!excluded.contains("* test the page"), "{excluded}");
    assert!(excluded.contains("1 excluded"), "{excluded}");

    let shell = dyno.run(
        "bash -lc 'cd /app; for f in .profile.d/*.sh; do . \"$f\"; done; mix --version; \
         erl -noshell -eval \"halt().\"; echo \"erl $? in $MIX_ENV\"'",
    );
    let shell = said(&shell);
    assert!(
        shell.contains("Mix 1.18.3") && shell.contains("erl 0 in test"),
        "{shell}"
    );

    let file = dyno.app.join("test/phoenix_npm/page_test.exs");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("assert is_binary", "refute is_binary")).unwrap();
    let own = dyno.run("mix test");
    let (failed, code) = tests(&dyno, "");
    assert!(failed.contains("1 test, 1 failure"), "{failed}");
    assert_eq!(code, own.status.code());
    assert_ne!(code, Some(0));
}

#[test]
fn ci_builds_in_runtime_path() {
    let host = own_host();
    let dir = tempfile::tempdir().unwrap();
    let app_dir = dir.path().join("app");
    fs::create_dir(&app_dir).unwrap();
    let app = App::on(host, "elixir-1-14", AppDir::Bind(app_dir.clone()));
    let fixture = repository().join("fixtures/elixir-1-14");
    whole_builds::copy(&fixture, &app_dir);
    app.sandbox.give(&app_dir).unwrap();
    let built = app.test_compile(Some(Path::new("/app")));
    built.expect_success();
    assert!(built.stderr.is_empty(), "{}", built.stderr);
    assert!(!built.stdout.contains("Digesting"), "{}", built.stdout);
    let script = "for f in /app/.profile.d/*.sh; do . \"$f\"; done; exec /tmp/buildpack/bin/test /app /tmp/env";
    let output = app
        .sandbox
        .command("bash", ["-c", script])
        .output()
        .unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 test, 0 failures"), "{said}");
    assert_eq!(compiling(&said), NOTHING, "{said}");
}

#[test]
fn ci_reports_unbuilt_app() {
    let app = App::fixture("no-deps");
    let command = app
        .sandbox
        .command("/tmp/buildpack/bin/test", ["/app", "/tmp/env"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(
        said.contains("/app/.mixpack/build.json is missing"),
        "{said}"
    );
}

#[test]
fn report_records_success_failure_and_kill() {
    let app = App::cold_fixture("no-deps");
    assert_eq!(app.report(), serde_json::json!({}));
    app.config("SECRET_MARKER", "m4rk3r-of-a-secret");
    app.write("Procfile", "web: mix run --no-halt\n");
    app.edit(
        "elixir_buildpack.config",
        "erlang_version",
        "test_args=\"--only $(echo $SECRET_MARKER)\"\nerlang_version",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let record = fs::read_to_string(deploy.slug.join(".mixpack/build.json")).unwrap();
    assert!(!record.contains("m4rk3r"), "{record}");
    assert!(
        deploy.stderr.contains("Set the config var test_args"),
        "{}",
        deploy.stderr
    );
    let report = app.report();
    let facts = report.as_object().unwrap();
    assert!(
        facts
            .values()
            .all(|value| !value.is_object() && !value.is_array()),
        "{report}"
    );
    assert!(!report.to_string().contains("m4rk3r"), "{report}");
    assert_eq!(report["build_step"], "done");
    assert_eq!(report["elixir_version"], "1.18.3");
    assert_eq!(report["elixir_version_from"], "elixir_buildpack.config:1");
    assert_eq!(report["erlang_cache"], "made");
    assert_eq!(report["build_cache"], "nothing");
    assert_eq!(report["has_procfile"], true);
    assert_eq!(report["release"], false);
    assert_eq!(report["dependencies"], 0);
    assert!(
        report["compile_duration"].as_f64().unwrap() > 0.0,
        "{report}"
    );
    assert!(
        report["total_duration"].as_f64() > report["compile_duration"].as_f64(),
        "{report}"
    );
    assert!(!facts.contains_key("failure"), "{report}");

    app.write(
        "lib/broken.ex",
        "defmodule Broken do\n  def x(, do: 1\nend\n",
    );
    assert!(!app.deploy().succeeded);
    let report = app.report();
    assert_eq!(report["build_step"], "compile");
    assert_eq!(report["failure_classification"], "user");
    let code = report["failure"].as_str().unwrap();
    assert!(
        report["failure_detail"].as_str().unwrap().starts_with(code),
        "{report}"
    );
    assert_eq!(report["erlang_cache"], "reused");
    assert_eq!(report["build_cache"], "taken");
    app.remove("lib/broken.ex");

    app.edit(
        "elixir_buildpack.config",
        "erlang_version",
        "hook_pre_compile=\"sleep 300\"\nerlang_version",
    );
    let (mut process, _) = app.start_deploy();
    let until = Instant::now() + Duration::from_mins(1);
    while app.report()["build_step"] != "hook_pre_compile" {
        assert!(Instant::now() < until, "{}", app.report());
        std::thread::sleep(Duration::from_millis(100));
    }
    process.signal(Signal::KILL).unwrap();
    let _ = process.wait();
    let report = app.report();
    assert_eq!(report["failure"], "killed");
    assert_eq!(report["build_step"], "hook_pre_compile");
}
