//! Why there can be no plan.

use crate::origin::{Asked, Origin};
use crate::package_manager::Manager;
use thiserror::Error;
use versions::Tool;

/// Why there can be no plan. All of these are the user's to mend.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
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
    },
    #[error("Elixir {elixir} does not go with OTP {otp}")]
    NotForThisOtp {
        /// The version that was found for what was asked, or the branch.
        elixir: String,
        elixir_source: Origin,
        otp: String,
        otp_source: Origin,
        /// The OTP majors that this Elixir goes with and that are built for the target, ascending.
        usable: Vec<u32>,
        /// The first release of the same line of Elixir that does go with this OTP.
        first_patch: Option<String>,
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
