//! Replaces files that may have other hard links.

use std::fs::File;
use std::io;
use std::path::Path;
use tempfile::NamedTempFile;

/// Replaces the file at `path` with the output of `write`. Other hard links, for example in a cache, keep the old
/// content.
///
/// The new file has the mode of the old one. It and its directory keep their modification times: mix
/// generates an application's resource file (`.app`) again if the directory is newer.
pub(crate) fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let (old, folder_time) = (path.metadata()?, folder.metadata()?.modified()?);
    let mut file = NamedTempFile::new_in(folder)?;
    write(&mut file)?;
    file.as_file().set_permissions(old.permissions())?;
    file.as_file().set_modified(old.modified()?)?;
    file.persist(path)?;
    File::open(folder)?.set_modified(folder_time)
}
