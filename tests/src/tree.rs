//! Files of slugs, caches and sources.

use memchr::memmem;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use walkdir::WalkDir;

/// Copies a tree, with new modification times, as after a push.
pub fn copy(from: &Path, to: &Path) {
    for entry in WalkDir::new(from) {
        let entry = entry.expect("a readable tree");
        let target = to.join(entry.path().strip_prefix(from).expect("below it"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).expect("a folder");
        } else if entry.file_type().is_symlink() {
            let link = fs::read_link(entry.path()).expect("a link");
            std::os::unix::fs::symlink(link, &target).expect("a link");
        } else {
            fs::copy(entry.path(), &target).expect("a file");
        }
    }
}

/// Symbolic links of a tree that lead out of it, to an absolute path, or nowhere.
pub fn links_that_leave(tree: &Path) -> Vec<PathBuf> {
    WalkDir::new(tree)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_symlink())
        .filter(|entry| {
            let link = fs::read_link(entry.path()).expect("a link");
            let folder = entry.path().parent().expect("a parent");
            let target = fs::canonicalize(folder.join(&link));
            link.is_absolute() || !target.is_ok_and(|target| target.starts_with(tree))
        })
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// All paths of a tree, sorted.
pub fn listing(tree: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = WalkDir::new(tree)
        .into_iter()
        .map(|entry| entry.expect("a readable tree").into_path())
        .collect();
    paths.sort();
    paths
}

/// Path and modification time of every beam file that mix has written for the app in a directory of the slug.
pub fn beams(slug: &Path, app_dir: &str) -> BTreeMap<PathBuf, SystemTime> {
    WalkDir::new(slug.join(app_dir).join("_build"))
        .into_iter()
        .map(|entry| entry.expect("a readable tree"))
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "beam"))
        .map(|entry| {
            let metadata = entry.metadata().expect("metadata");
            let path = entry.path().strip_prefix(slug).expect("below it");
            (path.to_owned(), metadata.modified().expect("a time"))
        })
        .collect()
}

/// The files that contain these bytes.
pub fn files_with(tree: &Path, marker: impl AsRef<[u8]>) -> Vec<PathBuf> {
    let marker = marker.as_ref();
    WalkDir::new(tree)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            memmem::find(&bytes, marker).is_some()
        })
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// The number of files and bytes of a tree.
pub fn size(tree: &Path) -> (usize, u64) {
    let files = WalkDir::new(tree)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file());
    files.fold((0, 0), |(count, bytes), file| {
        (
            count + 1,
            bytes + file.metadata().map_or(0, |metadata| metadata.len()),
        )
    })
}
