//! Errors of downloads, from one or two sources.

use super::{OTP, OTP_LIST, UBUNTU, in_config, plans};
use crate::{Error, SearchedList};
use app::plan::VersionError;
use fetch::{Algorithm, FetchError, Kind, LooksLike, Phase};
use std::io;
use std::path::PathBuf;
use toolchain::ToolchainError;
use toolchain::error::OtherSource;
use versions::Tool;

pub(super) fn toolchains() -> Vec<(&'static str, ToolchainError)> {
    vec![
        (
            "toolchain_empty_list",
            ToolchainError::EmptyList {
                subject: "the list of OTP builds",
                url: OTP_LIST.to_owned(),
            },
        ),
        (
            "toolchain_unreadable_list",
            ToolchainError::UnreadableList {
                subject: "the list of Node.js releases",
                url: "https://nodejs.org/dist/index.json".to_owned(),
                problem: "expected value at line 1 column 1".to_owned(),
            },
        ),
        (
            "toolchain_not_signed",
            ToolchainError::NotSigned {
                subject: "the list of Hex and rebar3 installers",
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
                operation: "write",
                source: io::Error::from(io::ErrorKind::StorageFull),
            },
        ),
    ]
}

fn fetch(subject: &str, url: &str, attempts: u32, kind: Kind) -> ToolchainError {
    ToolchainError::Fetch {
        subject: subject.to_owned(),
        source: FetchError {
            url: url.to_owned(),
            redirected_to: None,
            attempts,
            kind,
        },
    }
}

pub(super) fn fetching() -> Vec<(&'static str, ToolchainError)> {
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
        subject: "OTP".to_owned(),
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

/// Errors of downloads with two sources.
pub(super) fn two_places() -> Vec<(&'static str, Error)> {
    let list = |url, status| fetch("the list of OTP builds", url, 1, Kind::Status(status));
    let both = |first, other| {
        Error::Toolchain(ToolchainError::BothSources {
            first: Box::new(first),
            other,
        })
    };
    let failed = |error| OtherSource::Failed(Box::new(error));
    let not_listed = |branches: Option<&str>| OtherSource::NotListed {
        url: OTHER_LIST.to_owned(),
        only_branches: branches.map(str::to_owned),
    };
    let empty = || ToolchainError::EmptyList {
        subject: "the list of OTP builds",
        url: OTP_LIST.to_owned(),
    };
    let erlang = "Erlang/OTP 27.3.4";
    let searched = |url: &str, read, branches: Option<&str>| SearchedList {
        url: url.to_owned(),
        read,
        only_branches: branches.map(str::to_owned),
    };
    let missing = |other, branches| Error::NotListed {
        error: plans::no_such_patch(),
        searched: vec![
            searched(OTP_LIST, Ok(1_795_508_500), None),
            searched(OTHER_LIST, other, branches),
        ],
    };
    let no_release = |error: VersionError| Error::NotListed {
        error: error.into(),
        searched: vec![
            searched(OTP_LIST, Ok(1_795_508_500), Some("maint, master")),
            searched(OTHER_LIST, Ok(1_795_508_502), Some("maint")),
        ],
    };
    vec![
        (
            "not_listed_in_either_place",
            missing(Ok(1_795_508_502), None),
        ),
        (
            "not_listed_and_the_other_place_has_only_branches",
            missing(Ok(1_795_508_502), Some("maint")),
        ),
        (
            "only_branches_listed_and_a_release_requested",
            no_release(VersionError::NoSuchVersion {
                tool: Tool::Erlang,
                requested: in_config("27.3"),
                target: UBUNTU.to_owned(),
                nearest: Vec::new(),
                newest_of_line: None,
                newer_than_listed: false,
            }),
        ),
        (
            "only_branches_listed_and_nothing_requested",
            no_release(VersionError::NoCompatiblePair {
                target: UBUNTU.to_owned(),
            }),
        ),
        (
            "not_listed_and_the_other_place_is_down",
            missing(Err(list(OTHER_LIST, 503)), None),
        ),
        (
            "both_lists_are_down",
            both(list(OTP_LIST, 503), failed(list(OTHER_LIST, 404))),
        ),
        (
            "list_empty_and_the_other_does_not_have_it",
            both(empty(), not_listed(None)),
        ),
        (
            "list_empty_and_the_other_has_only_branches",
            both(empty(), not_listed(Some("maint"))),
        ),
        (
            "archive_missing_and_the_other_place_does_not_have_it",
            both(fetch(erlang, OTP, 1, Kind::Status(404)), not_listed(None)),
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
