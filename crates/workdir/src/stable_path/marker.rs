//! The marker in the runtime path, with the changes to undo.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use store::json;
use store::tree::{self, TreeError};

/// The file with the changes to the runtime path, so that the next build can undo them if this one is killed.
pub(super) const MARKER: &str = ".mixpack-links.json";
/// The name of the marker until it is complete.
pub(super) const TEMPORARY_MARKER: &str = ".mixpack-links.json.new";
/// The directory for entries of the runtime path that are in the way, until the build has ended.
pub(super) const BACKUP_DIR: &str = ".mixpack-aside";

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Marker {
    /// Paths relative to the runtime path. In the order of a set, parents come first.
    #[serde(with = "json::paths")]
    pub folders: BTreeSet<PathBuf>,
    #[serde(with = "json::paths")]
    pub links: BTreeSet<PathBuf>,
    #[serde(with = "json::paths")]
    pub aside: Vec<PathBuf>,
}

impl Marker {
    pub(super) fn save(&self, runtime: &Path) -> Result<(), TreeError> {
        let path = runtime.join(MARKER);
        let json = json::to_vec(self, &path)?;
        let new = runtime.join(TEMPORARY_MARKER);
        fs::write(&new, json)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(TreeError::at(&path, "write"))
    }
}

/// Undoes the changes in the marker of a killed build. Also removes the files that it created in Mixpack's
/// directories: another build would take them for files of the app.
pub(super) fn clean_up(runtime: &Path) -> Result<(), TreeError> {
    let path = runtime.join(MARKER);
    let Ok(json) = fs::read(&path) else {
        return Ok(());
    };
    let mut marker: Marker = serde_json::from_slice(&json).unwrap_or_default();
    let is_below = |path: &PathBuf| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::Normal(_))) && !path.as_os_str().is_empty()
    };
    marker.folders.retain(is_below);
    marker.links.retain(is_below);
    marker.aside.retain(is_below);
    for folder in &marker.folders {
        let place = runtime.join(folder);
        if place.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            tree::remove(&place)?;
        }
    }
    undo(runtime, &marker)
}

/// Removes links and the directories that are empty without them, and restores the backups.
pub(super) fn undo(runtime: &Path, marker: &Marker) -> Result<(), TreeError> {
    for link in &marker.links {
        let place = runtime.join(link);
        if place.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
            fs::remove_file(&place).map_err(TreeError::at(&place, "remove the link"))?;
        }
    }
    for folder in marker.folders.iter().rev() {
        let _ = fs::remove_dir(runtime.join(folder));
    }
    let aside = runtime.join(BACKUP_DIR);
    for name in &marker.aside {
        let backup = aside.join(name);
        if backup.symlink_metadata().is_ok() {
            tree::remove(&runtime.join(name))?;
            fs::rename(&backup, runtime.join(name)).map_err(TreeError::at(&backup, "move back"))?;
        }
    }
    let _ = fs::remove_dir(&aside);
    tree::remove(&runtime.join(TEMPORARY_MARKER))?;
    tree::remove(&runtime.join(MARKER))
}
