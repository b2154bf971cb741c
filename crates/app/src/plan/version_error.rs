//! Errors of choosing a version.

use crate::origin::{Origin, Setting};
use thiserror::Error;
use versions::Tool;

/// The reason why a version is unavailable.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum VersionError {
    #[error("{:?} ({}) is not a valid version of {tool}: {reason}", requested.value, requested.origin)]
    Malformed {
        tool: Tool,
        requested: Setting,
        reason: String,
        /// The newest release of each of the newest lines, newest first.
        available: Vec<String>,
    },
    #[error("no build of {tool} {} for {target}", requested.value)]
    NoSuchVersion {
        tool: Tool,
        requested: Setting,
        target: String,
        /// The nearest versions, newest first.
        nearest: Vec<String>,
        newest_of_line: Option<String>,
        /// Whether it is newer than every listed version of its series, and so may not have been built
        /// yet. If the list has no version of its series, it is compared with all versions.
        newer_than_listed: bool,
    },
    #[error("Elixir {elixir} does not run on OTP {otp}")]
    IncompatiblePair {
        /// The version that the request resolved to, or the branch.
        elixir: String,
        elixir_source: Origin,
        otp: String,
        otp_source: Origin,
    },
    #[error("no OTP built for {target} is compatible with Elixir {}", requested.value)]
    NoOtpFor { requested: Setting, target: String },
    #[error("no Elixir is compatible with OTP {otp}")]
    NoElixirFor {
        requested: Setting,
        /// The version that the request resolved to, or the branch.
        otp: String,
    },
    #[error("the lists for {target} contain no compatible pair")]
    NoCompatiblePair { target: String },
    /// `mix.exs` does not allow the requested version.
    #[error("Elixir {elixir} does not satisfy {} ({})", requirement.value, requirement.origin)]
    DisallowedByMixExs {
        /// The version that the request resolved to.
        elixir: String,
        elixir_source: Origin,
        requirement: Setting,
    },
    /// No version was requested, and `mix.exs` allows none that is listed.
    #[error("no listed Elixir satisfies {} ({})", requirement.value, requirement.origin)]
    NoElixirAllowedByMixExs {
        requirement: Setting,
        /// The requested OTP and the origin of the request.
        otp: Option<(String, Origin)>,
        /// The newest version that would be chosen otherwise.
        newest: String,
    },
}
