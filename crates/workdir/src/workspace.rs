//! The directories and the environment of a build, as a front end provides them.

use exec::environment::Environment;
use std::path::{Path, PathBuf};
use store::Store;

/// Where [`elixir_script`] is in the slug.
pub const ELIXIR_SCRIPT: &str = ".profile.d/elixir_buildpack_paths.sh";

/// Where [`node_script`] is in the slug.
pub const NODE_SCRIPT: &str = ".profile.d/phoenix_static_buildpack_paths.sh";

/// The platform of a build, seen from the steps: none of them knows which one it is.
pub struct Workspace<'a> {
    /// The app, changed in place.
    pub app: PathBuf,
    /// The same, as the platform names it.
    pub build_dir: PathBuf,
    pub places: Places,
    pub store: &'a dyn Store,
    pub environment: Environment,
    /// The folder of config vars, where the platform has one.
    pub env_dir: Option<PathBuf>,
    pub start: Start,
}

/// How processes get their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Scripts in the slug's `.profile.d`; and the file that later buildpacks source, where the
    /// platform has one.
    ProfileD { export: Option<PathBuf> },
    /// The front end, which is handed what they start with.
    FrontEnd,
}

/// Where each artifact goes: relative to the app for what ships in a slug, absolute for what has a
/// place of its own.
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
    /// The paths that Procfiles, hooks and later buildpacks know from the shell buildpacks.
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

    /// The folders at the top of the app that these need.
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

/// Whether what is at a place is for this app and this build alone. What has a place of its own
/// is what the next build will find there.
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

    /// The real place of something in the app.
    #[must_use]
    pub fn real(&self, place: &Path) -> PathBuf {
        self.app.join(place)
    }
}
