use std::cell::Cell;
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use tar::EntryType;

use crate::tree::{Refusal, Tree};

/// The maximum number of bytes between the contents of two files: headers, long names, pax records and the map of a
/// sparse file, which are kept in memory.
const MAX_HEADERS: u64 = 1 << 20;
/// The maximum number of padding bytes after the end of the archive.
const MAX_PADDING: u64 = 64 << 20;

/// Unpacks a tar stream up to its end marker, and reads the rest of the stream, so that gzip's checksum is verified
/// too.
///
/// Supports ustar, GNU long names and sparse files, and pax. Rejects sparse files in pax. Keeps the modification
/// times of files, but not owners.
pub(crate) fn unpack(stream: impl Read, tree: &mut Tree) -> Result<(), Refusal> {
    let allowed = Cell::new(MAX_HEADERS);
    let mut archive = tar::Archive::new(Metered {
        inner: stream,
        allowed: &allowed,
    });
    let mut name = b"(the first)".to_vec();
    let unreadable = |error, name: &[u8]| match allowed.get() {
        0 => Refusal::entry(name, "more than 1 MiB of headers follow it"),
        _ => Refusal::Unreadable(error),
    };
    let mut entries = archive.entries().map_err(Refusal::Unreadable)?;
    loop {
        allowed.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|error| unreadable(error, &name))?;
        // The tree limits the contents of files.
        allowed.set(u64::MAX);
        name = entry.path_bytes().into_owned();
        unpack_entry(&mut entry, &name, tree)?;
    }
    allowed.set(MAX_PADDING);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| match allowed.get() {
        0 => Refusal::entry(&name, "more than 64 MiB follow the archive's end after it"),
        _ => Refusal::Unreadable(error),
    })?;
    Ok(())
}

fn unpack_entry(
    entry: &mut tar::Entry<'_, impl Read>,
    name: &[u8],
    tree: &mut Tree,
) -> Result<(), Refusal> {
    let mode = entry.header().mode().map_err(Refusal::Unreadable)?;
    if is_sparse_by_pax(entry).map_err(Refusal::Unreadable)? {
        return Err(Refusal::entry(name, "it is a pax sparse file"));
    }
    match entry.header().entry_type() {
        // Before ustar, a directory was a file with a trailing slash in its name.
        EntryType::Regular if name.ends_with(b"/") => tree.directory(name, mode),
        EntryType::Directory => tree.directory(name, mode),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let modified = entry.header().mtime().ok().and_then(|seconds| {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
            });
            let size = entry.size();
            tree.file(name, mode, modified, size, entry)
        }
        EntryType::Symlink => tree.symlink(name, &link_target(entry)?),
        EntryType::Link => tree.hard_link(name, &link_target(entry)?),
        // Metadata for the following entries, such as git's commit ID.
        EntryType::XGlobalHeader => Ok(()),
        EntryType::Block | EntryType::Char | EntryType::Fifo => {
            Err(Refusal::entry(name, "it is a device or a pipe"))
        }
        _ => Err(Refusal::entry(name, "it is of an unknown type")),
    }
}

/// Such a file has another name in its header, and a map before its content (GNU tar's manual, D.2 "Storing Sparse
/// Files"). Unpacking it like a regular file would give a wrong file.
fn is_sparse_by_pax<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<bool> {
    let records = entry.pax_extensions()?;
    Ok(records.is_some_and(|records| {
        records
            .filter_map(Result::ok)
            .any(|record| record.key_bytes().starts_with(b"GNU.sparse."))
    }))
}

/// Fails if more is read than allowed.
struct Metered<'a, R> {
    inner: R,
    allowed: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed.get();
        let most = usize::try_from(allowed).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::Error::other("more than is allowed"));
        }
        let count = self.inner.read(&mut buffer[..most])?;
        self.allowed.set(allowed - count as u64);
        Ok(count)
    }
}

fn link_target<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Vec<u8>, Refusal> {
    match entry.link_name_bytes() {
        Some(target) if !target.is_empty() => Ok(target.into_owned()),
        _ => Err(Refusal::Unreadable(io::Error::other(
            "a link without a target",
        ))),
    }
}
