//! The directories and the environment of a build, as a front end provides them.

use exec::environment::Environment;
use std::path::{Path, PathBuf};
use store::Store;

/// The path of [`elixir_script`] in the slug.
pub const ELIXIR_SCRIPT: &str = ".profile.d/elixir_buildpack_paths.sh";

/// The path of [`node_script`] in the slug.
pub const NODE_SCRIPT: &str = ".profile.d/phoenix_static_buildpack_paths.sh";

/// The platform of a build, as an abstraction for the steps.
pub struct Workspace<'a> {
    /// The app, changed in place.
    pub app: PathBuf,
    /// The same directory, with the path that the platform uses.
    pub build_dir: PathBuf,
    pub places: Places,
    pub store: &'a dyn Store,
    pub environment: Environment,
    /// The directory of config vars, on platforms that have one.
    pub env_dir: Option<PathBuf>,
    pub start: Start,
}

/// How processes get their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Scripts in the slug's `.profile.d`, and a file that later buildpacks source, if the platform has one.
    ProfileD { export: Option<PathBuf> },
    /// The front end gets the environment and sets it.
    FrontEnd,
}

/// The paths of artifacts: relative to the app if they ship in a slug, absolute if they are elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    pub erlang: PathBuf,
    pub elixir: PathBuf,
    pub node: PathBuf,
    pub yarn: PathBuf,
    pub mix_home: PathBuf,
    pub hex_home: PathBuf,
}

impl Places {
    /// The paths of the shell buildpacks, which Procfiles, hooks and later buildpacks may use.
    #[must_use]
    pub fn in_slug() -> Self {
        Self {
            erlang: PathBuf::from(".platform_tools/erlang"),
            elixir: PathBuf::from(".platform_tools/elixir"),
            node: PathBuf::from(".heroku/node"),
            yarn: PathBuf::from(".heroku/yarn"),
            mix_home: PathBuf::from(".mix"),
            hex_home: PathBuf::from(".hex"),
        }
    }

    /// The top-level directories of the app that these paths need.
    #[must_use]
    pub fn top_folders(&self) -> Vec<&str> {
        let mut tops: Vec<&str> = [
            &self.erlang,
            &self.elixir,
            &self.node,
            &self.yarn,
            &self.mix_home,
            &self.hex_home,
        ]
        .into_iter()
        .filter(|place| place.is_relative())
        .filter_map(|place| place.components().next()?.as_os_str().to_str())
        .collect();
        tops.sort_unstable();
        tops.dedup();
        tops
    }
}

/// Whether the contents of a path belong to this build only. The contents of an absolute path persist for the next
/// build.
#[must_use]
pub fn is_own(place: &Path) -> bool {
    place.is_relative()
}

impl Workspace<'_> {
    /// The file that later buildpacks source.
    #[must_use]
    pub fn export(&self) -> Option<&Path> {
        match &self.start {
            Start::ProfileD { export } => export.as_deref(),
            Start::FrontEnd => None,
        }
    }

    /// The real path of a file in the app.
    #[must_use]
    pub fn real(&self, place: &Path) -> PathBuf {
        self.app.join(place)
    }
}
