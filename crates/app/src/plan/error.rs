//! Errors of planning.

use super::{Suggestion, VersionError};
use crate::facts::Manager;
use crate::origin::Asked;
use thiserror::Error;

/// The reason why planning failed. The user can fix each of these.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("{error}")]
    Version {
        error: VersionError,
        /// The versions to request instead. `None` for Node.js, and if the lists contain no compatible pair.
        suggestion: Option<Box<Suggestion>>,
    },
    #[error("no LTS release of Node.js is listed for {arch}")]
    NoNode { arch: String },
    #[error("several lockfiles in {dir}")]
    TwoLockfiles { dir: String, lockfiles: Vec<String> },
    /// `packageManager` and the lockfile belong to different package managers.
    #[error("packageManager is {}, but the lockfile is {lockfile}", asked.value)]
    ManagerContradicted {
        asked: Asked,
        manager: Manager,
        /// Relative to the app.
        lockfile: String,
    },
    #[error("packageManager {:?} is malformed", asked.value)]
    MalformedManager { asked: Asked },
    /// `devEngines` requires a package manager, but lists none that is supported.
    #[error("the package manager {} in devEngines.packageManager is not supported", asked.value)]
    UnknownDevManager { asked: Asked },
    #[error("{} is not a valid slim level", asked.value)]
    NoSuchLevel { asked: Asked, levels: Vec<String> },
    #[error("{} does not contain {missing}", asked.value)]
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
