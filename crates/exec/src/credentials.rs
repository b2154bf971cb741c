//! Credentials for private dependencies. Only the command that fetches dependencies gets them.

pub use crate::credential_variables::{
    GIT_CREDENTIALS, GIT_SSH_KEY, HEX_ORGANIZATION_KEYS, OTP_BUILDS_URL,
};

use crate::command::Env;
use crate::credential_variables::{HEX_MIRROR, HEX_REPOS_KEY};
use crate::environment::{Environment, default};
use fetch::{Url, UserInfo};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use store::tree::TreeError;
use tempfile::TempDir;

/// The script that gives keys to Hex, in the VM that fetches dependencies.
const HEX_CREDENTIALS_SOURCE: &str = include_str!("hex_credentials.exs");
/// Its task, which gives the keys to Hex and then runs another task.
pub const CREDENTIALS_TASK: &str = "mixpack.hex_credentials";

/// Variables with keys for hooks. Every command sees them, but the log masks them.
const HOOK_VARIABLES: [&str; 1] = ["HEX_API_KEY"];

/// The credentials from config vars, not yet written to files.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The valid lines of [`GIT_CREDENTIALS`].
    git: Vec<String>,
    ssh_key: Option<String>,
    hex_repos_key: Option<String>,
    /// The URL of the mirror, if it contains user info.
    hex_mirror: Option<String>,
    /// The valid entries of [`HEX_ORGANIZATION_KEYS`]: organisation and key.
    organizations: Vec<(String, String)>,
    /// Values of [`HOOK_VARIABLES`].
    hook_secrets: Vec<String>,
    /// Warnings about invalid entries, by their number from 1.
    warnings: Vec<String>,
}

/// Credentials on disk. Dropping this removes them.
pub struct TemporaryCredentials {
    /// The environment of the command that may use them.
    pub env: Env,
    /// A script to load with `elixir -r` before mix. It defines [`CREDENTIALS_TASK`].
    pub script: Option<PathBuf>,
    _folder: Option<TempDir>,
}

impl Credentials {
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let mut credentials = Self::default();
        let lines = environment.get(GIT_CREDENTIALS).unwrap_or_default();
        for (number, line) in (1..).zip(lines.lines().map(str::trim)) {
            if user_info(line).is_some() {
                credentials.git.push(line.to_owned());
            } else if !line.is_empty() {
                credentials.warnings.push(format!(
                    "line {number} of {GIT_CREDENTIALS} is not https://USER:TOKEN@HOST: not used"
                ));
            }
        }
        let entries = environment.get(HEX_ORGANIZATION_KEYS).unwrap_or_default();
        let entries = entries
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|entry| !entry.is_empty());
        for (number, entry) in (1..).zip(entries) {
            if let Some((organization, key)) = organization_key(entry) {
                let pair = (organization.to_owned(), key.to_owned());
                credentials.organizations.push(pair);
            } else {
                credentials.warnings.push(format!(
                    "entry {number} of {HEX_ORGANIZATION_KEYS} is not ORG:KEY: not used"
                ));
            }
        }
        credentials.hex_repos_key = environment.get(HEX_REPOS_KEY);
        credentials.hex_mirror = environment
            .get(HEX_MIRROR)
            .filter(|url| Url::parse(url).is_some_and(|url| url.user_info().is_some()));
        credentials.hook_secrets = HOOK_VARIABLES
            .iter()
            .filter_map(|name| environment.get(name))
            .collect();
        credentials.ssh_key = environment
            .get(GIT_SSH_KEY)
            .map(|key| key.trim().replace('\r', ""))
            .filter(|key| !key.is_empty());
        credentials
    }

    /// Returns the texts that the log must mask.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let of_git = self.git.iter().filter_map(|line| user_info(line));
        let of_git = of_git.flat_map(|user_info| {
            // The form in an HTTP header, the form as written, and the decoded form, which a server may repeat in an
            // error.
            let written = user_info.secrets().map(str::to_owned);
            [user_info.basic()]
                .into_iter()
                .chain(written)
                .chain(user_info.decoded_password())
        });
        let of_ssh = self.ssh_key.iter().flat_map(|key| key.lines());
        let of_organizations = self.organizations.iter().map(|(_, key)| key);
        let of_hex = self.hex_repos_key.iter().chain(of_organizations);
        let of_hex = of_hex.chain(&self.hook_secrets);
        of_git
            .chain(of_hex.map(|key| key.trim().to_owned()))
            .chain(
                of_ssh
                    .filter(|line| !line.starts_with("-----"))
                    .map(str::to_owned),
            )
            .collect()
    }

    /// Returns warnings for the user, without any value.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns whether there are credentials that need a separate environment.
    #[must_use]
    pub fn need_environment(&self) -> bool {
        self.hex_mirror.is_some() || self.are_files()
    }

    fn are_files(&self) -> bool {
        !self.git.is_empty()
            || self.ssh_key.is_some()
            || self.hex_repos_key.is_some()
            || !self.organizations.is_empty()
    }

    /// Writes them to files for git and Hex, in a directory that only this user can read.
    pub fn write_files(&self, env: &Env) -> Result<TemporaryCredentials, TreeError> {
        let mut env = env.clone();
        if let Some(url) = &self.hex_mirror {
            env.insert(HEX_MIRROR.into(), url.into());
        }
        if !self.are_files() {
            return Ok(TemporaryCredentials {
                env,
                script: None,
                _folder: None,
            });
        }
        let folder = tempfile::Builder::new()
            .prefix("mixpack-credentials-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        if !self.git.is_empty() {
            let store = folder.path().join("git");
            write(&store, &self.git.join("\n"))?;
            let helper = shell_words::quote(&store.to_string_lossy()).into_owned();
            add_git_config(
                &mut env,
                "credential.helper",
                &format!("store --file={helper}"),
            );
        }
        if let Some(key) = &self.ssh_key {
            let path = folder.path().join("ssh");
            write(&path, key)?;
            let (path, hosts) = (path.to_string_lossy(), folder.path().join("known_hosts"));
            // Accept unknown host keys: mix.lock pins the commit in any case.
            let command = format!(
                "ssh -i {} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={}",
                shell_words::quote(&path),
                shell_words::quote(&hosts.to_string_lossy())
            );
            default(&mut env, "GIT_SSH_COMMAND", command);
        }
        if let Some(key) = &self.hex_repos_key {
            write(&folder.path().join("repos_key"), key.trim())?;
        }
        let mut script = None;
        if self.hex_repos_key.is_some() || !self.organizations.is_empty() {
            let entries: Vec<String> = self
                .organizations
                .iter()
                .map(|(organization, key)| format!("{organization}:{key}"))
                .collect();
            write(&folder.path().join("organizations"), &entries.join("\n"))?;
            let path = folder.path().join("hex_credentials.exs");
            write(&path, HEX_CREDENTIALS_SOURCE)?;
            script = Some(path);
        }
        Ok(TemporaryCredentials {
            env,
            script,
            _folder: Some(folder),
        })
    }
}

fn write(path: &Path, text: &str) -> Result<(), TreeError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(path)
        // ssh rejects a key without a final newline.
        .and_then(|mut file| writeln!(file, "{text}"))
        .map_err(TreeError::at(path, "write"))
}

/// Adds a setting to those that git reads from its environment (git-config(1), `GIT_CONFIG_COUNT`). The user may have
/// set some too.
fn add_git_config(env: &mut Env, key: &str, value: &str) {
    let count: usize = env
        .get(OsStr::new("GIT_CONFIG_COUNT"))
        .and_then(|count| count.to_str()?.trim().parse().ok())
        .unwrap_or_default();
    let mut set = |name: String, value: &str| env.insert(name.into(), OsString::from(value));
    set(format!("GIT_CONFIG_KEY_{count}"), key);
    set(format!("GIT_CONFIG_VALUE_{count}"), value);
    set("GIT_CONFIG_COUNT".to_owned(), &(count + 1).to_string());
}

/// Returns the user and token of `http(s)://USER:TOKEN@HOST…`.
fn user_info(line: &str) -> Option<UserInfo<'_>> {
    let url = Url::parse(line)?;
    let user_info = url.user_info()?;
    let complete = !user_info.password()?.is_empty() && !url.host().is_empty();
    (matches!(url.scheme(), "https" | "http") && complete).then_some(user_info)
}

/// Returns the organisation and key of `ORG:KEY`. Rejects a key with a colon, as in `hexpm:ORG:KEY`, which Hex would
/// look up under another name.
fn organization_key(entry: &str) -> Option<(&str, &str)> {
    let (organization, key) = entry.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let named = !organization.is_empty() && organization.chars().all(plain);
    (named && !key.is_empty() && !key.contains(':')).then_some((organization, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let vars = pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Environment::new(Env::new(), vars.collect())
    }

    #[test]
    fn commands_get_no_credentials_and_log_masks_every_form() {
        let environment = environment(&[
            (
                GIT_CREDENTIALS,
                "https://me:t%40k%65n-one@git.example\r\n\nnonsense\n",
            ),
            (
                GIT_SSH_KEY,
                "-----BEGIN KEY-----\r\nAAAAkey\n-----END KEY-----",
            ),
            (HEX_REPOS_KEY, "key-of-an-organisation"),
            (
                HEX_ORGANIZATION_KEYS,
                "acme:key-of-acme, no-key-at-all\n\tother:key-of-other,hexpm:acme:key, :k,x:",
            ),
            ("OTHER", "x"),
        ]);
        assert_eq!(
            environment.for_commands(),
            Env::from([("OTHER".into(), "x".into())])
        );
        let credentials = Credentials::of(&environment);
        let secrets = credentials.secrets();
        assert_eq!(
            secrets,
            [
                "bWU6dEBrZW4tb25l",
                "me:t%40k%65n-one",
                "t%40k%65n-one",
                "t@ken-one",
                "key-of-an-organisation",
                "key-of-acme",
                "key-of-other",
                "AAAAkey"
            ]
        );
        let temporary = credentials.write_files(&Env::new()).unwrap();
        assert_eq!(
            credentials.warnings(),
            [
                "line 3 of GIT_CREDENTIALS is not https://USER:TOKEN@HOST: not used",
                "entry 2 of HEX_ORGANIZATION_KEYS is not ORG:KEY: not used",
                "entry 4 of HEX_ORGANIZATION_KEYS is not ORG:KEY: not used",
                "entry 5 of HEX_ORGANIZATION_KEYS is not ORG:KEY: not used",
                "entry 6 of HEX_ORGANIZATION_KEYS is not ORG:KEY: not used",
            ]
        );
        assert!(
            temporary
                .env
                .values()
                .all(|value| !value.to_string_lossy().contains("key-of-"))
        );
        let folder = temporary.script.as_deref().and_then(Path::parent).unwrap();
        let entries = folder.join("organizations");
        assert_eq!(
            fs::read_to_string(&entries).unwrap(),
            "acme:key-of-acme\nother:key-of-other\n"
        );
        let repos_key = folder.join("repos_key");
        assert_eq!(
            fs::read_to_string(&repos_key).unwrap(),
            "key-of-an-organisation\n"
        );
        for private in [&entries, &repos_key, folder] {
            assert_eq!(private.metadata().unwrap().permissions().mode() & 0o77, 0);
        }
        drop(temporary);
        assert!(!entries.exists());
    }

    #[test]
    fn git_credential_files_are_temporary() {
        let environment = environment(&[
            (GIT_CREDENTIALS, "https://me:s3cr3t-t0ken@git.example"),
            (GIT_SSH_KEY, "a key"),
        ]);
        let own = Env::from([
            ("GIT_CONFIG_COUNT".into(), "1".into()),
            ("GIT_CONFIG_KEY_0".into(), "user.name".into()),
            ("GIT_CONFIG_VALUE_0".into(), "me".into()),
        ]);
        let temporary = Credentials::of(&environment).write_files(&own).unwrap();
        assert_eq!(temporary.env[OsStr::new("GIT_CONFIG_COUNT")], "2");
        assert_eq!(
            temporary.env[OsStr::new("GIT_CONFIG_KEY_1")],
            "credential.helper"
        );
        let helper = temporary.env[OsStr::new("GIT_CONFIG_VALUE_1")]
            .to_str()
            .unwrap();
        let store = Path::new(helper.strip_prefix("store --file=").unwrap()).to_owned();
        let written = fs::read_to_string(&store).unwrap();
        assert_eq!(written, "https://me:s3cr3t-t0ken@git.example\n");
        let folder = store.parent().unwrap();
        for private in [&store, &folder.join("ssh")] {
            assert_eq!(private.metadata().unwrap().permissions().mode() & 0o77, 0);
        }
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o77, 0);
        let ssh = temporary.env[OsStr::new("GIT_SSH_COMMAND")]
            .to_str()
            .unwrap();
        assert!(
            ssh.contains(&folder.join("ssh").to_string_lossy().into_owned()),
            "{ssh}"
        );
        assert!(
            temporary
                .env
                .values()
                .all(|value| !value.to_string_lossy().contains("s3cr3t"))
        );
        drop(temporary);
        assert!(!store.exists());
    }

    #[test]
    fn only_fetch_command_gets_mirror_password() {
        let url = "https://me:s3cr3t@mirror/x";
        let environment = environment(&[("HEX_MIRROR", url), ("HEX_BUILDS_URL", url)]);
        let commands = environment.for_commands();
        let without = OsString::from("https://mirror/x");
        for name in ["HEX_MIRROR", "HEX_BUILDS_URL"] {
            assert_eq!(commands[OsStr::new(name)], without);
        }
        let credentials = Credentials::of(&environment);
        assert!(credentials.need_environment());
        let temporary = credentials.write_files(&commands).unwrap().env;
        assert_eq!(temporary[OsStr::new("HEX_MIRROR")], url);
        assert_eq!(temporary[OsStr::new("HEX_BUILDS_URL")], without);
    }

    #[test]
    fn repos_key_alone_creates_credential_script() {
        let credentials = Credentials::of(&environment(&[(HEX_REPOS_KEY, "key")]));
        assert!(credentials.need_environment());
        assert!(
            credentials
                .write_files(&Env::new())
                .unwrap()
                .script
                .is_some()
        );
    }

    #[test]
    fn environment_is_unchanged_without_credentials() {
        let own = Env::from([("A".into(), "b".into())]);
        let temporary = Credentials::of(&environment(&[]))
            .write_files(&own)
            .unwrap();
        assert_eq!(temporary.env, own);
        assert_eq!(temporary.script, None);
    }
}
