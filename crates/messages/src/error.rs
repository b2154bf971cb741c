//! The reasons why a build failed, as facts. [`crate`] has their messages for the user.

use crate::BootFault;
use app::facts::ReadError;
use app::plan::PlanError;
use app::{Origin, Setting};
use exec::Action;
use exec::command::CommandError;
use std::io;
use std::path::PathBuf;
use store::tree::TreeError;
use thiserror::Error;
use toolchain::ToolchainError;
use versions::target::TargetError;

/// A list that was searched for a version.
#[derive(Debug)]
pub struct SearchedList {
    /// The URL, without credentials.
    pub url: String,
    /// When it was read, in seconds since 1970, or the error.
    pub read: Result<u64, ToolchainError>,
    /// The branches that it lists, if it lists no release.
    pub only_branches: Option<String>,
}

/// Every error that ends a build.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A version that no searched list contains.
    #[error("{error}")]
    NotListed {
        error: PlanError,
        searched: Vec<SearchedList>,
    },
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("OTP is not built for the architecture {0}")]
    Architecture(String),
    #[error("could not read {}: {source}", path.display())]
    EnvDir { path: PathBuf, source: io::Error },
    /// bash could not evaluate a config file.
    #[error("bash could not evaluate {file}:{line} ({status})")]
    ConfigFile {
        file: String,
        /// The first line that is not a plain assignment.
        line: u32,
        construct: String,
        /// The line that bash could not read, and its text.
        syntax_error: Option<(u32, String)>,
        /// `exit status 2`.
        status: String,
        /// The output of bash and the file, without the values of config vars.
        output: String,
    },
    /// A command of a config file failed. The old buildpacks end the build then, too.
    #[error("{file}:{line}: {written} failed with {status}")]
    ConfigCommand {
        file: String,
        line: u32,
        /// The command as written in the file.
        written: String,
        /// Whether it was the last command, so that its status is the status of the file.
        is_last: bool,
        status: String,
        output: String,
    },
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    #[error("{action:?}: {source}")]
    Command {
        action: Action,
        source: CommandError,
    },
    #[error("several releases and no default: {}", names.join(", "))]
    WhichRelease { names: Vec<String>, origin: Origin },
    /// `mix distillery.release` succeeded without creating a release.
    #[error("mix distillery.release did not create a release in {rel}")]
    DistilleryReleaseMissing {
        /// The directory of Distillery's releases, relative to the root of the repository.
        rel: String,
        config: String,
    },
    #[error("{name} {} is not published for Elixir {elixir}", requested.value)]
    NoSuchInstaller {
        /// Hex or rebar3.
        name: &'static str,
        requested: Setting,
        elixir: String,
        /// The newest version that runs on this Elixir.
        newest: String,
    },
    /// `mix release` succeeded without creating a start script.
    #[error("mix release did not create {path}")]
    ReleaseMissing {
        name: String,
        /// The release's start script, relative to the root of the repository.
        path: String,
        mix_exs: String,
    },
    #[error("the {algorithm} of {spec} is {found}, expected {expected}")]
    ManagerHash {
        spec: String,
        /// The place of the hash.
        origin: Origin,
        algorithm: String,
        expected: String,
        found: String,
    },
    /// A directory that the build writes to and clears is outside the app.
    #[error("{place} points to {}", to.display())]
    OutsideApp {
        /// The directory, relative to the app.
        place: String,
        to: PathBuf,
    },
    /// A setting of the shared store.
    #[error("{variable} {problem}")]
    SharedStore {
        variable: &'static str,
        /// The problem, as the rest of a sentence that starts with the variable.
        problem: String,
        /// The fix, as an imperative.
        fix: String,
    },
    /// The app was built, but can't boot.
    #[error(transparent)]
    Boot(#[from] BootFault),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("interrupted")]
    Cancelled,
}

impl Error {
    /// Wraps the failure of a command. A cancelled command means a cancelled build.
    pub fn command(action: Action) -> impl FnOnce(CommandError) -> Self {
        move |source| match source {
            CommandError::Cancelled => Self::Cancelled,
            source => Self::Command { action, source },
        }
    }
}
