//! The purpose of a command.

use app::facts::Manager;
use app::{Origin, Setting};

/// A command of the app, or one that Mixpack runs for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A hook: its key, and the origin of its setting.
    Hook {
        key: &'static str,
        requested: Setting,
    },
    Deps,
    Compile,
    /// Fetching a package manager, by its name in the npm registry, and the origin of the request.
    PackageManager {
        spec: String,
        origin: Origin,
    },
    /// `npm ci` in this directory, or the equivalent of its package manager.
    JsInstall {
        dir: String,
        manager: Manager,
        /// The lockfile, relative to the app.
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
    /// Querying mix about the project.
    ProjectInfo,
}
