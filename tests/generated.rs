//! Files that compiling or installing packages creates in the app, outside the build's own directories. The next
//! build has them too, and they equal those of a clean build.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use walkdir::WalkDir;
use whole_builds::{App, Deploy, files_with, holds, lacks};

const NOTHING: [&str; 0] = [];
const FROM_SCRATCH: &str = "compiling the app from scratch because ";
const RESTORED: &str = "Restoring generated files";

/// The app's own part of a slug, by path: the content and mode of a file, the target of a link.
fn contents(slug: &Path) -> BTreeMap<String, String> {
    let is_tool =
        |name: &str| [".platform_tools", ".mix", ".hex", ".mixpack", "_build"].contains(&name);
    let walk = WalkDir::new(slug).min_depth(1).into_iter();
    let walk = walk.filter_entry(|entry| !entry.file_name().to_str().is_some_and(is_tool));
    walk.map(|entry| {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(slug).unwrap();
        let content = if entry.file_type().is_symlink() {
            fs::read_link(entry.path()).unwrap().display().to_string()
        } else if entry.file_type().is_dir() {
            "a folder".to_owned()
        } else {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o111;
            format!("{mode} {:?}", fs::read(entry.path()).unwrap())
        };
        (path.to_str().unwrap().to_owned(), content)
    })
    .collect()
}

#[track_caller]
fn same_as_clean(app: &App, deploy: &Deploy) {
    let clean = App::fixture("");
    whole_builds::copy(app.source(), clean.source());
    let clean = clean.deploy();
    clean.expect_success();
    let (ours, theirs) = (contents(&deploy.slug), contents(&clean.slug));
    let paths = ours.keys().chain(theirs.keys());
    let different: Vec<&String> = paths
        .filter(|path| ours.get(*path) != theirs.get(*path))
        .collect();
    assert_eq!(different, [""; 0], "{}", deploy.log());
}

fn report(app: &App, deploy: Deploy) -> String {
    let dyno = app.ship(deploy);
    dyno.one_off("mix run -e 'IO.puts(GeneratedFiles.report())'")
}

#[test]
fn generated_files_are_restored_or_regenerated() {
    let app = App::fixture("generated-files");
    let first = app.deploy();
    first.expect_success();
    holds(&first, "generated files: 5 files, 0.0 MB");
    lacks(&first, FROM_SCRATCH);
    let expected = "answer=42 words=early,late script=ran link=followed empty=[] toolbox=ready";
    let said = report(&app, first);
    assert!(said.contains(expected), "{said}");

    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(unchanged.compiled(), NOTHING, "{}", unchanged.log());
    holds(&unchanged, RESTORED);
    holds(&unchanged, "5 generated files, 0.0 MB");
    same_as_clean(&app, &unchanged);
    let said = report(&app, unchanged);
    assert!(said.contains(expected), "{said}");

    app.edit("words.txt", "late", "late\nlatest");
    let changed = app.deploy();
    changed.expect_success();
    holds(
        &changed,
        "compiling the app from scratch because compiling creates lib/generated/words.ex, and words.txt changed",
    );
    let said = report(&app, changed);
    assert!(said.contains("words=early,late,latest"), "{said}");

    // Files that are no longer generated disappear.
    app.write("lib/native.ex", "defmodule GeneratedFiles.Native do\nend\n");
    let without = app.deploy();
    without.expect_success();
    holds(&without, "lib/native.ex changed");
    assert!(without.slug.join("lib/generated/words.ex").exists());
    assert!(!without.slug.join("priv/native").exists());
    same_as_clean(&app, &without);
    drop(without);

    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(unchanged.compiled(), NOTHING, "{}", unchanged.log());
    lacks(&unchanged, FROM_SCRATCH);
    drop(unchanged);

    // Files that belong together are restored together or not at all.
    let kept = app.cache().join("mixpack/state/generated-prod/tree");
    fs::write(kept.join("lib/generated/words.ex"), "damaged").unwrap();
    let damaged = app.deploy();
    damaged.expect_success();
    holds(&damaged, FROM_SCRATCH);
    same_as_clean(&app, &damaged);
}

#[test]
fn generated_file_with_config_var_value_is_not_cached() {
    const VALUE: &str = "v4lue-of-a-config-var";
    let app = App::fixture("no-deps");
    app.config("GREETING", VALUE);
    app.write(
        "lib/greeting.ex",
        "defmodule Greeting do\n  File.mkdir_p!(\"priv\")\n  \
         File.write!(\"priv/greeting\", \"<\" <> System.get_env(\"GREETING\", \"\") <> \">\")\nend\n",
    );
    for build in ["first", "second"] {
        let deploy = app.deploy();
        deploy.expect_success();
        let written = fs::read_to_string(deploy.slug.join("priv/greeting")).unwrap();
        assert_eq!(written, format!("<{VALUE}>"), "{build}");
        holds(
            &deploy,
            "each build compiles the app from scratch because compiling creates priv/greeting, which \
             isn't kept: it holds the value of GREETING",
        );
        assert!(!deploy.log().contains(VALUE));
        let kept = files_with(app.cache(), VALUE);
        assert!(kept.is_empty(), "{kept:?}");
        assert_eq!(deploy.log().contains(FROM_SCRATCH), build == "second");
    }
}

#[test]
fn pushed_file_modified_by_compilation_is_modified_in_every_build() {
    let app = App::fixture("no-deps");
    app.write("VERSION", "pushed");
    app.write(
        "lib/rewriting.ex",
        "defmodule Rewriting do\n  File.write!(\"VERSION\", \"compiled\")\nend\n",
    );
    for build in ["first", "second"] {
        let deploy = app.deploy();
        deploy.expect_success();
        let version = fs::read_to_string(deploy.slug.join("VERSION")).unwrap();
        assert_eq!(version, "compiled", "{build}: {}", deploy.log());
        holds(
            &deploy,
            "each build compiles the app from scratch because compiling changes VERSION",
        );
    }
    // If it writes the pushed content, the file is unchanged.
    app.write("VERSION", "compiled");
    app.deploy().expect_success();
    let last = app.deploy();
    last.expect_success();
    lacks(&last, FROM_SCRATCH);
    assert_eq!(last.compiled(), NOTHING, "{}", last.log());
}

/// A package whose installation writes a file beside `node_modules`, in npm's lockfile.
fn add_package_that_writes(app: &App) {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    let script = "cp package.json \"$INIT_CWD/../priv/by_npm.json\"";
    let json = serde_json::json!({
        "name": "writer", "version": "1.0.0", "scripts": {"postinstall": script}
    });
    fs::write(package.join("package.json"), json.to_string()).unwrap();
    let archive = app.source().join("assets/vendor/writer.tgz");
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    let status = Command::new("tar")
        .arg("-czf")
        .args([&archive])
        .arg("-C")
        .args([folder.path()])
        .arg("package")
        .status();
    assert!(status.unwrap().success());
    let asked = "\"phoenix\": \"file:../deps/phoenix\"";
    let both = format!("{asked}, \"writer\": \"file:vendor/writer.tgz\"");
    app.edit("assets/package.json", asked, &both);
    app.edit("assets/package-lock.json", asked, &both);
    app.edit(
        "assets/package-lock.json",
        "\"node_modules/phoenix\": {",
        "\"node_modules/writer\": {\"version\": \"1.0.0\", \"resolved\": \
         \"file:vendor/writer.tgz\", \"hasInstallScript\": true},\n    \"node_modules/phoenix\": {",
    );
}

#[test]
fn packages_writing_outside_node_modules_install_in_every_build() {
    let app = App::fixture("phoenix-npm");
    add_package_that_writes(&app);
    for build in 1..=3 {
        let deploy = app.deploy();
        deploy.expect_success();
        let written = deploy.slug.join("priv/by_npm.json");
        assert!(written.exists(), "build {build}: {}", deploy.log());
        holds(&deploy, "$ npm ci");
        if build == 3 {
            holds(
                &deploy,
                "installing in every build: it creates priv/by_npm.json",
            );
            // The record now says which step creates the file, and it isn't compilation.
            lacks(&deploy, FROM_SCRATCH);
            assert_eq!(deploy.compiled(), NOTHING, "{}", deploy.log());
        }
    }
}

#[test]
fn assets_are_rebuilt_if_generated_inputs_change() {
    let app = App::fixture("phoenix-npm");
    app.write(
        "lib/phoenix_npm/commit.ex",
        "defmodule PhoenixNpm.Commit do\n  commit = System.get_env(\"SOURCE_VERSION\")\n  \
         File.write!(\"assets/js/commit.js\", \"export default '#{commit}'\")\n  \
         File.write!(\"priv/static/commit.txt\", commit)\nend\n",
    );
    app.edit(
        "assets/js/app.js",
        "import {Socket}",
        "import commit from \"./commit\"\nimport {Socket}",
    );
    app.edit("assets/js/app.js", "app: \"phoenix_npm\"", "app: commit");
    let deploy = |commit: &str| {
        app.config("SOURCE_VERSION", commit);
        let deploy = app.deploy();
        deploy.expect_success();
        let read = |path: &str| fs::read_to_string(deploy.slug.join(path)).unwrap();
        let bundle = read("priv/static/assets/app.js");
        assert!(bundle.contains(commit), "{bundle}");
        assert_eq!(read("priv/static/commit.txt"), commit);
        let manifest = read("priv/static/cache_manifest.json");
        assert!(manifest.contains("commit-"), "{manifest}");
        deploy
    };
    drop(deploy("0ld-commit"));
    let other = deploy("n3w-commit");
    holds(
        &other,
        "rebuilding because assets/js/commit.js, which compilation generates, has changed",
    );
    holds(&other, "$ npm run deploy");
    drop(other);
    let unchanged = deploy("n3w-commit");
    holds(&unchanged, RESTORED);
    lacks(&unchanged, "$ npm run deploy");
}

#[test]
fn hooks_see_same_files_as_in_clean_build() {
    let app = App::fixture("generated-files");
    let hooks = "hook_pre_compile='mkdir lib/hooked && test ! -e lib/generated'\n\
                 hook_post_compile='mv priv/native/target priv/native/moved'\n";
    let config = fs::read_to_string(app.source().join("elixir_buildpack.config")).unwrap();
    app.write("elixir_buildpack.config", &format!("{config}{hooks}"));
    let first = app.deploy();
    first.expect_success();
    let expected = contents(&first.slug);
    assert!(expected.contains_key("priv/native/moved") && expected.contains_key("lib/hooked"));
    drop(first);
    let second = app.deploy();
    second.expect_success();
    holds(&second, RESTORED);
    assert_eq!(contents(&second.slug), expected);
}

#[test]
fn hook_compile_generated_files_are_restored() {
    let app = App::fixture("generated-files");
    let config = fs::read_to_string(app.source().join("elixir_buildpack.config")).unwrap();
    let hook = "hook_compile='mix compile && echo done > compiled_by_hook'\n";
    app.write("elixir_buildpack.config", &format!("{config}{hook}"));
    app.deploy().expect_success();
    let unchanged = app.deploy();
    unchanged.expect_success();
    holds(&unchanged, RESTORED);
    assert_eq!(unchanged.compiled(), NOTHING, "{}", unchanged.log());
    same_as_clean(&app, &unchanged);
    drop(unchanged);
    app.write("native/answer.c", "#error \"not used any more\"\n");
    app.write("lib/native.ex", "defmodule GeneratedFiles.Native do\nend\n");
    let changed = app.deploy();
    changed.expect_success();
    holds(&changed, FROM_SCRATCH);
    assert!(!changed.slug.join("priv/native").exists());
    same_as_clean(&app, &changed);
}

#[test]
fn generated_files_of_compilation_in_hook_are_present() {
    let app = App::fixture("no-deps");
    let config = fs::read_to_string(app.source().join("elixir_buildpack.config")).unwrap();
    let hook = "hook_pre_compile='mix make_report'\n";
    app.write("elixir_buildpack.config", &format!("{config}{hook}"));
    // A task of the app's own has the app compiled first.
    app.write(
        "lib/mix/tasks/make_report.ex",
        "defmodule Mix.Tasks.MakeReport do\n  use Mix.Task\n  File.mkdir_p!(\"priv\")\n  \
         File.write!(\"priv/by_compiling\", \"\")\n  \
         def run(_), do: File.write!(\"priv/by_task\", \"\", [:exclusive])\nend\n",
    );
    for build in 1..=3 {
        let deploy = app.deploy();
        deploy.expect_success();
        for file in ["priv/by_compiling", "priv/by_task"] {
            assert!(deploy.slug.join(file).exists(), "{file}: {}", deploy.log());
        }
        match build {
            1 => lacks(&deploy, FROM_SCRATCH),
            2 => holds(
                &deploy,
                "hook_pre_compile has not created priv/by_compiling again; it may be from compiling",
            ),
            _ => holds(
                &deploy,
                "compiling the app from scratch because a hook compiles it, which creates priv/by_compiling",
            ),
        }
    }
    // The task creates its files in every build.
    app.edit(
        "lib/mix/tasks/make_report.ex",
        "  File.mkdir_p!(\"priv\")\n  File.write!(\"priv/by_compiling\", \"\")\n",
        "",
    );
    app.deploy().expect_success();
    app.deploy().expect_success();
    let last = app.deploy();
    last.expect_success();
    assert!(last.slug.join("priv/by_task").exists());
    lacks(&last, FROM_SCRATCH);
    assert_eq!(last.compiled(), NOTHING, "{}", last.log());
}

#[test]
fn code_generated_during_compilation_is_compiled() {
    let app = App::fixture("no-deps");
    app.write(
        "lib/maker.ex",
        "defmodule Maker do\n  File.mkdir_p!(\"lib/made\")\n  File.write!(\"lib/made/made.ex\", \
         \"defmodule Made do\\n  def ran, do: :ran\\nend\\n\")\nend\n",
    );
    for build in ["first", "second"] {
        let deploy = app.deploy();
        deploy.expect_success();
        let again = "compiling again because compilation generated lib/made/made.ex:";
        assert_eq!(deploy.log().contains(again), build == "first");
        let said = app.ship(deploy).one_off("mix run -e 'IO.puts(Made.ran())'");
        assert!(said.contains("ran"), "{build}: {said}");
    }
}

#[test]
fn pushed_dependencies_belong_to_app() {
    let app = App::fixture("generated-files");
    fs::create_dir(app.source().join("deps")).unwrap();
    let toolbox = app.source().join("toolbox");
    fs::rename(&toolbox, app.source().join("deps/toolbox")).unwrap();
    app.edit("mix.exs", "path: \"toolbox\"", "path: \"deps/toolbox\"");
    app.deploy().expect_success();
    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(unchanged.compiled(), NOTHING, "{}", unchanged.log());
    assert!(
        unchanged
            .slug
            .join("deps/toolbox/priv/toolbox.txt")
            .exists()
    );
    same_as_clean(&app, &unchanged);
    drop(unchanged);
    app.edit("words.txt", "late", "latest");
    let changed = app.deploy();
    changed.expect_success();
    holds(&changed, FROM_SCRATCH);
    lacks(&changed, "compiling dependencies from scratch too");
    same_as_clean(&app, &changed);
}

#[test]
fn files_generated_in_dependency_root_are_cached() {
    let app = App::fixture("compile-env");
    let hook = "hook_pre_compile='echo made > deps/knobs/made_at_the_top'\n";
    app.write("elixir_buildpack.config", hook);
    app.deploy().expect_success();
    let kept = app.cache().join("mixpack/state/deps-prod/tree/knobs");
    assert!(kept.join("made_at_the_top").exists());
}

#[test]
fn leex_output_does_not_cause_full_recompile() {
    let app = App::fixture("no-deps");
    app.write(
        "src/words.xrl",
        "Definitions.\nRules.\n[a-z]+ : {token, {word, TokenChars}}.\nErlang code.\n",
    );
    app.edit(
        "mix.exs",
        "deps: []",
        "deps: [], compilers: [:leex] ++ Mix.compilers()",
    );
    app.deploy().expect_success();
    app.write("lib/other.ex", "defmodule Other do\nend\n");
    let changed = app.deploy();
    changed.expect_success();
    lacks(&changed, FROM_SCRATCH);
    assert_eq!(changed.compiled().len(), 1, "{}", changed.log());
    assert!(changed.slug.join("src/words.erl").exists());
    drop(changed);
    app.remove("src/words.xrl");
    let removed = app.deploy();
    removed.expect_success();
    assert!(!removed.slug.join("src/words.erl").exists());
}
