//! Digests of files, folders and variables: what a later build compares.

use crate::command::Env;
use crate::store::Store;
use crate::tree::TreeError;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The SHA-256 of a file, in hex.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Four bytes of the SHA-256 of a value, in hex: enough to see that it has changed.
pub(crate) fn short(value: &[u8]) -> String {
    hex(&Sha256::digest(value)[..4])
}

/// A digest of files and links, and of those in folders, by their names: `paths` are relative to
/// `root`, and those that are `skipped` don't count, nor does what git keeps of itself. A missing path
/// counts as such.
pub(crate) fn of_paths(
    root: &Path,
    paths: &[String],
    skipped: impl Fn(&Path) -> bool,
) -> io::Result<String> {
    let mut hasher = Sha256::new();
    for path in paths {
        let walk = WalkDir::new(root.join(path))
            .sort_by_file_name()
            .into_iter();
        let name = |entry: &DirEntry| entry.path().strip_prefix(root).map(Path::to_owned);
        let walk = walk.filter_entry(|entry| {
            entry.file_name() != ".git" && !name(entry).is_ok_and(|name| skipped(&name))
        });
        hasher.update(path);
        for entry in walk {
            let entry = match entry.map_err(io::Error::from) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entry => entry?,
            };
            let bytes = match entry.file_type() {
                kind if kind.is_file() => sha256_of(entry.path())?,
                kind if kind.is_symlink() => {
                    let target = fs::read_link(entry.path())?;
                    // Of a lockfile that is a link, the bytes count.
                    let bytes = if entry.path().is_file() {
                        sha256_of(entry.path())?
                    } else {
                        String::new()
                    };
                    format!("link to {} {bytes}", hex(target.as_os_str().as_bytes()))
                }
                _ => continue,
            };
            let name = name(&entry).unwrap_or_else(|_| entry.path().to_owned());
            hasher.update(name.as_os_str().as_bytes());
            hasher.update(bytes);
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// The name of the note that holds the salt.
const SALT: &str = "salt";

/// Digests of variables with a salt that this cache alone has: from a digest nobody learns the
/// value by trying some.
pub(crate) struct Salted {
    salt: String,
}

impl Salted {
    pub(crate) fn of(store: &dyn Store) -> Result<Self, TreeError> {
        if let Some(salt) = store.read_note(SALT).filter(|salt| salt.len() == 32) {
            return Ok(Self { salt });
        }
        let source = Path::new("/dev/urandom");
        let mut bytes = [0; 16];
        File::open(source)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(TreeError::at(source, "read"))?;
        let salt = hex(&bytes);
        store.write_note(SALT, &salt)?;
        Ok(Self { salt })
    }

    /// Of one value, in hex.
    pub(crate) fn value(&self, value: &[u8]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.salt);
        hasher.update(value);
        hex(&hasher.finalize()[..8])
    }

    /// Of all variables whose names `counts` wants.
    pub(crate) fn variables(&self, env: &Env, counts: impl Fn(&str) -> bool) -> String {
        let mut text = Vec::new();
        for (name, value) in env {
            if name.to_str().is_none_or(&counts) {
                for part in [name, value] {
                    text.extend(part.len().to_le_bytes());
                    text.extend(part.as_bytes());
                }
            }
        }
        self.value(&text)
    }
}

/// Variables with the commit that is built. Code may show them, and they are new with every push.
pub(crate) fn names_the_commit(name: &str) -> bool {
    ["SOURCE_VERSION", "GIT_REV"].contains(&name)
}

/// Variables that tell one build or process from another, and nothing of what is built.
pub(crate) fn tells_builds_apart(name: &str) -> bool {
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
    // Our own settings too: what they change is in the plan.
    NAMES.contains(&name)
        || name.starts_with("MIXPACK_")
        || name.starts_with("TMP")
        || name.starts_with("HEROKU_SLUG_")
        || name.starts_with("HEROKU_RELEASE_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CacheDir;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_digest_of_variables_changes_with_values_and_caches_but_not_with_the_build() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(&dir.path().join("one")).unwrap();
        let salted = Salted::of(&store).unwrap();
        let env = |pairs: &[(&str, &str)]| -> Env {
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect()
        };
        let all = |salted: &Salted, env: &Env| salted.variables(env, |n| !tells_builds_apart(n));
        let first = all(&salted, &env(&[("API", "a"), ("REQUEST_ID", "1")]));
        let again = Salted::of(&store).unwrap();
        assert_eq!(
            first,
            all(&again, &env(&[("API", "a"), ("REQUEST_ID", "2")]))
        );
        assert_ne!(first, all(&again, &env(&[("API", "b")])));
        let other = CacheDir::open(&dir.path().join("two")).unwrap();
        let other = Salted::of(&other).unwrap();
        assert_ne!(first, all(&other, &env(&[("API", "a")])));
    }

    #[test]
    fn a_digest_of_files_sees_names_bytes_and_links_but_not_what_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let paths = ["a.json", "patches", "missing"].map(str::to_owned);
        let skipped = |path: &Path| path == Path::new("patches/node_modules");
        let digest = || of_paths(dir.path(), &paths, skipped).unwrap();
        write("a.json", "{}");
        write("patches/x.patch", "1");
        let first = digest();
        write("other", "x");
        write("patches/node_modules/y", "x");
        write("patches/.git/HEAD", "x");
        assert_eq!(digest(), first);
        let mut seen = vec![first];
        let mut changed = || {
            let digest = digest();
            assert!(!seen.contains(&digest));
            seen.push(digest);
        };
        write("patches/x.patch", "2");
        changed();
        write("patches/a/node_modules/y", "x");
        changed();
        symlink("x.patch", dir.path().join("patches/link")).unwrap();
        changed();
        write("elsewhere", "{}");
        symlink("elsewhere", dir.path().join("missing")).unwrap();
        changed();
        write("elsewhere", "{ }");
        changed();
    }
}
