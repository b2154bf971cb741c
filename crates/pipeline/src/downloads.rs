//! The download caches of JavaScript package managers.

use exec::command::Env;
use exec::secrets::user_infos;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use store::Store;
use store::tree::{self, TreeError};
use tempfile::TempDir;
use walkdir::WalkDir;

/// The download caches of npm, yarn, pnpm and bun.
///
/// These caches contain the URLs of downloads. If the registry's URL contains credentials, the caches are temporary,
/// and those of earlier builds are removed.
pub(crate) struct Downloads<'a> {
    store: &'a dyn Store,
    temporary: Option<TempDir>,
    folders: Mutex<Vec<PathBuf>>,
    /// Whether all installed packages are cached themselves, so that their downloads aren't needed.
    installed: AtomicBool,
}

/// The directory of npm's logs, which npm up to version 6 always writes when it fails. They may contain URLs with
/// credentials.
const LOGS: &str = "_logs";

impl Drop for Downloads<'_> {
    fn drop(&mut self) {
        let installed = *self.installed.get_mut();
        let folders = self.folders.get_mut();
        for folder in folders.unwrap_or_else(PoisonError::into_inner) {
            // A failure can't be reported any more.
            let _ = if installed {
                tree::remove(folder)
            } else {
                tree::remove(&folder.join(LOGS))
            };
        }
    }
}

impl<'a> Downloads<'a> {
    pub(crate) fn of(store: &'a dyn Store, env: &Env) -> Result<Self, TreeError> {
        let with_credentials = env.iter().any(|(name, value)| {
            let name = name.to_string_lossy().to_ascii_lowercase();
            name.contains("registry") && !user_infos(&value.to_string_lossy()).is_empty()
        });
        let temporary = if with_credentials {
            let made = tempfile::Builder::new().prefix("mixpack-npm-").tempdir();
            Some(made.map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?)
        } else {
            None
        };
        Ok(Self {
            store,
            temporary,
            folders: Mutex::default(),
            installed: AtomicBool::default(),
        })
    }

    /// Drops the caches at the end of the build, since the packages are cached in these directories, as installed.
    ///
    /// Keeps them if a package is a link into a download cache.
    pub(crate) fn are_installed_in<'p>(&self, directories: impl Iterator<Item = &'p Path>) {
        let folders = self.folders.lock();
        let folders = folders.unwrap_or_else(PoisonError::into_inner);
        let mut entries = directories.flat_map(|dir| WalkDir::new(dir).into_iter().flatten());
        let leads_there = entries.any(|entry| {
            entry.path_is_symlink()
                && fs::read_link(entry.path())
                    .is_ok_and(|target| folders.iter().any(|folder| target.starts_with(folder)))
        });
        self.installed.store(!leads_there, Ordering::Relaxed);
    }

    /// The directory for the cache of a package manager.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, TreeError> {
        let lasting = self.store.scratch(name)?;
        let Some(temporary) = &self.temporary else {
            let lock = self.folders.lock();
            let mut folders = lock.unwrap_or_else(PoisonError::into_inner);
            folders.push(lasting.clone());
            return Ok(lasting);
        };
        tree::remove(&lasting)?;
        let folder = temporary.path().join(name);
        fs::create_dir_all(&folder).map_err(TreeError::at(&folder, "create the folder"))?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::CacheDir;

    #[test]
    fn npm_logs_are_not_cached() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let downloads = Downloads::of(&store, &Env::new()).unwrap();
        let npm = downloads.folder("npm").unwrap();
        fs::create_dir(npm.join(LOGS)).unwrap();
        fs::write(npm.join("_logs/debug.log"), "https://me:secret@npm.example").unwrap();
        fs::write(npm.join("index"), "kept").unwrap();
        drop(downloads);
        assert!(!npm.join(LOGS).exists() && npm.join("index").exists());
    }

    #[test]
    fn cached_packages_replace_their_download_cache_unless_they_link_into_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let modules = tempfile::tempdir().unwrap();
        for linked in [true, false] {
            let downloads = Downloads::of(&store, &Env::new()).unwrap();
            let bun = downloads.folder("bun").unwrap();
            let (link, package) = (modules.path().join("package"), bun.join("package"));
            fs::write(&package, "content").unwrap();
            if linked {
                std::os::unix::fs::symlink(&package, &link).unwrap();
            } else {
                fs::remove_file(&link).unwrap();
            }
            downloads.are_installed_in([modules.path()].into_iter());
            drop(downloads);
            assert_eq!(bun.exists(), linked);
        }
    }

    #[test]
    fn registry_with_credentials_is_not_cached() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let env = |url: &str| Env::from([("npm_config_registry".into(), url.into())]);
        let without = Downloads::of(&store, &env("https://npm.example")).unwrap();
        let lasting = without.folder("npm").unwrap();
        fs::write(lasting.join("index"), "https://me:secret@npm.example").unwrap();
        let with = Downloads::of(&store, &env("https://me:secret@npm.example")).unwrap();
        let folder = with.folder("npm").unwrap();
        assert!(folder.is_dir() && !folder.starts_with(dir.path()));
        assert!(!lasting.exists());
        drop(with);
        assert!(!folder.exists());
    }
}
