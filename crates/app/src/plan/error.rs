//! Why there can be no plan.

use super::Suggestion;
use crate::origin::{Asked, Origin};
use crate::package_manager::Manager;
use thiserror::Error;
use versions::Tool;

/// Why a version can't be had.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum VersionError {
    #[error("{tool} version {:?} at {} is not a version: {reason}", asked.value, asked.origin)]
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
        /// It's newer than every listed version of its line, or than all where its line has none: it
        /// may not have been built yet.
        newer_than_listed: bool,
    },
    #[error("Elixir {elixir} does not go with OTP {otp}")]
    NotForThisOtp {
        /// The version that was found for what was asked, or the branch.
        elixir: String,
        elixir_source: Origin,
        otp: String,
        otp_source: Origin,
    },
    #[error("no OTP built for {target} goes with Elixir {}", asked.value)]
    NoOtpFor { asked: Asked, target: String },
    #[error("no Elixir goes with OTP {otp}")]
    NoElixirFor {
        asked: Asked,
        /// The version that was found for what was asked, or the branch.
        otp: String,
    },
    #[error("nothing in the lists for {target} goes together")]
    NothingGoesTogether { target: String },
    /// What was asked for is not what `mix.exs` allows.
    #[error("Elixir {elixir} is not {} of {}", requirement.value, requirement.origin)]
    NotWhatMixExsAllows {
        /// The version that was found for what was asked.
        elixir: String,
        elixir_source: Origin,
        requirement: Asked,
    },
    /// Nothing was asked for, and nothing that is listed is what `mix.exs` allows.
    #[error("no Elixir that is listed is {} of {}", requirement.value, requirement.origin)]
    NoElixirThatMixExsAllows {
        requirement: Asked,
        /// The OTP that was asked for, and where.
        otp: Option<(String, Origin)>,
        /// The newest that would run.
        newest: String,
    },
}

/// Why there can be no plan. All of these are the user's to mend.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("{error}")]
    Version {
        error: VersionError,
        /// What to ask for instead. None for Node.js, and where no two builds of the lists go together.
        suggestion: Option<Box<Suggestion>>,
    },
    #[error("no long-term release of Node.js for {arch} is listed")]
    NoNode { arch: String },
    #[error("two lockfiles in {dir}")]
    TwoLockfiles { dir: String, lockfiles: Vec<String> },
    /// `packageManager` names one package manager, and the lockfile is another's.
    #[error("packageManager is {}, and there is {lockfile}", asked.value)]
    ManagerContradicted {
        asked: Asked,
        manager: Manager,
        /// Relative to the app.
        lockfile: String,
    },
    #[error("packageManager {:?} is not understood", asked.value)]
    MalformedManager { asked: Asked },
    /// No package manager that `devEngines` names is known, and one of them is required.
    #[error("devEngines.packageManager names {}, which is not known", asked.value)]
    UnknownDevManager { asked: Asked },
    #[error("{} is no level of slimming", asked.value)]
    NoSuchLevel { asked: Asked, levels: Vec<String> },
    #[error("{} does not hold a {missing}", asked.value)]
    NoSuchFolder {
        key: &'static str,
        asked: Asked,
        missing: &'static str,
    },
}

impl From<VersionError> for PlanError {
    fn from(error: VersionError) -> Self {
        Self::Version {
            error,
            suggestion: None,
        }
    }
}
