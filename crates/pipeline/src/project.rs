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

/// The project as mix reports it, which replaces guesses of the plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Project {
    pub(crate) info: MixInfo,
    pub(crate) phoenix: bool,
    /// The release that this build assembles.
    pub(crate) release: Option<Release>,
    /// The command of the process type web, if there is no release.
    pub(crate) web: Option<String>,
}

impl Project {
    /// The command of web, if mix or a release determines it.
    pub(crate) fn web(&self) -> Option<&String> {
        let release = self.release.as_ref();
        let start = release.and_then(|release| release.start.as_ref());
        start.or(self.web.as_ref())
    }

    /// Returns the build record, from the plan and the results of the steps.
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

/// The state of the last build that is valid for this one.
#[derive(Debug, Default)]
pub(crate) struct LastBuild {
    /// Whether a non-empty `deps` was restored.
    pub(crate) deps: bool,
    /// Whether `_build` was restored.
    pub(crate) build: bool,
    /// The pushed files of the app, with modification times from the last build.
    pub(crate) pushed: Sources,
    /// The key with all inputs of the assets, if they are known.
    pub(crate) assets: Option<Key>,
}

/// The assets after their step.
#[derive(Debug, Default)]
pub(crate) enum BuiltAssets {
    /// They can't be cached.
    #[default]
    Unknown,
    /// They were restored from the last build.
    Restored,
    /// They can be cached. The app's files and the questions to git before they were built.
    Built(Entries, BTreeSet<Question>),
}

/// The files that building the assets created, for the cache.
#[derive(Debug, Default)]
pub(crate) enum AssetFiles {
    #[default]
    NotBuilt,
    Copied,
    /// The reason.
    Uncacheable(String),
}

/// The fetched dependencies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dependencies {
    /// The Elixir requirement of each package, by name and version: `phoenix 1.7.10`.
    pub(crate) elixir_requirements: BTreeMap<String, String>,
    /// Whether the app's own code has to be recompiled, even if mix considers it current.
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
    /// Whether Mixpack changed the directory in which mix assembles it.
    pub(crate) moved: bool,
    /// Whether its directory was empty before this build.
    pub(crate) is_new: bool,
    /// The command that starts it. Set when it is assembled.
    pub(crate) start: Option<String>,
}
