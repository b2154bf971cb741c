//! Failures to fetch something from a host, or to install it.

use super::{Explanation, Wording, cancelled, file_system, quoted};
use fetch::{Class, FetchError, Kind};
use toolchain::ToolchainError;
use toolchain::error::OtherSource;

/// The config vars that set hosts.
const MIRRORS: &str = "HEX_BUILDS_URL, MIXPACK_OTP_BUILDS_URL, HEX_MIRROR and NODEJS_ORG_MIRROR";

pub(super) fn toolchain(error: &ToolchainError, words: &Wording) -> Explanation {
    match error {
        ToolchainError::Fetch { subject, source } => fetching(subject, source, words),
        ToolchainError::BothSources { first, other } => toolchain(first, words).because(match other {
            OtherSource::Failed(error) => format!("The other source failed too: {error}."),
            OtherSource::NotListed { .. } => {
                format!("The other source doesn't have it either: {other}.")
            }
        }),
        ToolchainError::EmptyList { subject, url } => {
            Explanation::upstream("list-empty", format!("{subject} is empty"))
                .because(format!("{url} returned no entries."))
                .so("Try again. This usually clears within minutes.")
        }
        ToolchainError::UnreadableList { subject, url, problem } => {
            Explanation::upstream("list-unreadable", format!("could not read {subject}"))
                .because(format!("{url}: {problem}"))
                .so("Try again. If a mirror is set, check that it serves upstream's file at that URL.")
        }
        ToolchainError::NotSigned { subject, url } => Explanation::upstream(
            "list-not-signed",
            format!("the signature of {subject} is invalid"),
        )
        .because(format!("{url}.signed is not a signature of {url} with Elixir's key."))
        .so("The list was not used. Try again: upstream updates the two files one after the other. If the error persists, don't build with files from that host, and tell whoever runs it.")
        .so("If a mirror signs its own lists, commit its key in .mix/public_keys of the app, where `mix local.public_keys` puts it. Lists of a mirror without .signed files are not checked."),
        ToolchainError::NoChecksum { url, file } => Explanation::upstream(
            "checksum-not-published",
            format!("no checksum is published for {file}"),
        )
        .because(format!(
            "{url} does not list it, and Mixpack installs nothing that it can't verify."
        ))
        .so("A release that is minutes old may lack files. Request an earlier one, or try again later."),
        ToolchainError::NoInstaller {
            package,
            elixir,
            otp,
            url,
        } => Explanation::upstream(
            "installer-not-published",
            format!("no {package} is published for Elixir {elixir} and Erlang/OTP {otp}"),
        )
        .because(format!("{url} lists no version for this pair."))
        .so("Request another version of Elixir or Erlang/OTP. If the two were only just released, try again later. A mirror (HEX_BUILDS_URL, HEX_MIRROR) must serve upstream's complete lists."),
        ToolchainError::UnexpectedArchive { url, missing } => Explanation::upstream(
            "archive-unexpected",
            "an archive is incomplete",
        )
        .because(format!("{url} does not contain {missing}."))
        .so("Request another version. If a mirror is set, check that it serves upstream's archive."),
        ToolchainError::OtpInstall { status, output } => Explanation::machine(
            "otp-install-failed",
            "Erlang's own Install script failed",
        )
        .because(format!("It failed with {}:", status.replace("status: ", "status ")))
        .because_all(quoted(output))
        .so("Request another release of Erlang/OTP, and report this error with the lines above: your app did not cause it."),
        ToolchainError::OtpDoesNotStart { system, output } => Explanation::machine(
            "otp-does-not-start",
            format!("Erlang does not start on {system}"),
        )
        .because("The build of Erlang for this kind of system was downloaded and verified, but fails to start:")
        .because_all(quoted(output))
        .so("Install the missing library in the build image and in the image that runs the app. In Debian and Ubuntu, Erlang needs libncurses6 or libtinfo6, libssl3 and libstdc++6. Or build on a supported system."),
        ToolchainError::Io {
            path,
            operation,
            source,
        } => file_system(format!("{}: cannot {operation}: {source}", path.display())),
    }
}

fn fetching(subject: &str, error: &FetchError, words: &Wording) -> Explanation {
    let mut explanation =
        by_class(subject, error, words).because(format!("{}: {}", error.url, error.kind));
    if let Some(to) = &error.redirected_to {
        explanation = explanation.because(format!("The host redirected to {to}"));
    }
    if error.attempts > 1 {
        explanation = explanation.because(format!("Mixpack tried {} times.", error.attempts));
    }
    explanation
}

fn by_class(subject: &str, error: &FetchError, words: &Wording) -> Explanation {
    match error.class() {
        Class::Unreachable => Explanation::upstream(
            "host-unreachable",
            format!("could not fetch {subject}: the host is unreachable"),
        )
        .so(format!("Try again. Behind a proxy, set HTTPS_PROXY. If a mirror is set, check {MIRRORS}.")),
        Class::Failing => Explanation::upstream(
            "host-failing",
            format!("could not fetch {subject}: the host failed"),
        )
        .so("Try again in a few minutes."),
        Class::Missing => missing(subject, &error.url, words),
        Class::Refused => Explanation::upstream(
            "host-refused",
            format!("could not fetch {subject}: the host denied access"),
        )
        .so(format!("Check the credentials in the URL: a mirror's are in {MIRRORS}, a proxy's in HTTPS_PROXY.")),
        Class::Integrity if matches!(error.kind, Kind::ChecksumMismatch { .. }) => {
            Explanation::upstream(
                "checksum-mismatch",
                format!("the checksum of {subject} doesn't match"),
            )
            .so("The download was discarded. Try again. If the error persists, request another version, and tell whoever runs the host: its file doesn't match its list.")
        }
        Class::Integrity => {
            Explanation::upstream("artifact-damaged", format!("the download of {subject} is invalid"))
                .so("The download was discarded. Try again. If a mirror or a proxy is set, check the file that it serves at that URL.")
        }
        Class::Address => Explanation::user(
            "url-invalid",
            format!("could not fetch {subject}: the URL is invalid"),
        )
        .so(format!(
            "Correct the {} that sets it, one of {MIRRORS}.",
            words.config_var()
        )),
        Class::Local => Explanation {
            title: format!("could not write {subject}"),
            ..file_system(String::new())
        }
        .without_cause(),
        Class::Cancelled => cancelled().without_cause(),
    }
}

fn missing(subject: &str, url: &str, words: &Wording) -> Explanation {
    const MIRROR: &str = "A mirror must use upstream's paths: HEX_BUILDS_URL replaces https://builds.hex.pm, MIXPACK_OTP_BUILDS_URL replaces https://github.com/erlef/otp_builds, and NODEJS_ORG_MIRROR replaces https://nodejs.org/dist.";
    let is_list = [".txt", ".csv", ".json", ".signed"]
        .iter()
        .any(|end| url.ends_with(end));
    if let Some(system) = system_of_otp_list(url) {
        return Explanation::upstream(
            "stack-not-built",
            format!("no Erlang/OTP is built for {system}, the system of this stack"),
        )
        .so("The stack may be too new, or STACK may be wrong. Move the app to a supported stack:")
        .typing(words.current_stack())
        .so(MIRROR);
    }
    if is_list {
        return Explanation::upstream("list-missing", format!("{subject} was not found"))
            .so("Try again later. If a mirror is set, check its URL.")
            .so(MIRROR);
    }
    Explanation::upstream(
        "artifact-missing",
        format!("{subject} is listed, but its file is missing"),
    )
    .so("Request another version, or try again later. A mirror must serve the files that its lists name.")
}

/// Returns the system in the URL of a list of OTP builds, such as `ubuntu-24.04` in
/// `HOST/builds/otp/amd64/ubuntu-24.04/builds.txt`.
fn system_of_otp_list(url: &str) -> Option<&str> {
    let (_, path) = url.split_once("/builds/otp/")?;
    path.strip_suffix("/builds.txt")?.rsplit('/').next()
}
