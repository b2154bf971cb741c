//! Security advisories and retired packages in builds that skip `mix deps.get`.

use mirror::faults::{Behaviour, FaultServer};
use mirror::hex_registry::{Advisory, Release};
use whole_builds::{App, Deploy, artifacts, flag, holds, lacks};

const VERSIONS: &str = "/hex/versions";
const PACKAGE: &str = "/hex/packages/jason_lite";

const RETIRED: &str = "jason_lite 1.0.0: retired (security), \"use jason\"";
const ADVISORY: &str = "jason_lite 1.0.0: GHSA-0000-test (critical), Decoding runs code";
const NOT_CHECKED: &str = "Security advisories and retired packages were not checked: ";

/// The one dependency of the fixture.
fn jason_lite() -> Release {
    Release {
        package: "jason_lite",
        version: "1.0.0",
        retired: Some((2, "use jason")),
        advisories: vec![Advisory {
            id: "GHSA-0000-test",
            alias: "CVE-2026-0000",
            summary: "Decoding runs code",
            url: "https://osv.dev/vulnerability/GHSA-0000-test",
            severity: 4,
        }],
    }
}

fn app() -> App {
    App::fixture_with_its_host("plain-otp")
}

/// Deploys once with `mix deps.get`, and then has the registry flag the dependency.
fn deployed(app: &App) {
    let first = app.deploy();
    first.expect_success();
    holds(&first, "$ mix deps.get");
    lacks(&first, NOT_CHECKED);
    flag(app.host, &[jason_lite()]);
    assert!(!requests(app).iter().any(|path| path == VERSIONS));
}

/// The next deploy, which skips `mix deps.get`.
fn unchanged(app: &App) -> Deploy {
    let deploy = app.deploy();
    deploy.expect_success();
    holds(
        &deploy,
        "not needed: dependencies and lockfile are unchanged",
    );
    deploy
}

/// The requests for packages since the last call.
fn requests(app: &App) -> Vec<String> {
    let requests = app.host.requests().into_iter();
    let paths = requests.map(|request| request.path);
    let of_hex = paths.filter(|path| path.starts_with("/hex/")).collect();
    app.host.forget_requests();
    of_hex
}

#[test]
fn unchanged_builds_report_findings_with_daily_request() {
    let app = app();
    deployed(&app);
    for expected in [&[VERSIONS, PACKAGE][..], &[]] {
        let deploy = unchanged(&app);
        for line in [
            RETIRED,
            ADVISORY,
            "https://osv.dev/vulnerability/GHSA-0000-test",
            "mix deps.update jason_lite",
        ] {
            holds(&deploy, line);
        }
        assert_eq!(requests(&app), expected);
    }

    // The day is over, and the advisory withdrawn.
    let note = app.cache().join("mixpack/advisories.json");
    let text = std::fs::read_to_string(&note).unwrap();
    let (before, after) = text.split_once("\"asked_at\":1").unwrap();
    std::fs::write(&note, format!("{before}\"asked_at\":{after}")).unwrap();
    flag(app.host, &[]);
    let deploy = unchanged(&app);
    assert_eq!(requests(&app), [VERSIONS]);
    lacks(&deploy, "jason_lite 1.0.0");
}

#[test]
fn failing_registry_is_reported_once_and_not_retried_that_day() {
    let app = app();
    deployed(&app);
    app.host
        .set_override(VERSIONS, mirror::Override::Status(503));
    let deploy = unchanged(&app);
    holds(&deploy, NOT_CHECKED);
    holds(&deploy, "HTTP status 503");
    assert_eq!(requests(&app), [VERSIONS]);
    flag(app.host, &[jason_lite()]);
    let deploy = unchanged(&app);
    lacks(&deploy, NOT_CHECKED);
    lacks(&deploy, RETIRED);
    assert!(requests(&app).is_empty());
}

#[test]
fn unresponsive_registry_does_not_delay_build() {
    let app = app();
    let host = FaultServer::in_front_of::<String>(artifacts(), []).unwrap();
    app.config("HEX_MIRROR", &host.url("/hex"));
    app.deploy().expect_success();
    host.set(VERSIONS, Behaviour::StallBeforeHead);
    let deploy = unchanged(&app);
    // And not that it timed out.
    let line = format!("{NOT_CHECKED}the registry didn't answer before the build ended");
    holds(&deploy, &line);
    let deploy = unchanged(&app);
    lacks(&deploy, NOT_CHECKED);
    assert_eq!(host.count(VERSIONS), 1);
}

#[test]
fn ignored_advisories_and_retirements_are_not_reported() {
    let app = app();
    let hex = "hex: [ignore_advisories: [\"cve-2026-0000\"], ignore_retirements: [jason_lite: \"1.0.0\"]],";
    app.edit(
        "mix.exs",
        "app: :plain_otp,",
        &format!("{hex} app: :plain_otp,"),
    );
    deployed(&app);
    let deploy = unchanged(&app);
    assert_eq!(requests(&app), [VERSIONS, PACKAGE]);
    lacks(&deploy, "jason_lite 1.0.0");

    app.edit("mix.exs", &format!("{hex} "), "");
    let deploy = unchanged(&app);
    holds(&deploy, RETIRED);
    holds(&deploy, ADVISORY);
    assert!(requests(&app).is_empty());
}

#[test]
fn hex_variables_ignore_findings() {
    let app = app();
    app.config("HEX_IGNORE_RETIREMENTS", "other, jason_lite@1.0.0");
    deployed(&app);
    let deploy = unchanged(&app);
    lacks(&deploy, RETIRED);
    holds(&deploy, ADVISORY);
}

#[test]
fn rejects_advisory_list_without_hex_pm_signature() {
    let app = app();
    app.unset("HEX_UNSAFE_REGISTRY");
    // Its password is in no log.
    let url = app.host.url().replace("://", "://deploy:r3gistry-pa55@");
    app.config("HEX_MIRROR", &format!("{url}/hex"));
    deployed(&app);
    let deploy = unchanged(&app);
    let line = format!(
        "{NOT_CHECKED}the signature of {}{VERSIONS} is invalid",
        app.host.url()
    );
    holds(&deploy, &line);
    lacks(&deploy, "jason_lite 1.0.0");
    lacks(&deploy, "r3gistry-pa55");
    let note = std::fs::read_to_string(app.cache().join("mixpack/advisories.json")).unwrap();
    assert!(!note.contains("r3gistry-pa55"), "{note}");
}
