//! Versions from the app's own files, and upstream's lists when they are down.

use mirror::{AppDir, Override};
use whole_builds::{App, artifact_host, holds, own_host};

const OTP_LIST: &str = "/builds/otp/amd64/ubuntu-24.04/builds.txt";
const ELIXIR_LIST: &str = "/builds/elixir/builds.txt";
const INSTALLER_LISTS: [&str; 2] = ["/installs/hex.csv", "/installs/rebar.csv"];

/// The app without a dependency, with no config file, and an artifact host of its own.
fn bare_app() -> App {
    let host = own_host();
    let app = App::on(host, "no-deps", AppDir::Tmpfs);
    app.remove("elixir_buildpack.config");
    app
}

fn down(app: &App, answer: impl Fn() -> Override) {
    for list in [OTP_LIST, ELIXIR_LIST].into_iter().chain(INSTALLER_LISTS) {
        app.host.set_override(list, answer());
    }
}

#[test]
fn mise_toml_works_alone_and_mix_exs_is_checked_before_download() {
    let app = bare_app();
    app.write(
        "mise.toml",
        "[tools]\nerlang = \"27\"\nelixir = \"1.14.0\"\n",
    );
    app.edit("mix.exs", "~> 1.14", "~> 1.18");
    let refused = app.deploy();
    assert_eq!(refused.code, Some(1), "{}", refused.log());
    // Elixir 1.14.0 does not run on OTP 27, so mix.exs is not even read.
    assert!(
        refused
            .stderr
            .contains("Error code: elixir-otp-incompatible"),
        "{}",
        refused.log()
    );
    app.write(
        "mise.toml",
        "[tools]\nerlang = \"25\"\nelixir = \"1.14.0\"\n",
    );
    let refused = app.deploy();
    assert_eq!(refused.code, Some(1), "{}", refused.log());
    assert!(
        refused
            .stderr
            .contains("Error code: elixir-not-allowed-by-mix-exs"),
        "{}",
        refused.log()
    );
    for place in [
        "mise.toml:3 requests Elixir 1.14.0",
        "mix.exs:9 requires elixir: \"~> 1.18\"",
    ] {
        assert!(refused.stderr.contains(place), "{}", refused.log());
    }
    let archives = app.host.requests();
    assert!(
        archives
            .iter()
            .all(|request| request.path.ends_with("builds.txt")),
        "{archives:?}"
    );
    app.write("mise.toml", "[tools]\nerlang = \"27\"\nelixir = \"1.18\"\n");
    let deploy = app.deploy();
    deploy.expect_success();
    for line in [
        "erlang 27 -> 27.3.4.1 (from mise.toml:2)",
        "elixir 1.18 -> 1.18.3 (from mise.toml:3)",
    ] {
        assert!(deploy.stdout.contains(line), "{}", deploy.log());
    }
}

#[test]
fn unavailable_lists_do_not_fail_build_with_cached_toolchain() {
    let app = bare_app();
    app.write(".tool-versions", "erlang 27.3.4.1\nelixir 1.18.3\n");
    down(&app, || Override::Status(404));
    let first = app.deploy();
    assert_eq!(first.code, Some(1), "{}", first.log());
    assert!(
        !first.stderr.contains("version-not-available"),
        "{}",
        first.log()
    );
    for list in [OTP_LIST, ELIXIR_LIST].into_iter().chain(INSTALLER_LISTS) {
        app.host.clear_override(list);
    }
    app.deploy().expect_success();

    let answers: [(&dyn Fn() -> Override, &str); 3] = [
        (&|| Override::Status(404), "HTTP status 404"),
        (&|| Override::Status(503), "HTTP status 503"),
        (&|| Override::Body(Vec::new()), "is empty"),
    ];
    for (answer, reason) in answers {
        down(&app, answer);
        let deploy = app.deploy();
        deploy.expect_success();
        for list in ["OTP builds", "Elixir builds", "Hex and rebar3 installers"] {
            let said = deploy.stderr.lines().any(|line| {
                line.contains(&format!("the list of {list}"))
                    && line.contains(reason)
                    && line.contains("using the copy read on 2")
            });
            assert!(said, "{list}: {}", deploy.log());
        }
        assert!(deploy.compiled().is_empty(), "{}", deploy.log());
    }
    // The previous build's versions, if none is requested.
    app.remove(".tool-versions");
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        deploy
            .stdout
            .contains("elixir 1.18.3 (from the last build)"),
        "{}",
        deploy.log()
    );

    // A version that is missing in the cached list may be in the unavailable one.
    app.write(".tool-versions", "erlang 27.3.4.1\nelixir 1.99.0\n");
    let deploy = app.deploy();
    assert_eq!(deploy.code, Some(1), "{}", deploy.log());
    assert!(
        deploy
            .stderr
            .contains("Build failed: the list of Elixir builds is empty"),
        "{}",
        deploy.log()
    );
}

#[test]
fn locked_packages_limit_suggested_elixir_after_build() {
    let app = App::fixture("plain-otp");
    let refused = |app: &App| {
        app.write(".tool-versions", "erlang 27.3.4.1\nelixir 1.14.0\n");
        let deploy = app.deploy();
        assert_eq!(deploy.code, Some(1), "{}", deploy.log());
        deploy.stderr
    };
    says(
        &refused(&app),
        &["Erlang/OTP 25.2.3 is the nearest version built for this stack that runs Elixir 1.14.0"],
    );

    // As Hex writes its manifest for a package with `elixir: "~> 1.15"`. The second build finds it in the cache.
    let hook = r#"hook_pre_compile='echo "{<<\"elixir\">>,<<\"~> 1.15\">>}." >> deps/jason_lite/hex_metadata.config'"#;
    app.write("elixir_buildpack.config", &format!("{hook}\n"));
    app.write(".tool-versions", "erlang 27.3.4.1\nelixir 1.18.3\n");
    app.deploy().expect_success();
    app.deploy().expect_success();
    let error = refused(&app);
    says(
        &error,
        &["Elixir 1.18.3 is the nearest version that jason_lite 1.0.0 allows"],
    );
    for line in [" !       erlang 27.3.4.1", " !       elixir 1.18.3"] {
        says(&error, &[line]);
    }
}

/// A path on the artifact host, with the layout of `erlef/otp_builds` on GitHub.
const OTHER: &str = "/erlef/otp_builds";
const OTHER_LIST: &str =
    "/erlef/otp_builds/raw/main/builds/x86_64-unknown-linux-gnu-ubuntu-24.04.csv";
const OTP: &str = "/builds/otp/amd64/ubuntu-24.04/OTP-27.3.4.1.tar.gz";
const OTHER_OTP: &str = "/erlef/otp_builds/releases/download/OTP-27.3.4.1/otp-x86_64-unknown-linux-gnu-ubuntu-24.04.tar.gz";

/// The app without a dependency, with two sources of OTP.
fn app_with_two_places() -> App {
    let app = bare_app();
    app.write(".tool-versions", "erlang 27.3.4.1\nelixir 1.18.3\n");
    app.config(
        "MIXPACK_OTP_BUILDS_URL",
        &format!("{}{OTHER}", app.host.url()),
    );
    app
}

/// The number of requests for a path since the last reset.
fn requests_for(app: &App, path: &str) -> usize {
    let requests = app.host.requests();
    requests
        .iter()
        .filter(|request| request.path.starts_with(path))
        .count()
}

#[track_caller]
fn says(log: &str, parts: &[&str]) {
    let said = log
        .lines()
        .any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(said, "no line with {parts:?} in:\n{log}");
}

#[test]
fn otp_comes_from_erlef_while_hex_pm_is_down() {
    let app = app_with_two_places();
    let secret = app
        .host
        .url()
        .replace("http://", "http://reader:s3cr3t-t0ken@");
    app.config("MIXPACK_OTP_BUILDS_URL", &format!("{secret}{OTHER}"));
    app.host.set_override(OTP_LIST, Override::Status(503));
    app.host.set_override(OTP, Override::Status(503));
    let deploy = app.deploy();
    deploy.expect_success();
    says(
        &deploy.stderr,
        &[
            "the list of OTP builds",
            OTP_LIST,
            "HTTP status 503; using ",
            OTHER_LIST,
        ],
    );
    says(&deploy.stdout, &["fetched ", OTHER_OTP]);
    assert_eq!(requests_for(&app, OTP), 0, "{:?}", app.host.requests());
    assert!(!deploy.log().contains("s3cr3t"), "{}", deploy.log());
    let note = app.cache().join("mixpack/list-erlang-other.json");
    let note = std::fs::read_to_string(note).expect("the list is kept");
    assert!(note.contains(OTHER_LIST) && !note.contains("s3cr3t"));

    // The installed OTP stays when the first source works again, and nothing else is requested.
    app.host.clear_override(OTP_LIST);
    app.host.clear_override(OTP);
    app.host.forget_requests();
    let back = app.deploy();
    back.expect_success();
    assert_eq!(back.compiled(), [""; 0], "{}", back.log());
    assert_eq!(
        requests_for(&app, OTP) + requests_for(&app, OTHER),
        0,
        "{:?}",
        app.host.requests()
    );

    // An exact version that an old list has needs no other list; the newest of a line does.
    app.host.set_override(OTP_LIST, Override::Status(404));
    app.host.forget_requests();
    let exact = app.deploy();
    exact.expect_success();
    says(&exact.stderr, &["using the copy read on 2"]);
    assert_eq!(requests_for(&app, OTHER), 0, "{:?}", app.host.requests());
    app.write(".tool-versions", "erlang 27\nelixir 1.18.3\n");
    app.host.set_override(OTHER_LIST, Override::Status(404));
    let partial = app.deploy();
    partial.expect_success();
    assert_eq!(requests_for(&app, OTHER_LIST), 1);
    says(&partial.stdout, &["erlang 27 -> 27.3.4.1"]);
    assert_eq!(partial.compiled(), [""; 0], "{}", partial.log());
}

#[test]
fn otp_version_only_at_erlef_is_installed() {
    let app = app_with_two_places();
    let first = artifact(OTP_LIST);
    let old: String = first
        .split_inclusive('\n')
        .filter(|line| line.starts_with("OTP-25"))
        .collect();
    assert!(!old.is_empty());
    app.host
        .set_override(OTP_LIST, Override::Body(old.into_bytes()));
    let deploy = app.deploy();
    deploy.expect_success();
    says(
        &deploy.stderr,
        &["Erlang/OTP 27.3.4.1 is not in ", OTP_LIST, OTHER_LIST],
    );
    says(&deploy.stdout, &["fetched ", OTHER_OTP]);
    says(&deploy.stdout, &["MB, sha256 verified"]);

    // The version doesn't go back to the first source's, whether the other is up or down.
    app.remove(".tool-versions");
    for list in [None, Some(Override::Status(404))] {
        if let Some(answer) = list {
            app.host.set_override(OTHER_LIST, answer);
        }
        let kept = app.deploy();
        kept.expect_success();
        says(&kept.stdout, &["erlang 27.3.4.1 (from the last build)"]);
        assert_eq!(kept.compiled(), [""; 0], "{}", kept.log());
    }
    app.host.clear_override(OTHER_LIST);

    // In neither source: the error lists the available versions, and where and when they were read.
    app.write(".tool-versions", "erlang 27.3.4.99\nelixir 1.18.3\n");
    let refused = app.deploy();
    assert_eq!(refused.code, Some(1), "{}", refused.log());
    for parts in [
        ["Error code: version-not-available", ""],
        ["The newest release of that series is 27.3.4.1.", ""],
        [OTP_LIST, " (read on 2"],
        [OTHER_LIST, " (read on 2"],
    ] {
        says(&refused.stderr, &parts);
    }

    // With HEX_BUILDS_URL, only that source is used.
    app.unset("MIXPACK_OTP_BUILDS_URL");
    app.write(".tool-versions", "erlang 27.3.4.1\nelixir 1.18.3\n");
    app.host.forget_requests();
    let refused = app.deploy();
    assert_eq!(refused.code, Some(1), "{}", refused.log());
    says(&refused.stderr, &["Error code: version-not-available"]);
    assert_eq!(requests_for(&app, OTHER), 0, "{:?}", app.host.requests());
}

#[test]
fn otp_archive_missing_at_hex_pm_comes_from_erlef() {
    let app = app_with_two_places();
    app.host.set_override(OTP, Override::Status(404));
    app.host.set_override(OTHER_OTP, Override::Status(404));
    let refused = app.deploy();
    assert_eq!(refused.code, Some(1), "{}", refused.log());
    for part in ["Error code: artifact-missing", OTP, OTHER_OTP] {
        says(&refused.stderr, &[part]);
    }

    app.host.clear_override(OTHER_OTP);
    let deploy = app.deploy();
    deploy.expect_success();
    says(
        &deploy.stderr,
        &[OTP, "HTTP status 404; continuing with ", OTHER_OTP],
    );
    says(&deploy.stdout, &["fetched ", OTHER_OTP]);
    let installed = deploy.slug.join(".platform_tools/erlang/bin/erl");
    assert!(installed.is_file());

    app.host.clear_override(OTP);
    app.host.forget_requests();
    let back = app.deploy();
    back.expect_success();
    assert_eq!(
        requests_for(&app, OTP) + requests_for(&app, OTHER),
        0,
        "{:?}",
        app.host.requests()
    );
}

#[test]
fn otp_branch_comes_from_its_latest_release() {
    let app = app_with_two_places();
    app.write(".tool-versions", "erlang ref:maint\nelixir 1.18.3\n");
    let deploy = app.deploy();
    deploy.expect_success();
    says(
        &deploy.stdout,
        &["fetched ", "/releases/download/maint-latest/otp-x86_64-"],
    );
    let rebar3 = deploy.slug.join(".mix/elixir/1-18-otp-27/rebar3");
    assert!(rebar3.is_file(), "{}", deploy.log());

    // The commit shows whether the branch has moved, not the content of an archive.
    let list = artifact(OTHER_LIST);
    let row = |line: &str, at: usize, value: &str| {
        let mut fields: Vec<&str> = line.split(',').collect();
        fields[at] = value;
        fields.join(",")
    };
    let changed = |at: usize, value: &str| {
        let lines = list.lines().map(|line| {
            if line.starts_with("maint,") {
                row(line, at, value)
            } else {
                line.to_owned()
            }
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        app.host
            .set_override(OTHER_LIST, Override::Body(text.into_bytes()));
        app.host.forget_requests();
        let deploy = app.deploy();
        deploy.expect_success();
        requests_for(&app, "/erlef/otp_builds/releases")
    };
    assert_eq!(changed(2, "2026-10-01T00:00:00Z"), 0);
    assert_eq!(changed(1, &"ab".repeat(20)), 1);
}

/// A file of the artifact host, as it is without faults.
fn artifact(path: &str) -> String {
    let host = artifact_host();
    let answer = ureq::get(&format!("{}{path}", host.url())).call();
    let mut answer = answer.expect("an answer");
    answer.body_mut().read_to_string().expect("a text")
}

#[test]
fn hex_version_stays_until_clean_build_and_can_be_pinned() {
    let app = App::on(own_host(), "no-deps", AppDir::Tmpfs);
    let first = app.deploy();
    first.expect_success();
    drop(first);
    let list = std::fs::read_to_string(app.host.root().join(&INSTALLER_LISTS[0][1..])).unwrap();
    let row = list.lines().next().unwrap();
    let version = row.split(',').next().unwrap();
    let newer = format!("{list}{}\n", row.replacen(version, "99.0.0", 1));
    let body = || Override::Body(newer.clone().into_bytes());
    app.host.set_override(INSTALLER_LISTS[0], body());
    let second = app.deploy();
    second.expect_success();
    holds(&second, &format!("Hex {version}, rebar3"));
    holds(
        &second,
        "Hex 99.0.0 is available; a clean build or another Elixir version updates it\n",
    );
    drop(second);

    let asks_for_it = |app: &App| {
        let requests = app.host.requests();
        app.host.forget_requests();
        requests
            .iter()
            .any(|request| request.path.contains("hex-99.0.0"))
    };
    assert!(!asks_for_it(&app));
    app.config("MIXPACK_CLEAN_BUILD", "1");
    let clean = app.deploy();
    // The list names what the host doesn't have.
    assert!(!clean.succeeded && asks_for_it(&app), "{}", clean.log());

    app.edit(
        "elixir_buildpack.config",
        "erlang_version",
        &format!("hex_version={version}\nerlang_version"),
    );
    app.config("MIXPACK_CLEAN_BUILD", "2");
    let pinned = app.deploy();
    pinned.expect_success();
    holds(&pinned, "Hex 99.0.0 is available; elixir_buildpack.config:");
    drop(pinned);

    app.edit("elixir_buildpack.config", version, "98.0.0");
    let unknown = app.deploy();
    assert!(!unknown.succeeded);
    holds(&unknown, "Error code: installer-version-unknown");
}
