//! Several VMs compile dependencies to the same files as mix in one.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use whole_builds::differential::slug_differences;
use whole_builds::{App, Deploy};

const VMS: &str = "MIX_OS_DEPS_COMPILE_PARTITION_COUNT";

/// Builds the app from nothing with this many VMs.
#[track_caller]
fn clean_build(app: &App, vms: &str) -> Deploy {
    app.config(VMS, vms);
    app.clear_cache();
    app.deploy()
}

/// Builds the app in one VM and in several, and returns the last build. Several VMs must compile this number of
/// `dependencies`.
#[track_caller]
fn compare(app: &App, dependencies: u32) -> Deploy {
    let serial = clean_build(app, "1");
    serial.expect_success();
    // Tests add dependencies.
    fs::copy(serial.slug.join("mix.lock"), app.source().join("mix.lock")).unwrap();
    assert!(!serial.log().contains(" VMs"), "{}", serial.log());
    let parallel = clean_build(app, "2");
    parallel.expect_success();
    let line = format!("compiling {dependencies} dependencies in 2 VMs\n");
    assert!(parallel.log().contains(&line), "{}", parallel.log());
    let found = slug_differences(&parallel.slug, &serial.slug, &BTreeSet::new());
    assert!(found.is_empty(), "{}", found.join("\n"));
    drop(serial);

    // As after its own compilation, mix finds nothing to compile.
    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(
        unchanged.compiled(),
        Vec::<&str>::new(),
        "{}",
        unchanged.log()
    );
    parallel
}

fn everything() -> App {
    let app = App::fixture("everything");
    app.git_from(&format!("{}/git/", app.host.url()));
    app
}

#[test]
fn mix_rebar3_native_and_git_dependencies_are_the_same() {
    compare(&everything(), 8);
}

/// Also if the app has its own command to compile one of them.
#[test]
fn dependencies_of_umbrella_are_the_same() {
    let app = App::fixture("umbrella");
    app.config("MIXPACK_CHECK_LOCKED", "false");
    let command =
        "mkdir -p ebin && erlc -o ebin src/*.erl && cp src/ranch_lite.app.src ebin/ranch_lite.app";
    let dependency = format!("{{:ranch_lite, \"~> 1.0\", compile: \"{command}\"}}");
    app.edit("mix.exs", "deps: deps()", &format!("deps: [{dependency}]"));
    compare(&app, 3);
}

#[test]
fn dependencies_of_elixir_1_14_are_the_same() {
    let app = App::fixture("elixir-1-14");
    let more = "{:ranch_lite, \"~> 1.0\"}, {:jason_lite, \"~> 1.0\"}, {:phoenix, ";
    app.edit("mix.exs", "{:phoenix, ", more);
    compare(&app, 3);

    // Only mix knows the effect of an alias.
    let alias = "\"deps.precompile\": [\"deps.precompile\"]";
    app.edit("mix.exs", "    []\n", &format!("    [{alias}]\n"));
    let serial = clean_build(&app, "2");
    serial.expect_success();
    let why = "in one VM: mix.exs has an alias named deps.precompile\n";
    assert!(serial.log().contains(why), "{}", serial.log());
}

#[test]
fn first_failure_stops_the_others_and_loses_nothing() {
    let app = everything();
    let config = "elixir_buildpack.config";
    let before = fs::read_to_string(app.source().join(config)).unwrap();
    let [slow, fails] = [
        "echo 'Process.sleep(120_000)' > deps/greeter/lib/slow.ex",
        "echo 'raise ~s(broken)' > deps/knobs/lib/fails.ex",
    ];
    app.write(
        config,
        &format!("{before}\nhook_pre_compile=\"{slow}; {fails}\"\n"),
    );
    let failed = clean_build(&app, "2");
    let log = failed.log();
    assert!(
        !failed.succeeded && failed.took < Duration::from_secs(100),
        "{log}"
    );
    assert!(log.contains("could not compile dependency :knobs"), "{log}");
    assert!(
        log.contains("the dependency knobs does not compile"),
        "{log}"
    );

    // The stopped build leaves no files.
    app.write(config, &before);
    let repaired = app.deploy();
    repaired.expect_success();
    let clean = clean_build(&app, "1");
    clean.expect_success();
    let found = slug_differences(&repaired.slug, &clean.slug, &BTreeSet::new());
    assert!(found.is_empty(), "{}", found.join("\n"));
}
