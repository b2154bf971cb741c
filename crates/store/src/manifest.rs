//! The manifest of a cached tool, which shows whether the tool is unchanged.

use super::{Key, Stamps};
use crate::digest::sha256_of;
use crate::json;
use crate::path_text::PathText;
use crate::tree::{self, TreeError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use walkdir::WalkDir;

/// The files of a tool when it was created.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Manifest {
    key: Key,
    /// The inode of the tree itself. If it has changed, the cache has been moved (Heroku packs and unpacks it for
    /// every build), and the inodes of files are of no use either.
    inode: u64,
    files: Vec<ManifestFile>,
    /// Links with their targets.
    links: Vec<(PathText, PathText)>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct ManifestFile {
    path: PathText,
    /// In bytes.
    size: u64,
    /// In seconds since 1970, the precision of cache archives.
    modified: i64,
    /// As in chmod(1).
    mode: u32,
    inode: u64,
    /// In hex.
    sha256: String,
}

/// Returns `Ok` if the entry is unchanged, `Err(None)` if there is none, and otherwise the reason.
///
/// Compares sizes, times and inodes. If the cache has been moved, compares the contents.
pub(crate) fn check(entry: &Path, key: &Key, stamps: Stamps) -> Result<(), Option<String>> {
    let mut manifest = read(entry, key)?;
    let tree = entry.join("tree");
    let changed = |path: &Path| Some(format!("{} was changed", path.display()));
    let inode = tree.metadata().map_or(0, |found| found.ino());
    let lost = stamps == Stamps::Lost;
    let moved = lost || inode != manifest.inode;
    for file in &mut manifest.files {
        let found = tree.join(&file.path.0).symlink_metadata();
        let same = found.as_ref().is_ok_and(|found| {
            found.is_file()
                && found.len() == file.size
                && (lost || found.mtime() == file.modified)
                && (moved || found.ino() == file.inode)
        });
        let Some(found) = found.ok().filter(|_| same) else {
            return Err(changed(&file.path.0));
        };
        file.inode = found.ino();
        if found.mode() & 0o7777 != file.mode {
            // A slug shares files with the cache, so changes of modes in the slug are undone here.
            let mode = fs::Permissions::from_mode(file.mode);
            let path = &file.path.0;
            fs::set_permissions(tree.join(path), mode).map_err(|_| changed(path))?;
        }
    }
    for (path, target) in &manifest.links {
        if !fs::read_link(tree.join(&path.0)).is_ok_and(|found| found == target.0) {
            return Err(changed(&path.0));
        }
    }
    let held = WalkDir::new(&tree).into_iter().filter_map(Result::ok);
    let held = held.filter(|entry| !entry.file_type().is_dir()).count();
    if held != manifest.files.len() + manifest.links.len() {
        return Err(Some("it holds more than was made".to_owned()));
    }
    if moved {
        check_bytes(&tree, &manifest).map_err(|path| changed(&path))?;
    }
    if moved && !lost {
        manifest.inode = inode;
        let path = entry.join("manifest.json");
        // This only saves time in the next build. The cache may be read-only.
        if let Ok(bytes) = json::to_vec(&manifest, &path) {
            let _ = fs::write(path, bytes);
        }
    }
    Ok(())
}

/// Returns the key of an entry.
pub(crate) fn key_of(entry: &Path) -> Option<Key> {
    #[derive(Deserialize)]
    struct Keyed {
        key: Key,
    }
    let text = fs::read(entry.join("manifest.json")).ok()?;
    let keyed: Keyed = serde_json::from_slice(&text).ok()?;
    Some(keyed.key)
}

/// Reads the manifest of the entry with this key. `Err(None)` if there is none.
fn read(entry: &Path, key: &Key) -> Result<Manifest, Option<String>> {
    let is_folder = |path: &Path| path.symlink_metadata().map(|found| found.is_dir());
    let Ok(entry_is_folder) = is_folder(entry) else {
        return Err(None);
    };
    if !entry_is_folder || !is_folder(&entry.join("tree")).is_ok_and(|is| is) {
        return Err(Some("it is no folder".to_owned()));
    }
    let text =
        fs::read(entry.join("manifest.json")).map_err(|_| Some("it has no manifest".to_owned()))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|_| Some("its manifest cannot be read".to_owned()))?;
    if manifest.key != *key {
        return Err(Some("it was made for something else".to_owned()));
    }
    Ok(manifest)
}

/// Returns the first file whose contents have changed.
fn check_bytes(tree: &Path, manifest: &Manifest) -> Result<(), PathBuf> {
    let changed = Mutex::new(None);
    let _ = tree::in_parallel(&manifest.files, |file| {
        if sha256_of(&tree.join(&file.path.0)).ok().as_deref() != Some(file.sha256.as_str()) {
            let mut changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
            changed.get_or_insert_with(|| file.path.0.clone());
        }
        Ok(())
    });
    match changed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(path) => Err(path),
        None => Ok(()),
    }
}

pub(crate) fn write_manifest(staging: &Path, key: &Key, stamps: Stamps) -> Result<(), TreeError> {
    // Leave out stamps that don't last, since they would make archives of the same tool differ.
    let lasting = |stamp: u64| {
        if stamps == Stamps::Preserved {
            stamp
        } else {
            0
        }
    };
    let tree = staging.join("tree");
    let mut files = Vec::new();
    let mut links = Vec::new();
    for entry in WalkDir::new(&tree).into_iter().filter_map(Result::ok) {
        let path = entry.path();
        let Ok(relative) = path.strip_prefix(&tree) else {
            continue;
        };
        if entry.file_type().is_symlink() {
            let target = fs::read_link(path).map_err(TreeError::at(path, "read the link"))?;
            links.push((PathText(relative.to_owned()), PathText(target)));
        } else if entry.file_type().is_file() {
            let metadata = path
                .symlink_metadata()
                .map_err(TreeError::at(path, "read"))?;
            files.push(ManifestFile {
                path: PathText(relative.to_owned()),
                size: metadata.len(),
                modified: match stamps {
                    Stamps::Preserved => metadata.mtime(),
                    Stamps::Lost => 0,
                },
                mode: metadata.mode() & 0o7777,
                inode: lasting(metadata.ino()),
                sha256: String::new(),
            });
        }
    }
    let files: Vec<Mutex<ManifestFile>> = files.into_iter().map(Mutex::new).collect();
    tree::in_parallel(&files, |file| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let path = tree.join(&file.path.0);
        file.sha256 = sha256_of(&path).map_err(TreeError::at(&path, "read"))?;
        Ok(())
    })?;
    let mut files: Vec<ManifestFile> = files
        .into_iter()
        .map(|file| file.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    links.sort();
    let manifest = Manifest {
        key: key.clone(),
        inode: lasting(tree.metadata().map_or(0, |found| found.ino())),
        files,
        links,
    };
    let path = staging.join("manifest.json");
    fs::write(&path, json::to_vec(&manifest, &path)?).map_err(TreeError::at(&path, "write"))
}
