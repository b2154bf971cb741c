//! Builds with the real `pack` and the real lifecycle, in Docker.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use whole_builds::differential::slug_differences;
use whole_builds::pack::{
    App, BUILDER, Build, Buildpack, Container, Image, RunImage, UBUNTU_BUILDER,
};
use whole_builds::pages::{Documented, filled};
use whole_builds::{compiling, npm_registry, said};

const NOTHING: [&str; 0] = [];

#[track_caller]
fn holds(build: &Build, text: &str) {
    assert!(build.log.contains(text), "no {text:?} in\n{}", build.log);
}

/// The archives that a build has fetched from the artifact host.
fn downloads(app: &App) -> Vec<String> {
    let requests = app.host().requests();
    let paths = requests.iter().map(|request| request.path.clone());
    paths
        .filter(|path| {
            [".tar.gz", ".tar", ".zip", ".ez"]
                .iter()
                .any(|end| path.ends_with(end))
        })
        .collect()
}

/// The type of the process that an image starts.
#[track_caller]
fn default_process(image: &Image<'_>) -> String {
    let config = image.inspect();
    let entrypoint = config["Config"]["Entrypoint"][0].as_str();
    let entrypoint = entrypoint.expect("an entrypoint").to_owned();
    entrypoint
        .strip_prefix("/cnb/process/")
        .unwrap_or(&entrypoint)
        .to_owned()
}

/// Tells a server to stop, and checks that the VM does so in time. Returns its log.
#[track_caller]
fn ends_in_order(server: Container) -> String {
    let stopped = server.stop();
    assert_eq!(stopped.code, 0, "{}", stopped.log);
    assert!(stopped.log.contains("SIGTERM received - shutting down"));
    assert!(stopped.took < Duration::from_secs(10), "{:?}", stopped.took);
    stopped.log
}

/// The bill of materials of phoenix-npm, with a checksum of its `mix.lock`.
#[track_caller]
fn names_what_ships(sbom: &Value, lock: &str) {
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    let components = sbom["components"].as_array().expect("a list");
    let component = |name: &str| {
        let mut all = components.iter();
        let found = all.find(|component| component["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {sbom}"))
    };
    assert_eq!(component("erlang")["version"], "27.3.4.1");
    assert_eq!(component("elixir")["version"], "1.18.3");
    let phoenix = component("phoenix");
    assert_eq!(phoenix["version"], "1.8.1");
    let hash = &phoenix["hashes"][0];
    assert_eq!(hash["alg"], "SHA-256");
    assert!(lock.contains(hash["content"].as_str().expect("a digest")));
}

/// The lifecycle's log lines about new layers.
fn added(build: &Build) -> Vec<&str> {
    let lines = build.log.lines();
    lines
        .filter(|line| line.starts_with("Adding layer") || line.starts_with("Added "))
        .collect()
}

/// How often builds have asked the registry for advisories.
fn daily_requests(app: &App) -> usize {
    let requests = app.host().requests().into_iter();
    requests.filter(|one| one.path == "/hex/versions").count()
}

/// The buildpack logs headers, the lines below them, warnings and blank lines.
#[track_caller]
fn is_aligned(log: &str) {
    let (_, behind) = log.split_once("===> BUILDING\n").expect("the build");
    let (said, _) = behind.split_once("===> EXPORTING").expect("its end");
    for line in said.lines() {
        let begins = ["- ", "  ", "! "]
            .iter()
            .any(|begin| line.starts_with(begin));
        assert!(begins || line.is_empty(), "{line:?}\n{said}");
        assert!(!line.contains(['\t', '\r']), "{line:?}");
    }
    assert!(said.contains("\n- Built\n"), "{said}");
}

/// Files of an image with a release that only a build needs.
fn needless(image: &Image) -> Vec<String> {
    let mut files = image.files();
    files.retain(|file| {
        let path = Path::new(file);
        let of_source = path.extension().is_some_and(|extension| extension == "ex");
        of_source
            || path.ends_with("mix.exs")
            || path.ends_with("bin/node")
            || file.contains("node_modules/")
    });
    files
}

#[test]
fn phoenix_release_boots_and_unchanged_build_reuses_every_layer() {
    let mut app = App::with_its_host("phoenix-npm");
    let secrets = [
        ("SECRET_KEY_BASE", "s3cret-of-the-endpoint-5b1a"),
        ("DATABASE_URL", "postgres://app:p4ssw0rd-9c2e@db/app"),
        ("HEX_API_KEY", "h3x-key-77d0"),
    ];
    for (name, value) in secrets {
        app.env(name, value);
    }
    // Credentials for the mirror, which doesn't require any.
    let url = app
        .host()
        .url()
        .replace("http://", "http://deploy:m1rror-t0ken-41@");
    app.env("HEX_BUILDS_URL", &url);
    let values = [&secrets.map(|(_, value)| value)[..], &["m1rror-t0ken-41"]].concat();
    let run_image = RunImage::of_its_own();
    app.run_on(&run_image);

    let cold = app.build();
    cold.expect_success();
    is_aligned(&cold.log);
    assert_eq!(
        compiling(&cold.log).last(),
        Some(&"compiled phoenix_npm: 18 files"),
        "{}",
        cold.log
    );
    let image = app.image();
    let first = (image.id(), image.layers(), image.app_layers());
    assert_eq!(default_process(&image), "web");
    assert_eq!(needless(&image), NOTHING);
    let tools = first.1.keys().filter(|layer| !layer.ends_with(":start"));
    assert_eq!(tools.count(), 0, "{:?}", first.1);

    app.host().forget_requests();
    let unchanged = app.build();
    unchanged.expect_success();
    assert_eq!(compiling(&unchanged.log), NOTHING, "{}", unchanged.log);
    assert_eq!(added(&unchanged), NOTHING);
    assert_eq!(downloads(&app), NOTHING);
    assert_eq!((image.id(), image.layers(), image.app_layers()), first);

    // The day's answer is stored in a layer of the cache.
    assert_eq!(daily_requests(&app), 1);
    app.host().forget_requests();

    let restricted = ["--read-only", "--tmpfs=/tmp", "--user=1234"];
    let server = image.start(&restricted);
    let page = server.get("/");
    assert!(page.contains("Deployed by Mixpack"), "{page}");
    let (_, script) = page.split_once("src=\"").expect("a script");
    let (script, _) = script.split_once('"').expect("its path");
    assert!(server.get(script).len() > 100, "{script} is served");
    ends_in_order(server);

    let sbom = image.sbom();
    let sbom = &sbom["layers/sbom/launch/mixpack_mixpack/sbom.cdx.json"];
    names_what_ships(sbom, &app.read("mix.lock"));
    for value in &values {
        assert!(!sbom.to_string().contains(value));
    }

    app.edit(
        "lib/phoenix_npm/page.ex",
        "Deployed by Mixpack",
        "Deployed again",
    );
    let changed = app.build();
    changed.expect_success();
    assert_eq!(
        compiling(&changed.log),
        ["compiled phoenix_npm: 1 file"],
        "{}",
        changed.log
    );
    assert_eq!(daily_requests(&app), 0);
    assert_eq!(image.layers(), first.1);
    assert_ne!(image.app_layers()[0], first.2[0]);
    assert_eq!(image.app_layers()[1..], first.2[1..]);

    run_image.patch(Path::new("/etc/patched"), "patched\n");
    image.rebase();
    assert_eq!(image.layers(), first.1);
    let server = image.start(&restricted);
    let page = server.get("/");
    assert!(page.contains("Deployed again"), "{page}");
    let cat = server.exec(&["cat", "/etc/patched"]);
    assert_eq!(String::from_utf8_lossy(&cat.stdout), "patched\n");

    // A text of the app shows that the search works.
    let searched = [&values[..], &["PHX_HOST"]].concat();
    assert_eq!(image.holds(&searched), ["PHX_HOST"]);
    let searched = [&values[..], &["defmodule"]].concat();
    assert_eq!(app.found_in_cache(&searched), ["defmodule"]);
    for build in [&cold, &unchanged, &changed] {
        for value in &values {
            assert!(!build.log.contains(value), "{}", build.log);
        }
    }
}

#[test]
fn build_without_cache_takes_dependencies_from_shared_store_in_volume() {
    let mut app = App::fixture("plain-otp");
    app.volume("/store");
    app.env("MIXPACK_STORE", "/store");
    let secrets = [
        ("MIXPACK_STORE_SECRET", "a secret of this test"),
        (
            "MIXPACK_STORE_SIGNING_KEY",
            "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=",
        ),
    ];
    for (name, value) in secrets {
        app.env(name, value);
    }
    let first = app.build();
    first.expect_success();
    holds(&first, "added 1 dependency to the shared store");
    let files = || {
        let copied = tempfile::tempdir().expect("a directory");
        app.image()
            .copy_out(&["workspace", "layers"], copied.path());
        copied
    };
    let of_first = files();

    app.lose_cache();
    let second = app.build();
    second.expect_success();
    holds(&second, "1 dependency from the shared store, ");
    assert_eq!(compiling(&second.log), ["compiled plain_otp: 3 files"]);
    let differences = slug_differences(files().path(), of_first.path(), &BTreeSet::new());
    assert_eq!(differences, NOTHING);

    let values = secrets.map(|(_, value)| value);
    assert_eq!(app.image().holds(&values), NOTHING);
    assert_eq!(app.found_in_cache(&values), NOTHING);
    for build in [&first, &second] {
        for value in values {
            assert!(!build.log.contains(value), "{}", build.log);
        }
    }
}

#[test]
fn failed_build_keeps_cache_and_otp_change_recompiles_everything() {
    let mut app = App::with_its_host("plain-otp");
    let picture = app.draw();
    let drawn = || std::fs::read_to_string(&picture).expect("a picture");
    let first = app.build();
    first.expect_success();
    assert!(drawn().contains(" of work in "), "{}", drawn());
    let image = app.image();
    let whole = (image.id(), image.layers(), image.app_layers());

    app.edit(
        "lib/plain_otp.ex",
        "def message(count), do:",
        "def message(count) do",
    );
    let broken = app.build();
    assert!(!broken.succeeded, "{}", broken.log);
    holds(&broken, "Build failed: ");
    holds(&broken, "lib/plain_otp.ex:");
    assert!(drawn().contains(": compile failed after "), "{}", drawn());
    assert_eq!(broken.lines("===> EXPORTING").count(), 0);
    app.edit(
        "lib/plain_otp.ex",
        "def message(count) do",
        "def message(count), do:",
    );
    app.host().forget_requests();
    let mended = app.build();
    mended.expect_success();
    assert_eq!(compiling(&mended.log), NOTHING, "{}", mended.log);
    assert_eq!(downloads(&app), NOTHING);
    assert_eq!((image.id(), image.layers(), image.app_layers()), whole);

    app.write(
        "config/config.exs",
        "import Config\n\nconfig :plain_otp, key: System.fetch_env!(\"WORKER_KEY\")\n",
    );
    app.env("MIXPACK_TIMELINE", "/nowhere/build.svg");
    let without = app.build();
    holds(&without, "Cannot write the timeline to /nowhere/build.svg");
    assert!(!without.succeeded, "{}", without.log);
    holds(&without, "WORKER_KEY");
    holds(&without, "--env");
    assert!(!without.log.contains("heroku"), "{}", without.log);
    app.env("WORKER_KEY", "a key");
    app.env("MIXPACK_TIMELINE", "build.svg");
    app.write(".tool-versions", "erlang 25.2.3\nelixir 1.14.0-otp-25\n");
    let other = app.build();
    other.expect_success();
    assert!(image.files().contains(&"workspace/build.svg".to_owned()));
    holds(&other, "compiled 1 dependency: jason_lite");
    assert_ne!(image.app_layers(), whole.2);
    let release = "_build/prod/rel/plain_otp/bin/plain_otp";
    let version = "IO.puts(\"OTP #{:erlang.system_info(:otp_release)}\")";
    let said = image.run(
        &["--entrypoint=launcher"],
        &["--", release, "eval", version],
    );
    assert_eq!(String::from_utf8_lossy(&said.stdout), "OTP 25\n");
}

/// `pack` gives all files of an app the same time, in 1980; a platform that clones a repository
/// gives them that of the clone, which is later than anything in the cache.
#[test]
fn sources_newer_than_cache_are_not_recompiled() {
    let touch = "find . -type f -exec touch {} +; echo \"the newest is of $(date -r mix.exs +%Y)\"";
    let clone = Buildpack::of_scripts("clone", "exit 0", touch);
    let app = App::fixture("plain-otp").preceded_by(clone);
    app.build().expect_success();
    let image = app.image();
    let first = (image.id(), image.layers(), image.app_layers());
    let unchanged = app.build();
    unchanged.expect_success();
    holds(&unchanged, "the newest is of 2");
    assert_eq!(compiling(&unchanged.log), NOTHING, "{}", unchanged.log);
    assert_eq!(added(&unchanged), NOTHING);
    assert_eq!((image.id(), image.layers(), image.app_layers()), first);
}

/// As heroku/procfile does, which is the last in the groups of Heroku's builders.
const PROCFILE: &str = r#"
    line=$(sed -n 's/^web: *//p' Procfile)
    printf '[[processes]]\ntype = "web"\ncommand = ["bash", "-c"]\nargs = ["%s"]\ndefault = true\n' \
      "$line" > "$CNB_LAYERS_DIR/launch.toml"
    echo "inherits $(mix --version | tail -n 1)"
    echo "inherits OTP $(erl -noshell -eval 'io:format("~s", [erlang:system_info(otp_release)]), halt().')"
    "#;

#[test]
fn procfile_with_mix_keeps_mix_and_later_buildpack_gets_toolchain() {
    let procfile = Buildpack::of_scripts("procfile", "test -e Procfile", PROCFILE);
    let app = App::fixture("phoenix-npm").followed_by(procfile);
    app.write("Procfile", "web: mix phx.server\n");
    let cold = app.build();
    cold.expect_success();
    holds(&cold, "inherits Mix 1.18.3");
    holds(&cold, "inherits OTP 27");
    let image = app.image();
    let process = &image.processes()["web"];
    assert_eq!(process["buildpackID"], "mixpack-test/procfile");
    let layers = image.layers();
    for layer in ["erlang", "elixir", "mix"] {
        assert!(
            layers.contains_key(&format!("mixpack/mixpack:{layer}")),
            "{layers:?}"
        );
    }

    let unchanged = app.build();
    unchanged.expect_success();
    assert_eq!(compiling(&unchanged.log), NOTHING, "{}", unchanged.log);
    assert_eq!(added(&unchanged), NOTHING);
    assert_eq!(image.layers(), layers);

    // Not read-only: mix ignores modification times before the year 2000, and all files in a layer have one of 1980,
    // so it rewrites the application's file and its own cache at every start.
    let server = image.start(&[]);
    let page = server.get("/");
    assert!(page.contains("Deployed by Mixpack"), "{page}");
    let command = "mix run --no-start -e 'IO.puts(:ran)'";
    let ran = server.exec(&["/cnb/lifecycle/launcher", "--", "bash", "-c", command]);
    let said = said(&ran);
    assert!(ran.status.success(), "{said}");
    assert_eq!(compiling(&said), NOTHING, "{said}");
    let log = ends_in_order(server);
    assert_eq!(compiling(&log), NOTHING, "{log}");
}

#[test]
fn umbrella_boots() {
    let app = App::fixture("umbrella");
    app.build().expect_success();
    let server = app.image().start(&[]);
    let page = server.get("/");
    assert!(
        page.contains("The umbrella's core") || page.contains("The umbrella&#39;s core"),
        "{page}"
    );
    ends_in_order(server);
}

#[test]
fn unknown_version_fails_before_download_and_library_needs_no_javascript() {
    let app = App::with_its_host("no-deps");
    app.edit(
        "elixir_buildpack.config",
        "erlang_version=27",
        "erlang_version=99",
    );
    let refused = app.build();
    assert!(!refused.succeeded, "{}", refused.log);
    holds(&refused, "elixir_buildpack.config:2");
    assert_eq!(downloads(&app), NOTHING);

    app.edit(
        "elixir_buildpack.config",
        "erlang_version=99",
        "erlang_version=27",
    );
    // Only the release ships, wherever mix.exs places it.
    app.edit(
        "mix.exs",
        "deps: []",
        "deps: [],\n      releases: [no_deps: [path: \"out/release\", steps: [:assemble, :tar]]]",
    );
    let build = app.build();
    build.expect_success();
    assert!(!build.log.contains("Node.js"), "{}", build.log);
    assert!(downloads(&app).iter().all(|path| !path.contains("/node-")));
    let release = "out/release/bin/no_deps";
    let start = format!("starts web: {release} start");
    assert!(build.log.contains(&start), "{}", build.log);
    let left = app.image().run(
        &["--entrypoint=launcher"],
        &[
            "--", "find", ".", "-name", "*.tar.gz", "-o", "-name", "mix.exs",
        ],
    );
    assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    let said = app.image().run(
        &["--entrypoint=launcher"],
        &["--", release, "eval", "IO.inspect(NoDeps.hello())"],
    );
    assert_eq!(String::from_utf8_lossy(&said.stdout), ":world\n");
}

#[test]
fn sbom_lists_pnpm_production_dependencies() {
    let app = App::fixture("phoenix-npm");
    app.env("NPM_CONFIG_REGISTRY", &npm_registry());
    app.remove("assets/package-lock.json");
    let package = app.read("assets/package.json").replace(
        "\"phoenix\": \"file:../deps/phoenix\"",
        "\"topbar\": \"3.0.0\"",
    );
    let package = package.replace("--bundle", "--bundle --external:phoenix");
    app.write("assets/package.json", &package);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("package.json"), &package).expect("a package.json");
    let install = Command::new("npm")
        .args(["exec", "--yes", "--package=pnpm@9.1.0", "--"])
        .args(["pnpm", "install", "--lockfile-only"])
        .current_dir(folder.path())
        .output()
        .expect("npm runs");
    assert!(install.status.success(), "{install:?}");
    let lockfile = std::fs::read_to_string(folder.path().join("pnpm-lock.yaml"));
    app.write("assets/pnpm-lock.yaml", &lockfile.expect("a lockfile"));

    app.build().expect_success();
    let sbom = app.image().sbom();
    let components = &sbom["layers/sbom/launch/mixpack_mixpack/sbom.cdx.json"]["components"];
    let of_npm: Vec<&Value> = components
        .as_array()
        .expect("a list")
        .iter()
        .filter(|one| {
            let purl = one["purl"].as_str();
            purl.is_some_and(|purl| purl.starts_with("pkg:npm/"))
        })
        .collect();
    let [topbar] = of_npm[..] else {
        panic!("{of_npm:?}");
    };
    assert_eq!(topbar["purl"], "pkg:npm/topbar@3.0.0");
    assert_eq!(topbar["hashes"][0]["alg"], "SHA-512");
}

#[test]
fn test_image_runs_tests() {
    let mut commands = Documented::of("whole-builds/cloud_native::test_image_runs_tests");
    let app = App::fixture("phoenix-npm");
    let build = commands.command(
        PAGE,
        "pack build hello-test --path my-app --env CNB_EXEC_ENV=test …",
    );
    let rest = format!("--builder {BUILDER} --buildpack .");
    let build = filled(
        &build,
        &[
            ("hello-test", app.name()),
            ("my-app", &app.path().display().to_string()),
            ("…", &rest),
        ],
    );
    app.type_build(&build).expect_success();
    let run = commands.command(PAGE, "docker run --rm hello-test");
    let said = app.type_docker(&filled(&run, &[("hello-test", app.name())]), None);
    assert!(said.contains("1 test, 0 failures"), "{said}");
    assert_eq!(compiling(&said), NOTHING, "{said}");
}

/// As in docs/cloud-native.md: pack reads the file, or fetches it from a URL.
#[test]
fn package_works_as_file_and_url() {
    let mut app = App::with_its_host("no-deps");
    let package = Buildpack::package();
    let version = env!("CARGO_PKG_VERSION");
    app.take(Buildpack::at(package.to_str().expect("UTF-8")));
    let of_file = app.build();
    of_file.expect_success();
    holds(&of_file, &format!("mixpack/mixpack {version}"));
    let image = app.image();
    let first = (image.id(), image.layers(), image.app_layers());
    let release = "_build/prod/rel/no_deps/bin/no_deps";
    let hello = ["--", release, "eval", "IO.inspect(NoDeps.hello())"];
    let said = image.run(&["--entrypoint=launcher"], &hello);
    assert_eq!(String::from_utf8_lossy(&said.stdout), ":world\n");

    let path = format!("/releases/download/v{version}/mixpack-{version}-linux-amd64.cnb");
    app.host()
        .set_override(&path, mirror::Override::File(package));
    app.take(Buildpack::at(&format!("{}{path}", app.host().url())));
    let of_url = app.build();
    of_url.expect_success();
    let requests = app.host().requests();
    let got = requests.iter().find(|request| request.path == path);
    assert_eq!(got.map(|request| request.status), Some(200));
    assert_eq!(compiling(&of_url.log), NOTHING, "{}", of_url.log);
    let image = app.image();
    assert_eq!((image.id(), image.layers(), image.app_layers()), first);
}

const PAGE: &str = "docs/cloud-native.md";

#[test]
fn documented_image_commands_work() {
    let mut commands = Documented::of("whole-builds/cloud_native::documented_image_commands_work");
    let app = App::fixture("release");
    app.env("NPM_CONFIG_REGISTRY", &npm_registry());
    app.write("Procfile", "worker: echo \"at work as $(whoami)\"\n");
    let script = "#!/bin/sh\nexec \"$(dirname \"$0\")/storefront\" eval 'IO.puts(\"migrated\")'\n";
    app.write("rel/overlays/bin/migrate", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let file = app.path().join("rel/overlays/bin/migrate");
    std::fs::set_permissions(file, mode).expect("its mode");
    let path = app.path().display().to_string();
    let file = Buildpack::package().display().to_string();
    let hello = [("hello", app.name())];
    // The builder of these tests replaces Heroku's, which can't be pulled here.
    let places = [
        ("hello", app.name()),
        ("my-app", path.as_str()),
        ("heroku/builder:24", UBUNTU_BUILDER),
    ];

    let readme = "README.md";
    let build = "pack build hello --path my-app --builder heroku/builder:24 --buildpack .";
    let build = app.type_build(&filled(&commands.command(readme, build), &places));
    build.expect_success();
    holds(&build, "ubuntu-24.04");
    assert!(!build.log.contains("debian"), "{}", build.log);
    assert!(!build.log.contains("Node.js"), "{}", build.log);
    let web = &app.image().processes()["web"];
    assert_eq!(web["command"][0], "_build/prod/rel/storefront/bin/server");
    let run = "docker run --rm -p 4000:4000 -e PORT=4000 -e SECRET_KEY_BASE=… hello";
    let run = filled(&commands.command(readme, run), &hello);
    let server = app.type_server(&filled(&run, &[("…", &"s".repeat(64))]));
    assert!(server.get("/").contains("Served by a release"));
    drop(server);
    let first = app.image().id();

    // The file that is attached to a release of this repository. Its URL doesn't exist yet.
    let version = env!("CARGO_PKG_VERSION");
    let address = format!(
        "https://github.com/<owner>/mixpack/releases/download/v{version}/mixpack-{version}-linux-amd64.cnb"
    );
    let build =
        format!("pack build hello --path my-app --builder heroku/builder:24 --buildpack {address}");
    let build = filled(&commands.command(PAGE, &build), &places);
    let again = app.type_build(&filled(&build, &[(&address, &file)]));
    again.expect_success();
    assert_eq!(app.image().id(), first, "{}", again.log);
    let folder = commands.command(PAGE, "mkdir -m 777 pictures");
    let typed = Command::new("bash")
        .args(["-c", &folder])
        .current_dir(app.buildpack())
        .status();
    assert!(typed.expect("bash runs").success());
    let build = "pack build hello --path my-app --volume \"$PWD/pictures:/pictures:rw\" \
                 --env MIXPACK_TIMELINE=/pictures/build.svg …";
    let rest = format!("--builder {UBUNTU_BUILDER} --buildpack .");
    let places = [places[0], places[1], ("…", rest.as_str())];
    app.type_build(&filled(&commands.command(PAGE, build), &places))
        .expect_success();
    let picture = std::fs::read_to_string(app.buildpack().join("pictures/build.svg"));
    assert!(picture.expect("a picture").contains(">compile</text>"));
    assert_eq!(app.image().id(), first);
    let run = "docker run --rm -p 4000:4000 -e PORT=4000 -e SECRET_KEY_BASE=\"$(mix phx.gen.secret)\" hello";
    let server = app.type_server(&filled(&commands.command(PAGE, run), &hello));
    assert!(server.get("/").contains("Served by a release"));
    let remote = "docker exec -it CONTAINER launcher _build/prod/rel/my_app/bin/my_app remote";
    let remote = filled(
        &commands.command(PAGE, remote),
        &[("CONTAINER", &server.id), ("my_app", "storefront")],
    );
    let said = app.type_docker(
        &remote,
        Some("IO.puts(\"on \" <> to_string(node()))\nSystem.halt()\n"),
    );
    assert!(said.contains("on storefront@"), "{said}");
    drop(server);

    let worker = commands.command(PAGE, "docker run --rm --entrypoint worker hello");
    let said = app.type_docker(&filled(&worker, &hello), None);
    assert!(said.starts_with("at work as "), "{said}");
    let shell = commands.command(PAGE, "docker run --rm -it --entrypoint launcher hello bash");
    let said = app.type_docker(
        &filled(&shell, &hello),
        Some("echo \"with $PHX_SERVER\"\nexit\n"),
    );
    assert!(said.contains("with true"), "{said}");
    let migrate = "docker run --rm --entrypoint launcher hello _build/prod/rel/my_app/bin/migrate";
    let migrate = filled(&commands.command(PAGE, migrate), &hello);
    let said = app.type_docker(&filled(&migrate, &[("my_app", "storefront")]), None);
    assert!(said.contains("migrated"), "{said}");

    let run = "docker run --read-only --tmpfs /tmp --user 1234 -p 4000:4000 -e PORT=4000 \
               -e SECRET_KEY_BASE=… -e PHX_HOST=example.com hello";
    let run = filled(&commands.command(PAGE, run), &hello);
    let server = app.type_server(&filled(&run, &[("…", &"s".repeat(64))]));
    assert!(server.get("/").contains("Served by a release"));
    ends_in_order(server);
}

#[test]
fn directory_without_elixir_app_fails_detection() {
    let app = App::with_buildpacks(vec![Buildpack::under_test()]);
    app.write("README.md", "nothing to build\n");
    let build = app.build();
    assert!(!build.succeeded);
    holds(&build, "No buildpack groups passed detection.");
}

/// Tests the assumptions of the other tests with a buildpack of a few lines: which layers `pack` and the lifecycle
/// restore and reuse, how images are inspected, and how containers stop.
#[test]
fn pack_and_lifecycle_behave_as_tests_assume() {
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
fn failed_build_has_log() {
    let buildpack = Buildpack::of_scripts("failing", "exit 0", "echo it is no use; exit 3");
    let app = App::with_buildpacks(vec![buildpack]);
    let build = app.build();
    assert!(!build.succeeded);
    assert!(build.log.contains("it is no use"), "{}", build.log);
}
