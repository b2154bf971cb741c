//! Salted digests of environment variables, which later builds compare.

use crate::workspace::Workspace;
use exec::command::Env;
use memchr::memmem;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use store::Store;
use store::tree::TreeError;

/// The digest of each variable's value, by name.
pub type Variables = BTreeMap<String, String>;

/// Other buildpacks' names for the arguments of `bin/compile`.
const DIRECTORIES: [&str; 3] = ["BUILD_DIR", "CACHE_DIR", "ENV_DIR"];
/// Placeholders for the directories of a build. Values can't contain NUL.
const APP: &[u8] = b"\0app\0";
const CACHE: &[u8] = b"\0cache\0";
const ENV: &[u8] = b"\0env\0";

impl Workspace<'_> {
    /// Returns digests of the variables whose names `counts` accepts. Paths of the build's directories, which are new
    /// in every build, are replaced by placeholders.
    pub fn variables(
        &self,
        env: &Env,
        counts: impl Fn(&str) -> bool,
    ) -> Result<Variables, TreeError> {
        let directories = self.directories();
        let comparable = env
            .iter()
            .filter(|(name, value)| !self.is_argument(name, value));
        let comparable = comparable.map(|(name, value)| {
            let value = without(&directories, value.as_bytes().to_vec());
            (name.clone(), OsString::from_vec(value))
        });
        let salted = Salted::of(self.store)?;
        Ok(salted.variables(&comparable.collect(), counts))
    }

    /// Whether the platform passes a directory in this variable. A config var with the same name belongs to the app.
    fn is_argument(&self, name: &OsStr, value: &OsStr) -> bool {
        let Some(name) = name.to_str().filter(|name| DIRECTORIES.contains(name)) else {
            return false;
        };
        let is_platform = self.environment.platform(name).as_deref() == value.to_str();
        let is_config_var = self.environment.config_var(name).is_some();
        is_platform && !is_config_var && Path::new(value).is_absolute()
    }

    /// Returns the directories of this build under all their names, the longest first.
    fn directories(&self) -> Vec<(PathBuf, &'static [u8])> {
        let named = [
            (Some(self.build_dir.clone()), APP),
            (self.store.shared(), CACHE),
            (self.env_dir.clone(), ENV),
        ];
        let named = named
            .into_iter()
            .filter_map(|(dir, mark)| Some((dir?, mark)));
        let mut directories: Vec<(PathBuf, &'static [u8])> = named
            .flat_map(|(dir, mark)| {
                let real = dir.canonicalize().unwrap_or_else(|_| dir.clone());
                [(dir, mark), (real, mark)]
            })
            .filter(|(dir, _)| dir.is_absolute() && dir.parent().is_some())
            .collect();
        directories.sort_by_key(|(dir, _)| std::cmp::Reverse(dir.as_os_str().len()));
        directories
    }
}

fn without(directories: &[(PathBuf, &'static [u8])], value: Vec<u8>) -> Vec<u8> {
    directories.iter().fold(value, |value, (dir, mark)| {
        let dir = dir.as_os_str().as_bytes();
        let mut replaced = Vec::new();
        let mut copied = 0;
        for at in memmem::find_iter(&value, dir) {
            replaced.extend_from_slice(&value[copied..at]);
            replaced.extend_from_slice(mark);
            copied = at + dir.len();
        }
        replaced.extend_from_slice(&value[copied..]);
        replaced
    })
}

/// The name of the note with the salt.
const SALT: &str = "salt";

/// Digests of variables with a secret salt, stored in the cache, so that values can't be guessed from their digests.
pub struct Salted {
    salt: String,
}

impl Salted {
    pub fn of(store: &dyn Store) -> Result<Self, TreeError> {
        if let Some(salt) = store.read_note(SALT).filter(|salt| salt.len() == 32) {
            return Ok(Self { salt });
        }
        let source = Path::new("/dev/urandom");
        let mut bytes = [0; 16];
        File::open(source)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(TreeError::at(source, "read"))?;
        let salt = hex::encode(bytes);
        store.write_note(SALT, &salt)?;
        Ok(Self { salt })
    }

    #[must_use]
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// Returns the digest of a value, in hex.
    #[must_use]
    pub fn value(&self, value: &[u8]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.salt);
        hasher.update(value);
        hex::encode(&hasher.finalize()[..8])
    }

    /// Returns the digests of variables whose names `counts` accepts, and of those whose names aren't UTF-8.
    pub fn variables(&self, env: &Env, counts: impl Fn(&str) -> bool) -> Variables {
        let mut digests = Variables::new();
        for (name, value) in env {
            if name.to_str().is_none_or(&counts) {
                let digest = digests.entry(name.to_string_lossy().into_owned());
                digest.or_default().push_str(&self.value(value.as_bytes()));
            }
        }
        digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Places, Start};
    use exec::environment::Environment;
    use exec::environment::is_build_specific;
    use std::fs;
    use store::CacheDir;

    fn env(pairs: &[(&str, &str)]) -> Env {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    /// The variables of a build in directories with this number in their names.
    fn build(
        cache: &Path,
        number: u32,
        platform: &[(&str, &str)],
        vars: &[(&str, &str)],
    ) -> Variables {
        let root = cache.parent().unwrap();
        let here = |name: &str| root.join(format!("{name}{number}"));
        let fill = |pairs: &[(&str, &str)]| {
            let mut env = env(pairs);
            for value in env.values_mut() {
                let text = value.to_str().unwrap();
                let text = text.replace("{app}", here("app").to_str().unwrap());
                *value = text.replace("{env}", here("env").to_str().unwrap()).into();
            }
            env
        };
        for dir in ["app", "env"] {
            fs::create_dir_all(here(dir)).unwrap();
        }
        let store = CacheDir::open(cache).unwrap();
        let environment = Environment::new(fill(platform), fill(vars));
        let workspace = Workspace {
            app: here("app").canonicalize().unwrap(),
            build_dir: here("app"),
            places: Places::in_slug(),
            store: &store,
            env_dir: Some(here("env")),
            start: Start::FrontEnd,
            environment,
        };
        let env = workspace.environment.for_commands();
        workspace
            .variables(&env, |name| !is_build_specific(name))
            .unwrap()
    }

    #[test]
    fn build_directories_do_not_change_digest() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let cache_dir = cache.to_str().unwrap();
        let platform = [
            ("BUILD_DIR", "{app}"),
            ("CACHE_DIR", cache_dir),
            ("ENV_DIR", "{env}"),
            ("SOURCE_ROOT", "{app}/src:{env}"),
            ("REQUEST_ID", "{app}"),
        ];
        let vars = [("NODE_PATH", "{app}/deps"), ("API", "a")];
        let first = build(&cache, 1, &platform, &vars);
        assert_eq!(build(&cache, 2, &platform, &vars), first);
        let names: Vec<&String> = first.keys().collect();
        assert_eq!(names, ["API", "NODE_PATH", "SOURCE_ROOT"]);
    }

    #[test]
    fn platform_directories_are_ignored_and_config_vars_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let of_platform = |value| build(&cache, 1, &[("BUILD_DIR", value)], &[]);
        assert_eq!(of_platform("/elsewhere/1"), of_platform("/elsewhere/2"));
        assert_ne!(of_platform("dist"), of_platform("public"));
        let of_app = |value| build(&cache, 1, &[("BUILD_DIR", value)], &[("BUILD_DIR", value)]);
        assert_ne!(of_app("/elsewhere/1"), of_app("/elsewhere/2"));
        assert_eq!(of_app("{app}"), of_app("{app}"));
    }

    #[test]
    fn different_directory_changes_digest() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let paths = |value| build(&cache, 1, &[], &[("NODE_PATH", value)]);
        assert_ne!(paths("{app}/deps"), paths("{app}/vendor"));
        assert_ne!(paths("{app}"), paths("{env}"));
    }

    #[test]
    fn variable_digests_depend_on_value_and_cache_salt() {
        let dir = tempfile::tempdir().unwrap();
        let store = |name: &str| CacheDir::open(&dir.path().join(name)).unwrap();
        let salted = |name: &str| Salted::of(&store(name)).unwrap();
        let env = |value: &str| Env::from([("API".into(), value.into()), ("B".into(), "b".into())]);
        let digests = |cache: &str, value: &str| salted(cache).variables(&env(value), |n| n != "B");
        let first = digests("one", "a");
        assert_eq!(first.keys().collect::<Vec<_>>(), ["API"]);
        assert_eq!(first["API"].len(), 16);
        assert_eq!(first, digests("one", "a"));
        assert_ne!(first, digests("one", "b"));
        assert_ne!(first, digests("two", "a"));
    }

    #[test]
    fn variables_with_non_utf_8_names_change_digest() {
        let dir = tempfile::tempdir().unwrap();
        let salted = Salted::of(&CacheDir::open(dir.path()).unwrap()).unwrap();
        let name = |byte: u8| OsStr::from_bytes(&[b'A', byte]).to_owned();
        let digests = |value: &str| {
            let env = Env::from([(name(0xfe), "1".into()), (name(0xff), value.into())]);
            salted.variables(&env, |_| false)
        };
        assert_ne!(digests("1"), digests("2"));
    }
}
