//! A store in a directory, on this machine or on a network file system.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::budget::{Effect, Fault, Moved};
use crate::object::MAX_SIZE;

/// The prefix of files that are being written. Leftovers are from killed builds.
const TEMPORARY: &str = ".new-";
const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    pub(crate) fn get(&self, path: &str, moved: &Moved) -> Result<Option<Vec<u8>>, Fault> {
        let file = match File::open(self.0.join(path)) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(&error)),
        };
        match read(file, moved) {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Writes a temporary file in the same directory, and then links it to its name: readers never see half
    /// a file, and an existing one stays.
    pub(crate) fn put(&self, path: &str, bytes: &[u8], moved: &Moved) -> Result<(), Fault> {
        let path = self.0.join(path);
        write(&path, bytes, moved)
            .map_err(|error| Fault::new(Effect::NoWrites, format!("can't be written to: {error}")))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn unreadable(error: &io::Error) -> Fault {
    Fault::new(Effect::Counts, format!("can't be read: {error}"))
}

fn write(path: &Path, bytes: &[u8], moved: &Moved) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    // The umask applies, which may let other users of the machine read the store.
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(parent)?;
    for chunk in bytes.chunks(CHUNK) {
        file.write_all(chunk)?;
        moved.add(chunk.len());
    }
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Reads everything, or returns `None` if it is larger than the largest object.
pub(crate) fn read(mut from: impl Read, moved: &Moved) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; CHUNK];
    while bytes.len() as u64 <= MAX_SIZE {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(count) => {
                bytes.extend_from_slice(&buffer[..count]);
                moved.add(count);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
