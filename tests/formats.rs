//! The formats of the cache, which a later version of Mixpack may read.

use mirror::AppDir;
use mirror::hex_registry::{Advisory, Release};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use toolchain::Hosts;
use walkdir::WalkDir;
use whole_builds::differential::{Api, Turns, replay};
use whole_builds::samples::{SAMPLES, changes_at, json_facts};
use whole_builds::{App, Deploy, flag, holds, npm_registry, own_host, repository, test_executable};

/// The commit whose executable is that of the last release: after a release, its tag.
const LAST_RELEASE: &str = "c38315b";

const CONFIG: &str = "elixir_buildpack.config";

/// The executables. Only one test at a time may use them.
fn turns() -> MutexGuard<'static, Turns> {
    static TURNS: LazyLock<(TempDir, Mutex<Turns>)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().expect("a folder for executables");
        let named = std::env::var_os("MIXPACK_EXE").map(PathBuf::from);
        let turns = Turns {
            tested: named.unwrap_or_else(|| repository().join("bin/mixpack-linux-amd64")),
            other: last_release(dir.path()),
            place: dir.path().join("mixpack"),
        };
        turns.take(&turns.tested);
        test_executable(turns.place.clone());
        (dir, Mutex::new(turns))
    });
    TURNS.1.lock().unwrap_or_else(PoisonError::into_inner)
}

fn last_release(dir: &Path) -> PathBuf {
    let file = format!("{LAST_RELEASE}:bin/mixpack-linux-amd64");
    let shown = Command::new("git")
        .args(["-c", "safe.directory=*", "show", &file])
        .current_dir(repository())
        .output();
    let shown = shown.expect("git");
    assert!(
        shown.status.success(),
        "{file} has to be in the history of this clone: git fetch --unshallow"
    );
    let executable = dir.join("last-release");
    fs::write(&executable, shown.stdout).expect("an executable");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&executable, mode).expect("an executable");
    executable
}

#[test]
fn alternating_last_and_current_version_yields_clean_slugs() {
    let turns = turns();
    replay(Api::Classic, "[[], []]", Some(&turns)).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn upgrade_keeps_versions_and_cookie_and_downgrade_builds() {
    let turns = turns();
    let app = App::cold_fixture("no-deps");
    let deploy = |executable: &Path| {
        turns.take(executable);
        let deploy = app.deploy();
        deploy.expect_success();
        deploy
    };
    let cookie = |deploy: &Deploy| {
        let file = "_build/prod/rel/no_deps/releases/COOKIE";
        fs::read_to_string(deploy.slug.join(file)).expect("a cookie")
    };
    let release = "release=true\n";
    let versions = "elixir_version=1.14.0\nerlang_version=25.2.3\n";
    app.write(CONFIG, &[release, versions].concat());
    let old = deploy(&turns.other);

    app.write(CONFIG, release);
    let upgraded = deploy(&turns.tested);
    holds(&upgraded, "erlang 25.2.3 (from the last build)");
    holds(&upgraded, "elixir 1.14.0 (from the last build)");
    assert_eq!(cookie(&upgraded), cookie(&old));
    let unchanged = deploy(&turns.tested);
    assert!(unchanged.compiled().is_empty(), "{}", unchanged.log());
    assert_eq!(cookie(&unchanged), cookie(&old));

    app.write(CONFIG, &[release, versions].concat());
    deploy(&turns.other);
    let again = deploy(&turns.tested);
    assert!(again.compiled().len() > unchanged.compiled().len());
}

#[test]
fn cache_notes_of_other_format_only_cause_rebuild() {
    let _turns = turns();
    let app = App::cold_fixture("compile-env");
    app.deploy().expect_success();
    let cache = app.cache().join("mixpack");
    for entry in fs::read_dir(&cache).expect("a cache") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if path.is_file() && name != "format" && !name.starts_with("unfinished") {
            fs::write(&path, "{\"shape\": \"another\"}").expect("a note");
        }
    }
    app.config("BANNER", "hello");
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "_build: discarded because the build cache doesn't say what it was compiled with",
    );
    let log = deploy.log();
    assert!(
        log.contains("The record of the last build can't be read"),
        "{log}"
    );
    let report = "mix run --no-start -e 'IO.puts(CompileEnv.report())'";
    let said = app.ship(deploy).one_off(report);
    assert!(said.contains("\"banner\":\"hello\""), "{said}");
    let unchanged = app.deploy();
    assert!(unchanged.compiled().is_empty(), "{}", unchanged.log());
}

/// The files of a cache, except for those of the trees in it, and the facts about each that readers depend on.
fn shapes(cache: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let files = WalkDir::new(cache).into_iter().filter_entry(|entry| {
        let parts = entry.path().strip_prefix(cache).expect("below it");
        !parts.iter().any(|part| part == "tree") && !parts.starts_with("scratch")
    });
    let mut shapes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files.map(|entry| entry.expect("a readable cache")) {
        if !file.file_type().is_file() {
            continue;
        }
        let path = file.path().strip_prefix(cache).expect("below it");
        let name = path.to_str().expect("a UTF-8 name");
        let name = match name.split('/').collect::<Vec<_>>()[..] {
            [kind, _, file] => format!("{kind}/NAME/{file}"),
            [note] if note.starts_with("cookie-") => "cookie-NAME".to_owned(),
            [note] if note.starts_with("fetched-") => "fetched-NAME.json".to_owned(),
            _ => name.replace("-prod", "-ENV"),
        };
        if name.starts_with("report") {
            // Facts by name, and the next build reads none of them.
            shapes.entry(name).or_default();
            continue;
        }
        let text = fs::read_to_string(file.path()).expect("text");
        let value = serde_json::from_str(&text).unwrap_or(Value::from(text));
        shapes.entry(name).or_default().extend(json_facts(&value));
    }
    shapes
}

/// A dependency of the fixture `phoenix-npm`.
fn flagged() -> Release {
    Release {
        package: "phoenix",
        version: "1.8.1",
        retired: Some((0, "a reason")),
        advisories: vec![Advisory {
            id: "GHSA-0000-test",
            alias: "CVE-2026-0000",
            ..Advisory::default()
        }],
    }
}

#[test]
fn cache_entries_match_format_and_docs() {
    let _turns = turns();
    let (mut all, mut format) = (BTreeMap::<_, BTreeSet<_>>::new(), String::new());
    for fixture in ["generated-files", "phoenix-npm"] {
        let app = App::on(own_host(), fixture, AppDir::Tmpfs);
        app.config("NPM_CONFIG_REGISTRY", &npm_registry());
        app.edit(CONFIG, "erlang_version", "release=true\nerlang_version");
        app.config("MIXPACK_CLEAN_BUILD", "1");
        app.deploy().expect_success();
        flag(app.host, &[flagged()]);
        app.deploy().expect_success();
        let cache = app.cache().join("mixpack");
        format = fs::read_to_string(cache.join("format")).expect("a format");
        for (name, facts) in shapes(&cache) {
            all.entry(name).or_default().extend(facts);
        }
    }
    let shapes = all;
    let lines = shapes.iter().map(|(name, facts)| {
        let facts = facts.iter().map(|fact| format!("\n  {fact}"));
        format!("{name}{}", facts.collect::<Vec<_>>().concat())
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    // A new or changed entry requires a new format if this one was released.
    insta::assert_snapshot!(format!("cache_of_format_{format}"), lines);
    let page = include_str!("../docs/contributing.md");
    for name in shapes.keys() {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not in docs/contributing.md"
        );
    }
}

#[test]
fn mirror_matches_upstream_samples() {
    let mirror = whole_builds::artifact_host();
    let url = mirror.url();
    let hosts = Hosts::new(&|name| match name {
        "HEX_BUILDS_URL" => Some(url.clone()),
        "NODEJS_ORG_MIRROR" => Some(format!("{url}/dist")),
        "MIXPACK_OTP_BUILDS_URL" => Some(format!("{url}/erlef/otp_builds")),
        _ => None,
    });
    let of_the_mirror = SAMPLES
        .iter()
        .filter(|sample| sample.name != "npm-packages.txt");
    let changes = changes_at(&hosts, of_the_mirror).join("\n");
    insta::assert_snapshot!("mirror", changes.replace(&url, "http://HOST"));
}
