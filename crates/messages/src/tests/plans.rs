//! Errors of the plan.

use super::{UBUNTU, in_config, in_file, in_var, strings};
use app::facts::Manager;
use app::plan::{Edit, PlanError, Suggestion, VersionError};
use app::{Origin, Setting};
use versions::Tool;

fn lines(path: &str, numbers: &[u32], lines: &[&str]) -> Edit {
    Edit::File {
        path: path.to_owned(),
        numbers: numbers.to_vec(),
        lines: strings(lines),
    }
}

/// Lines of the config file: Elixir in line 1, Erlang in line 2.
fn in_both_lines(erlang: &str, elixir: &str) -> Vec<Edit> {
    let erlang = format!("erlang_version={erlang}");
    let elixir = format!("elixir_version={elixir}");
    let path = "elixir_buildpack.config";
    vec![lines(path, &[1, 2], &[&erlang, &elixir])]
}

fn with(error: VersionError, why: &str, edits: Vec<Edit>) -> PlanError {
    let suggestion = Suggestion {
        elixir: "1.18.4".to_owned(),
        requirement: "~> 1.18".to_owned(),
        edits,
        why: why.to_owned(),
        conflicts: Vec::new(),
        conflicting_packages: Vec::new(),
        oldest_otp: "24.3.4".to_owned(),
    };
    PlanError::Version {
        error,
        suggestion: Some(Box::new(suggestion)),
    }
}

fn conflicting(error: VersionError, conflicts: &[Setting], edits: Vec<Edit>) -> PlanError {
    let why = "Elixir 1.18.4 on Erlang/OTP 28.5 is the nearest pair that is built for this stack";
    let mut error = with(error, why, edits);
    if let PlanError::Version {
        suggestion: Some(suggestion),
        ..
    } = &mut error
    {
        suggestion.conflicts = conflicts.to_vec();
        suggestion.conflicting_packages = vec![("live 1.2.0".to_owned(), "~> 1.14.0".to_owned())];
    }
    error
}

fn missing(
    tool: Tool,
    requested: Setting,
    nearest: &[&str],
    newest: Option<&str>,
    newer_than_listed: bool,
) -> VersionError {
    VersionError::NoSuchVersion {
        tool,
        requested,
        target: UBUNTU.to_owned(),
        nearest: strings(nearest),
        newest_of_line: newest.map(str::to_owned),
        newer_than_listed,
    }
}

#[test]
fn tag_of_otp_is_named_by_its_version() {
    let error = missing(Tool::Erlang, in_config("OTP-24.2.1"), &[], None, false);
    let error = PlanError::Version {
        error,
        suggestion: None,
    };
    let title = crate::explain(&crate::Error::Plan(error)).title;
    assert_eq!(
        title,
        format!("Erlang/OTP 24.2.1 is not available for {UBUNTU}")
    );
}

/// An Erlang version that neither source lists.
pub(super) fn no_such_patch() -> PlanError {
    let nearest = ["27.3.4.18", "27.3.4.17", "28.5.0.7"];
    with(
        missing(
            Tool::Erlang,
            in_config("27.3.4.99"),
            &nearest,
            Some("27.3.4.18"),
            true,
        ),
        "Erlang/OTP 27.3.4.18 is the nearest version built for this stack that runs Elixir 1.18.4",
        in_both_lines("27.3.4.18", "1.18.4"),
    )
}

pub(super) fn versions() -> Vec<(&'static str, PlanError)> {
    let malformed = |tool, requested, reason: &str, available: &[&str]| VersionError::Malformed {
        tool,
        requested,
        reason: reason.to_owned(),
        available: strings(available),
    };
    vec![
        (
            "plan_malformed_erlang",
            with(
                malformed(
                    Tool::Erlang,
                    in_config("27.y"),
                    "\"y\" is not a number",
                    &["27.3.4", "26.2.5"],
                ),
                "Elixir 1.18.4 on Erlang/OTP 27.3.4 is the nearest pair that is built for this stack",
                in_both_lines("27", "1.18.4"),
            ),
        ),
        (
            "plan_malformed_elixir",
            with(
                malformed(
                    Tool::Elixir,
                    in_file("1.18.3.1", ".tool-versions", 1),
                    "it has more than three numbers",
                    &["1.18.3", "1.17.3"],
                ),
                "Elixir 1.18.4 on Erlang/OTP 28.5 is the nearest pair that is built for this stack",
                vec![lines(
                    ".tool-versions",
                    &[1],
                    &["erlang 28.5", "elixir 1.18.4"],
                )],
            ),
        ),
        (
            "plan_malformed_node_without_a_list",
            malformed(
                Tool::Node,
                in_var("newest", "node_version"),
                "\"newest\" is not a range that npm accepts",
                &[],
            )
            .into(),
        ),
    ]
}

pub(super) fn missing_versions() -> Vec<(&'static str, PlanError)> {
    vec![
        ("plan_no_such_erlang", no_such_patch()),
        (
            "plan_no_such_erlang_older_than_all",
            with(
                missing(
                    Tool::Erlang,
                    in_file("21.3", "mise.toml", 2),
                    &["24.3.4.17", "25.3.2"],
                    None,
                    false,
                ),
                "Elixir 1.11.4 on Erlang/OTP 24.3.4.17 is the nearest pair that is built for this stack",
                vec![lines(
                    "mise.toml",
                    &[2, 3],
                    &["erlang = \"24.3.4.17\"", "elixir = \"1.11.4\""],
                )],
            ),
        ),
        (
            "plan_no_such_elixir",
            with(
                missing(
                    Tool::Elixir,
                    in_file("1.99", "mise.lock", 4),
                    &["1.18.4", "1.17.3"],
                    None,
                    true,
                ),
                "Elixir 1.18.4 is the nearest version that runs on Erlang/OTP 28.5",
                vec![Edit::MiseUse(strings(&["erlang@28.5", "elixir@1.18.4"]))],
            ),
        ),
        (
            "plan_no_such_node",
            missing(
                Tool::Node,
                in_var("99", "node_version"),
                &["24.1.0"],
                None,
                false,
            )
            .into(),
        ),
        (
            "plan_no_such_version_kept",
            missing(
                Tool::Erlang,
                Setting::new("26.2.1".to_owned(), Origin::LastBuild),
                &[],
                None,
                false,
            )
            .into(),
        ),
    ]
}

pub(super) fn pairs() -> Vec<(&'static str, PlanError)> {
    vec![
        (
            "plan_not_for_this_otp",
            with(
                VersionError::IncompatiblePair {
                    elixir: "1.14.0".to_owned(),
                    elixir_source: Origin::file("elixir_buildpack.config", 1),
                    otp: "27.3.4".to_owned(),
                    otp_source: Origin::file(".tool-versions", 2),
                },
                "Erlang/OTP 25.3 is the nearest version built for this stack that runs Elixir 1.14.0",
                vec![
                    lines(".tool-versions", &[2], &["erlang 25.3"]),
                    lines("elixir_buildpack.config", &[1], &["elixir_version=1.14.0"]),
                ],
            ),
        ),
        (
            "plan_not_for_this_otp_of_config_vars",
            with(
                VersionError::IncompatiblePair {
                    elixir: "1.9.4".to_owned(),
                    elixir_source: Origin::ConfigVar("elixir_version".to_owned()),
                    otp: "27.3.4".to_owned(),
                    otp_source: Origin::ConfigVar("erlang_version".to_owned()),
                },
                "Elixir 1.11.4 on Erlang/OTP 24.3.4.17 is the nearest pair that is built for this stack",
                vec![Edit::ConfigVars(
                    [
                        ("erlang_version", "24.3.4.17"),
                        ("elixir_version", "1.11.4"),
                    ]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec(),
                )],
            ),
        ),
        (
            "plan_no_otp_for",
            with(
                VersionError::NoOtpFor {
                    requested: in_file("1.9.4", ".elixir-version", 1),
                    target: UBUNTU.to_owned(),
                },
                "Elixir 1.11.4 is the nearest version that runs on Erlang/OTP 24.3.4.17",
                vec![
                    lines(".erlang-version", &[], &["24.3.4.17"]),
                    lines(".elixir-version", &[1], &["1.11.4"]),
                ],
            ),
        ),
        (
            "plan_no_elixir_for",
            with(
                VersionError::NoElixirFor {
                    requested: in_config("17"),
                    otp: "17.5".to_owned(),
                },
                "Erlang/OTP 24.3.4.17 is the nearest version built for this stack that runs Elixir 1.16.3",
                vec![lines(
                    "elixir_buildpack.config",
                    &[2],
                    &["erlang_version=24.3.4.17", "elixir_version=1.16.3"],
                )],
            ),
        ),
    ]
}

pub(super) fn requirements() -> Vec<(&'static str, PlanError)> {
    let no_elixir_allowed = |requirement, otp| VersionError::NoElixirAllowedByMixExs {
        requirement,
        otp,
        newest: "1.18.4".to_owned(),
    };
    vec![
        (
            "plan_not_what_mix_exs_allows",
            with(
                VersionError::DisallowedByMixExs {
                    elixir: "1.13.4".to_owned(),
                    elixir_source: Origin::file(".tool-versions", 2),
                    requirement: in_file("~> 1.14", "mix.exs", 8),
                },
                "Elixir 1.14.5 is the nearest version that mix.exs:8 allows and that runs on Erlang/OTP 25.3",
                vec![lines(
                    ".tool-versions",
                    &[1, 2],
                    &["erlang 25.3", "elixir 1.14.5"],
                )],
            ),
        ),
        (
            "plan_no_elixir_that_mix_exs_allows",
            conflicting(
                no_elixir_allowed(in_file("~> 1.30", "mix.exs", 8), None),
                &[in_file("~> 1.30", "mix.exs", 8)],
                Vec::new(),
            ),
        ),
        (
            "plan_no_elixir_that_several_mix_exs_allow",
            conflicting(
                no_elixir_allowed(in_file("~> 1.30", "mix.exs", 8), None),
                &[
                    in_file("~> 1.30", "mix.exs", 8),
                    in_file("~> 1.9.0", "apps/web/mix.exs", 5),
                ],
                in_both_lines("28.5", "1.18.4"),
            ),
        ),
        (
            "plan_no_elixir_that_mix_exs_allows_on_this_otp",
            with(
                VersionError::NoElixirAllowedByMixExs {
                    requirement: in_file("~> 1.18", "mix.exs", 8),
                    otp: Some(("24.3.4".to_owned(), Origin::file(".tool-versions", 1))),
                    newest: "1.16.3".to_owned(),
                },
                "Erlang/OTP 25.3 is the nearest version built for this stack that runs Elixir 1.18.4",
                vec![lines(
                    ".tool-versions",
                    &[1],
                    &["erlang 25.3", "elixir 1.18.4"],
                )],
            ),
        ),
        (
            "plan_nothing_goes_together",
            VersionError::NoCompatiblePair {
                target: UBUNTU.to_owned(),
            }
            .into(),
        ),
        (
            "plan_no_node",
            PlanError::NoNode {
                arch: "arm64".to_owned(),
            },
        ),
    ]
}

pub(super) fn folders() -> Vec<(&'static str, PlanError)> {
    vec![
        (
            "plan_two_lockfiles",
            PlanError::TwoLockfiles {
                dir: "assets".to_owned(),
                lockfiles: strings(&["package-lock.json", "yarn.lock", "bun.lock"]),
            },
        ),
        (
            "plan_two_lockfiles_none_of_npm",
            PlanError::TwoLockfiles {
                dir: ".".to_owned(),
                lockfiles: strings(&["yarn.lock", "pnpm-lock.yaml"]),
            },
        ),
        (
            "plan_manager_contradicted",
            PlanError::ManagerContradicted {
                requested: in_file("pnpm@9.1.0", "assets/package.json", 4),
                manager: Manager::Pnpm,
                lockfile: "assets/yarn.lock".to_owned(),
            },
        ),
        (
            "plan_malformed_manager",
            PlanError::MalformedManager {
                requested: in_file("pnpm", "assets/package.json", 4),
            },
        ),
        (
            "plan_unknown_dev_manager",
            PlanError::UnknownDevManager {
                requested: in_file("vlt@1.0.0", "assets/package.json", 4),
            },
        ),
        (
            "plan_no_such_level",
            PlanError::UnknownSlimLevel {
                requested: in_file("slimmest", "elixir_buildpack.config", 4),
                levels: ["none", "standard", "full"].map(str::to_owned).into(),
            },
        ),
        (
            "plan_no_such_folder",
            PlanError::NoSuchFolder {
                key: "phoenix_relative_path",
                requested: in_file("apps/shop_wbe", "phoenix_static_buildpack.config", 3),
                missing: "mix.exs",
            },
        ),
    ]
}
