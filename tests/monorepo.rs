//! An app in a folder of its repository, with a path dependency outside of that folder.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use mirror::AppDir;
use mirror::stack::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};
use whole_builds::{
    App, Deploy, Dyno, beams, compiling, holds, links_that_leave, repository, said,
};

const NOTHING: [&str; 0] = [];
const NO_PATHS: [PathBuf; 0] = [];
const CONFIG: &str = "elixir_buildpack.config";
const FOLDER: &str = "MIXPACK_APP_RELATIVE_PATH";
const LAUNCHER: &str = ".mixpack/bin/in-app-dir";

/// Starts `web`, which must compile nothing, and returns its page.
#[track_caller]
fn page(dyno: &Dyno, command: &str) -> (String, String) {
    let web = dyno.start(command);
    let page = web.get("/");
    let said = web.stop();
    assert_eq!(compiling(&said), NOTHING, "{said}");
    (page, said)
}

/// The beam files that have changed.
fn changed(before: &BTreeMap<PathBuf, SystemTime>, slug: &Path) -> Vec<String> {
    let now = beams(slug, "backend").into_iter();
    let changed = now.filter(|(path, time)| before.get(path) != Some(time));
    changed
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// The error in the log of a deploy that fails during planning.
#[track_caller]
fn refused(app: &App) -> String {
    let deploy = app.deploy();
    assert_eq!(deploy.code, Some(1), "{}", deploy.log());
    assert!(
        deploy.stdout.ends_with("-----> Planning\n"),
        "{}",
        deploy.stdout
    );
    assert_eq!(deploy.left_in_app, NO_PATHS);
    let text = deploy.stderr.replace("\x1b[1;31m", "");
    text.replace("\x1b[0m", "").trim().to_owned()
}

/// The command of a process type in the slug's `Procfile`, as herokuish reads it.
#[track_caller]
fn of_procfile(deploy: &Deploy, kind: &str) -> String {
    let text = fs::read_to_string(deploy.slug.join("Procfile")).unwrap();
    let line = text.lines().find_map(|line| {
        let (name, line) = line.split_once(": ")?;
        (name == kind).then(|| line.to_owned())
    });
    format!("$(eval echo \"{}\")", line.unwrap())
}

#[test]
fn app_in_subdirectory_boots_and_redeploy_compiles_only_changes() {
    let app = App::fixture("monorepo");
    let detected = app.detect();
    assert!(detected.status.success());
    assert_eq!(detected.stdout, b"Phoenix\n");

    let cold = app.deploy();
    cold.expect_success();
    assert!(
        cold.stdout
            .contains("app in backend (from elixir_buildpack.config:2)"),
        "{}",
        cold.stdout
    );
    assert!(
        cold.stdout.contains("(from .tool-versions:3)"),
        "{}",
        cold.stdout
    );
    assert_eq!(links_that_leave(&cold.slug), NO_PATHS);
    assert_eq!(cold.left_in_app, NO_PATHS);
    for path in [
        "deps",
        "_build",
        "priv",
        "Procfile",
        "backend/.mixpack",
        "backend/.mix",
    ] {
        assert!(!cold.slug.join(path).exists(), "{path} is in the slug");
    }
    // mix recompiles users of a path dependency after other dependencies were compiled. This must not happen on the
    // dyno or in a later step.
    let again = "compiling the users of shared again because other dependencies changed:";
    let (_, rest) = cold.stdout.split_once(again).unwrap();
    let (compile, later) = rest.split_once("-----> ").unwrap();
    // mix compares whole seconds, so code compiled within the same second is up to date. It names the app only after
    // it has named another project.
    let compiled = compiling(compile);
    let expected = "compiled shared, compiled backend: 1 file, compiled the app: 1 file";
    assert!(
        compiled.iter().all(|line| expected.contains(line)),
        "{compiled:?}"
    );
    assert_eq!(compiling(later), NOTHING);
    let first = beams(&cold.slug, "backend");
    let web = app.web(&cold);
    assert_eq!(web, format!("{LAUNCHER} mix phx.server"));
    let dyno = app.ship(cold);
    // As herokuish starts it.
    let server = dyno.start(&format!("$(eval echo \"{web}\")"));
    let page_served = server.get("/");
    assert!(
        page_served.contains("<h1>Deployed from a folder</h1>"),
        "{page_served}"
    );
    assert!(
        page_served.contains("<p>in /app/backend</p>"),
        "{page_served}"
    );
    let (_, script) = page_served.split_once("src=\"").unwrap();
    let (script, _) = script.split_once('"').unwrap();
    assert!(script.starts_with("/assets/app-"), "{script} is digested");
    assert!(server.get(script).contains("endPointURL"));
    let log = server.stop();
    assert_eq!(compiling(&log), NOTHING, "{log}");
    assert_eq!(
        dyno.one_off(&format!("{LAUNCHER} mix run --no-start -e 'IO.puts(:ran)'")),
        "ran\n"
    );
    assert_eq!(
        dyno.one_off("bash -c 'cd backend && mix run --no-start -e \"IO.puts(:ran)\"'"),
        "ran\n"
    );
    let tools = "bash -c 'command -v mix node; echo $HOME'";
    let mix = "/app/.platform_tools/elixir/bin/mix";
    assert_eq!(dyno.one_off(tools), format!("{mix}\n/app\n"));

    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(unchanged.compiled(), NOTHING, "{}", unchanged.log());
    assert!(!unchanged.stdout.contains("again, for"));
    holds(
        &unchanged,
        "not needed: dependencies and lockfile are unchanged",
    );
    assert_eq!(changed(&first, &unchanged.slug), NOTHING);
    drop(unchanged);

    app.edit("shared/lib/shared.ex", "\"Monorepo\"", "\"Changed\"");
    let third = app.deploy();
    third.expect_success();
    assert_eq!(
        changed(&first, &third.slug),
        [
            "Elixir.BackendWeb.PageController.beam",
            "Elixir.Shared.beam"
        ]
    );
    assert_eq!(
        third.compiled(),
        ["compiled shared: 1 file", "compiled backend: 1 file"],
        "{}",
        third.log()
    );
    let dyno = app.ship(third);
    let (page, _) = page(&dyno, &web);
    assert!(page.contains("<title>Changed</title>"), "{page}");
}

#[test]
fn subdirectory_procfile_is_used_unless_root_has_one() {
    let app = App::fixture("monorepo");
    app.write(
        "backend/Procfile",
        "web: echo \"starting   in $(basename \"$PWD\")\" && PHX_SERVER=1 mix run --no-halt\n\
         release: test -f mix.exs && echo 'migrated   it' || exit 7\n",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        deploy
            .stdout
            .contains("Procfile: the process types of backend/Procfile, which run in backend")
    );
    let made = fs::read_to_string(deploy.slug.join("Procfile")).unwrap();
    assert_eq!(
        made,
        format!(
            "# Made by Mixpack of backend/Procfile\n\
             release: {LAUNCHER} --process release\n\
             web: {LAUNCHER} --process web\n"
        )
    );
    let (web, release) = (of_procfile(&deploy, "web"), of_procfile(&deploy, "release"));

    // Build again in the same directory: the first build's files don't count as the app's.
    let procfile = deploy.slug.join("backend/Procfile");
    let text = fs::read_to_string(&procfile).unwrap();
    fs::write(&procfile, format!("{text}worker: mix run worker.exs\n")).unwrap();
    let again = app.compile(&deploy.build_dir);
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
    let worker = of_procfile(&again, "worker");
    assert!(worker.contains("--process worker"), "{worker}");

    let dyno = app.ship(again);
    let (page, log) = page(&dyno, &web);
    assert!(page.contains("<p>in /app/backend</p>"), "{page}");
    assert!(log.contains("starting   in backend\n"), "{log}");
    assert_eq!(dyno.one_off(&release), "migrated   it\n");
    fs::remove_file(dyno.app.join("backend/mix.exs")).unwrap();
    assert_eq!(dyno.run(&release).status.code(), Some(7));

    app.write("Procfile", "web: cd backend && mix phx.server\n");
    // For the app's own asset script, the old buildpacks' variables contain the app's directory instead of the root.
    app.write(
        "backend/compile",
        "printf '%s\\n' \"$PWD\" \"$build_dir\" \"$phoenix_dir\" \"$assets_dir\" \"$phoenix_relative_path\" \\\n\
         \"$assets_path\" \"$compile\" \"$heroku_dir\" > $build_dir/variables\n",
    );
    let own = app.deploy();
    own.expect_success();
    let text = fs::read_to_string(own.slug.join("Procfile")).unwrap();
    assert_eq!(text, "web: cd backend && mix phx.server\n");
    assert_eq!(
        fs::read_to_string(own.slug.join("backend/variables")).unwrap(),
        "/app/backend/assets\n/app/backend\n/app/backend\n/app/backend/assets\n.\n\
         assets\ncompile\n/app/.heroku\n"
    );
}

#[test]
fn release_of_app_in_subdirectory_builds_and_starts() {
    let app = App::fixture("monorepo");
    app.write(
        CONFIG,
        "release=true\napp_relative_path=./backend/\nhook_pre_compile='pwd -P > ran_in'\n",
    );
    let deploy = app.deploy();
    deploy.expect_success();
    let ran_in = fs::read_to_string(deploy.slug.join("backend/ran_in")).unwrap();
    assert_eq!(ran_in, "/app/backend\n", "of the hook");
    let web = app.web(&deploy);
    assert_eq!(
        web,
        format!("{LAUNCHER} _build/prod/rel/backend/bin/backend start")
    );
    let dyno = app.ship(deploy);
    let (page, _) = page(&dyno, &web);
    assert!(page.contains("<h1>Deployed from a folder</h1>"), "{page}");
    assert!(page.contains("/assets/app-"), "{page}");
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());

    // The release is next to the app's directory, and nothing else ships.
    app.edit(
        "backend/mix.exs",
        "deps: deps()",
        "deps: deps(),\n      releases: [backend: [path: \"../out/backend\"]]",
    );
    app.config("MIXPACK_SLIM", "full");
    let beside = app.deploy();
    beside.expect_success();
    let web = app.web(&beside);
    assert_eq!(web, format!("{LAUNCHER} ../out/backend/bin/backend start"));
    assert!(!beside.slug.join("backend/mix.exs").exists());
    app.ship(beside).start(&web).stop();
}

#[test]
fn reports_unset_or_invalid_app_directory() {
    let app = App::fixture("monorepo");
    app.remove(CONFIG);
    // The directory can also be set by a config var.
    let detected = app.detect();
    assert_eq!(detected.stdout, b"Phoenix\n");
    insta::assert_snapshot!("unnamed", refused(&app));
    app.config(FOLDER, "bakend");
    insta::assert_snapshot!("not_there", refused(&app));
    app.config(FOLDER, "/app/backend");
    insta::assert_snapshot!("absolute", refused(&app));
    app.write(CONFIG, "\napp_relative_path=../backend\n");
    app.unset(FOLDER);
    insta::assert_snapshot!("outside", refused(&app));
    let detected = app.detect();
    assert_eq!(detected.stdout, b"Elixir\n");
}

#[test]
fn changing_app_directory_does_not_reuse_other_apps_cache() {
    let app = App::fixture("monorepo");
    app.deploy().expect_success();
    // The config var wins over the file.
    app.config(FOLDER, "shared");
    let other = app.deploy();
    other.expect_success();
    assert!(
        other
            .stdout
            .contains("app in shared (from config var MIXPACK_APP_RELATIVE_PATH)")
    );
    for name in ["deps", "_build"] {
        let dropped =
            format!("{name}: discarded because app folder changed from backend to shared");
        assert!(other.stdout.contains(&dropped), "{}", other.stdout);
    }
    assert!(!other.stdout.contains("Node.js"), "{}", other.stdout);
    let lib = |slug: &Path, dir: &str| -> Vec<String> {
        let names = fs::read_dir(slug.join(dir).join("_build/prod/lib")).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(lib(&other.slug, "shared"), ["jason_lite", "shared"]);
    assert!(!other.slug.join("backend/deps").exists());
    let web = app.web(&other);
    assert_eq!(web, format!("{LAUNCHER} mix run --no-halt"));
    let dyno = app.ship(other);
    let line = format!("{LAUNCHER} mix run -e 'IO.puts(Shared.greeting())'");
    assert_eq!(dyno.one_off(&line), "Deployed from a folder\n");

    app.unset(FOLDER);
    let back = app.deploy();
    back.expect_success();
    assert_eq!(
        lib(&back.slug, "backend"),
        ["backend", "jason_lite", "phoenix", "shared"]
    );
    assert!(!back.slug.join("shared/_build").exists());
}

#[test]
fn umbrella_in_subdirectory_uses_its_own_config_files() {
    let app = App::fixture("");
    let fixture = repository().join("fixtures/umbrella");
    let source = app.source();
    whole_builds::copy(&fixture, &source.join("services/the shop"));
    app.config(FOLDER, "services/the shop");
    let deploy = app.deploy();
    deploy.expect_success();
    let config = "services/the shop/elixir_buildpack.config:1";
    assert!(deploy.stdout.contains(config), "{}", deploy.stdout);
    assert_eq!(links_that_leave(&deploy.slug), NO_PATHS);
    let web = app.web(&deploy);
    let dyno = app.ship(deploy);
    let (page, _) = page(&dyno, &web);
    assert!(page.contains("The umbrella's core"), "{page}");
    let again = app.deploy();
    again.expect_success();
    assert_eq!(again.compiled(), NOTHING, "{}", again.log());
}

#[test]
fn ci_runs_tests_of_app_in_subdirectory() {
    let app = App::fixture("monorepo");
    let built = app.test_compile(None);
    built.expect_success();
    let dyno = app.ship(built).with_buildpack();
    let said = dyno.one_off("/tmp/buildpack/bin/test /app /tmp/env");
    assert!(said.contains("1 test, 0 failures"), "{said}");
}

#[test]
fn mixpack_run_starts_processes_of_app_in_subdirectory() {
    let app = App::fixture("monorepo").in_app_dir(AppDir::Missing);
    app.write(
        "backend/Procfile",
        "web: export PHX_SERVER=1 && mix run --no-halt\n",
    );
    let home = app.sandbox.tmp().join("home");
    fs::create_dir(&home).unwrap();
    for folder in [&home, app.source()] {
        app.sandbox.give(folder).unwrap();
    }
    let plan = app.mixpack(&["plan", "/tmp/source"]).output().unwrap();
    let plan = String::from_utf8(plan.stdout).unwrap();
    let web = "\nweb      export PHX_SERVER=1 && mix run --no-halt  backend/Procfile\n";
    assert!(plan.contains(web), "{plan}");
    let built = app.mixpack(&["build", "/tmp/source"]).output().unwrap();
    assert!(built.status.success(), "{}", said(&built));
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut running = app
        .mixpack(&["run", "/tmp/source"])
        .env("PORT", port.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    let page = loop {
        if let Ok(mut answer) = ureq::get(format!("http://127.0.0.1:{port}/")).call() {
            break answer.body_mut().read_to_string().unwrap();
        }
        assert!(Instant::now() < until, "nothing answers on port {port}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(page.contains("<h1>Deployed from a folder</h1>"), "{page}");
    running.signal(Signal::TERM).unwrap();
}
