//! Why a build failed: facts. What they mean to the user is in [`crate::explain`].

use crate::command::CommandError;
use crate::tree::TreeError;
use app::facts::ReadError;
use app::package_manager::Manager;
use app::plan::PlanError;
use app::{Asked, Origin};
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use toolchain::ToolchainError;
use versions::target::TargetError;

/// A command of the app's, or one that we run for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// A hook, by its key, and where it is written.
    Hook {
        key: &'static str,
        asked: Asked,
    },
    Deps,
    Compile,
    /// Fetching a package manager, as the npm registry calls it, and where it was asked for.
    PackageManager {
        spec: String,
        origin: Origin,
    },
    /// `npm ci` in this folder, or what its package manager has for it.
    JsInstall {
        dir: String,
        manager: Manager,
        /// Relative to the app.
        lockfile: Option<String>,
    },
    /// `bower install`, for this `bower.json`.
    Bower {
        file: String,
    },
    /// The app's own `compile` file.
    CustomScript {
        path: String,
    },
    /// A script of this `package.json`.
    AssetScript {
        /// `npm run deploy`.
        command: String,
        script: String,
        manager: Manager,
        package: String,
    },
    AssetsDeploy,
    Digest,
    Release,
    /// Asking mix about the project.
    Answers,
}

/// A list that a version was sought in.
#[derive(Debug)]
pub struct LookedInto {
    /// Without credentials.
    pub url: String,
    /// When it was read, in seconds since 1970; or why it could not be.
    pub read: Result<u64, ToolchainError>,
    /// The branches that it lists, where it lists no release.
    pub only_branches: Option<String>,
}

/// Everything that ends a build.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A version that is in none of the lists that were looked into.
    #[error("{error}")]
    NotListed {
        error: PlanError,
        looked_into: Vec<LookedInto>,
    },
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("the architecture {0} is not one that OTP is built for")]
    Architecture(String),
    #[error("{}: cannot be read: {source}", path.display())]
    EnvDir { path: PathBuf, source: io::Error },
    /// bash could not evaluate a config file.
    #[error("{file}:{line} could not be evaluated by bash ({status})")]
    ConfigFile {
        file: String,
        /// The first line that is more than an assignment.
        line: u32,
        construct: String,
        /// The line that bash could not read, and its text.
        syntax_error: Option<(u32, String)>,
        /// `exit status 2`.
        status: String,
        /// What bash and the file printed, without values of config vars.
        output: String,
    },
    /// A command of a config file failed, which ended a build of the old buildpacks too.
    #[error("{file}:{line}: {written} ended with {status}")]
    ConfigCommand {
        file: String,
        line: u32,
        /// The command as it is written there.
        written: String,
        /// Whether the file ended there, so that its status is the command's.
        is_last: bool,
        status: String,
        output: String,
    },
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    #[error("{doing:?}: {source}")]
    Command { doing: Doing, source: CommandError },
    #[error("several releases, none the default: {}", names.join(", "))]
    WhichRelease { names: Vec<String>, origin: Origin },
    /// `mix release` succeeded and left nothing to start.
    #[error("mix distillery.release made no release in {rel}")]
    DistilleryReleaseMissing {
        /// Where Distillery assembles releases, relative to the top of the repository.
        rel: String,
        config: String,
    },
    #[error("{name} {} is not published for Elixir {elixir}", asked.value)]
    NoSuchInstaller {
        /// Hex or rebar3.
        name: &'static str,
        asked: Asked,
        elixir: String,
        /// Of those that run on this Elixir.
        newest: String,
    },
    #[error("mix release made no {path}")]
    ReleaseMissing {
        name: String,
        /// The release's start script, relative to the top of the repository.
        path: String,
        mix_exs: String,
    },
    #[error("{spec} has the {algorithm} {found}, not {expected}")]
    ManagerHash {
        spec: String,
        /// Where the hash is written.
        origin: Origin,
        algorithm: String,
        expected: String,
        found: String,
    },
    /// A folder that the build writes to and clears is elsewhere.
    #[error("{place} leads to {}", to.display())]
    LeadsOut {
        /// Relative to the app.
        place: String,
        to: PathBuf,
    },
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("stopped")]
    Cancelled,
}

impl Error {
    /// A command's failure; a cancelled one is the build's cancellation.
    pub(crate) fn command(doing: Doing) -> impl FnOnce(CommandError) -> Self {
        move |source| match source {
            CommandError::Cancelled => Self::Cancelled,
            source => Self::Command { doing, source },
        }
    }
}
