//! The files of a package, and archives of them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
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

impl File {
    fn mode(&self) -> u32 {
        if self.is_executable { 0o755 } else { 0o644 }
    }
}

/// Files by path, relative to the root of the package.
#[derive(Default)]
pub(super) struct Files {
    files: BTreeMap<String, File>,
}

impl Files {
    /// Adds the file `source` as `path`.
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

    /// A gzipped tar archive without a top-level directory.
    pub(super) fn tar_gz(&self) -> io::Result<Vec<u8>> {
        let mut tar = Tar::default();
        self.append(&mut tar)?;
        gzip(&tar.finish()?)
    }

    /// Writes them into a new directory.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        for (path, file) in &self.files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap_or(dir))?;
            fs::write(&path, &file.content)?;
            fs::set_permissions(&path, Permissions::from_mode(file.mode()))?;
        }
        Ok(())
    }

    fn append(&self, tar: &mut Tar) -> io::Result<()> {
        let mut last = "";
        for (path, file) in &self.files {
            // Directories aren't nested.
            if let Some((folder, _)) = path.split_once('/')
                && folder != last
            {
                tar.folder(&format!("{folder}/"))?;
                last = folder;
            }
            tar.entry(path, EntryType::Regular, file.mode(), &file.content)?;
        }
        Ok(())
    }
}

/// A tar archive that does not depend on the time or the user.
struct Tar {
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
    fn folder(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, EntryType::Directory, 0o755, &[])
    }

    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, content: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(path)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.builder.append(&header, content)
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        self.builder.into_inner()
    }
}

/// Compresses with gzip's best level, without a time or a name.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
