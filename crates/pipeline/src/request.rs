//! The input and the result of a build.

use crate::compilation::CompiledModules;
use crate::component::Component;
use crate::profile::Launch;
use crate::report::Report;
use app::facts::Procfile;
use exec::cancel::Cancel;
use exec::environment::Environment;
use exec::log::Log;
use planning::Platform;
use planning::record::Record;
use std::path::{Path, PathBuf};
use store::Store;
use workdir::workspace::{Places, Start};

/// The input of a build, from a front end.
pub struct Request<'a> {
    /// The app, changed in place.
    pub app: &'a Path,
    pub environment: Environment,
    pub platform: Platform,
    pub places: Places,
    pub store: &'a dyn Store,
    /// The directory of config vars, on platforms that have one.
    pub env_dir: Option<PathBuf>,
    pub start: Start,
    pub log: &'a Log,
    pub cancel: &'a Cancel,
    pub report: &'a Report,
    /// The file for the timeline, which is also drawn if the build fails.
    pub timeline: Option<PathBuf>,
}

/// The result of a build.
#[derive(Debug)]
pub struct Built {
    pub record: Record,
    /// The environment and settings of processes.
    pub launch: Launch,
    /// The bill of materials of the slug or image, as `CycloneDX` JSON.
    pub sbom: String,
    pub(crate) components: Vec<Component>,
    pub(crate) compiled: Option<CompiledModules>,
    /// Files outside of `_build` that compiling has created, relative to the app.
    pub(crate) generated: Vec<PathBuf>,
    /// The release's folder, relative to the top of the repository.
    pub(crate) release_dir: Option<PathBuf>,
    /// The process types in the app's Procfile.
    pub(crate) procfile: Procfile,
}

impl Built {
    /// The names of the shipped toolchains and packages.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components
            .iter()
            .map(|component| component.name.as_str())
    }
}
