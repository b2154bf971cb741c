use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::tree::{MAX_TARGET, Refusal, Tree};

/// Unpacks a zip file from disk. Modes are from its central directory. Entries from systems without modes get 0644,
/// directories 0755. Times aren't kept, since zip has no time zone.
pub(crate) fn unpack(file: impl Read + Seek, tree: &mut Tree) -> Result<(), Refusal> {
    let mut archive = ZipArchive::new(file).map_err(unreadable)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let name = entry.name_raw().to_vec();
        let mode = entry.unix_mode();
        if entry.is_dir() {
            tree.directory(&name, mode.unwrap_or(0o755))?;
        } else if entry.is_symlink() {
            let mut target = Vec::new();
            let mut reader = (&mut entry).take(MAX_TARGET as u64 + 1);
            reader
                .read_to_end(&mut target)
                .map_err(Refusal::Unreadable)?;
            tree.symlink(&name, &target)?;
        } else if is_special(mode) {
            return Err(Refusal::entry(&name, "it is a device or a pipe"));
        } else {
            let size = entry.size();
            tree.file(&name, mode.unwrap_or(0o644), None, size, &mut entry)?;
        }
    }
    Ok(())
}

/// Whether the file type bits, if any, are not those of a regular file.
fn is_special(mode: Option<u32>) -> bool {
    const TYPE: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    mode.is_some_and(|mode| !matches!(mode & TYPE, 0 | REGULAR))
}

fn unreadable(error: ZipError) -> Refusal {
    Refusal::Unreadable(match error {
        ZipError::Io(error) => error,
        error => io::Error::other(error.to_string()),
    })
}
