//! What was done to the runtime path, written into it, and how that is undone.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use store::json;
use store::tree::{self, TreeError};

/// What we did to the runtime path, kept in it so that the next build can heal it if this one is
/// killed.
pub(super) const MARKER: &str = ".mixpack-links.json";
/// It is renamed once it is whole.
pub(super) const MARKER_IN_THE_MAKING: &str = ".mixpack-links.json.new";
/// Where entries of the runtime path that are in the way spend the build.
pub(super) const ASIDE: &str = ".mixpack-aside";

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Marker {
    /// Relative to the runtime path. In the order of a set, parents come first.
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
        let new = runtime.join(MARKER_IN_THE_MAKING);
        fs::write(&new, json)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(TreeError::at(&path, "write"))
    }
}

/// Undoes what the marker of a build that was killed tells of. What that build made in folders of
/// ours goes too: another build would take it for the app's.
pub(super) fn heal(runtime: &Path) -> Result<(), TreeError> {
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

/// Removes links, folders that are empty without them, and brings back what was moved aside.
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
    let aside = runtime.join(ASIDE);
    for name in &marker.aside {
        let kept = aside.join(name);
        if kept.symlink_metadata().is_ok() {
            tree::remove(&runtime.join(name))?;
            fs::rename(&kept, runtime.join(name)).map_err(TreeError::at(&kept, "move back"))?;
        }
    }
    let _ = fs::remove_dir(&aside);
    tree::remove(&runtime.join(MARKER_IN_THE_MAKING))?;
    tree::remove(&runtime.join(MARKER))
}
