//! Every error as the user reads it.

use super::*;
use crate::command::CommandError;
use crate::error::{Doing, LookedInto};
use crate::tree::TreeError;
use app::facts::ReadError;
use app::package_manager::Manager;
use app::plan::PlanError;
use fetch::{Algorithm, FetchError, Kind, LooksLike, Phase};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use toolchain::ToolchainError;
use toolchain::error::OtherPlace;
use versions::Tool;
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

fn versions() -> Vec<(&'static str, PlanError)> {
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

fn pairs() -> Vec<(&'static str, PlanError)> {
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

fn folders() -> Vec<(&'static str, PlanError)> {
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

fn toolchains() -> Vec<(&'static str, ToolchainError)> {
    vec![
        (
            "toolchain_empty_list",
            ToolchainError::EmptyList {
                what: "the list of OTP builds",
                url: OTP_LIST.to_owned(),
            },
        ),
        (
            "toolchain_unreadable_list",
            ToolchainError::UnreadableList {
                what: "the list of Node.js releases",
                url: "https://nodejs.org/dist/index.json".to_owned(),
                problem: "expected value at line 1 column 1".to_owned(),
            },
        ),
        (
            "toolchain_not_signed",
            ToolchainError::NotSigned {
                what: "the list of Hex and rebar3 installers",
                url: "https://builds.hex.pm/installs/hex.csv".to_owned(),
            },
        ),
        (
            "toolchain_no_checksum",
            ToolchainError::NoChecksum {
                url: "https://nodejs.org/dist/v24.1.0/SHASUMS256.txt".to_owned(),
                file: "node-v24.1.0-linux-x64.tar.gz".to_owned(),
            },
        ),
        (
            "toolchain_no_installer",
            ToolchainError::NoInstaller {
                package: "Hex",
                elixir: "1.18.3".to_owned(),
                otp: 27,
                url: "https://builds.hex.pm/installs/hex.csv".to_owned(),
            },
        ),
        (
            "toolchain_unexpected_archive",
            ToolchainError::UnexpectedArchive {
                url: OTP.to_owned(),
                missing: "bin/erl",
            },
        ),
        (
            "toolchain_otp_install",
            ToolchainError::OtpInstall {
                status: "exit status: 1".to_owned(),
                output: "Install: cannot create bin/erl\nInstall: giving up".to_owned(),
            },
        ),
        (
            "toolchain_otp_does_not_start",
            ToolchainError::OtpDoesNotStart {
                system: "debian-13".to_owned(),
                output: "erts-15.2.7.1/bin/beam.smp: error while loading shared libraries: \
                         libtinfo.so.6: cannot open shared object file: No such file or directory"
                    .to_owned(),
            },
        ),
        (
            "toolchain_io",
            ToolchainError::Io {
                path: PathBuf::from("/tmp/cache/mixpack/otp"),
                doing: "write",
                source: io::Error::from(io::ErrorKind::StorageFull),
            },
        ),
    ]
}

fn fetching() -> Vec<(&'static str, ToolchainError)> {
    let fetch = |what: &str, url: &str, attempts, kind| ToolchainError::Fetch {
        what: what.to_owned(),
        source: FetchError {
            url: url.to_owned(),
            redirected_to: None,
            attempts,
            kind,
        },
    };
    let refused = || "Connection refused (os error 111)".to_owned();
    let silent = Kind::Timeout {
        phase: Phase::Body,
        seconds: 30.0,
    };
    let other_bytes = Kind::ChecksumMismatch {
        expected: "e3151bb570ce75f8b10ca80c1ca69545355f288abd3a142154aa3d3858b7c02f".to_owned(),
        actual: "9a1bfc1edd5c687a7d4620ed9bf377074e94c6979a1bfc1edd5c687a7d4620ed".to_owned(),
        algorithm: Algorithm::Sha256,
    };
    let page = Kind::NotAnArchive {
        looks_like: LooksLike::Html,
    };
    let full = Kind::Io {
        path: PathBuf::from("/tmp/cache/mixpack/otp.part"),
        source: io::Error::from(io::ErrorKind::StorageFull),
    };
    let redirected = ToolchainError::Fetch {
        what: "OTP".to_owned(),
        source: FetchError {
            url: OTP.to_owned(),
            redirected_to: Some("https://cdn.example.com/OTP-27.3.4.tar.gz".to_owned()),
            attempts: 1,
            kind: Kind::Status(403),
        },
    };
    vec![
        (
            "fetch_unreachable",
            fetch(
                "the list of OTP builds",
                OTP_LIST,
                4,
                Kind::Connect(refused()),
            ),
        ),
        ("fetch_unreachable_silent", fetch("OTP", OTP, 4, silent)),
        ("fetch_failing", fetch("OTP", OTP, 4, Kind::Status(503))),
        (
            "fetch_missing_list",
            fetch(
                "the list of Node.js releases",
                "https://mirror.example.com/node/index.json",
                1,
                Kind::Status(404),
            ),
        ),
        (
            "fetch_missing_list_of_a_stack",
            fetch(
                "the list of OTP builds",
                "https://builds.hex.pm/builds/otp/amd64/ubuntu-98.04/builds.txt",
                1,
                Kind::Status(404),
            ),
        ),
        (
            "fetch_missing_archive",
            fetch("OTP", OTP, 1, Kind::Status(404)),
        ),
        ("fetch_refused_after_a_redirect", redirected),
        ("fetch_checksum_mismatch", fetch("OTP", OTP, 2, other_bytes)),
        ("fetch_damaged", fetch("OTP", OTP, 2, page)),
        (
            "fetch_address",
            fetch(
                "the list of OTP builds",
                "builds.example.com/builds.txt",
                1,
                Kind::BadUrl("relative URL without a base".to_owned()),
            ),
        ),
        ("fetch_local", fetch("OTP", OTP, 1, full)),
        ("fetch_cancelled", fetch("OTP", OTP, 1, Kind::Cancelled)),
    ]
}

const OTHER_LIST: &str =
    "https://github.com/erlef/otp_builds/raw/main/builds/x86_64-unknown-linux-gnu-ubuntu-24.04.csv";

/// Of what two places publish.
fn two_places() -> Vec<(&'static str, Error)> {
    let fetch = |what: &str, url: &str, attempts, kind| ToolchainError::Fetch {
        what: what.to_owned(),
        source: FetchError {
            url: url.to_owned(),
            redirected_to: None,
            attempts,
            kind,
        },
    };
    let list = |url, status| fetch("the list of OTP builds", url, 1, Kind::Status(status));
    let both = |first, other| {
        Error::Toolchain(ToolchainError::BothPlaces {
            first: Box::new(first),
            other,
        })
    };
    let failed = |error| OtherPlace::Failed(Box::new(error));
    let not_listed = || OtherPlace::NotListed {
        url: OTHER_LIST.to_owned(),
    };
    let erlang = "Erlang/OTP 27.3.4";
    let missing = |other| Error::NotListed {
        error: PlanError::NoSuchVersion {
            tool: Tool::Erlang,
            asked: in_config("27.3.4.99"),
            target: UBUNTU.to_owned(),
            nearest: strings(&["27.3.4.18", "27.3.4.17", "28.5.0.7"]),
            newest_of_line: Some("27.3.4.18".to_owned()),
        },
        looked_into: vec![
            LookedInto {
                url: OTP_LIST.to_owned(),
                read: Ok(1_795_508_500),
            },
            LookedInto {
                url: OTHER_LIST.to_owned(),
                read: other,
            },
        ],
    };
    vec![
        ("not_listed_in_either_place", missing(Ok(1_795_508_502))),
        (
            "not_listed_and_the_other_place_is_down",
            missing(Err(list(OTHER_LIST, 503))),
        ),
        (
            "both_lists_are_down",
            both(list(OTP_LIST, 503), failed(list(OTHER_LIST, 404))),
        ),
        (
            "list_empty_and_the_other_does_not_have_it",
            both(
                ToolchainError::EmptyList {
                    what: "the list of OTP builds",
                    url: OTP_LIST.to_owned(),
                },
                not_listed(),
            ),
        ),
        (
            "archive_missing_and_the_other_place_does_not_have_it",
            both(fetch(erlang, OTP, 1, Kind::Status(404)), not_listed()),
        ),
        (
            "archive_missing_in_both_places",
            both(
                fetch(erlang, OTP, 1, Kind::Status(404)),
                failed(fetch(
                    erlang,
                    "https://github.com/erlef/otp_builds/releases/download/OTP-27.3.4/otp-x86_64-unknown-linux-gnu-ubuntu-24.04.tar.gz",
                    1,
                    Kind::Status(404),
                )),
            ),
        ),
    ]
}

fn failed(command: &str, status: &str, code: i32, output: &str) -> CommandError {
    CommandError::Failed {
        command: command.to_owned(),
        status: status.to_owned(),
        code,
        output: output.lines().map(str::to_owned).collect(),
    }
}

fn hooks() -> Vec<(&'static str, Doing, CommandError)> {
    let hook = || Doing::Hook {
        key: "hook_post_compile",
        asked: in_config("eval mix assets.deploy && rm -f _build/esbuild*"),
    };
    let line = "eval mix assets.deploy && rm -f _build/esbuild*";
    vec![
        (
            "hook",
            hook(),
            failed(
                line,
                "exit status 1",
                1,
                "step one\n** (RuntimeError) no licence",
            ),
        ),
        (
            "hook_that_says_nothing",
            hook(),
            failed(line, "exit status 3", 3, "\n"),
        ),
        (
            "hook_without_bash",
            hook(),
            CommandError::Start {
                command: line.to_owned(),
                source: io::Error::from(io::ErrorKind::NotFound),
            },
        ),
        ("hook_stopped", hook(), CommandError::Cancelled),
    ]
}

fn package_commands() -> Vec<(&'static str, Doing, CommandError)> {
    vec![
        (
            "deps_lock_out_of_date",
            Doing::Deps,
            failed(
                "mix deps.get --only prod --check-locked",
                "exit status 1",
                1,
                "** (Mix) Your mix.lock is out of date and must be updated without the --check-locked flag",
            ),
        ),
        (
            "javascript_install",
            Doing::JsInstall {
                dir: "assets".to_owned(),
                manager: Manager::Npm,
                lockfile: Some("assets/package-lock.json".to_owned()),
            },
            failed(
                "npm ci --include=dev",
                "exit status 1",
                1,
                "npm error code 1\nnpm error path /app/assets/node_modules/left\nnpm error command failed\nnpm error command sh -c exit 3\nnpm error A complete log of this run can be found in: /app/debug-0.log",
            ),
        ),
        (
            "javascript_install_without_a_lockfile",
            Doing::JsInstall {
                dir: ".".to_owned(),
                manager: Manager::Yarn,
                lockfile: None,
            },
            failed(
                "yarn install --production=false",
                "exit status 1",
                1,
                "yarn install v1.22.22\n[1/4] Resolving packages...\nerror Couldn't find package \"lefty\"",
            ),
        ),
        (
            "bower",
            Doing::Bower {
                file: "assets/bower.json".to_owned(),
            },
            failed(
                "bower install",
                "exit status 1",
                1,
                "bower dots#^3  checkout v1.2.0\nbower dots#^3  ECONFLICT Unable to find suitable version for dots",
            ),
        ),
        (
            "package_manager",
            Doing::PackageManager {
                spec: "pnpm@9.1.99".to_owned(),
                origin: Origin::file("assets/package.json", 4),
            },
            failed(
                "npm pack pnpm@9.1.99",
                "exit status 1",
                1,
                "npm error code ETARGET\nnpm error notarget No matching version found for pnpm@9.1.99.",
            ),
        ),
    ]
}

fn commands() -> Vec<(&'static str, Doing, CommandError)> {
    let ten = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10";
    let compiler = "Compiling 3 files (.ex)\n    error: undefined function total/1\n    │\n  7 │     total(items)\n    │     ^^^^^\n    │\n    └─ lib/shop.ex:7:5: Shop.sum/1\n\n\n== Compilation error in file lib/shop.ex ==\n** (CompileError) lib/shop.ex: cannot compile module Shop (errors have been logged)";
    vec![
        (
            "deps",
            Doing::Deps,
            failed(
                "mix deps.get --only prod",
                "exit status 1",
                1,
                "Resolving\n** (Mix) Hex dependency resolution failed",
            ),
        ),
        (
            "deps_organization_without_a_key",
            Doing::Deps,
            failed(
                "mix deps.get --only prod --check-locked",
                "exit status 1",
                1,
                "Failed to check for new Hex version\nFailed to fetch record for hexpm:acme/secret_sauce from registry\nThis could be because the package does not exist, it was spelled incorrectly or you don't have permissions to it\nNo authenticated user found. Run `mix hex.user auth` to authenticate\n** (Mix) Unknown package secret_sauce in lockfile",
            ),
        ),
        (
            "deps_organization_with_a_refused_key",
            Doing::Deps,
            failed(
                "mix deps.get --only prod --check-locked",
                "exit status 1",
                1,
                "** (RuntimeError) Failed to exchange API key for OAuth token\n** (exit) exited in: GenServer.call(Hex.Registry.Server, {:versions, \"hexpm:acme\", \"secret_sauce\"}, 60000)\n    ** (EXIT) time out",
            ),
        ),
        (
            "compile",
            Doing::Compile,
            failed("mix compile", "exit status 1", 1, compiler),
        ),
        (
            "compile_without_memory",
            Doing::Compile,
            failed("mix compile", "signal 9", 137, "Compiling 300 files (.ex)"),
        ),
        (
            "custom_script",
            Doing::CustomScript {
                path: "compile".to_owned(),
            },
            failed("compile", "exit status 2", 2, ten),
        ),
        (
            "asset_script",
            Doing::AssetScript {
                command: "npm run deploy".to_owned(),
                script: "deploy".to_owned(),
                package: "assets/package.json".to_owned(),
            },
            failed(
                "npm run deploy",
                "exit status 1",
                1,
                "> deploy\n> esbuild\n\n✘ [ERROR] Expected \";\" but found \"socket\"\n\n    js/app.js:1:4:",
            ),
        ),
        (
            "assets_deploy",
            Doing::AssetsDeploy,
            failed(
                "mix assets.deploy",
                "exit status 1",
                1,
                "** (Mix) Unknown dependency phoenix_live_view for environment prod",
            ),
        ),
        (
            "digest",
            Doing::Digest,
            failed("mix phx.digest", "exit status 1", 1, ""),
        ),
        (
            "release",
            Doing::Release,
            failed(
                "mix release --overwrite",
                "exit status 1",
                1,
                "** (Mix) Could not find application :worker",
            ),
        ),
        (
            "answers",
            Doing::Answers,
            failed(
                "elixir -S mix do deps.clean",
                "exit status 1",
                1,
                "** (Code.LoadError)",
            ),
        ),
    ]
}

/// Every error, each of its variants and of the cases that a message tells apart.
fn catalogue() -> Vec<(&'static str, Error)> {
    let mut all = general();
    all.extend(two_places());
    all.extend(
        reading()
            .into_iter()
            .map(|(name, error)| (name, Error::Read(error))),
    );
    let plans = versions().into_iter().chain(pairs()).chain(folders());
    all.extend(plans.map(|(name, error)| (name, Error::Plan(error))));
    all.extend(
        targets()
            .into_iter()
            .map(|(name, error)| (name, Error::Target(error))),
    );
    let tools = toolchains().into_iter().chain(fetching());
    all.extend(tools.map(|(name, error)| (name, Error::Toolchain(error))));
    let commands = hooks()
        .into_iter()
        .chain(commands())
        .chain(package_commands())
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
    for (name, error) in catalogue() {
        let text = explain(&error).for_cloud_native().lines().join("\n");
        for word in [
            "heroku config",
            "heroku stack",
            "config var",
            ".slugignore",
            "dyno",
        ] {
            assert!(!text.contains(word), "{name}: {text}");
        }
    }
}
