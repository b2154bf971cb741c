//! The same builds against the real hosts, for whoever can reach them: `cargo xtask test --upstream`.

use fetch::{Client, Settings};
use toolchain::Hosts;
use toolchain::hex_registry::Registry;
use whole_builds::samples::{SAMPLES, changes_at};
use whole_builds::{App, HOST_VARIABLES};

/// An app without a mirror: builds use builds.hex.pm, repo.hex.pm and nodejs.org.
fn on_the_real_hosts(fixture: &str) -> App {
    let app = App::cold_fixture(fixture);
    for name in HOST_VARIABLES {
        app.unset(name);
    }
    app
}

/// Reports new columns, fields and paths. Add them to the sample once Mixpack reads them.
#[test]
fn upstream_lists_and_archives_match_samples() {
    let changes = changes_at(&Hosts::new(&|_| None), SAMPLES.iter());
    assert!(changes.is_empty(), "\n{}", changes.join("\n"));
}

#[test]
fn upstream_registry_is_signed_and_has_details_of_flagged_releases() {
    let hosts = Hosts::new(&|_| None);
    let registry = Registry::new(Client::new(Settings::default()), &hosts.registry, true);
    let index = registry.index().expect("the list of packages");
    let mut flagged = index.flagged.iter();
    let (package, versions) = flagged.next().expect("a flagged release");
    let version = versions.first().expect("a version");
    let findings = registry.findings(package, version).expect("its details");
    assert!(findings.retired.is_some() || !findings.advisories.is_empty());
}

#[test]
fn upstream_no_deps_builds_with_newest_toolchain() {
    let app = on_the_real_hosts("no-deps");
    app.remove("elixir_buildpack.config");
    let deploy = app.deploy();
    deploy.expect_success();
    assert!(
        deploy.stdout.contains("sha256 verified"),
        "{}",
        deploy.stdout
    );
}

#[test]
fn upstream_old_otp_without_checksum_builds_on_heroku_22() {
    let app = on_the_real_hosts("no-deps").stack_name(Some("heroku-22"));
    app.write(
        "elixir_buildpack.config",
        "erlang_version=24.2\nelixir_version=1.14.5\n",
    );
    app.deploy().expect_success();
}

#[test]
fn upstream_stock_phoenix_app_deploys_without_any_config() {
    let app = on_the_real_hosts("no-deps");
    app.deploy().expect_success();
    let stock = app.stock_phoenix();
    let deploy = stock.deploy();
    deploy.expect_success();
    let web = stock.web(&deploy);
    assert_eq!(web, "mix phx.server");
    let secret = "0123456789abcdef".repeat(4);
    let dyno = stock.ship(deploy);
    let server = dyno.start(&format!(
        "env SECRET_KEY_BASE={secret} PHX_HOST=localhost {web}"
    ));
    assert!(server.get("/").contains("Phoenix"));
}
