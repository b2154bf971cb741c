//! The contents of the slug: a release or the project, and the files to leave out.

use super::PlanError;
use crate::facts::{Facts, join};
use crate::origin::Setting;
use crate::settings::{RELEASE, Settings};
use serde::Serialize;

/// The files to leave out of the slug.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slim {
    /// Nothing.
    None,
    /// Files that no dyno can use, and applications of OTP for development that the app doesn't use.
    #[default]
    Standard,
    /// Also Node.js. If a release is built and no process needs more, everything but the release; otherwise more
    /// unused OTP applications, and debug information of compiled modules.
    Full,
}

impl Slim {
    const WORDS: [(&'static str, Self); 3] = [
        ("none", Self::None),
        ("standard", Self::Standard),
        ("full", Self::Full),
    ];

    fn of(requested: Option<&Setting>, default: Self) -> Result<Self, PlanError> {
        let Some(requested) = requested else {
            return Ok(default);
        };
        Self::WORDS
            .iter()
            .find(|(word, _)| *word == requested.value)
            .map(|(_, slim)| *slim)
            .ok_or_else(|| PlanError::UnknownSlimLevel {
                requested: requested.clone(),
                levels: Self::WORDS.map(|(word, _)| word.to_owned()).into(),
            })
    }
}

/// Returns the level. A platform that prefers releases wants small images, and so defaults to more pruning.
pub(super) fn slim(
    settings: &Settings,
    release: bool,
    calls_mix: Option<&str>,
) -> Result<Slim, PlanError> {
    let small = release && settings.prefers_release && calls_mix.is_none();
    let default = if small { Slim::Full } else { Slim::default() };
    Slim::of(settings.slim.as_ref(), default)
}

/// Returns whether to build a release, and the reason if the app does not set it.
pub(super) fn release(
    facts: &Facts,
    settings: &Settings,
    calls_mix: Option<&str>,
) -> (bool, Option<String>) {
    if let Some(requested) = &settings.release {
        return (requested.value == "true", None);
    }
    if !settings.prefers_release {
        return (false, None);
    }
    let root = facts.root();
    if let Some(process) = calls_mix {
        let why = format!(
            "not built, because {process} in {} calls mix, iex or elixir",
            facts.procfile_path
        );
        return (false, Some(why));
    }
    if root.apps_path.is_some() && root.release.is_none() {
        let path = join(&facts.app_dir.value, "mix.exs");
        let why = format!("not built, because the umbrella's {path} defines none");
        return (false, Some(why));
    }
    let why = format!("the image contains only the release; {RELEASE}=false keeps mix");
    (true, Some(why))
}
