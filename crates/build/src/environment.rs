//! The variables of a build: what the platform gives, what the user set, what tools need.

use crate::command::Env;
use crate::credentials;
use app::{Asked, app_dir, mistyped};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use toolchain::hosts::OTP_BUILDS_URL;

/// Config vars that never reach a build, whatever their value: those that the shell buildpacks
/// refuse, and those that change how a program or shell is loaded.
const DENIED: [&str; 13] = [
    "PATH",
    "GIT_DIR",
    "CPATH",
    "CPPATH",
    "LIBRARY_PATH",
    "BASH_ENV",
    "ENV",
    "IFS",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PWD",
    "OLDPWD",
];

/// `LD_PRELOAD`, `LD_LIBRARY_PATH`, `LD_AUDIT`, …
const DENIED_PREFIX: &str = "LD_";

/// What the platform gave and what the user set, still apart.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    process: Env,
    config_vars: Env,
    tests_only: Option<Asked>,
}

impl Environment {
    /// `process` is the environment of our own process, `config_vars` the user's.
    #[must_use]
    pub fn new(process: Env, config_vars: Env) -> Self {
        let allowed = |(name, _): &(OsString, OsString)| {
            let name = name.as_bytes();
            !DENIED.iter().any(|denied| denied.as_bytes() == name)
                && !name.starts_with(DENIED_PREFIX.as_bytes())
                // `execve` cannot express these.
                && !name.is_empty()
                && !name.contains(&b'=')
        };
        Self {
            process: process
                .into_iter()
                // Would lead git, in every dependency, to the wrong repository.
                .filter(|(name, _)| name != "GIT_DIR")
                .collect(),
            config_vars: config_vars.into_iter().filter(allowed).collect(),
            tests_only: None,
        }
    }

    /// The same for a build whose product is `mix test`, in this `MIX_ENV` whatever the config
    /// vars say: they may be those of the deployed app.
    #[must_use]
    pub fn for_tests_only(self, mix_env: Asked) -> Self {
        Self {
            tests_only: Some(mix_env),
            ..self
        }
    }

    /// The `MIX_ENV` of a build for `mix test`, if this is one.
    #[must_use]
    pub fn tests_only(&self) -> Option<&Asked> {
        self.tests_only.as_ref()
    }

    /// The value that counts: a config var before the platform's variable. Values that are not
    /// UTF-8 are none of our settings.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.config_vars
            .get(OsStr::new(name))
            .or_else(|| self.process.get(OsStr::new(name)))
            .and_then(|value| value.to_str())
            .map(str::to_owned)
    }

    /// The value of a config var alone.
    #[must_use]
    pub fn config_var(&self, name: &str) -> Option<String> {
        let value = self.config_vars.get(OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    }

    /// The names that [`get`](Self::get) has a value for, and [`config_var`](Self::config_var) of
    /// those that are not ours alone.
    #[must_use]
    pub fn names_of_settings(&self) -> Vec<&str> {
        let of_process = self.process.keys().filter_map(|name| name.to_str());
        let ours = of_process.filter(|name| name.starts_with(mistyped::PREFIX));
        let of_user = self.config_vars.keys().filter_map(|name| name.to_str());
        let names: BTreeSet<&str> = ours.chain(of_user).collect();
        names.into_iter().collect()
    }

    /// A variable of the platform itself, which no config var changes.
    #[must_use]
    pub fn platform(&self, name: &str) -> Option<String> {
        let value = self.process.get(OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    }

    /// A text that holds values of config vars, as it may be shown: with their names instead.
    #[must_use]
    pub fn without_values(&self, text: &str) -> String {
        let mut vars: Vec<(&str, &str)> = self
            .config_vars
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?.trim())))
            // Is part of any path, and names nothing that the repository does not show.
            .filter(|(name, _)| *name != app_dir::CONFIG_VAR)
            // Shorter ones are words of any command.
            .filter(|(_, value)| value.len() >= 6)
            .collect();
        vars.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        vars.into_iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(value, &format!("${name}"))
            })
    }

    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.process.get(OsStr::new("HOME")).map(PathBuf::from)
    }

    /// Everything that the app's own commands may see, before tools are added. Credentials for
    /// private dependencies are not among it, nor is the address of a mirror that only we read.
    #[must_use]
    pub fn for_commands(&self) -> Env {
        let mut env = self.process.clone();
        env.extend(self.config_vars.clone());
        for name in credentials::VARIABLES.into_iter().chain([OTP_BUILDS_URL]) {
            env.remove(OsStr::new(name));
        }
        env
    }
}

/// Reads `ENV_DIR`: a file's name is a config var's name, its bytes are the value. A folder that
/// is missing holds none.
pub fn read_env_dir(dir: &Path) -> io::Result<Env> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Env::new()),
        Err(error) => return Err(error),
    };
    let mut vars = Env::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().is_file() {
            let value = fs::read(entry.path())?;
            // A NUL cannot be in the environment of any process.
            if !value.contains(&0) {
                vars.insert(entry.file_name(), OsString::from_vec(value));
            }
        }
    }
    Ok(vars)
}

/// Puts folders before those of `PATH`, the first one first.
pub fn prepend_path(env: &mut Env, dirs: &[PathBuf]) {
    let old = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
    let mut joined = OsString::new();
    for dir in dirs {
        joined.push(dir);
        joined.push(":");
    }
    joined.push(if old.is_empty() {
        OsString::from("/usr/local/bin:/usr/bin:/bin")
    } else {
        old
    });
    env.insert("PATH".into(), joined);
}

/// Sets a variable that the user has not set.
pub fn default(env: &mut Env, name: &str, value: impl Into<OsString>) {
    env.entry(name.into()).or_insert_with(|| value.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_config_var_wins_over_the_platform_except_where_it_would_change_what_runs() {
        let environment = Environment::new(
            env(&[("MIX_ENV", "prod"), ("PATH", "/bin"), ("GIT_DIR", ".")]),
            env(&[
                ("MIX_ENV", "staging"),
                ("PATH", "/evil"),
                ("LD_PRELOAD", "/evil.so"),
                ("BASH_ENV", "/evil.sh"),
                (OTP_BUILDS_URL, "https://me:s3cr3t@mirror"),
            ]),
        );
        let seen = environment.for_commands();
        assert_eq!(seen, env(&[("MIX_ENV", "staging"), ("PATH", "/bin")]));
        assert_eq!(environment.get("MIX_ENV").as_deref(), Some("staging"));
        assert_eq!(environment.config_var("PATH"), None);
        assert!(environment.get(OTP_BUILDS_URL).is_some());
    }

    #[test]
    fn a_text_is_shown_with_names_in_place_of_values() {
        let environment = Environment::new(
            Env::new(),
            env(&[
                ("KEY", "s3cret-value"),
                ("LONGER", "s3cret-value-and-more"),
                ("SHORT", "mix"),
                ("MIXPACK_APP_RELATIVE_PATH", "backend"),
            ]),
        );
        assert_eq!(
            environment.without_values("mix auth s3cret-value s3cret-value-and-more backend"),
            "mix auth $KEY $LONGER backend"
        );
    }

    #[test]
    fn values_of_env_dir_are_kept_to_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        let value = b"-----BEGIN\n$X \"quoted\" \xff\n\n";
        fs::write(dir.path().join("KEY"), value).unwrap();
        fs::create_dir(dir.path().join("a folder")).unwrap();
        let vars = read_env_dir(dir.path()).unwrap();
        assert_eq!(vars.len(), 1);
        assert_eq!(vars[OsStr::new("KEY")].as_bytes(), value);
        assert!(
            read_env_dir(&dir.path().join("missing"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn folders_go_before_the_path() {
        let mut vars = env(&[("PATH", "/usr/bin")]);
        prepend_path(&mut vars, &["/a".into(), "/b".into()]);
        assert_eq!(vars[OsStr::new("PATH")], "/a:/b:/usr/bin");
    }
}
