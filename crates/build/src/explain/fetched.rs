//! What could not be had from a host.

use super::{Explanation, Wording, cancelled, file_system, quoted};
use fetch::{Class, FetchError, Kind};
use toolchain::ToolchainError;
use toolchain::error::OtherPlace;

/// The config vars that name hosts.
const MIRRORS: &str = "HEX_BUILDS_URL, MIXPACK_OTP_BUILDS_URL, HEX_MIRROR and NODEJS_ORG_MIRROR";

pub(super) fn toolchain(error: &ToolchainError, words: &Wording) -> Explanation {
    match error {
        ToolchainError::Fetch { what, source } => fetching(what, source, words),
        ToolchainError::BothPlaces { first, other } => toolchain(first, words).because(match other {
            OtherPlace::Failed(error) => format!("The other place that publishes it: {error}."),
            OtherPlace::NotListed { .. } => {
                format!("The other place that publishes it has none either: {other}.")
            }
        }),
        ToolchainError::EmptyList { what, url } => {
            Explanation::upstream("list-empty", format!("{what} is empty"))
                .because(format!("{url} was answered, with no entry in it."))
                .so("That has happened at upstream for some minutes. Try again.")
        }
        ToolchainError::UnreadableList { what, url, problem } => {
            Explanation::upstream("list-unreadable", format!("{what} cannot be read"))
                .because(format!("{url}: {problem}"))
                .so("Try again. If a mirror is set, look whether it serves upstream's file at that address.")
        }
        ToolchainError::NotSigned { what, url } => Explanation::upstream(
            "list-not-signed",
            format!("{what} is not what was signed"),
        )
        .because(format!("{url} does not go with {url}.signed and the key of Elixir."))
        .so("Nothing of it was used. Try again: the two files change one after the other. If it stays, do not build with what that host gives, and tell whoever runs it.")
        .so("A mirror that signs its own lists needs its key in the app, where `mix local.public_keys` puts it: .mix/public_keys. Without any .signed files it is taken as it is."),
        ToolchainError::NoChecksum { url, file } => Explanation::upstream(
            "checksum-not-published",
            format!("no checksum is published for {file}"),
        )
        .because(format!(
            "{url} does not name it, and what cannot be verified is not installed."
        ))
        .so("A release that is minutes old may lack its files. Ask for an earlier one, or try again later."),
        ToolchainError::NoInstaller {
            package,
            elixir,
            otp,
            url,
        } => Explanation::upstream(
            "installer-not-published",
            format!("no {package} is published for Elixir {elixir} and Erlang/OTP {otp}"),
        )
        .because(format!("No row fits in {url}."))
        .so("Ask for another Elixir or Erlang/OTP; for a pair that has only just come out, try again later. A mirror (HEX_BUILDS_URL, HEX_MIRROR) must hold these lists whole."),
        ToolchainError::UnexpectedArchive { url, missing } => Explanation::upstream(
            "archive-unexpected",
            "an archive does not hold what it should",
        )
        .because(format!("{url} has no {missing} in it."))
        .so("Ask for another version. If a mirror is set, look whether that archive is upstream's."),
        ToolchainError::OtpInstall { status, output } => Explanation::machine(
            "otp-install-failed",
            "Erlang's own Install script failed",
        )
        .because(format!("It ended with {}:", status.replace("status: ", "status ")))
        .because_all(quoted(output))
        .so("Ask for another release of Erlang/OTP, and report this with the lines above: it is not your app's fault."),
        ToolchainError::OtpDoesNotStart { system, output } => Explanation::machine(
            "otp-does-not-start",
            format!("Erlang does not start on {system}"),
        )
        .because("What was fetched is built for a system like this one, and it was verified. Started, it says:")
        .because_all(quoted(output))
        .so("Install the library that is missing in the image that builds and in the one that runs the app: libncurses6 or libtinfo6, libssl3 and libstdc++6 by their names in Debian and Ubuntu. Or build on one of the systems that there are builds for."),
        ToolchainError::Io {
            path,
            doing,
            source,
        } => file_system(format!("{}: cannot {doing}: {source}", path.display())),
    }
}

fn fetching(what: &str, error: &FetchError, words: &Wording) -> Explanation {
    let mut explanation =
        by_class(what, error, words).because(format!("{}: {}", error.url, error.kind));
    if let Some(to) = &error.redirected_to {
        explanation = explanation.because(format!("The host had redirected to {to}"));
    }
    if error.attempts > 1 {
        explanation = explanation.because(format!("It was tried {} times.", error.attempts));
    }
    explanation
}

fn by_class(what: &str, error: &FetchError, words: &Wording) -> Explanation {
    match error.class() {
        Class::Unreachable => Explanation::upstream(
            "host-unreachable",
            format!("{what} could not be fetched: the host cannot be reached"),
        )
        .so(format!("Try again. Behind a proxy, set HTTPS_PROXY. Other hosts are named by {MIRRORS}; look whether one of these is wrong.")),
        Class::Failing => Explanation::upstream(
            "host-failing",
            format!("{what} could not be fetched: the host failed"),
        )
        .so("Try again in a few minutes."),
        Class::Missing => missing(what, &error.url, words),
        Class::Refused => Explanation::upstream(
            "host-refused",
            format!("{what} could not be fetched: the host refused"),
        )
        .so(format!("Look whether the credentials in its URL are right: a mirror's are in {MIRRORS}, a proxy's in HTTPS_PROXY.")),
        Class::Integrity if matches!(error.kind, Kind::ChecksumMismatch { .. }) => {
            Explanation::upstream(
                "checksum-mismatch",
                format!("{what} is not what was published"),
            )
            .so("Nothing of it was used or kept. Try again. If it stays, ask for another version and tell whoever runs the host: its file and its list do not agree.")
        }
        Class::Integrity => {
            Explanation::upstream("artifact-damaged", format!("{what} came damaged"))
                .so("Nothing of it was used or kept. Try again. If a mirror or a proxy is set, look at what it serves at that address.")
        }
        Class::Address => Explanation::user(
            "url-invalid",
            format!("{what} could not be fetched: the address is wrong"),
        )
        .so(format!(
            "Correct the {} that it comes from, one of {MIRRORS}.",
            words.config_var()
        )),
        Class::Local => Explanation {
            title: format!("{what} could not be written"),
            ..file_system(String::new())
        }
        .without_cause(),
        Class::Cancelled => cancelled().without_cause(),
    }
}

fn missing(what: &str, url: &str, words: &Wording) -> Explanation {
    const MIRROR: &str = "A mirror must have upstream's paths: HEX_BUILDS_URL stands for https://builds.hex.pm, MIXPACK_OTP_BUILDS_URL for https://github.com/erlef/otp_builds, NODEJS_ORG_MIRROR for https://nodejs.org/dist.";
    let is_list = [".txt", ".csv", ".json", ".signed"]
        .iter()
        .any(|end| url.ends_with(end));
    if let Some(system) = system_of_otp_list(url) {
        return Explanation::upstream(
            "stack-not-built",
            format!("nothing is built for {system}, which this stack stands for"),
        )
        .so("The stack may be too new, or STACK is wrong. Move the app to one that there are builds for:")
        .typing(words.current_stack())
        .so(MIRROR);
    }
    if is_list {
        return Explanation::upstream("list-missing", format!("{what} is not there"))
            .so("Try again later, and look whether a mirror is set.")
            .so(MIRROR);
    }
    Explanation::upstream(
        "artifact-missing",
        format!("{what} is listed, but its file is not there"),
    )
    .so("Ask for another version, or try again later. A mirror must hold the files that its lists name.")
}

/// `ubuntu-24.04`, of the address of a list of OTP builds:
/// `HOST/builds/otp/amd64/ubuntu-24.04/builds.txt`.
fn system_of_otp_list(url: &str) -> Option<&str> {
    let (_, path) = url.split_once("/builds/otp/")?;
    path.strip_suffix("/builds.txt")?.rsplit('/').next()
}
