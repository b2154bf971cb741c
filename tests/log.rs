//! The log: aligned, and without the output of tools that succeed.

use whole_builds::{App, Deploy};

/// mix's messages about each dependency, in the order of a first build.
const OF_DEPENDENCIES: [&str; 3] = [
    "* Getting jason_lite (Hex package)",
    "==> jason_lite",
    "Generated jason_lite app",
];

const WARNING: &str = "variable \"unused\" is unused";

const RED: &str = "\u{1b}[1;31m";
const PLAIN: &str = "\u{1b}[0m";

fn app_with_a_warning() -> App {
    let app = App::cold_fixture("phoenix-npm");
    app.write(
        "lib/warns.ex",
        "defmodule Warns do\n  def warn(unused), do: :ok\nend\n",
    );
    app
}

#[track_caller]
fn is_aligned(deploy: &Deploy) {
    for line in deploy.stdout.lines() {
        let begins = ["-----> ", "       "]
            .iter()
            .any(|begin| line.starts_with(begin));
        assert!(begins || line.is_empty(), "{line:?}\n{}", deploy.stdout);
        assert_eq!(line.trim_end(), line, "{}", deploy.stdout);
        assert!(!line.contains(['\t', '\r', '\u{1b}']), "{line:?}");
    }
    assert!(!deploy.stdout.contains("\n\n\n"), "{}", deploy.stdout);
    for line in deploy.stderr.lines() {
        // git prefixes each line with `remote:`, so a colour must end with its line.
        let plain = match line.strip_prefix(RED) {
            Some(coloured) => coloured.strip_suffix(PLAIN).expect("its end"),
            None => line,
        };
        assert!(plain.starts_with(" !") || plain.is_empty(), "{line:?}");
        assert!(!plain.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn successful_build_logs_summary_and_app_warnings() {
    let app = app_with_a_warning();
    let deploy = app.deploy();
    deploy.expect_success();
    is_aligned(&deploy);
    let log = &deploy.stdout;
    for said in [
        "fetched 2 dependencies: ",
        "compiled 2 dependencies: jason_lite, phoenix",
        "compiled phoenix_npm: 19 files",
        WARNING,
        "lib/warns.ex:2",
        // The output of the app's own script is shown.
        "> deploy",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let noise = [
        "Resolving Hex",
        "Compiling 1",
        "Check your digested files",
        "Clean complete",
    ];
    for left in OF_DEPENDENCIES.into_iter().chain(noise) {
        assert!(!log.contains(left), "{left}: {log}");
    }
}

#[test]
fn verbose_build_logs_all_tool_output() {
    let app = app_with_a_warning();
    app.config("MIXPACK_VERBOSE", "true");
    let deploy = app.deploy();
    deploy.expect_success();
    is_aligned(&deploy);
    has_in_order(&deploy.stdout, &OF_DEPENDENCIES);
    has_in_order(&deploy.stdout, &[WARNING, "Check your digested files"]);
    assert!(!deploy.stdout.contains("compiled "), "{}", deploy.stdout);
}

#[test]
fn failed_build_logs_full_output_of_failed_command() {
    let app = app_with_a_warning();
    app.write(
        "lib/broken.ex",
        "defmodule Broken do\n  def a, do: b()\nend\n",
    );
    let deploy = app.deploy();
    assert!(!deploy.succeeded);
    is_aligned(&deploy);
    let whole = [
        OF_DEPENDENCIES[1],
        "Compiling 3 files (.ex)",
        OF_DEPENDENCIES[2],
        "undefined function b/0",
    ];
    has_in_order(&deploy.stdout, &whole);
    // Steps that succeeded before stay short.
    assert!(!deploy.stdout.contains(OF_DEPENDENCIES[0]));
}

#[track_caller]
fn has_in_order(log: &str, lines: &[&str]) {
    let mut rest = log;
    for line in lines {
        let Some((_, behind)) = rest.split_once(line) else {
            panic!("{line} is not there, or not in its place: {log}");
        };
        rest = behind;
    }
}
