//! Directories as reproducible `tar.gz` archives.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use walkdir::WalkDir;

/// Packs the files and directories in `dir`, except those whose path, relative to `dir`, `skip` accepts.
///
/// The result depends on nothing else: order, owner and compression are fixed. Files keep their modification time in
/// seconds and their permission bits; a hard link becomes a separate file.
///
/// # Errors
///
/// For symbolic links, devices, pipes and sockets ([`ErrorKind::Unsupported`], with the path), and for unreadable
/// files.
pub fn pack(dir: &Path, skip: &dyn Fn(&Path) -> bool) -> io::Result<Vec<u8>> {
    let gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    let entries = WalkDir::new(dir).min_depth(1).sort_by_file_name();
    let relative = |path: &Path| path.strip_prefix(dir).unwrap_or(path).to_owned();
    let kept = entries
        .into_iter()
        .filter_entry(|entry| !skip(&relative(entry.path())));
    for entry in kept {
        let entry = entry.map_err(io::Error::from)?;
        append(&mut tar, entry.path(), &relative(entry.path()))
            .map_err(|error| io::Error::new(error.kind(), named(entry.path(), &error)))?;
    }
    tar.into_inner()?.finish()
}

fn append(tar: &mut tar::Builder<impl Write>, path: &Path, name: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let mut header = Header::new_gnu();
    header.set_mode(metadata.permissions().mode() & 0o777);
    if metadata.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        return tar.append_data(&mut header, name, io::empty());
    }
    if !metadata.is_file() {
        let why = "a link or a special file can't be packed";
        return Err(io::Error::new(ErrorKind::Unsupported, why));
    }
    let content = fs::read(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or_default());
    tar.append_data(&mut header, name, content.as_slice())
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Unpacks an archive as the new directory `dest`, whose parent exists, with the limits of
/// [`fetch::unpack_tar_gz`].
///
/// # Errors
///
/// Nothing is then left at `dest`.
pub fn unpack(archive: &[u8], dest: &Path) -> Result<(), fetch::Kind> {
    fetch::unpack_tar_gz(archive, dest)
}
