//! Where package managers keep what they have downloaded.

use crate::command::Env;
use crate::secrets::user_infos;
use crate::store::Store;
use crate::tree::{self, TreeError};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The download caches of npm, yarn, pnpm and bun.
///
/// They write down the address of what they keep. Where that of the registry holds credentials, the
/// caches go with this build, and so does what another build may have left in them.
pub(crate) struct Downloads<'a> {
    store: &'a dyn Store,
    for_once: Option<TempDir>,
}

impl<'a> Downloads<'a> {
    pub(crate) fn of(store: &'a dyn Store, env: &Env) -> Result<Self, TreeError> {
        let with_credentials = env.iter().any(|(name, value)| {
            let name = name.to_string_lossy().to_ascii_lowercase();
            name.contains("registry") && !user_infos(&value.to_string_lossy()).is_empty()
        });
        let for_once = if with_credentials {
            let made = tempfile::Builder::new().prefix("mixpack-npm-").tempdir();
            Some(made.map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?)
        } else {
            None
        };
        Ok(Self { store, for_once })
    }

    /// The folder for one of them.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, TreeError> {
        let lasting = self.store.scratch(name)?;
        let Some(for_once) = &self.for_once else {
            return Ok(lasting);
        };
        tree::remove(&lasting)?;
        let folder = for_once.path().join(name);
        fs::create_dir_all(&folder).map_err(TreeError::at(&folder, "create the folder"))?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CacheDir;

    #[test]
    fn a_registry_with_credentials_leaves_nothing_in_the_cache() {
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
