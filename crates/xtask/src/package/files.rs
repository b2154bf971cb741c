//! The files of a package, and archives of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::process::Result;

/// The time of all files: 1980-01-01 00:00:01 UTC, which pack and the lifecycle give them too.
const MTIME: u64 = 315_532_801;

struct File {
    content: Vec<u8>,
    is_executable: bool,
}

/// Files by their paths, which are relative to the top of the package.
#[derive(Default)]
pub(super) struct Files {
    files: BTreeMap<String, File>,
}

impl Files {
    /// Takes the file `source`, which is at `path` in the package.
    pub(super) fn add(&mut self, source: &Path, path: &Path) -> Result {
        let at = |error: io::Error| format!("{}: {error}", source.display());
        let content = fs::read(source).map_err(at)?;
        let mode = source.metadata().map_err(at)?.permissions().mode();
        let path = path.to_str().ok_or("a path that is not UTF-8")?.to_owned();
        let file = File {
            content,
            is_executable: mode & 0o111 != 0,
        };
        self.files.insert(path, file);
        Ok(())
    }

    /// A gzipped tar archive without a top folder.
    pub(super) fn tar_gz(&self) -> io::Result<Vec<u8>> {
        let mut tar = Tar::default();
        self.append(&mut tar, "")?;
        gzip(&tar.finish()?)
    }

    /// A tar archive of the image layer in which buildpack `id` has these files.
    ///
    /// pack reads the id and the version off the first two entries, whose paths have to be
    /// absolute.
    pub(super) fn layer(&self, id: &str, version: &str) -> io::Result<Vec<u8>> {
        let folder = format!("/cnb/buildpacks/{}", id.replace('/', "_"));
        let mut tar = Tar::default();
        tar.folder(&folder)?;
        let folder = format!("{folder}/{version}");
        tar.folder(&folder)?;
        self.append(&mut tar, &format!("{folder}/"))?;
        tar.finish()
    }

    fn append(&self, tar: &mut Tar, top: &str) -> io::Result<()> {
        let mut last = "";
        for (path, file) in &self.files {
            // There are no folders in folders.
            if let Some((folder, _)) = path.split_once('/')
                && folder != last
            {
                tar.folder(&format!("{top}{folder}/"))?;
                last = folder;
            }
            tar.file(&format!("{top}{path}"), &file.content, file.is_executable)?;
        }
        Ok(())
    }
}

/// A tar archive that does not depend on the time or the user.
pub(super) struct Tar {
    builder: Builder<Vec<u8>>,
}

impl Default for Tar {
    fn default() -> Self {
        Self {
            builder: Builder::new(Vec::new()),
        }
    }
}

impl Tar {
    pub(super) fn folder(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, EntryType::Directory, 0o755, &[])
    }

    pub(super) fn file(&mut self, path: &str, content: &[u8], executable: bool) -> io::Result<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        self.entry(path, EntryType::Regular, mode, content)
    }

    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, content: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        // `set_path` refuses absolute paths.
        let name = &mut header.as_old_mut().name;
        name.get_mut(..path.len())
            .ok_or_else(|| io::Error::other(format!("{path} is too long a path")))?
            .copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.builder.append(&header, content)
    }

    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        self.builder.into_inner()
    }
}

/// Compresses as well as gzip can, without a time or a name.
pub(super) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
