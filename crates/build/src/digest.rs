//! Digests of files, folders and variables: what a later build compares.

use crate::command::Env;
use crate::store::Store;
use crate::tree::TreeError;
use crate::variables::Variables;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

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
    Ok(hex::encode(hasher.finalize()))
}

/// Four bytes of the SHA-256 of a value, in hex: enough to see that it has changed.
pub(crate) fn short(value: &[u8]) -> String {
    hex::encode(&Sha256::digest(value)[..4])
}

/// Digests of files and links, and of those that folders hold, by their paths, which are relative to
/// `root`. Those that are `skipped` don't count, nor does what git keeps of itself. Links count, and so do
/// the files that they lead to. A path that is missing, or a folder without files, has no digest.
pub(crate) fn of_each(
    root: &Path,
    paths: &[String],
    skipped: impl Fn(&Path) -> bool,
) -> io::Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for path in paths {
        let walk = WalkDir::new(root.join(path))
            .sort_by_file_name()
            .follow_links(true)
            .into_iter();
        let name = |entry: &DirEntry| entry.path().strip_prefix(root).map(Path::to_owned);
        let walk = walk.filter_entry(|entry| {
            entry.file_name() != ".git" && !name(entry).is_ok_and(|name| skipped(&name))
        });
        let mut hasher = Sha256::new();
        let mut is_empty = true;
        for entry in walk {
            let (place, is_file) = match entry {
                Ok(entry) => (entry.path().to_owned(), entry.file_type().is_file()),
                // A link that leads nowhere, or to a folder above it, counts as a link.
                Err(error) => match error.path() {
                    Some(place) if place.is_symlink() => (place.to_owned(), false),
                    _ if error.io_error().map(io::Error::kind) == Some(io::ErrorKind::NotFound) => {
                        continue;
                    }
                    _ => return Err(error.into()),
                },
            };
            let link = fs::read_link(&place).ok();
            if !is_file && link.is_none() {
                continue;
            }
            let name = place.strip_prefix(root).unwrap_or(&place);
            hasher.update(name.as_os_str().as_bytes());
            if let Some(target) = link {
                hasher.update(format!(
                    "link to {}",
                    hex::encode(target.as_os_str().as_bytes())
                ));
            }
            if is_file {
                hasher.update(sha256_of(&place)?);
            }
            is_empty = false;
        }
        if !is_empty {
            digests.insert(path.clone(), hex::encode(hasher.finalize()));
        }
    }
    Ok(digests)
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
        let salt = hex::encode(bytes);
        store.write_note(SALT, &salt)?;
        Ok(Self { salt })
    }

    /// Of one value, in hex.
    pub(crate) fn value(&self, value: &[u8]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(&self.salt);
        hasher.update(value);
        hex::encode(&hasher.finalize()[..8])
    }

    /// Of each variable whose name `counts` accepts, and of those whose names are not UTF-8.
    pub(crate) fn variables(&self, env: &Env, counts: impl Fn(&str) -> bool) -> Variables {
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
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;

    #[test]
    fn digests_of_variables_depend_on_the_value_and_on_the_cache() {
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
    fn variables_whose_names_are_not_utf_8_count() {
        let dir = tempfile::tempdir().unwrap();
        let salted = Salted::of(&CacheDir::open(dir.path()).unwrap()).unwrap();
        let name = |byte: u8| OsStr::from_bytes(&[b'A', byte]).to_owned();
        let digests = |value: &str| {
            let env = Env::from([(name(0xfe), "1".into()), (name(0xff), value.into())]);
            salted.variables(&env, |_| false)
        };
        assert_ne!(digests("1"), digests("2"));
    }

    #[test]
    fn digests_of_files_see_names_bytes_and_links_but_not_what_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let paths = ["a.json", "patches", "missing"].map(str::to_owned);
        let skipped = |path: &Path| path == Path::new("patches/node_modules");
        let digests = || of_each(dir.path(), &paths, skipped).unwrap();
        write("a.json", "{}");
        write("patches/x.patch", "1");
        let first = digests();
        assert_eq!(first.keys().collect::<Vec<_>>(), ["a.json", "patches"]);
        write("other", "x");
        write("patches/node_modules/y", "x");
        write("patches/.git/HEAD", "x");
        assert_eq!(digests(), first);
        let mut seen = vec![first];
        let mut changed = || {
            let digests = digests();
            assert!(!seen.contains(&digests));
            seen.push(digests);
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
