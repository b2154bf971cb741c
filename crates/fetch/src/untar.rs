use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use tar::EntryType;

use crate::tree::{Refusal, Tree};

/// Unpacks a tar stream up to its end marker and reads on to the stream's end, so that a checksum
/// of the layer below (gzip's) is checked too.
///
/// Understands what `tar` understands: ustar, GNU long names and sparse files, pax. Owners are not
/// kept, modification times of files are.
pub(crate) fn unpack(stream: impl Read, tree: &mut Tree) -> Result<(), Refusal> {
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(Refusal::Unreadable)? {
        let mut entry = entry.map_err(Refusal::Unreadable)?;
        let name = entry.path_bytes().into_owned();
        let mode = entry.header().mode().map_err(Refusal::Unreadable)?;
        match entry.header().entry_type() {
            // Before ustar a directory was a file whose name ends with a slash.
            EntryType::Regular if name.ends_with(b"/") => tree.directory(&name, mode)?,
            EntryType::Directory => tree.directory(&name, mode)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let modified = entry.header().mtime().ok().and_then(|seconds| {
                    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
                });
                tree.file(&name, mode, modified, &mut entry)?;
            }
            EntryType::Symlink => tree.symlink(&name, &link_target(&entry)?)?,
            EntryType::Link => tree.hard_link(&name, &link_target(&entry)?)?,
            // Comes before the entries it speaks of (git's commit id), and is none itself.
            EntryType::XGlobalHeader => {}
            EntryType::Block | EntryType::Char | EntryType::Fifo => {
                return Err(Refusal::entry(&name, "it is a device or a pipe"));
            }
            _ => return Err(Refusal::entry(&name, "it is of an unknown type")),
        }
    }
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(Refusal::Unreadable)?;
    Ok(())
}

fn link_target<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Vec<u8>, Refusal> {
    match entry.link_name_bytes() {
        Some(target) if !target.is_empty() => Ok(target.into_owned()),
        _ => Err(Refusal::Unreadable(io::Error::other(
            "a link without a target",
        ))),
    }
}
