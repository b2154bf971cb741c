//! Errors of planning.

use super::{Suggestion, VersionError};
use crate::facts::Manager;
use crate::origin::Setting;
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
    #[error("packageManager is {}, but the lockfile is {lockfile}", requested.value)]
    ManagerContradicted {
        requested: Setting,
        manager: Manager,
        /// The path, relative to the app.
        lockfile: String,
    },
    #[error("packageManager {:?} is malformed", requested.value)]
    MalformedManager { requested: Setting },
    /// `devEngines` requires a package manager, but lists none that is supported.
    #[error("the package manager {} in devEngines.packageManager is not supported", requested.value)]
    UnknownDevManager { requested: Setting },
    #[error("{} is not a valid slim level", requested.value)]
    UnknownSlimLevel {
        requested: Setting,
        levels: Vec<String>,
    },
    #[error("{} does not contain {missing}", requested.value)]
    NoSuchFolder {
        key: &'static str,
        requested: Setting,
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
