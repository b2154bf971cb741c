//! Packing and unpacking archives so that the same tree gives the same bytes.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};
use walkdir::WalkDir;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::process::Result;

/// The time that all files in archives have: 2025-01-01, in seconds since 1970.
const MTIME: u64 = 1_735_689_600;

/// Packs `dir` as a `.tar.gz` with the one top directory `top`, all files owned by root.
pub(crate) fn pack_tar_gz(dir: &Path, top: &str, archive: &Path) -> Result {
    let file = BufWriter::new(File::create(archive)?);
    let mut tar = Builder::new(GzEncoder::new(file, Compression::default()));
    for entry in WalkDir::new(dir).sort_by_file_name() {
        let entry = entry?;
        let metadata = entry.path().symlink_metadata()?;
        let name = Path::new(top).join(entry.path().strip_prefix(dir)?);
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        if metadata.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, name, fs::read_link(entry.path())?)?;
        } else if metadata.is_dir() {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, name, io::empty())?;
        } else {
            header.set_entry_type(EntryType::Regular);
            header.set_size(metadata.len());
            tar.append_data(&mut header, name, File::open(entry.path())?)?;
        }
    }
    tar.into_inner()?.finish()?.flush()?;
    Ok(())
}

/// Unpacks a `.tar.gz` into `dir`; gives its one top directory.
pub(crate) fn unpack_tar_gz(archive: &Path, dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let before = names(dir)?;
    Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?))).unpack(dir)?;
    let new: Vec<_> = names(dir)?
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    match &new[..] {
        [top] => Ok(top.clone()),
        _ => Err(format!("{} has {} top directories", archive.display(), new.len()).into()),
    }
}

fn names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// Packs what is in `dir` as a zip without a top directory, modes kept, symbolic links followed.
pub(crate) fn pack_zip(dir: &Path, archive: &Path) -> Result {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(archive)?));
    for entry in WalkDir::new(dir).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let metadata = entry.path().metadata()?;
        let name = entry.path().strip_prefix(dir)?;
        let options =
            SimpleFileOptions::default().unix_permissions(metadata.permissions().mode() & 0o777);
        if metadata.is_dir() {
            zip.add_directory_from_path(name, options)?;
        } else {
            zip.start_file_from_path(name, options)?;
            io::copy(&mut File::open(entry.path())?, &mut zip)?;
        }
    }
    zip.finish()?.flush()?;
    Ok(())
}

pub(crate) fn unpack_zip(archive: &Path, dir: &Path) -> Result {
    ZipArchive::new(BufReader::new(File::open(archive)?))?.extract(dir)?;
    Ok(())
}

/// The content of a gzip file.
pub(crate) fn gunzip(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(BufReader::new(File::open(file)?)).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn tree() -> TempDir {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("bin/erl"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(
            dir.path().join("bin/erl"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        symlink("erl", dir.path().join("bin/link")).unwrap();
        dir
    }

    fn is_executable(file: &Path) -> bool {
        file.metadata().unwrap().permissions().mode() & 0o111 == 0o111
    }

    #[test]
    fn tar_has_one_top_directory_modes_and_links() {
        let (tree, out) = (tree(), TempDir::new().unwrap());
        let archive = out.path().join("a.tar.gz");
        pack_tar_gz(tree.path(), "OTP-27.0", &archive).unwrap();
        let top = unpack_tar_gz(&archive, &out.path().join("unpacked")).unwrap();
        assert_eq!(top, out.path().join("unpacked/OTP-27.0"));
        assert!(is_executable(&top.join("bin/erl")));
        assert_eq!(
            fs::read_link(top.join("bin/link")).unwrap(),
            Path::new("erl")
        );
    }

    #[test]
    fn tar_is_reproducible() {
        let (tree, out) = (tree(), TempDir::new().unwrap());
        let [one, two] = ["1", "2"].map(|name| out.path().join(name));
        pack_tar_gz(tree.path(), "top", &one).unwrap();
        pack_tar_gz(tree.path(), "top", &two).unwrap();
        assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap());
    }

    #[test]
    fn zip_has_no_top_directory_and_keeps_modes() {
        let (tree, out) = (tree(), TempDir::new().unwrap());
        let archive = out.path().join("a.zip");
        pack_zip(tree.path(), &archive).unwrap();
        unpack_zip(&archive, &out.path().join("unpacked")).unwrap();
        assert!(is_executable(&out.path().join("unpacked/bin/erl")));
    }
}
