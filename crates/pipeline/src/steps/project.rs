//! The project, once mix has loaded it.

use crate::mix_info::MixInfo;
use crate::record::{Record, Tools};
use crate::steps::mix::Dependencies;
use crate::steps::release::Release;
use app::Plan;

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
        let mut record = Record::of(plan, crate::VERSION);
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
