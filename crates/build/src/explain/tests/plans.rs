//! Errors of the plan.

use super::{UBUNTU, in_config, in_file, in_var, strings};
use app::package_manager::Manager;
use app::plan::PlanError;
use app::{Asked, Origin};
use versions::Tool;

pub(super) fn versions() -> Vec<(&'static str, PlanError)> {
    let malformed = |tool, asked, reason: &str, available: &[&str]| PlanError::Malformed {
        tool,
        asked,
        reason: reason.to_owned(),
        available: strings(available),
    };
    let missing = |tool, asked, nearest: &[&str], newest: Option<&str>| PlanError::NoSuchVersion {
        tool,
        asked,
        target: UBUNTU.to_owned(),
        nearest: strings(nearest),
        newest_of_line: newest.map(str::to_owned),
    };
    vec![
        (
            "plan_malformed_erlang",
            malformed(
                Tool::Erlang,
                in_config("27.y"),
                "\"y\" is not a number",
                &["27.3.4", "26.2.5"],
            ),
        ),
        (
            "plan_malformed_elixir",
            malformed(
                Tool::Elixir,
                in_file("1.18.3.1", ".tool-versions", 1),
                "it has more than three numbers",
                &["1.18.3", "1.17.3"],
            ),
        ),
        (
            "plan_malformed_node_without_a_list",
            malformed(
                Tool::Node,
                in_var("newest", "node_version"),
                "\"newest\" is not a range that npm accepts",
                &[],
            ),
        ),
        (
            "plan_no_such_erlang",
            missing(
                Tool::Erlang,
                in_config("27.9"),
                &["27.3.4", "27.3.3"],
                Some("27.3.4"),
            ),
        ),
        (
            "plan_no_such_elixir",
            missing(
                Tool::Elixir,
                in_file("1.99", ".tool-versions", 4),
                &["1.18.3", "1.17.3"],
                None,
            ),
        ),
        (
            "plan_no_such_node",
            missing(Tool::Node, in_var("99", "node_version"), &["24.1.0"], None),
        ),
        (
            "plan_no_such_version_kept",
            missing(
                Tool::Erlang,
                Asked::new("26.2.1".to_owned(), Origin::LastBuild),
                &[],
                None,
            ),
        ),
    ]
}

pub(super) fn pairs() -> Vec<(&'static str, PlanError)> {
    let pair = |elixir: &str, otp_source, usable: &[u32]| PlanError::NotForThisOtp {
        elixir: elixir.to_owned(),
        elixir_source: Origin::file("elixir_buildpack.config", 1),
        otp: "27.3.4".to_owned(),
        otp_source,
        usable: usable.to_vec(),
        first_patch: None,
    };
    vec![
        (
            "plan_not_for_this_otp",
            pair("1.14.0", Origin::file(".tool-versions", 2), &[23, 24, 25]),
        ),
        (
            "plan_not_for_this_otp_nor_for_any",
            pair("1.9.4", Origin::ConfigVar("erlang_version".to_owned()), &[]),
        ),
        (
            "plan_not_for_this_otp_until_a_patch",
            PlanError::NotForThisOtp {
                elixir: "1.18.3".to_owned(),
                elixir_source: Origin::file("elixir_buildpack.config", 1),
                otp: "28.5".to_owned(),
                otp_source: Origin::file("elixir_buildpack.config", 2),
                usable: vec![25, 26, 27],
                first_patch: Some("1.18.4".to_owned()),
            },
        ),
        (
            "plan_no_otp_for",
            PlanError::NoOtpFor {
                asked: in_config("1.9.4"),
                target: UBUNTU.to_owned(),
            },
        ),
        (
            "plan_no_elixir_for",
            PlanError::NoElixirFor {
                asked: in_config("17"),
                otp: "17.5".to_owned(),
            },
        ),
        (
            "plan_not_what_mix_exs_allows",
            PlanError::NotWhatMixExsAllows {
                elixir: "1.13.4".to_owned(),
                elixir_source: Origin::file(".tool-versions", 2),
                requirement: in_file("~> 1.14", "mix.exs", 8),
            },
        ),
        (
            "plan_no_elixir_that_mix_exs_allows",
            PlanError::NoElixirThatMixExsAllows {
                requirement: in_file("~> 1.30", "mix.exs", 8),
                otp: None,
                newest: "1.18.4".to_owned(),
            },
        ),
        (
            "plan_no_elixir_that_mix_exs_allows_on_this_otp",
            PlanError::NoElixirThatMixExsAllows {
                requirement: in_file("~> 1.18", "mix.exs", 8),
                otp: Some(("24.3.4".to_owned(), Origin::file(".tool-versions", 1))),
                newest: "1.16.3".to_owned(),
            },
        ),
        (
            "plan_nothing_goes_together",
            PlanError::NothingGoesTogether {
                target: UBUNTU.to_owned(),
            },
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
                asked: in_file("pnpm@9.1.0", "assets/package.json", 4),
                manager: Manager::Pnpm,
                lockfile: "assets/yarn.lock".to_owned(),
            },
        ),
        (
            "plan_malformed_manager",
            PlanError::MalformedManager {
                asked: in_file("pnpm", "assets/package.json", 4),
            },
        ),
        (
            "plan_unknown_dev_manager",
            PlanError::UnknownDevManager {
                asked: in_file("vlt@1.0.0", "assets/package.json", 4),
            },
        ),
        (
            "plan_no_such_level",
            PlanError::NoSuchLevel {
                asked: in_file("slimmest", "elixir_buildpack.config", 4),
                levels: ["none", "standard", "full"].map(str::to_owned).into(),
            },
        ),
        (
            "plan_no_such_folder",
            PlanError::NoSuchFolder {
                key: "phoenix_relative_path",
                asked: in_file("apps/shop_wbe", "phoenix_static_buildpack.config", 3),
                missing: "mix.exs",
            },
        ),
    ]
}
