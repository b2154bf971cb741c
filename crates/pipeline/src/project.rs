//! The project, once mix has loaded it.

use crate::git::Question;
use crate::mix_info::MixInfo;
use app::Plan;
use planning::record::{Record, Tools};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use store::Key;
use workdir::app_tree::Entries;
use workdir::sources::Sources;

/// The answers of mix on what the plan could only guess.
#[derive(Debug, Clone, Default)]
pub(crate) struct Project {
    pub(crate) info: MixInfo,
    pub(crate) phoenix: bool,
    /// The release that is built.
    pub(crate) release: Option<Release>,
    /// The command that web starts where there is no release.
    pub(crate) web: Option<String>,
}

impl Project {
    /// The command of web, as far as mix or a release has told.
    pub(crate) fn web(&self) -> Option<&String> {
        let release = self.release.as_ref();
        let start = release.and_then(|release| release.start.as_ref());
        start.or(self.web.as_ref())
    }

    /// The record of the build: what the plan says, and what the steps have found.
    pub(crate) fn record(&self, plan: &Plan, tools: [Tools; 2], deps: &Dependencies) -> Record {
        let mut record = Record::of(plan, planning::record::VERSION);
        record.tools.extend(tools.into_iter().flatten());
        record.phoenix = self.phoenix;
        if let Some(release) = &self.release {
            record.release = Some(release.name.clone());
            let dir = release.dir.to_string_lossy().into_owned();
            record.release_dir = release.is_new.then_some(dir);
        }
        let web = self.web().map(|web| ("web".to_owned(), web.clone()));
        record.processes.extend(web);
        record
            .elixir_requirements
            .clone_from(&deps.elixir_requirements);
        record
    }
}

/// The state of the last build, as far as it is valid for this one.
#[derive(Debug, Default)]
pub(crate) struct LastBuild {
    /// `deps` was restored, and holds something.
    pub(crate) deps: bool,
    /// `_build` was restored.
    pub(crate) build: bool,
    /// The app's files as they were pushed, with the times of the last build.
    pub(crate) pushed: Sources,
    /// Everything that decides the assets, where that can be told.
    pub(crate) assets: Option<Key>,
}

/// The assets after their step.
#[derive(Debug, Default)]
pub(crate) enum BuiltAssets {
    /// Nothing of them can be cached.
    #[default]
    Unknown,
    /// They are those of the last build.
    Restored,
    /// They can be cached: the app, and the questions to git, before they were built.
    Built(Entries, BTreeSet<Question>),
}

/// The files that building the assets has made, for the cache.
#[derive(Debug, Default)]
pub(crate) enum AssetFiles {
    #[default]
    NotBuilt,
    Copied,
    /// For this reason.
    Uncacheable(String),
}

/// The dependencies, once they are fetched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dependencies {
    /// The Elixir that each package requires, by name and version: `phoenix 1.7.10`.
    pub(crate) elixir_requirements: BTreeMap<String, String>,
    /// The app's own code has to be compiled again, whatever mix takes for current.
    pub(crate) recompile: bool,
    /// Whether `mix deps.get` ran.
    pub(crate) fetched: bool,
}

/// The release of this build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) name: String,
    /// Relative to the top of the repository.
    pub(crate) dir: PathBuf,
    /// mix would assemble it elsewhere.
    pub(crate) moved: bool,
    /// There was nothing in its folder before this build.
    pub(crate) is_new: bool,
    /// The command that starts it, once it is assembled.
    pub(crate) start: Option<String>,
}
