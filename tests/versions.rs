//! Versions from the app's own files, and upstream's lists when they are down.

use mirror::{AppDir, Override, Server};
use whole_builds::{App, artifact_host};

const OTP_LIST: &str = "/builds/otp/amd64/ubuntu-24.04/builds.txt";
const ELIXIR_LIST: &str = "/builds/elixir/builds.txt";
const INSTALLER_LISTS: [&str; 2] = ["/installs/hex.csv", "/installs/rebar.csv"];

/// The app without a dependency, with no config file, and an artifact host of its own.
fn bare_app() -> App {
    let host: &'static Server = Box::leak(Box::new(artifact_host()));
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
fn mise_toml_alone_and_mix_exs_before_any_download() {
    let app = bare_app();
    app.write(
        "mise.toml",
        "[tools]\nerlang = \"27\"\nelixir = \"1.14.0\"\n",
    );
    app.edit("mix.exs", "~> 1.14", "~> 1.18");
    let refused = app.deploy();
    assert_eq!(refused.code, Some(1), "{}", refused.log());
    // Elixir 1.14.0 does not run on OTP 27, so mix.exs is not even asked.
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
        "mise.toml:3 asks for Elixir 1.14.0",
        "mix.exs:9 says elixir: \"~> 1.18\"",
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
fn lists_that_are_down_or_empty_stop_no_build_of_what_is_kept() {
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
                    && line.contains("going by the one that was read on 2")
            });
            assert!(said, "{list}: {}", deploy.log());
        }
        assert!(deploy.compiled().is_empty(), "{}", deploy.log());
    }
    // The last build's versions, with nothing asked for.
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

    // What the kept list does not have may be in the one that cannot be read.
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
