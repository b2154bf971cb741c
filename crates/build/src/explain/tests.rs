//! Every error as the user reads it.

mod commands;
mod fetched;
mod plans;

use super::*;
use crate::command::CommandError;
use crate::environment::Environment;
use crate::error::Doing;
use crate::tree::TreeError;
use app::facts::ReadError;
use app::package_manager::Manager;
use app::{Asked, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use versions::target::TargetError;

const OTP_LIST: &str = "https://builds.hex.pm/builds/otp/amd64/ubuntu-24.04/builds.txt";
const OTP: &str = "https://builds.hex.pm/builds/otp/amd64/ubuntu-24.04/OTP-27.3.4.tar.gz";
const UBUNTU: &str = "ubuntu-24.04 (amd64)";

fn in_file(value: &str, path: &str, line: u32) -> Asked {
    Asked::new(value.to_owned(), Origin::file(path, line))
}

fn in_config(value: &str) -> Asked {
    in_file(value, "elixir_buildpack.config", 2)
}

fn in_var(value: &str, name: &str) -> Asked {
    Asked::new(value.to_owned(), Origin::ConfigVar(name.to_owned()))
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
            "config_file",
            Error::ConfigFile {
                file: "elixir_buildpack.config".to_owned(),
                line: 3,
                construct: "an array that does not end".to_owned(),
                status: "exit status: 1".to_owned(),
                output: "/tmp/build_ab12/elixir_buildpack.config: line 4: syntax error: unexpected end of file".to_owned(),
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
            "tree",
            Error::Tree(TreeError {
                path: PathBuf::from("/tmp/cache/mixpack"),
                doing: "create the folder",
                source: denied(),
            }),
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
            Error::LeadsOut {
                place: "_build".to_owned(),
                to: PathBuf::from("/srv/shared/build"),
            },
        ),
        ("cancelled", Error::Cancelled),
    ]
}

fn reading() -> Vec<(&'static str, ReadError)> {
    let no_mix_exs = |found, below| ReadError::NoMixExs {
        dir: PathBuf::from("/tmp/build_ab12"),
        found,
        below,
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
                below: strings(&["web", "libs/money"]),
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
                asked: in_config("../backend"),
            },
        ),
        (
            "read_no_app_in_folder",
            ReadError::NoAppInFolder {
                asked: in_var("frontend", "MIXPACK_APP_RELATIVE_PATH"),
                is_folder: true,
                below: Vec::new(),
            },
        ),
        (
            "read_no_app_in_folder_that_is_not_there",
            ReadError::NoAppInFolder {
                asked: in_config("bakend"),
                is_folder: false,
                below: strings(&["backend", "shared"]),
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

/// Every error, each of its variants and of the cases that a message tells apart.
fn catalogue() -> Vec<(&'static str, Error)> {
    let mut all = general();
    all.extend(fetched::two_places());
    all.extend(
        reading()
            .into_iter()
            .map(|(name, error)| (name, Error::Read(error))),
    );
    let plans = plans::versions()
        .into_iter()
        .chain(plans::pairs())
        .chain(plans::folders());
    all.extend(plans.map(|(name, error)| (name, Error::Plan(error))));
    all.extend(
        targets()
            .into_iter()
            .map(|(name, error)| (name, Error::Target(error))),
    );
    let tools = fetched::toolchains().into_iter().chain(fetched::fetching());
    all.extend(tools.map(|(name, error)| (name, Error::Toolchain(error))));
    let commands = commands::hooks()
        .into_iter()
        .chain(commands::commands())
        .chain(commands::package_commands())
        .chain(samples::samples());
    all.extend(commands.map(|(name, doing, source)| (name, Error::Command { doing, source })));
    all
}

#[test]
fn every_error_as_the_user_reads_it() {
    for (name, error) in catalogue() {
        insta::assert_snapshot!(name, explain(&error).lines().join("\n"));
    }
}

#[test]
fn every_error_has_a_cause_and_a_cure() {
    for (name, error) in catalogue() {
        let explanation = explain(&error);
        assert!(!explanation.cause.is_empty(), "{name} has no cause");
        assert!(!explanation.cure.is_empty(), "{name} has no cure");
        let said: Vec<&String> = explanation.cause.iter().chain(&explanation.cure).collect();
        assert!(
            said.iter().all(|line| !line.trim().is_empty()),
            "{name}: {said:?}"
        );
    }
}

#[test]
fn a_code_means_one_thing() {
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
fn lines_fit_behind_what_git_puts_before_them() {
    for (name, error) in catalogue() {
        for line in explain(&error).lines() {
            let fits = line.chars().count() <= WIDTH;
            // Quoted output and commands are not to be broken, nor are addresses.
            let whole = line.starts_with("  ") || !line.contains(' ');
            assert!(fits || whole, "{name}: {line}");
        }
    }
}

#[test]
fn an_error_of_the_stack_does_not_speak_of_erlang() {
    for (name, error) in targets() {
        let text = explain(&Error::Target(error)).lines().join("\n");
        assert!(
            !text.contains("Erlang") && !text.contains("OTP"),
            "{name}: {text}"
        );
    }
}

#[test]
fn every_code_has_its_section_in_the_docs() {
    const DOCS: &str = include_str!("../../../../docs/errors.md");
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
fn a_cloud_native_build_is_not_told_what_to_do_on_heroku() {
    let words = Wording::new(Platform::CloudNative, &Environment::default());
    for (name, error) in catalogue() {
        let text = words.explain(&error).lines().join("\n");
        for word in [
            "heroku config",
            "heroku stack",
            "heroku buildpacks",
            "config var",
            "push again",
            ".slugignore",
            "dyno",
        ] {
            assert!(!text.contains(word), "{name}: {text}");
        }
    }
}

#[test]
fn what_the_user_wrote_is_quoted_as_it_is() {
    let line =
        "echo 'the slug, the config vars, .slugignore'; heroku config:set A=1; push again {set}";
    let asked = Asked::new(line.to_owned(), Origin::file("elixir_buildpack.config", 2));
    let output = vec!["the sluggish config variants".to_owned()];
    let hook = |output: Vec<String>| Error::Command {
        doing: Doing::Hook {
            key: "pre_compile",
            asked: asked.clone(),
        },
        source: CommandError::Failed {
            command: line.to_owned(),
            status: "exit status 1".to_owned(),
            code: 1,
            output,
        },
    };
    let killed = vec!["sh: 1: the sluggish {set}: not found".to_owned()];
    for platform in PLATFORMS {
        let words = Wording::new(platform, &Environment::default());
        let text = words.explain(&hook(output.clone())).lines().join("\n");
        assert!(text.contains(line), "{text}");
        assert!(text.contains(&output[0]), "{text}");
        let text = words.explain(&hook(killed.clone())).lines().join("\n");
        assert!(
            text.contains("There is no `the sluggish {set}` on PATH."),
            "{text}"
        );
    }
}

const PLATFORMS: [Platform; 5] = [
    Platform::Heroku,
    Platform::HerokuCi,
    Platform::Gigalixir,
    Platform::CloudNative,
    Platform::Local,
];

#[test]
fn advice_is_for_the_platform() {
    let stack = Error::Target(TargetError::EndOfLife {
        stack: "heroku-18".to_owned(),
    });
    let variable = || {
        let (_, doing, source) = samples::samples()
            .into_iter()
            .find(|(name, ..)| *name == "known_mix_fetch_env")
            .unwrap();
        Error::Command { doing, source }
    };
    let advice: Vec<String> = PLATFORMS
        .into_iter()
        .map(|platform| {
            let words = Wording::new(platform, &Environment::default());
            let cures = [&stack, &variable()].map(|error| words.explain(error).cure.join("\n"));
            format!("{platform:?}:\n{}", cures.join("\n"))
        })
        .collect();
    insta::assert_snapshot!("platforms", advice.join("\n\n"));
}

#[test]
fn advice_has_the_mix_env_of_the_build() {
    let test = Asked::new(
        "test".to_owned(),
        Origin::Default("for mix test".to_owned()),
    );
    let environment = Environment::default().for_tests_only(test);
    let words = Wording::new(Platform::HerokuCi, &environment);
    // mix itself has named the environment there.
    let catalogue = catalogue().into_iter();
    for (name, error) in catalogue.filter(|(name, _)| *name != "known_mix_unchecked") {
        for text in words.explain(&error).cure {
            // Elixir's own function.
            let text = text.replace("config_env() == :prod", "");
            assert!(!text.contains("prod"), "{name}: {text}");
        }
    }
    let error = Error::Command {
        doing: Doing::Compile,
        source: CommandError::Failed {
            command: "mix compile".to_owned(),
            status: "exit status 1".to_owned(),
            code: 1,
            output: Vec::new(),
        },
    };
    let text = words.explain(&error).lines().join("\n");
    assert!(text.contains("MIX_ENV=test mix compile --force"), "{text}");
}

#[test]
fn advice_has_the_package_manager_of_the_app() {
    for (manager, expected) in [
        (Manager::Npm, "npm install --save-dev webpack@4.47.0"),
        (Manager::Yarn, "yarn add --dev webpack@4.47.0"),
        (Manager::Pnpm, "pnpm add --save-dev webpack@4.47.0"),
        (Manager::Bun, "bun add --dev webpack@4.47.0"),
    ] {
        let error = Error::Command {
            doing: Doing::AssetScript {
                command: "deploy".to_owned(),
                script: "deploy".to_owned(),
                manager,
                package: "assets/package.json".to_owned(),
            },
            source: CommandError::Failed {
                command: "deploy".to_owned(),
                status: "exit status 1".to_owned(),
                code: 1,
                output: strings(&["error:0308010C:digital envelope routines::unsupported"]),
            },
        };
        let text = explain(&error).lines().join("\n");
        assert!(text.contains(&format!("\n  {expected}\n")), "{text}");
    }
}

#[test]
fn plan_that_cannot_be_made_is_no_failed_build() {
    let error = Error::Target(TargetError::EndOfLife {
        stack: "heroku-18".to_owned(),
    });
    let words = Wording::new(Platform::Local, &Environment::default()).for_a_plan();
    let lines = words.explain(&error).lines();
    assert_eq!(
        lines[0],
        "Cannot plan the build: the stack heroku-18 has reached its end of life"
    );
}

#[test]
fn secret_is_hidden_where_a_line_would_break_in_it() {
    let (log, ..) = crate::log::captured::log(false, false, crate::log::Style::Arrows);
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
