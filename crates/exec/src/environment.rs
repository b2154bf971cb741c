//! The variables of a build: the platform's, the user's, and those that tools need.

use crate::command::Env;
use crate::credential_variables::{MIRRORS, OTP_BUILDS_URL, VARIABLES};
use app::facts::app_dir;
use app::settings::name_typo;
use app::{Origin, Setting};
use fetch::Url;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Config vars that never reach a build, whatever their value.
const DENIED: [&str; 21] = [
    // The shell buildpacks refuse these too.
    "PATH",
    "CPATH",
    "CPPATH",
    "LIBRARY_PATH",
    // The user's home, which the platform decides.
    "HOME",
    // Code that every shell runs first, or options that change how it reads scripts.
    "BASH_ENV",
    "ENV",
    "IFS",
    "SHELLOPTS",
    "BASHOPTS",
    "POSIXLY_CORRECT",
    "PS4",
    // The shell's directory, and the targets of `cd`.
    "PWD",
    "OLDPWD",
    "CDPATH",
    // Libraries that glibc loads for a character set.
    "GCONV_PATH",
    // Other programs in place of Erlang's `erl`, `escript` and `erlc`.
    "ERL_ROOTDIR",
    "ESCRIPT_EMULATOR",
    "ERLC_EMULATOR",
    // Makes `elixir` print the command instead of running it.
    "ELIXIR_CLI_DRY_RUN",
    // Other programs in place of git's.
    "GIT_EXEC_PATH",
];

/// `LD_PRELOAD`, `LD_LIBRARY_PATH`, `LD_AUDIT`, …; bash functions that replace programs.
const DENIED_PREFIXES: [&str; 2] = ["LD_", "BASH_FUNC_"];

/// Variables that set git's repository, and would redirect git in every dependency. Those of the platform
/// are removed too: a git server that builds in a hook sets them.
const REPOSITORY_VARIABLES: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_QUARANTINE_PATH",
];

/// Whether a config var is kept out of the build.
fn is_denied(name: &OsStr) -> bool {
    let begins = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
    let mut denied = DENIED.iter().chain(&REPOSITORY_VARIABLES);
    denied.any(|denied| name == *denied) || DENIED_PREFIXES.iter().any(begins)
}

/// The prefix of the settings of the shared store.
const STORE_PREFIX: &str = "MIXPACK_STORE";

/// Denied variables that every build needs: they keep the platform's value.
const PLATFORM_ONLY: [&str; 3] = ["PATH", "HOME", "PWD"];

/// The variables of the platform and those of the user, kept separate.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    process: Env,
    config_vars: Env,
    tests_only: Option<Setting>,
}

impl Environment {
    /// `process` is the environment of Mixpack's own process.
    #[must_use]
    pub fn new(process: Env, config_vars: Env) -> Self {
        let allowed = |(name, _): &(OsString, OsString)| {
            // `execve` doesn't support empty names, or names with an equals sign.
            !is_denied(name) && !name.is_empty() && !name.as_bytes().contains(&b'=')
        };
        // Some platforms also set config vars in Mixpack's own environment.
        let is_config_var = |(name, value): &(OsString, OsString)| {
            let same = config_vars.get(name) == Some(value);
            same && is_denied(name) && !PLATFORM_ONLY.iter().any(|needed| name == needed)
        };
        Self {
            process: process
                .into_iter()
                .filter(|(name, _)| !REPOSITORY_VARIABLES.iter().any(|of_one| name == of_one))
                .filter(|pair| !is_config_var(pair))
                .collect(),
            config_vars: config_vars.into_iter().filter(allowed).collect(),
            tests_only: None,
        }
    }

    /// Returns the environment of a build for `mix test` with this `MIX_ENV`. Ignores a config var `MIX_ENV`, which
    /// may be for the deployed app.
    #[must_use]
    pub fn for_tests_only(self, mix_env: Setting) -> Self {
        Self {
            tests_only: Some(mix_env),
            ..self
        }
    }

    /// Returns the `MIX_ENV` of a build for `mix test`. `None` for other builds.
    #[must_use]
    pub fn tests_only(&self) -> Option<&Setting> {
        self.tests_only.as_ref()
    }

    /// Returns the value of a config var, or else of the platform's variable. Ignores values that aren't UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.config_vars
            .get(OsStr::new(name))
            .or_else(|| self.process.get(OsStr::new(name)))
            .and_then(|value| value.to_str())
            .map(str::to_owned)
    }

    /// The `MIX_ENV` of the build.
    #[must_use]
    pub fn mix_env(&self) -> Setting {
        if let Some(mix_env) = &self.tests_only {
            return mix_env.clone();
        }
        let value = self.get("MIX_ENV").map(|value| value.trim().to_owned());
        match value.filter(|value| !value.is_empty()) {
            Some(value) => Setting::new(value, Origin::ConfigVar("MIX_ENV".to_owned())),
            None => Setting::new("prod".to_owned(), Origin::Default("production".to_owned())),
        }
    }

    /// Returns the value of a config var, not of the platform's variable.
    #[must_use]
    pub fn config_var(&self, name: &str) -> Option<String> {
        let value = self.config_vars.get(OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    }

    /// Returns the variables of the platform, then all config vars, with UTF-8 names and values.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let vars = self.process.iter().chain(&self.config_vars);
        vars.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// Returns the config vars with UTF-8 names and values.
    pub fn config_vars(&self) -> impl Iterator<Item = (&str, &str)> {
        let vars = self.config_vars.iter();
        vars.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
    }

    /// Returns the names for which [`get`](Self::get) returns Mixpack's settings, and
    /// [`config_var`](Self::config_var) other variables.
    #[must_use]
    pub fn setting_names(&self) -> Vec<&str> {
        let of_process = self.process.keys().filter_map(|name| name.to_str());
        let ours = of_process.filter(|name| name.starts_with(name_typo::PREFIX));
        let of_user = self.config_vars.keys().filter_map(|name| name.to_str());
        let names: BTreeSet<&str> = ours.chain(of_user).collect();
        names.into_iter().collect()
    }

    /// Returns a variable of the platform itself, which no config var overrides.
    #[must_use]
    pub fn platform(&self, name: &str) -> Option<String> {
        let value = self.process.get(OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    }

    /// Replaces values of config vars in a text by their names.
    #[must_use]
    pub fn without_values(&self, text: &str) -> String {
        let mut vars: Vec<(&str, &str)> = self
            .config_vars
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?.trim())))
            // This value is part of every path, and isn't secret.
            .filter(|(name, _)| *name != app_dir::CONFIG_VAR)
            // Shorter values are words of any command.
            .filter(|(_, value)| value.len() >= 6)
            .collect();
        vars.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        vars.into_iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(value, &format!("${name}"))
            })
    }

    /// The same for text that only the app has written: a value of any length is replaced if it is a whole word.
    #[must_use]
    pub fn without_any_value(&self, text: &str) -> String {
        let vars = self.config_vars().filter(|(name, value)| {
            *name != app_dir::CONFIG_VAR && value.contains(char::is_alphanumeric)
        });
        vars.fold(self.without_values(text), |text, (name, value)| {
            replace_word(&text, value.trim(), &format!("${name}"))
        })
    }

    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.process.get(OsStr::new("HOME")).map(PathBuf::from)
    }

    /// Returns the variables for the app's own commands, before those for tools are added. Excludes credentials for
    /// private dependencies, credentials in the URLs of mirrors, and URLs of mirrors that only Mixpack reads.
    #[must_use]
    pub fn for_commands(&self) -> Env {
        let mut env = self.process.clone();
        env.extend(self.config_vars.clone());
        for name in VARIABLES.into_iter().chain([OTP_BUILDS_URL]) {
            env.remove(OsStr::new(name));
        }
        // Exclude the credentials of the shared store: anyone who can write to it controls the code of other builds.
        env.retain(|name, _| !name.as_bytes().starts_with(STORE_PREFIX.as_bytes()));
        for name in MIRRORS {
            let url = env.get(OsStr::new(name)).and_then(|url| url.to_str());
            let url = url.and_then(Url::parse);
            if let Some(url) = url.and_then(|url| url.without_user_info()) {
                env.insert(name.into(), url.into());
            }
        }
        env
    }
}

/// Replaces a word, unless it is part of a longer one or follows a dollar sign.
fn replace_word(text: &str, word: &str, with: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in text.match_indices(word) {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        if before.is_none_or(|c| !is_part(c) && c != '$') && after.is_none_or(|c| !is_part(c)) {
            replaced.push_str(&text[end..at]);
            replaced.push_str(with);
            end = at + word.len();
        }
    }
    replaced.push_str(&text[end..]);
    replaced
}

/// Reads `ENV_DIR`: each file has the name and the value of a config var. A missing directory has none.
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
            // The environment of a process can't contain NUL.
            if !value.contains(&0) {
                vars.insert(entry.file_name(), OsString::from_vec(value));
            }
        }
    }
    Ok(vars)
}

/// Prepends directories to `PATH`, in their order.
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

/// Sets a variable, unless the user has set it.
pub fn default(env: &mut Env, name: &str, value: impl Into<OsString>) {
    env.entry(name.into()).or_insert_with(|| value.into());
}

/// The variables with the commit of the build, on various platforms.
pub const COMMITS: [&str; 2] = ["SOURCE_VERSION", "GIT_REV"];

/// Returns whether a variable contains the commit of the build. Code may embed it, and every push changes it.
#[must_use]
pub fn is_commit_variable(name: &str) -> bool {
    COMMITS.contains(&name)
}

/// Returns whether a variable identifies the build or the process, without affecting the result.
#[must_use]
pub fn is_build_specific(name: &str) -> bool {
    const NAMES: [&str; 18] = [
        "BUILDPACK_LOG_FILE",
        "BUILDPACK_XTRACE",
        "CACHE_PATH",
        "CNB_BUILDPACK_DIR",
        "CURL_CONNECT_TIMEOUT",
        "CURL_TIMEOUT",
        "DYNO",
        "ENV_PATH",
        "HOME",
        "HOSTNAME",
        "OLDPWD",
        "PATH",
        "PORT",
        "PWD",
        "REQUEST_ID",
        "SHLVL",
        "SOURCE_VERSION",
        "_",
    ];
    // Also Mixpack's own settings, since their effects are part of the plan.
    NAMES.contains(&name)
        || name.starts_with("MIXPACK_")
        || name.starts_with("TMP")
        || name.starts_with("HEROKU_SLUG_")
        || name.starts_with("HEROKU_RELEASE_")
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
    fn config_var_overrides_platform_unless_denied() {
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
    fn denied_config_var_is_not_read_from_platform() {
        let config_vars = env(&[
            ("LD_PRELOAD", "/evil.so"),
            ("BASH_ENV", "/evil.sh"),
            ("PATH", "/evil"),
            ("HOME", "/evil"),
            ("LD_LIBRARY_PATH", "/evil"),
            ("BASH_FUNC_ls%%", "() { evil; }"),
            ("ERL_FLAGS", "+P 5000000"),
        ]);
        let mut process = config_vars.clone();
        // The platform's own value.
        process.insert("LD_LIBRARY_PATH".into(), "/platform".into());
        process.insert("GIT_WORK_TREE".into(), "/repository".into());
        let seen = Environment::new(process, config_vars).for_commands();
        let expected = [
            ("ERL_FLAGS", "+P 5000000"),
            ("HOME", "/evil"),
            ("LD_LIBRARY_PATH", "/platform"),
            ("PATH", "/evil"),
        ];
        assert_eq!(seen, env(&expected));
    }

    #[test]
    fn config_var_values_are_replaced_by_names_in_text() {
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
    fn env_dir_values_are_preserved_byte_for_byte() {
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
    fn prepend_path_puts_directories_first() {
        let mut vars = env(&[("PATH", "/usr/bin")]);
        prepend_path(&mut vars, &["/a".into(), "/b".into()]);
        assert_eq!(vars[OsStr::new("PATH")], "/a:/b:/usr/bin");
    }
}
