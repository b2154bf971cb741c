//! The chosen version: from each source alone, by their order, and as allowed by `mix.exs` and wide ranges of
//! `package.json`.

use super::{Case, ELIXIR_CONFIG, PACKAGE, STATIC_CONFIG, case};
use app::Origin;
use app::plan::{VersionError, lifecycle};

/// `27.3.3 (.tool-versions:1)` for one tool of a plan.
#[track_caller]
fn tool(case: &Case, at: usize) -> String {
    case.tools()[at].clone()
}

#[test]
fn every_version_source_works_alone() {
    for (files, at, expected) in [
        (
            &[("mise.toml", "[tools]\nerlang = \"26\"\n")][..],
            0,
            "26.2.5.12 (mise.toml:2)",
        ),
        (
            &[(".mise.toml", "[tools]\nelixir = [\"1.17\", \"1.18\"]\n")],
            1,
            "1.17.3 (.mise.toml:2)",
        ),
        (
            &[("mise.toml", "tools.node = {version = \"22\"}\n"), PACKAGE],
            2,
            "22.17.0 (mise.toml:1)",
        ),
        (
            &[(".erlang-version", "\u{feff}27.3.3\r\n")],
            0,
            "27.3.3 (.erlang-version:1)",
        ),
        (
            &[(".elixir-version", "# pinned\n1.18.3-otp-27\n")],
            1,
            "1.18.3 (.elixir-version:2)",
        ),
        (
            &[(".node-version", "v22.16.0\n"), PACKAGE],
            2,
            "22.16.0 (.node-version:1)",
        ),
        (&[(".nvmrc", "lts/jod\n"), PACKAGE], 2, "22.17.0 (.nvmrc:1)"),
        (
            &[(
                "assets/package.json",
                "{\"volta\":\n{\"node\": \"22.16.0\"}}",
            )],
            2,
            "22.16.0 (assets/package.json:2)",
        ),
        (
            &[(
                "assets/package.json",
                "{\"devEngines\": {\"runtime\":\n{\"name\": \"node\", \"version\": \"^22\"}}}",
            )],
            2,
            "22.17.0 (assets/package.json:2)",
        ),
        (
            &[
                PACKAGE,
                ("package.json", "{\"engines\": {\"node\": \"22.x\"}}"),
            ],
            2,
            "22.17.0 (package.json:1)",
        ),
        (
            &[(".tool-versions", "elixir ref:v1.18.3\n")],
            1,
            "1.18.3 (.tool-versions:1)",
        ),
    ] {
        assert_eq!(tool(&case(files), at), expected);
    }
}

#[test]
fn version_sources_have_documented_precedence() {
    let sources = [
        (
            ELIXIR_CONFIG,
            "elixir_version=1.18.4\n",
            "1.18.4 (elixir_buildpack.config:1)",
        ),
        (
            ".tool-versions",
            "elixir 1.18.3\n",
            "1.18.3 (.tool-versions:1)",
        ),
        (
            ".mise.toml",
            "tools.elixir = \"1.14\"\n",
            "1.14.5 (.mise.toml:1)",
        ),
        (
            "mise.toml",
            "tools.elixir = \"1.17\"\n",
            "1.17.3 (mise.toml:1)",
        ),
        (
            "mise/config.toml",
            "tools.elixir = \"1.18.3\"\n",
            "1.18.3 (mise/config.toml:1)",
        ),
        (".elixir-version", "1.18\n", "1.18.4 (.elixir-version:1)"),
    ];
    for from in 0..sources.len() {
        let files: Vec<_> = sources[from..]
            .iter()
            .map(|(path, text, _)| (*path, *text))
            .collect();
        assert_eq!(tool(&case(&files), 1), sources[from].2);
    }
    let node = [
        (
            ".tool-versions",
            "nodejs 25.1.0\n",
            "25.1.0 (.tool-versions:1)",
        ),
        ("mise.toml", "tools.node = \"24\"\n", "24.4.0 (mise.toml:1)"),
        (".node-version", "22.16.0\n", "22.16.0 (.node-version:1)"),
        (".nvmrc", "22.17.0\n", "22.17.0 (.nvmrc:1)"),
        (
            "assets/package.json",
            "{\"engines\": {\"node\": \"24\"}, \"volta\": {\"node\": \"22.16.0\"}}",
            "24.4.0 (assets/package.json:1)",
        ),
    ];
    for from in 0..node.len() {
        let files: Vec<_> = node[from..]
            .iter()
            .map(|(path, text, _)| (*path, *text))
            .collect();
        assert_eq!(tool(&case(&[PACKAGE]).files(&files), 2), node[from].2);
    }
}

#[test]
fn system_and_path_versions_are_skipped_with_warning() {
    let case = case(&[
        (
            ".tool-versions",
            "erlang system\nelixir path:/opt/elixir 1.17.3\nnodejs system\n",
        ),
        ("mise.toml", "[tools]\nerlang = \"26\"\n"),
    ]);
    assert_eq!(
        case.tools(),
        ["26.2.5.12 (mise.toml:2)", "1.17.3 (.tool-versions:2)"]
    );
    let warnings = case.planned().warnings;
    assert_eq!(
        warnings.len(),
        2,
        "no word on a Node that is not needed: {warnings:?}"
    );
    assert!(warnings[0].starts_with(".tool-versions:1 requests erlang system,"));
    assert!(warnings[1].starts_with(".tool-versions:2 requests elixir path:/opt/elixir,"));
}

fn requiring(requirement: &str) -> Case {
    case(&[]).file(
        "mix.exs",
        &format!("[app: :shop,\n elixir: \"{requirement}\", deps: []]"),
    )
}

#[test]
fn version_rejected_by_mix_exs_names_both_sources() {
    for (case, elixir, source) in [
        (
            requiring("~> 1.18").file(".tool-versions", "erlang 27\nelixir 1.17.3\n"),
            "1.17.3",
            Origin::file(".tool-versions", 2),
        ),
        (
            requiring("~> 1.18").var("elixir_version", "1.14"),
            "1.14.5",
            Origin::ConfigVar("elixir_version".to_owned()),
        ),
    ] {
        let VersionError::DisallowedByMixExs {
            elixir: found,
            elixir_source,
            requirement,
        } = case.refused()
        else {
            panic!("must be refused");
        };
        assert_eq!((found.as_str(), elixir_source), (elixir, source));
        assert_eq!(
            (
                requirement.value.as_str(),
                requirement.origin.to_string().as_str()
            ),
            ("~> 1.18", "mix.exs:2")
        );
    }
}

#[test]
fn partial_version_resolves_to_newest_allowed_by_mix_exs() {
    let case = requiring(">= 1.17.0 and < 1.18.4").var("elixir_version", "1");
    assert_eq!(tool(&case, 1), "1.18.3 (config var elixir_version)");
}

#[test]
fn mix_exs_limits_default_version() {
    assert_eq!(
        requiring("~> 1.17.0").tools(),
        [
            "27.3.4 (default: newest that Elixir 1.17.3 runs on)",
            "1.17.3 (default: newest that mix.exs:2 allows)"
        ]
    );
    // A bound that changes nothing isn't mentioned, and mix itself reports one that can't be parsed.
    for requirement in ["~> 1.14", "~> #{@elixir}"] {
        assert_eq!(tool(&requiring(requirement), 1), "1.18.4 (default: newest)");
    }
    let half = requiring("< 1.18.0").var("erlang_version", "27");
    assert_eq!(
        tool(&half, 1),
        "1.17.3 (default: newest for OTP 27 that mix.exs:2 allows)"
    );
}

#[test]
fn last_build_version_stays_while_mix_exs_allows_it() {
    let last = |requirement| requiring(requirement).last("27.3.3", "1.17.3", None);
    assert_eq!(
        last("~> 1.14").tools(),
        ["27.3.3 (the last build)", "1.17.3 (the last build)"]
    );
    assert_eq!(tool(&last("~> 1.18"), 1), "1.18.4 (default: newest)");
}

#[test]
fn reports_unsatisfiable_mix_exs_requirement() {
    let VersionError::NoElixirAllowedByMixExs {
        newest, otp: None, ..
    } = requiring("~> 2.0").refused()
    else {
        panic!("must be refused");
    };
    assert_eq!(newest, "1.18.4");
    let on_24 = requiring("~> 1.17").var("erlang_version", "24");
    let VersionError::NoElixirAllowedByMixExs {
        newest,
        otp: Some((otp, _)),
        ..
    } = on_24.refused()
    else {
        panic!("must be refused");
    };
    assert_eq!((newest.as_str(), otp.as_str()), ("1.14.5", "24.3.4.17"));
}

#[test]
fn umbrella_apps_limit_elixir_and_path_dependencies_do_not() {
    let case = case(&[])
        .file("mix.exs", "[apps_path: \"apps\", deps: []]")
        .file("apps/web/mix.exs", "[app: :web, elixir: \"~> 1.17.0\"]")
        .file("vendor/lib/mix.exs", "[app: :lib, elixir: \"~> 1.9.0\"]");
    assert_eq!(
        tool(&case, 1),
        "1.17.3 (default: newest that apps/web/mix.exs:1 allows)"
    );
}

#[test]
fn open_range_limits_node_without_upgrading() {
    let wide = ("assets/package.json", "{\"engines\": {\"node\": \">=22\"}}");
    assert_eq!(tool(&case(&[wide]), 2), "24.4.0 (assets/package.json:1)");
    let last = |node| case(&[wide]).last("27.3.3", "1.17.3", Some(node));
    assert_eq!(tool(&last("22.16.0"), 2), "22.16.0 (the last build)");
    let bound = ("assets/package.json", "{\"engines\": {\"node\": \">=24\"}}");
    let kept = case(&[bound]).last("27.3.3", "1.17.3", Some("22.16.0"));
    assert_eq!(tool(&kept, 2), "24.4.0 (assets/package.json:1)");
    // Volta pins a version, and engines only limits it.
    let pinned = (
        "assets/package.json",
        "{\"engines\": {\"node\": \">=18\"},\n\"volta\": {\"node\": \"22.16.0\"}}",
    );
    assert_eq!(tool(&case(&[pinned]), 2), "22.16.0 (assets/package.json:2)");
}

/// The warnings on a day of 2027.
fn lifecycle_of(case: &Case) -> Vec<String> {
    let today = versions::lifecycle::Date {
        year: 2027,
        month: 5,
        day: 1,
    };
    lifecycle::warnings(&case.planned(), &case.lists, today)
}

#[test]
fn warns_about_unmaintained_versions_with_source() {
    let mut old = case(&[
        PACKAGE,
        (".tool-versions", "erlang 25\nelixir 1.14\nnodejs 22.16.0\n"),
    ]);
    old.lists.elixir =
        versions::elixir::ElixirListing::parse(&super::list(&["v1.14.5-otp-25", "v1.19.0-otp-28"]));
    assert_eq!(
        lifecycle_of(&old),
        [
            "Erlang/OTP 25.3.2.21 (from .tool-versions:1) no longer gets fixes; the oldest supported series is 26",
            "Elixir 1.14.5 (from .tool-versions:2) no longer gets security fixes; the oldest supported series is 1.15",
            "Node.js 22.16.0 (from .tool-versions:3) no longer gets fixes (since 2027-04-30)",
        ]
    );
    assert_eq!(lifecycle_of(&case(&[])), <[String; 0]>::default());
}

#[test]
fn warning_about_broken_otp_tls_names_file_and_fixed_release() {
    let mut flawed = case(&[(ELIXIR_CONFIG, "# pair\nerlang_version=27.1.2\n")]);
    flawed.lists.otp =
        versions::otp::OtpListing::parse(&super::list(&["OTP-27.1.2", "OTP-27.2.2"]));
    let warnings = lifecycle_of(&flawed);
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("Erlang/OTP 27.1.2 rejects the certificates"),
        "{warnings:?}"
    );
    assert!(warnings[0].ends_with(
        "27.2.2 is the first release without that bug: change elixir_buildpack.config:2"
    ));
}

#[test]
fn warns_about_deprecated_stack() {
    let mut plan = case(&[]).planned();
    plan.target.stack = "heroku-22".to_owned();
    let today = versions::lifecycle::Date {
        year: 2026,
        month: 11,
        day: 24,
    };
    let warnings = lifecycle::warnings(&plan, &super::lists(), today);
    assert!(
        warnings[0].contains("heroku-22 is deprecated and only supported until April 2027"),
        "{warnings:?}"
    );
}

#[test]
fn accepts_every_request_form() {
    for (requested, erlang) in [
        ("v27", "27.3.4"),
        ("27.x", "27.3.4"),
        ("27.3.*", "27.3.4"),
        ("OTP-27.3.3", "27.3.3"),
        ("\u{feff}\"27.3.3\"\r", "27.3.3"),
        ("27.3.3 # pinned", "27.3.3"),
        ("28.0-rc4", "28.0-rc4"),
        ("latest", "28.0"),
        ("26.2.5.x", "26.2.5.12"),
    ] {
        let plan = case(&[]).var("erlang_version", requested).planned();
        assert_eq!(plan.erlang.version, erlang, "{requested:?}");
    }
    for (requested, elixir) in [
        ("~> 1.17", "1.18.4"),
        ("~> 1.18.0 and != 1.18.4", "1.18.3"),
        (">= 1.9.0 and < 1.18.0", "1.17.3"),
        ("1.17.x", "1.17.3"),
        ("1.x", "1.18.4"),
        ("v1.18.3", "1.18.3"),
        ("latest", "1.18.4"),
        ("1.18.3-otp-26", "1.18.3"),
        ("'1.14'", "1.14.5"),
    ] {
        let plan = case(&[]).var("elixir_version", requested).planned();
        assert_eq!(plan.elixir.version, elixir, "{requested:?}");
        assert_eq!(plan.elixir.source.to_string(), "config var elixir_version");
    }
}

#[test]
fn elixir_config_overrides_config_var_and_tool_versions() {
    let case = case(&[
        (ELIXIR_CONFIG, "erlang_version=26\nelixir_version=1.18.3\n"),
        (".tool-versions", "erlang 27.3.3\nelixir 1.17.3\n"),
    ])
    .var("erlang_version", "25")
    .var("elixir_version", "1.14");
    assert_eq!(
        case.tools(),
        [
            "26.2.5.12 (elixir_buildpack.config:1)",
            "1.18.3 (elixir_buildpack.config:2)"
        ]
    );
}

#[test]
fn config_var_overrides_tool_versions_and_fills_empty_config() {
    let case = case(&[
        (ELIXIR_CONFIG, "erlang_version=\n"),
        (".tool-versions", "erlang 27.3.3\nelixir 1.18.4\n"),
    ])
    .var("erlang_version", "27.3.4");
    assert_eq!(
        case.tools(),
        [
            "27.3.4 (config var erlang_version)",
            "1.18.4 (.tool-versions:2)"
        ]
    );
}

#[test]
fn config_var_overrides_static_config() {
    let config = (STATIC_CONFIG, "node_version=22\n");
    let files = [PACKAGE, config, (".tool-versions", "nodejs 25.1.0\n")];
    assert_eq!(
        case(&files).var("node_version", "24").tools()[2],
        "24.4.0 (config var node_version)"
    );
    assert_eq!(
        case(&files).tools()[2],
        "22.17.0 (phoenix_static_buildpack.config:1)"
    );
    let behind = case(&[PACKAGE, (".tool-versions", "nodejs 25.1.0\n")]);
    assert_eq!(behind.tools()[2], "25.1.0 (.tool-versions:1)");
}

#[test]
fn config_vars_do_not_enable_config_file_settings() {
    let case = case(&[(ELIXIR_CONFIG, "elixir_version=1.18.3\n")])
        .var("release", "true")
        .var("always_rebuild", "true")
        .var("runtime_path", "/srv");
    let plan = case.plan().unwrap();
    assert!(!plan.release);
    assert_eq!(plan.clean, None);
    assert_eq!(plan.runtime_path, "/app");
    let requested = "release=true\nalways_rebuild=true\nruntime_path=/srv\n";
    let plan = case
        .file(ELIXIR_CONFIG, requested)
        .var("release", "false")
        .plan()
        .unwrap();
    assert!(plan.release);
    assert_eq!(plan.clean.as_deref(), Some("always_rebuild=true"));
    assert_eq!(plan.runtime_path, "/srv");
}

#[test]
fn tool_versions_override_package_json_engines() {
    let package = (
        "assets/package.json",
        "{\n  \"volta\": {\"node\": \"24.4.0\"},\n  \"engines\": {\n    \"node\": \"22.x\"\n  }\n}",
    );
    assert_eq!(
        case(&[package]).tools()[2],
        "22.17.0 (assets/package.json:4)"
    );
    let requested = case(&[package, (".tool-versions", "nodejs 24.4.0\n")]);
    assert_eq!(requested.tools()[2], "24.4.0 (.tool-versions:1)");
}
