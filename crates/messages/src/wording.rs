//! The words and commands of messages that depend on the platform and on the build.

use super::Explanation;
use app::Origin;
use exec::environment::Environment;

/// Where a build runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Platform {
    /// Heroku, and any other platform that calls `bin/compile`.
    #[default]
    Heroku,
    HerokuCi,
    Gigalixir,
    CloudNative,
    /// `mixpack plan` and `mixpack build`, on the user's machine.
    Local,
}

impl Platform {
    /// Returns the platform that calls `bin/compile` with these variables.
    #[must_use]
    pub fn of_classic(environment: &Environment) -> Self {
        match environment.platform("STACK") {
            Some(stack) if stack.starts_with("gigalixir-") => Self::Gigalixir,
            _ => Self::Heroku,
        }
    }
}

/// The activity that failed, which the message starts with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activity {
    #[default]
    Build,
    Plan,
}

/// The words for one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    platform: Platform,
    activity: Activity,
    pub(super) mix_env: String,
}

impl Default for Wording {
    fn default() -> Self {
        Self::new(Platform::default(), &Environment::default())
    }
}

impl Wording {
    #[must_use]
    pub fn new(platform: Platform, environment: &Environment) -> Self {
        Self {
            platform,
            activity: Activity::default(),
            mix_env: environment.mix_env().value,
        }
    }

    /// Returns the words for a run that only plans.
    #[must_use]
    pub fn for_a_plan(self) -> Self {
        Self {
            activity: Activity::Plan,
            ..self
        }
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity
    }

    /// Returns a mix command to run on the reader's machine.
    pub(super) fn mix(&self, args: &str) -> String {
        format!("MIX_ENV={} mix {args}", self.mix_env)
    }

    pub(super) fn config_var(&self) -> &'static str {
        match self.platform {
            Platform::Heroku | Platform::HerokuCi | Platform::Gigalixir => "config var",
            Platform::CloudNative => "build variable",
            Platform::Local => "environment variable",
        }
    }

    /// The same, with its article.
    pub(super) fn a_config_var(&self) -> String {
        let article = match self.platform {
            Platform::Local => "an",
            _ => "a",
        };
        format!("{article} {}", self.config_var())
    }

    pub(super) fn config_vars(&self) -> String {
        format!("{}s", self.config_var())
    }

    /// The command that sets a config var, up to the name of the variable.
    pub(super) fn set(&self) -> &'static str {
        match self.platform {
            Platform::Heroku => "heroku config:set",
            Platform::HerokuCi => "heroku ci:config:set --pipeline PIPELINE",
            Platform::Gigalixir => "gigalixir config:set",
            Platform::CloudNative => "pack build --env",
            Platform::Local => "export",
        }
    }

    /// Returns the command that sets several config vars, given as `NAME=value`.
    pub(super) fn set_all(&self, vars: &[String]) -> String {
        let separator = match self.platform {
            Platform::CloudNative => " --env ",
            _ => " ",
        };
        format!("{} {}", self.set(), vars.join(separator))
    }

    pub(super) fn again(&self) -> &'static str {
        match self.platform {
            Platform::Heroku | Platform::HerokuCi | Platform::Gigalixir => "push again",
            Platform::CloudNative => "build again",
            Platform::Local => "try again",
        }
    }

    /// The file that lists files to leave out of the build.
    pub(super) fn ignore_file(&self) -> &'static str {
        match self.platform {
            Platform::Heroku | Platform::HerokuCi | Platform::Gigalixir => ".slugignore",
            Platform::CloudNative => "the `exclude` of project.toml",
            Platform::Local => ".gitignore",
        }
    }

    /// The command that moves the app to a supported stack.
    pub(super) fn current_stack(&self) -> &'static str {
        match self.platform {
            Platform::Heroku | Platform::HerokuCi => "heroku stack:set heroku-24",
            Platform::Gigalixir => "gigalixir stack:set --stack gigalixir-24",
            Platform::CloudNative => "pack build --builder heroku/builder:24",
            Platform::Local => "export STACK=heroku-24",
        }
    }

    /// The command that adds a buildpack before this one, up to the name of the buildpack.
    pub(super) fn add_buildpack(&self) -> &'static str {
        match self.platform {
            Platform::CloudNative => "pack build --buildpack",
            _ => "heroku buildpacks:add --index 1",
        }
    }

    /// The buildpack that installs system packages.
    pub(super) fn apt(&self) -> &'static str {
        match self.platform {
            Platform::CloudNative => "heroku/deb-packages",
            _ => "heroku-community/apt",
        }
    }

    /// The file with package names that this buildpack reads.
    pub(super) fn apt_file(&self) -> &'static str {
        match self.platform {
            Platform::CloudNative => "[com.heroku.buildpacks.deb-packages] of project.toml",
            _ => "an Aptfile",
        }
    }

    /// Returns the value of a placeholder in the texts of known failures.
    pub(super) fn placeholder(&self, name: &str) -> Option<String> {
        Some(match name {
            "config var" => self.config_var().to_owned(),
            "a config var" => self.a_config_var(),
            "config vars" => self.config_vars(),
            "set" => self.set().to_owned(),
            "again" => self.again().to_owned(),
            "ignore file" => self.ignore_file().to_owned(),
            "add buildpack" => self.add_buildpack().to_owned(),
            "apt" => self.apt().to_owned(),
            "apt file" => self.apt_file().to_owned(),
            "mix env" => self.mix_env.clone(),
            _ => return None,
        })
    }

    /// Returns the origin of a request, for use within a sentence.
    pub(super) fn origin(&self, origin: &Origin) -> String {
        match origin {
            Origin::ConfigVar(name) => format!("{} {name}", self.config_var()),
            origin => origin.to_string(),
        }
    }

    /// Returns the origin of a request, as the subject of a sentence.
    pub(super) fn place(&self, origin: &Origin) -> String {
        match origin {
            Origin::ConfigVar(name) => format!("The {} {name}", self.config_var()),
            Origin::LastBuild => "The last build".to_owned(),
            Origin::Default(reason) => format!("The default ({reason})"),
            Origin::File { .. } => origin.to_string(),
        }
    }
}

impl Explanation {
    /// Returns the first words of the message.
    pub(super) fn heading(&self) -> &'static str {
        match self.activity {
            Activity::Build => "Build failed",
            Activity::Plan => "Cannot plan the build",
        }
    }
}
