//! Builds on machines that share a registry and nothing else, as kpack and Tekton run them.

use std::collections::BTreeSet;
use std::thread;

use whole_builds::compiling;
use whole_builds::differential::slug_differences;
use whole_builds::pack::{App, Build, Registry};

const NOTHING: [&str; 0] = [];

/// The name of an image that no registry has.
const ABSENT: &str = "absent";

/// The files of the last image that differ from those of a clean build.
fn differences(app: &App, clean: &tempfile::TempDir) -> Vec<String> {
    slug_differences(files(app).path(), clean.path(), &BTreeSet::new())
}

/// The app's files and layers in its last image.
fn files(app: &App) -> tempfile::TempDir {
    let copied = tempfile::tempdir().expect("a directory");
    app.image()
        .copy_out(&["workspace", "layers"], copied.path());
    copied
}

/// The lines by which the lifecycle says that it pushes a layer of the image.
fn pushed(build: &Build) -> Vec<&str> {
    let lines = build.log.lines();
    lines
        .filter(|line| line.starts_with("Adding layer") || line.starts_with("Added "))
        .collect()
}

#[test]
fn build_on_empty_machine_reuses_cache_image_and_previous_image() {
    let registry = Registry::start();
    let mut app = App::with_its_host("plain-otp");
    app.push_to(&registry, "app");
    app.create(&registry, "cache", "app").expect_success();
    let image = app.image();
    let first = (image.id(), image.layers(), image.app_layers());
    let clean = files(&app);

    app.host().forget_requests();
    let unchanged = app.create(&registry, "cache", "app");
    unchanged.expect_success();
    assert_eq!(compiling(&unchanged.log), NOTHING, "{}", unchanged.log);
    assert_eq!(pushed(&unchanged), NOTHING);
    assert_eq!((image.id(), image.layers(), image.app_layers()), first);
    let requests = app.host().requests();
    let archives = [".tar.gz", ".zip", ".tar", ".ez"];
    let of_archives = requests
        .iter()
        .filter(|request| archives.iter().any(|end| request.path.ends_with(end)));
    assert_eq!(of_archives.count(), 0, "{requests:?}");

    // Only the layer of compiled code differs.
    app.write("lib/added.ex", "defmodule Added do\nend\n");
    let changed = app.create(&registry, "cache", "app");
    changed.expect_success();
    let is_reused = changed.log.contains("Reused 2/3 app layer(s)");
    assert!(is_reused, "{}", changed.log);
    app.remove("lib/added.ex");

    let lost = app.create(&registry, ABSENT, "app");
    lost.expect_success();
    assert_ne!(compiling(&lost.log), NOTHING, "{}", lost.log);
    assert_eq!(differences(&app, &clean), NOTHING);
}

/// Two builders may finish in any order, and either image may expire. Then the two come from different commits.
#[test]
fn cache_image_and_previous_image_of_different_commits_yield_clean_image() {
    let registry = Registry::start();
    let mut old = App::fixture("plain-otp");
    old.push_to(&registry, "app:old");
    let mut new = App::fixture("plain-otp");
    new.push_to(&registry, "app:new");
    // Toolchains are layers of the image only if it runs mix.
    new.write("Procfile", "worker: mix run --no-halt\n");
    new.write(".tool-versions", "erlang 25.2.3\nelixir 1.14.0-otp-25\n");
    new.write("lib/added.ex", "defmodule Added do\nend\n");
    let at_once = |[of_old, of_new]: [(&str, &str); 2]| {
        let builds = thread::scope(|scope| {
            let of_old = scope.spawn(|| old.create(&registry, of_old.0, of_old.1));
            let of_new = new.create(&registry, of_new.0, of_new.1);
            [of_old.join().expect("a build"), of_new]
        });
        for build in &builds {
            build.expect_success();
        }
    };
    at_once([("cache:old", ABSENT), ("cache:new", ABSENT)]);
    let clean = [files(&old), files(&new)];
    registry.tag("app", "old", "first-old");
    registry.tag("app", "new", "first-new");

    for images in [
        [
            ("cache:new", "app:first-old"),
            ("cache:old", "app:first-new"),
        ],
        // Both replace one cache image.
        [("cache:new", ABSENT), ("cache:new", "app:first-old")],
    ] {
        at_once(images);
        for (app, clean) in [&old, &new].into_iter().zip(&clean) {
            assert_eq!(differences(app, clean), NOTHING, "{images:?}");
        }
    }
}
