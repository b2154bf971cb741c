//! The input of the rules.

use crate::config::Config;
use crate::git::Tracked;
use crate::sources::Sources;
use app::facts::{Facts, join};
use app::plan::Plan;
use app::text_file;
use std::path::Path;

/// The input of all rules.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The root of the repository.
    pub top: &'a Path,
    pub facts: &'a Facts,
    /// `None` if no plan could be made.
    pub plan: Option<&'a Plan>,
    /// The environment to build, such as `prod`.
    pub mix_env: &'a str,
    /// The app's config vars, if known.
    pub config_vars: Option<&'a [(String, String)]>,
}

pub(crate) struct Context<'a> {
    pub(crate) input: Input<'a>,
    pub(crate) config: Config,
    pub(crate) sources: Sources,
    pub(crate) tracked: Tracked,
    pub(crate) release: bool,
    pub(crate) app_json: Option<String>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(input: Input<'a>) -> Self {
        let app_dir = &input.facts.app_dir.value;
        let release = input.plan.is_some_and(|plan| plan.release);
        Self {
            config: Config::read(input.top, app_dir, input.mix_env, release),
            sources: Sources::read(input.top, input.facts),
            tracked: Tracked::read(input.top, app_dir),
            release,
            app_json: text_file::read(&input.top.join("app.json")).ok(),
            input,
        }
    }

    /// A path in the app's directory, relative to the root.
    pub(crate) fn path(&self, name: &str) -> String {
        join(&self.input.facts.app_dir.value, name)
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.input.top.join(path).exists()
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        text_file::read(&self.input.top.join(path)).ok()
    }

    /// Whether config vars are known.
    pub(crate) fn knows_config_vars(&self) -> bool {
        self.input.config_vars.is_some()
    }

    pub(crate) fn config_var(&self, name: &str) -> Option<&'a str> {
        let mut vars = self.input.config_vars?.iter().rev();
        let (_, value) = vars.find(|(known, _)| known == name)?;
        Some(value.as_str())
    }

    /// Whether the version of a package in `mix.lock` is at least this one.
    pub(crate) fn locks_at_least(&self, package: &str, (major, minor): (u32, u32)) -> Option<bool> {
        let version = self
            .input
            .facts
            .locked
            .iter()
            .find_map(|locked| match &locked.from {
                app::facts::mix_lock::Source::Hex { version, .. } if locked.app == package => {
                    Some(version.as_str())
                }
                _ => None,
            })?;
        let mut numbers = version
            .split('.')
            .map_while(|part| part.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?) >= (major, minor))
    }

    /// The usual config file for run-time settings.
    pub(crate) fn runtime_file(&self) -> String {
        let env = self.input.mix_env;
        let names = [
            "config/runtime.exs".to_owned(),
            format!("config/{env}.secret.exs"),
            format!("config/{env}.exs"),
        ];
        let mut paths = names.iter().map(|name| self.path(name));
        let found = paths.find(|path| self.config.files.contains(path));
        found.unwrap_or_else(|| self.path("config/config.exs"))
    }

    /// The usual config file for compile-time settings.
    pub(crate) fn env_file(&self) -> String {
        let path = self.path(&format!("config/{}.exs", self.input.mix_env));
        if self.config.files.contains(&path) {
            path
        } else {
            self.path("config/config.exs")
        }
    }

    /// The path of the Procfile.
    pub(crate) fn procfile(&self) -> String {
        self.input.facts.procfile_path.clone()
    }

    /// The command of the process type `web`, if a `Procfile` sets it.
    pub(crate) fn web(&self) -> Option<&'a str> {
        let procfile = self.input.facts.procfile.as_ref()?;
        procfile.0.get("web").map(String::as_str)
    }
}

/// The line of a text that contains a word, from 1.
pub(crate) fn line_of(text: &str, word: &str) -> u32 {
    let line = (1..)
        .zip(text.lines())
        .find(|(_, line)| line.contains(word));
    line.map_or(1, |(number, _)| number)
}
