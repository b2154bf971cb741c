//! Compiled dependencies from a shared store are those that the build would have compiled.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use mirror::object_stores::{ObjectStore, READER, WRITER};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use whole_builds::differential::slug_differences;

use whole_builds::{App, Deploy, files_with};

/// Keys of these tests alone: the seeds of a writer and of another one.
const SIGNING_KEY: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
const OTHER_KEY: &str = "Q0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0M=";
const SECRET: &str = "a secret of these tests";

/// The dependencies of the fixture `everything` that can't be shared.
const NOT_SHARED: [&str; 2] = [
    "not in the shared store: colocated_lite reads ",
    "not in the shared store: native_lite runs a program: ",
];

/// Builds the app with an empty cache.
#[track_caller]
fn clean_build(app: &App) -> Deploy {
    app.clear_cache();
    let deploy = app.deploy();
    deploy.expect_success();
    deploy
}

fn everything() -> App {
    let app = App::fixture("everything");
    app.git_from(&format!("{}/git/", app.host.url()));
    app
}

/// The same without assets, which the store doesn't affect.
fn everything_but_assets() -> App {
    let app = everything();
    app.config("MIXPACK_SKIP_ASSETS", "true");
    app
}

/// Has the app use a directory of the build's machine.
fn use_directory(app: &App) -> PathBuf {
    let store = app.sandbox.tmp().join("shared");
    fs::create_dir_all(&store).unwrap();
    app.sandbox.give(&store).unwrap();
    app.config("MIXPACK_STORE", "/tmp/shared");
    app.config("MIXPACK_STORE_SECRET", SECRET);
    app.config("MIXPACK_STORE_SIGNING_KEY", SIGNING_KEY);
    store
}

fn objects(store: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(store).into_iter().flatten();
    let files = walk.filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}

#[track_caller]
fn assert_same(one: &Deploy, other: &Deploy) {
    let found = slug_differences(&one.slug, &other.slug, &BTreeSet::new());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[track_caller]
fn assert_logged(deploy: &Deploy, text: &str) {
    assert!(deploy.log().contains(text), "{text}: {}", deploy.log());
}

#[test]
fn slug_is_the_same_with_no_store_an_empty_one_and_a_full_one() {
    let app = everything();
    let without = clean_build(&app);
    let store = use_directory(&app);
    let empty = clean_build(&app);
    assert_logged(&empty, "added 6 dependencies to the shared store\n");
    assert_same(&empty, &without);
    for kept_out in NOT_SHARED {
        assert_logged(&empty, kept_out);
    }
    drop(empty);
    let before = objects(&store);
    let full = clean_build(&app);
    assert_logged(&full, "6 dependencies from the shared store, ");
    assert_same(&full, &without);
    assert_eq!(objects(&store), before);
    drop(full);

    let unchanged = app.deploy();
    unchanged.expect_success();
    assert_eq!(unchanged.compiled(), Vec::<&str>::new());
    drop(unchanged);

    // Only entries that depend on the change differ.
    app.config("MIX_ENV", "staging");
    let other = clean_build(&app);
    assert!(
        !other.log().contains("from the shared store"),
        "{}",
        other.log()
    );
}

#[test]
fn settings_and_values_reach_neither_slug_nor_cache_nor_store() {
    let app = everything_but_assets();
    let store = use_directory(&app);
    let value = "of-a-config-var-5309";
    // It is in the fixture's config, which knobs reads.
    app.config("KNOB", value);
    app.edit(
        "elixir_buildpack.config",
        "elixir_version",
        "hook_pre_compile='env | sort > env.txt'\nelixir_version",
    );
    let config = fs::read_to_string(app.source().join("config/config.exs")).unwrap();
    let line = "config :knobs, :level, System.get_env(\"KNOB\", \"low\")\n";
    app.write("config/config.exs", &format!("{config}\n{line}"));
    let deploy = clean_build(&app);
    let why = "not in the shared store: knobs reads the config :knobs :level, which has the value of KNOB\n";
    assert_logged(&deploy, why);
    let env = fs::read_to_string(deploy.slug.join("env.txt")).unwrap();
    assert!(!env.contains("MIXPACK_STORE"), "{env}");
    for text in [SECRET, SIGNING_KEY] {
        assert!(!deploy.log().contains(text));
        for tree in [deploy.slug.as_path(), app.cache()] {
            assert_eq!(files_with(tree, text), Vec::<PathBuf>::new());
        }
    }
    for text in [SECRET, SIGNING_KEY, value] {
        assert_eq!(files_with(&store, text), Vec::<PathBuf>::new());
    }
}

#[test]
fn dependencies_that_read_state_of_the_build_are_not_shared() {
    let app = everything_but_assets();
    use_directory(&app);
    app.edit(
        "elixir_buildpack.config",
        "elixir_version",
        "hook_pre_compile='cp apps.ex deps/knobs/lib; cp cores.ex deps/esbuild/lib; \
         cp sources.ex deps/greeter/lib; cp protocols.ex deps/phoenix/lib'\nelixir_version",
    );
    let module = "defmodule Greeter.Sources do
  @there File.dir?(\"../knobs\")
  def there, do: @there
end";
    app.write("sources.ex", module);
    // As mix does from Elixir 1.19 on.
    let module = "defmodule Phoenix.Protocols do
  @deleted File.rm_rf(\"../../_build/prod/lib/everything/consolidated\")
  def deleted, do: @deleted
end";
    app.write("protocols.ex", module);
    let module = "defmodule Knobs.Apps do
  @started length(Application.started_applications())
  def started, do: @started
end";
    app.write("apps.ex", module);
    let module = "defmodule Esbuild.Cores do
  @cores :erlang.system_info(:schedulers_online)
  def cores, do: @cores
end";
    app.write("cores.ex", module);
    let deploy = clean_build(&app);
    let why = "not in the shared store: knobs asks which applications are started\n";
    assert_logged(&deploy, why);
    let why = "not in the shared store: esbuild depends on the machine (:erlang.system_info)\n";
    assert_logged(&deploy, why);
    let why = "not in the shared store: greeter uses knobs, which it doesn't depend on\n";
    assert_logged(&deploy, why);
    assert_logged(&deploy, "added 3 dependencies to the shared store\n");
}

#[test]
fn packages_that_mention_each_other_find_the_same_modules_as_without_a_store() {
    let app = everything_but_assets();
    let copies = "for name in esbuild phoenix knobs; do cp $name.ex deps/$name/lib/order.ex; done";
    app.edit(
        "elixir_buildpack.config",
        "elixir_version",
        &format!("hook_pre_compile='{copies}'\nelixir_version"),
    );
    // In mix's order, the first and the last are compiled before greeter. The first can't be shared.
    for (file, module, lines) in [
        (
            "esbuild.ex",
            "Esbuild.Order",
            "@started length(Application.started_applications())
  def started, do: @started
  @found Code.ensure_loaded?(Greeter)
  def found, do: @found
  def call, do: Greeter.missing()",
        ),
        // It doesn't use what it mentions.
        ("phoenix.ex", "Phoenix.Order", "def other, do: Esbuild"),
        (
            "knobs.ex",
            "Knobs.Order",
            "@found Code.ensure_loaded?(Greeter)
  def found, do: @found
  def call, do: Greeter.missing()",
        ),
    ] {
        app.write(file, &format!("defmodule {module} do\n  {lines}\nend\n"));
    }
    let without = clean_build(&app);
    use_directory(&app);
    let empty = clean_build(&app);
    assert_logged(&empty, "added 5 dependencies to the shared store\n");
    let why = "not in the shared store: esbuild asks which applications are started\n";
    assert_logged(&empty, why);
    assert_same(&empty, &without);
    drop(empty);
    // greeter is left in the store, so that esbuild doesn't find it.
    let full = clean_build(&app);
    assert_logged(&full, "4 dependencies from the shared store, ");
    let compiled = full.compiled().join("\n");
    assert!(compiled.contains("greeter"), "{}", full.log());
    assert_same(&full, &without);
    drop(full);

    // If it is compiled alone, it finds greeter in `_build`. Clean builds must not use that code.
    let config = "elixir_buildpack.config";
    let before = fs::read_to_string(app.source().join(config)).unwrap();
    let hook = "hook_pre_fetch_dependencies='rm -rf deps/knobs'";
    app.write(config, &format!("{before}\n{hook}\n"));
    let later = app.deploy();
    later.expect_success();
    assert_logged(
        &later,
        "not in the shared store: knobs uses Greeter of greeter, ",
    );
    drop(later);
    app.write(config, &before);
    assert_same(&clean_build(&app), &without);
}

#[test]
fn store_that_lies_is_a_miss_and_a_warning() {
    let app = everything_but_assets();
    let store = use_directory(&app);
    let first = clean_build(&app);
    let all = objects(&store);
    let bytes: Vec<Vec<u8>> = all.iter().map(|path| fs::read(path).unwrap()).collect();

    // Objects of a writer that this app doesn't trust.
    app.config("MIXPACK_STORE_SIGNING_KEY", OTHER_KEY);
    let foreign = clean_build(&app);
    assert!(
        !foreign.log().contains("from the shared store,"),
        "{}",
        foreign.log()
    );
    assert_same(&foreign, &first);
    drop(foreign);

    // Each object has the content of another one, signed by the same writer.
    fs::remove_dir_all(&store).unwrap();
    use_directory(&app);
    for (path, bytes) in all.iter().zip(bytes.iter().cycle().skip(1)) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    app.sandbox.give(&store).unwrap();
    let replayed = clean_build(&app);
    assert!(
        !replayed.log().contains("from the shared store,"),
        "{}",
        replayed.log()
    );
    assert_logged(
        &replayed,
        "The shared store at /tmp/shared returned an object ",
    );
    assert_same(&replayed, &first);
}

#[test]
fn later_build_adds_what_it_compiles_next_to_cached_code() {
    let app = everything_but_assets();
    let store = use_directory(&app);
    drop(clean_build(&app));
    let full = store.with_file_name("full");
    fs::rename(&store, &full).unwrap();
    use_directory(&app);

    // It uses jason_lite, which is in the cached `_build`.
    let config = "elixir_buildpack.config";
    let before = fs::read_to_string(app.source().join(config)).unwrap();
    let hook = "hook_pre_fetch_dependencies='rm -rf deps/esbuild'";
    app.write(config, &format!("{before}\n{hook}\n"));
    let later = app.deploy();
    later.expect_success();
    assert_logged(&later, "added 1 dependency to the shared store\n");
    drop(later);
    app.write(config, &before);

    // Clean builds find it.
    for object in objects(&store) {
        let inside = object.strip_prefix(&store).unwrap();
        fs::copy(&object, full.join(inside)).unwrap();
    }
    fs::remove_dir_all(&store).unwrap();
    fs::rename(&full, &store).unwrap();
    let clean = clean_build(&app);
    assert_logged(&clean, "6 dependencies from the shared store, ");
}

#[test]
fn code_of_revoked_writer_is_compiled_again() {
    let app = everything_but_assets();
    use_directory(&app);
    drop(clean_build(&app));
    let taken = clean_build(&app);
    assert_logged(&taken, "6 dependencies from the shared store, ");
    drop(taken);
    let cache = app.cache().to_owned();
    let kept = cache.with_file_name("kept");
    let copy = |from: &Path, to: &Path| {
        let status = Command::new("cp").arg("-a").args([from, to]).status();
        assert!(status.unwrap().success());
    };
    copy(&cache, &kept);
    let other = shared_store::public_key_of(OTHER_KEY).unwrap();
    for (name, value) in [
        ("MIXPACK_STORE_TRUST", other.as_str()),
        ("MIXPACK_STORE_EXCEPT", "jason_lite"),
    ] {
        fs::remove_dir_all(&cache).unwrap();
        copy(&kept, &cache);
        app.config(name, value);
        let revoked = app.deploy();
        revoked.expect_success();
        let why = "_build: discarded because the shared store's trust list changed\n";
        assert_logged(&revoked, why);
        let compiled = revoked.compiled().join("\n");
        assert!(compiled.contains("jason_lite"), "{}", revoked.log());
        app.unset(name);
    }
}

#[test]
fn oldest_elixir_uses_the_store() {
    let app = App::fixture("elixir-1-14");
    let more = "{:ranch_lite, \"~> 1.0\"}, {:phoenix, ";
    app.edit("mix.exs", "{:phoenix, ", more);
    use_directory(&app);
    let empty = clean_build(&app);
    assert_logged(&empty, "added 2 dependencies to the shared store\n");
    // Before Elixir 1.15, mix links the `ebin` that a package for rebar3 contains, and doesn't copy it.
    assert_logged(
        &empty,
        "not in the shared store: ranch_lite changes ebin/ranch_lite.app while it is compiled\n",
    );
    fs::copy(empty.slug.join("mix.lock"), app.source().join("mix.lock")).unwrap();
    let full = clean_build(&app);
    assert_logged(&full, "2 dependencies from the shared store, ");
    assert_same(&full, &empty);
}

/// Production adds to nginx; a review app, with another cache and no signing key, reads.
#[test]
fn review_app_uses_entries_that_production_added_to_a_web_server() {
    let server = ObjectStore::nginx().unwrap().expect("an installed nginx");
    let production = everything_but_assets();
    let review = everything_but_assets();
    for app in [&production, &review] {
        app.config("MIXPACK_STORE", &format!("{}/elixir", server.url()));
        app.config("MIXPACK_STORE_SECRET", SECRET);
        app.config("MIXPACK_STORE_READ", READER);
    }
    production.config("MIXPACK_STORE_WRITE", WRITER);
    production.config("MIXPACK_STORE_SIGNING_KEY", SIGNING_KEY);
    let public_key = shared_store::public_key_of(SIGNING_KEY).unwrap();
    review.config("MIXPACK_STORE_TRUST", &public_key);
    let first = production.deploy();
    first.expect_success();
    assert_logged(&first, "added 6 dependencies to the shared store\n");
    let second = review.deploy();
    second.expect_success();
    assert_logged(&second, "6 dependencies from the shared store, ");
    for password in [READER, WRITER] {
        assert!(!first.log().contains(password));
        assert!(!second.log().contains(password));
    }

    // A server that doesn't respond costs a build seconds, and causes one warning.
    drop((server, second));
    review.clear_cache();
    let without = review.deploy();
    without.expect_success();
    let mentioned = without.log().matches("The shared store at ").count();
    assert_eq!(mentioned, 1, "{}", without.log());
}

#[test]
fn setting_that_cannot_be_used_ends_the_build() {
    let app = App::fixture("no-deps");
    app.config("MIXPACK_STORE", "/tmp/shared");
    let deploy = app.deploy();
    assert!(!deploy.succeeded);
    assert_logged(&deploy, "Error code: shared-store-setting");
    assert_logged(&deploy, "MIXPACK_STORE_SECRET");
}
