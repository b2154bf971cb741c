//! The contents and the modification times of a saved entry, to detect later changes without reading its
//! files.

use super::Stamps;
use crate::json;
use crate::tree::{self, Times, TreeError};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use walkdir::WalkDir;

/// A digest of a tree's metadata: paths, sizes, times in seconds (the precision of cache archives), and targets of
/// links.
pub(crate) fn contents_digest(tree: &Path) -> Result<String, TreeError> {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    for entry in WalkDir::new(tree)
        .sort_by_file_name()
        .follow_root_links(false)
    {
        let entry = entry.map_err(|error| TreeError::at(tree, "read")(error.into()))?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            // Skip empty directories, since archives may lose them.
            continue;
        }
        let relative = path.strip_prefix(tree).unwrap_or(path);
        field(relative.as_os_str().as_bytes());
        if entry.file_type().is_symlink() {
            let link = fs::read_link(path).map_err(TreeError::at(path, "read the link"))?;
            field(b"link");
            field(link.as_os_str().as_bytes());
        } else if entry.file_type().is_file() {
            let found = path
                .symlink_metadata()
                .map_err(TreeError::at(path, "read"))?;
            field(b"file");
            field(&found.len().to_le_bytes());
            field(&found.mtime().to_le_bytes());
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

/// Whether a file is the same as the saved one, and needn't be saved again.
///
/// Mix gives its manifests times in whole seconds, so those files are compared by content.
pub(crate) fn is_unchanged(path: &Path, metadata: &fs::Metadata, saved: &Path) -> bool {
    let Ok(found) = saved.symlink_metadata() else {
        return false;
    };
    let same = found.is_file()
        && found.len() == metadata.len()
        && (found.mtime(), found.mtime_nsec()) == (metadata.mtime(), metadata.mtime_nsec())
        && found.mode() == metadata.mode();
    let folder = path.parent().and_then(Path::file_name);
    let is_manifest = folder.is_some_and(|name| name == ".mix");
    same && (!is_manifest || fs::read(path).ok() == fs::read(saved).ok())
}

/// The file next to a tree with the modification times of its files, for platforms that lose them.
const TIMES: &str = "times.json";

/// Records the times of a staged tree, on platforms that lose them.
pub(crate) fn record_times(staging: &Path, stamps: Stamps) -> Result<(), TreeError> {
    if stamps == Stamps::Preserved {
        return Ok(());
    }
    let path = staging.join(TIMES);
    let times = json::to_vec(&tree::times(&staging.join("tree")), &path)?;
    fs::write(&path, times).map_err(TreeError::at(&path, "write"))
}

/// Restores the recorded times of an entry.
pub(crate) fn restore_times(entry: &Path, stamps: Stamps) -> Result<(), TreeError> {
    if stamps == Stamps::Preserved {
        return Ok(());
    }
    let path = entry.join(TIMES);
    let times = fs::read(&path).map_err(TreeError::at(&path, "read"))?;
    let times: Times = serde_json::from_slice(&times)
        .map_err(|error| TreeError::at(&path, "understand")(error.into()))?;
    tree::set_times_of(&entry.join("tree"), &times)
}
