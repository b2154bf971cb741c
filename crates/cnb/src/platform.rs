//! The platform directory, with the user's variables for the build.

use exec::command::Env;
use exec::environment::read_env_dir;
use std::io;
use std::path::{Path, PathBuf};

/// `<platform>/env`: the variables of `pack build --env` and `project.toml`. libcnb's own type only accepts UTF-8
/// values.
pub(crate) struct Platform {
    pub(crate) env_dir: PathBuf,
    pub(crate) variables: Env,
    /// An empty environment, which libcnb requires but doesn't use.
    env: libcnb::Env,
}

impl libcnb::Platform for Platform {
    fn env(&self) -> &libcnb::Env {
        &self.env
    }

    fn from_path(platform_dir: impl AsRef<Path>) -> io::Result<Self> {
        let env_dir = platform_dir.as_ref().join("env");
        let variables = read_env_dir(&env_dir)?;
        let mut env = libcnb::Env::new();
        for (name, value) in &variables {
            env.insert(name, value);
        }
        Ok(Self {
            env_dir,
            variables,
            env,
        })
    }
}

impl Platform {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = self.variables.get(std::ffi::OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    }
}
