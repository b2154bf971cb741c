//! Every error as the user reads it.

mod boot;
mod commands;
mod config_file;
mod fetch_failures;
mod plans;
mod wording;

use super::*;
use app::facts::ReadError;
use app::text_file::Encoding;
use app::{Origin, Setting};
use exec::log::{Sinks, Style};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use store::tree::TreeError;
use versions::target::TargetError;

const OTP_LIST: &str = "https://builds.hex.pm/builds/otp/amd64/ubuntu-24.04/builds.txt";
const OTP: &str = "https://builds.hex.pm/builds/otp/amd64/ubuntu-24.04/OTP-27.3.4.tar.gz";
const UBUNTU: &str = "ubuntu-24.04 (amd64)";

fn in_file(value: &str, path: &str, line: u32) -> Setting {
    Setting::new(value.to_owned(), Origin::file(path, line))
}

fn in_config(value: &str) -> Setting {
    in_file(value, "elixir_buildpack.config", 2)
}

fn in_var(value: &str, name: &str) -> Setting {
    Setting::new(value.to_owned(), Origin::ConfigVar(name.to_owned()))
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn denied() -> io::Error {
    io::Error::from(io::ErrorKind::PermissionDenied)
}

fn general() -> Vec<(&'static str, Error)> {
    vec![
        ("architecture", Error::Architecture("riscv64".to_owned())),
        (
            "env_dir",
            Error::EnvDir {
                path: PathBuf::from("/tmp/env"),
                source: denied(),
            },
        ),
        (
            "which_release_of_several",
            Error::WhichRelease {
                names: strings(&["shop", "worker"]),
                origin: Origin::file("mix.exs", 0),
            },
        ),
        (
            "which_release_of_none",
            Error::WhichRelease {
                names: Vec::new(),
                origin: Origin::file("mix.exs", 0),
            },
        ),
        (
            "no_such_installer",
            Error::NoSuchInstaller {
                name: "Hex",
                requested: Setting::new(
                    "2.9.0".to_owned(),
                    Origin::file("elixir_buildpack.config", 3),
                ),
                elixir: "1.18.3".to_owned(),
                newest: "2.5.1".to_owned(),
            },
        ),
        (
            "distillery_release_missing",
            Error::DistilleryReleaseMissing {
                rel: "_build/prod/rel".to_owned(),
                config: "rel/config.exs".to_owned(),
            },
        ),
        (
            "release_missing",
            Error::ReleaseMissing {
                name: "shop".to_owned(),
                path: "_build/prod/rel/shop/bin/shop".to_owned(),
                mix_exs: "mix.exs".to_owned(),
            },
        ),
        (
            "tree",
            Error::Tree(TreeError {
                path: PathBuf::from("/tmp/cache/mixpack"),
                operation: "create the folder",
                source: denied(),
            }),
        ),
        (
            "shared_store",
            Error::SharedStore {
                variable: "MIXPACK_STORE_SECRET",
                problem: "is missing".to_owned(),
                fix: "Set it to the secret that `mixpack store-keys` printed".to_owned(),
            },
        ),
        (
            "manager_hash",
            Error::ManagerHash {
                spec: "pnpm@9.1.0".to_owned(),
                origin: Origin::file("assets/package.json", 4),
                algorithm: "sha224".to_owned(),
                expected: "0f3d".repeat(14),
                found: "77ab".repeat(14),
            },
        ),
        (
            "folder outside the app",
            Error::OutsideApp {
                place: "_build".to_owned(),
                to: PathBuf::from("/srv/shared/build"),
            },
        ),
        ("cancelled", Error::Cancelled),
    ]
}

fn reading() -> Vec<(&'static str, ReadError)> {
    let no_mix_exs = |found, candidate_dirs| ReadError::NoMixExs {
        dir: PathBuf::from("/tmp/build_ab12"),
        found,
        candidate_dirs,
        phoenix: Vec::new(),
    };
    let many: Vec<String> = (1..=9).map(|n| format!("libs/library{n}")).collect();
    vec![
        (
            "read_no_mix_exs",
            no_mix_exs(
                strings(&["README.md", "backend/", "package.json"]),
                Vec::new(),
            ),
        ),
        (
            "read_no_mix_exs_in_a_folder",
            no_mix_exs(strings(&["README.md", "backend/"]), strings(&["backend"])),
        ),
        (
            "read_no_mix_exs_in_many_folders",
            no_mix_exs(strings(&["libs/"]), many),
        ),
        (
            "read_no_mix_exs_beside_phoenix",
            ReadError::NoMixExs {
                dir: PathBuf::from("/tmp/build_ab12"),
                found: strings(&["libs/", "web/"]),
                candidate_dirs: strings(&["web", "libs/money"]),
                phoenix: strings(&["web"]),
            },
        ),
        (
            "read_no_mix_exs_nothing_at_all",
            no_mix_exs(Vec::new(), Vec::new()),
        ),
        (
            "read_app_dir_outside",
            ReadError::AppDirOutside {
                requested: in_config("../backend"),
            },
        ),
        (
            "read_no_app_in_folder",
            ReadError::NoAppInFolder {
                requested: in_var("frontend", "MIXPACK_APP_RELATIVE_PATH"),
                is_folder: true,
                candidate_dirs: Vec::new(),
            },
        ),
        (
            "read_no_app_in_folder_that_is_not_there",
            ReadError::NoAppInFolder {
                requested: in_config("bakend"),
                is_folder: false,
                candidate_dirs: strings(&["backend", "shared"]),
            },
        ),
        (
            "read_io",
            ReadError::Io {
                path: "mix.lock".to_owned(),
                source: denied(),
            },
        ),
        (
            "read_encoding",
            ReadError::Encoding {
                path: "elixir_buildpack.config".to_owned(),
                encoding: Encoding::Utf16,
            },
        ),
        (
            "read_package_json",
            ReadError::PackageJson {
                path: "assets/package.json".to_owned(),
                line: 7,
                message: "expected `,` or `}` at line 7 column 5".to_owned(),
            },
        ),
        (
            "read_toml",
            ReadError::Toml {
                path: "mise.toml".to_owned(),
                line: 3,
                message: "invalid basic string, expected `\"`".to_owned(),
            },
        ),
    ]
}

fn targets() -> Vec<(&'static str, TargetError)> {
    vec![
        (
            "target_end_of_life",
            TargetError::EndOfLife {
                stack: "heroku-20".to_owned(),
            },
        ),
        (
            "target_unknown_stack",
            TargetError::UnknownStack {
                stack: "heroku_24".to_owned(),
            },
        ),
        (
            "target_unknown_system",
            TargetError::UnknownSystem {
                system: "alpine-3.20".to_owned(),
            },
        ),
    ]
}

/// Every error, with its variants and the cases that have different messages.
fn catalogue() -> Vec<(&'static str, Error)> {
    let mut all = general();
    all.extend(boot::faults());
    all.extend(fetch_failures::two_places());
    all.extend(config_file::config_files());
    all.extend(
        reading()
            .into_iter()
            .map(|(name, error)| (name, Error::Read(error))),
    );
    let plans = plans::versions()
        .into_iter()
        .chain(plans::missing_versions())
        .chain(plans::pairs())
        .chain(plans::requirements())
        .chain(plans::folders());
    all.extend(plans.map(|(name, error)| (name, Error::Plan(error))));
    all.extend(
        targets()
            .into_iter()
            .map(|(name, error)| (name, Error::Target(error))),
    );
    let tools = fetch_failures::toolchains()
        .into_iter()
        .chain(fetch_failures::fetching());
    all.extend(tools.map(|(name, error)| (name, Error::Toolchain(error))));
    let commands = commands::hooks()
        .into_iter()
        .chain(commands::commands())
        .chain(commands::package_commands())
        .chain(samples::samples());
    all.extend(commands.map(|(name, action, source)| (name, Error::Command { action, source })));
    all
}

#[test]
fn error_messages_match_snapshots() {
    for (name, error) in catalogue() {
        insta::assert_snapshot!(name, explain(&error).lines().join("\n"));
    }
}

#[test]
fn every_error_has_cause_and_fix() {
    for (name, error) in catalogue() {
        let explanation = explain(&error);
        assert!(!explanation.cause.is_empty(), "{name} has no cause");
        assert!(!explanation.cure.is_empty(), "{name} has no cure");
        let text: Vec<&String> = explanation.cause.iter().chain(&explanation.cure).collect();
        assert!(
            text.iter().all(|line| !line.trim().is_empty()),
            "{name}: {text:?}"
        );
    }
}

#[test]
fn error_codes_are_unique() {
    let mut codes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, error) in catalogue() {
        let code = explain(&error).code;
        let kebab = code
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()));
        assert!(kebab, "{code} is not in kebab case");
        codes.entry(code).or_default().push(name);
    }
    let table: Vec<String> = codes
        .iter()
        .map(|(code, names)| format!("{code}: {}", names.join(", ")))
        .collect();
    insta::assert_snapshot!("codes", table.join("\n"));
}

#[test]
fn error_lines_fit_after_git_remote_prefix() {
    for (name, error) in catalogue() {
        for line in explain(&error).lines() {
            let fits = line.chars().count() <= WIDTH;
            // Quoted output, commands and URLs aren't wrapped.
            let whole = line.starts_with("  ") || !line.contains(' ');
            assert!(fits || whole, "{name}: {line}");
        }
    }
}

#[test]
fn stack_errors_do_not_mention_erlang() {
    for (name, error) in targets() {
        let text = explain(&Error::Target(error)).lines().join("\n");
        assert!(
            !text.contains("Erlang") && !text.contains("OTP"),
            "{name}: {text}"
        );
    }
}

#[test]
fn every_error_code_has_docs_section() {
    const DOCS: &str = include_str!("../../../docs/errors.md");
    let codes: BTreeSet<&str> = catalogue()
        .iter()
        .map(|(_, error)| explain(error).code)
        .collect();
    let sections: Vec<&str> = DOCS
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(sections, codes.into_iter().collect::<Vec<_>>());
}

#[test]
fn secret_is_masked_across_line_wrap() {
    let log = Log::new(Sinks {
        out: Box::new(io::sink()),
        err: Box::new(io::sink()),
        terminal: false,
        colour: false,
        style: Style::Arrows,
    });
    let secret = "a pass phrase of several words";
    log.hide(secret);
    for width in 0..WIDTH {
        let cause = format!("{} {secret} is not a version.", "x".repeat(width));
        let explanation = Explanation::user("version-malformed", "no").because(cause);
        let text = explanation.without_secrets(&log).lines().join("\n");
        assert!(text.contains("[hidden]"), "{text}");
        assert!(!text.contains("phrase"), "{text}");
    }
}
