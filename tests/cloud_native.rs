//! Builds with the real `pack` and the real lifecycle, in Docker.

use std::path::Path;
use std::time::Duration;

use whole_builds::pack::{App, Buildpack, RunImage};

/// What the tests of the buildpack rest on, shown with a buildpack of a few lines: what `pack` and
/// the lifecycle restore and reuse, what is seen of an image, and how a container ends.
#[test]
fn pack_and_the_lifecycle_work_as_these_tests_take_them_to() {
    let build = r#"
        layers=$CNB_LAYERS_DIR
        echo "the build sees GREETING=${GREETING:-nothing} as $(id -u)"
        if [ -e "$layers/kept/count" ]; then
          count=$(cat "$layers/kept/count")
        else
          count=0
          mkdir "$layers/kept"
        fi
        echo "built before: $count"
        echo $((count + 1)) > "$layers/kept/count"
        printf '[types]\ncache = true\n' > "$layers/kept.toml"
        mkdir -p "$layers/tool/bin"
        cat > "$layers/tool/bin/serve" <<'SCRIPT'
        #!/bin/bash
        trap 'echo told to end; exit 7' TERM
        echo "serving as $(id -u) on $PORT with ${GREETING:-nothing}"
        while :; do sleep 0.1; done
SCRIPT
        chmod +x "$layers/tool/bin/serve"
        sed -i 's/^        //' "$layers/tool/bin/serve"
        printf '[types]\nlaunch = true\n[metadata]\nmade = "by hand"\n' > "$layers/tool.toml"
        printf '[[processes]]\ntype = "web"\ncommand = ["serve"]\ndefault = true\n' > "$layers/launch.toml"
        printf '{"bomFormat": "CycloneDX", "specVersion": "1.4", "components": [{"name": "a part"}]}' \
          > "$layers/launch.sbom.cdx.json"
        "#;
    let buildpack = Buildpack::of_scripts("by-hand", "exit 0", build);
    let mut app = App::with_buildpacks(vec![buildpack]);
    app.write("page.html", "a page that is in the app\n");
    app.env("GREETING", "welcome");
    let run_image = RunImage::of_its_own();
    app.run_on(&run_image);

    let first = app.build();
    first.expect_success();
    assert!(
        first.log.contains("sees GREETING=welcome as 1000"),
        "{}",
        first.log
    );
    assert!(first.log.contains("built before: 0"));
    let layers = app.image().layers();
    let tool = &layers["mixpack-test/by-hand:tool"];
    assert_eq!(
        (layers.len(), tool.cache, tool.build, &tool.metadata["made"]),
        (1, false, false, &"by hand".into())
    );
    let app_layers = app.image().app_layers();

    let second = app.build();
    second.expect_success();
    assert!(second.log.contains("built before: 1"), "{}", second.log);
    assert_eq!(
        second
            .lines("Reusing layer 'mixpack-test/by-hand:tool'")
            .count(),
        1
    );
    assert_eq!(app.image().layers(), layers);
    assert_eq!(app.image().app_layers(), app_layers);

    app.write("page.html", "another page\n");
    let third = app.build();
    third.expect_success();
    assert_ne!(app.image().app_layers(), app_layers);

    let image = app.image();
    assert_eq!(
        image.holds(&["another page", "a page that is in"]),
        ["another page"]
    );
    assert_eq!(
        app.found_in_cache(&["built before", "kept/count"]),
        ["kept/count"]
    );
    assert!(image.files().contains(&"workspace/page.html".to_owned()));
    assert_eq!(image.processes()["web"]["command"][0], "serve");
    let sbom = image.sbom();
    assert!(
        sbom.values()
            .any(|document| document["components"][0]["name"] == "a part"),
        "{sbom:?}"
    );

    run_image.patch(Path::new("/etc/patched"), "patched\n");
    image.rebase();
    assert_eq!(image.layers(), layers);
    let cat = image.run(&["--entrypoint", "cat"], &["/etc/patched"]);
    assert_eq!(String::from_utf8_lossy(&cat.stdout), "patched\n");

    let container = image.start(&["--read-only", "--user=1234", "--env=GREETING=hello"]);
    let serving = format!("serving as 1234 on {} with hello", container.port);
    container.wait_for(&serving);
    let touch = container.exec(&["touch", "/etc/file"]);
    assert!(String::from_utf8_lossy(&touch.stderr).contains("Read-only file system"));
    let stopped = container.stop();
    assert_eq!(stopped.code, 7, "{}", stopped.log);
    assert!(stopped.log.ends_with("told to end\n"), "{}", stopped.log);
    assert!(stopped.took < Duration::from_secs(10));
}

#[test]
fn a_failed_build_is_told_with_its_log() {
    let buildpack = Buildpack::of_scripts("failing", "exit 0", "echo it is no use; exit 3");
    let app = App::with_buildpacks(vec![buildpack]);
    let build = app.build();
    assert!(!build.succeeded);
    assert!(build.log.contains("it is no use"), "{}", build.log);
}
