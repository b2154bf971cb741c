//! Errors of choosing a version.

use crate::origin::{Asked, Origin};
use thiserror::Error;
use versions::Tool;

/// The reason why a version is unavailable.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum VersionError {
    #[error("{:?} ({}) is not a valid version of {tool}: {reason}", asked.value, asked.origin)]
    Malformed {
        tool: Tool,
        asked: Asked,
        reason: String,
        /// The newest release of each of the newest lines, newest first.
        available: Vec<String>,
    },
    #[error("no build of {tool} {} for {target}", asked.value)]
    NoSuchVersion {
        tool: Tool,
        asked: Asked,
        target: String,
        /// The newest first.
        nearest: Vec<String>,
        newest_of_line: Option<String>,
        /// It is newer than every listed version of its series, or than all if none of its series is
        /// listed, so it may not have been built yet.
        newer_than_listed: bool,
    },
    #[error("Elixir {elixir} does not run on OTP {otp}")]
    NotForThisOtp {
        /// The version that the request resolved to, or the branch.
        elixir: String,
        elixir_source: Origin,
        otp: String,
        otp_source: Origin,
    },
    #[error("no OTP built for {target} is compatible with Elixir {}", asked.value)]
    NoOtpFor { asked: Asked, target: String },
    #[error("no Elixir is compatible with OTP {otp}")]
    NoElixirFor {
        asked: Asked,
        /// The version that the request resolved to, or the branch.
        otp: String,
    },
    #[error("the lists for {target} contain no compatible pair")]
    NothingGoesTogether { target: String },
    /// `mix.exs` does not allow the requested version.
    #[error("Elixir {elixir} does not satisfy {} ({})", requirement.value, requirement.origin)]
    NotWhatMixExsAllows {
        /// The version that the request resolved to.
        elixir: String,
        elixir_source: Origin,
        requirement: Asked,
    },
    /// No version was requested, and `mix.exs` allows none that is listed.
    #[error("no listed Elixir satisfies {} ({})", requirement.value, requirement.origin)]
    NoElixirThatMixExsAllows {
        requirement: Asked,
        /// The requested OTP and the origin of the request.
        otp: Option<(String, Origin)>,
        /// The newest that would run otherwise.
        newest: String,
    },
}
