//! Digests of files and directories, which later builds compare.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

/// The SHA-256 of a file, in hex.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

/// The SHA-256 of bytes, in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Four bytes of the SHA-256 of a value, in hex: enough to detect a change.
#[must_use]
pub fn short(value: &[u8]) -> String {
    hex::encode(&Sha256::digest(value)[..4])
}

/// Returns digests of files and links, including those in directories, by their paths relative to `root`. Leaves out
/// `skipped` paths and `.git`. Covers links and the files that they lead to. A missing path or a directory without
/// files has no digest.
pub fn of_each(
    root: &Path,
    paths: &[String],
    skipped: impl Fn(&Path) -> bool,
) -> io::Result<BTreeMap<String, String>> {
    let mut digests = BTreeMap::new();
    for path in paths {
        let walk = WalkDir::new(root.join(path))
            .sort_by_file_name()
            .follow_links(true)
            .into_iter();
        let name = |entry: &DirEntry| entry.path().strip_prefix(root).map(Path::to_owned);
        let walk = walk.filter_entry(|entry| {
            entry.file_name() != ".git" && !name(entry).is_ok_and(|name| skipped(&name))
        });
        let mut hasher = Sha256::new();
        let mut is_empty = true;
        for entry in walk {
            let (place, is_file) = match entry {
                Ok(entry) => (entry.path().to_owned(), entry.file_type().is_file()),
                // A broken link, or one to a directory above it, counts as a link.
                Err(error) => match error.path() {
                    Some(place) if place.is_symlink() => (place.to_owned(), false),
                    _ if error.io_error().map(io::Error::kind) == Some(io::ErrorKind::NotFound) => {
                        continue;
                    }
                    _ => return Err(error.into()),
                },
            };
            let link = fs::read_link(&place).ok();
            if !is_file && link.is_none() {
                continue;
            }
            let name = place.strip_prefix(root).unwrap_or(&place);
            hasher.update(name.as_os_str().as_bytes());
            if let Some(target) = link {
                hasher.update(format!(
                    "link to {}",
                    hex::encode(target.as_os_str().as_bytes())
                ));
            }
            if is_file {
                hasher.update(sha256_of(&place)?);
            }
            is_empty = false;
        }
        if !is_empty {
            digests.insert(path.clone(), hex::encode(hasher.finalize()));
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::symlink;

    #[test]
    fn file_digests_cover_names_bytes_and_links_except_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let paths = ["a.json", "patches", "missing"].map(str::to_owned);
        let skipped = |path: &Path| path == Path::new("patches/node_modules");
        let digests = || of_each(dir.path(), &paths, skipped).unwrap();
        write("a.json", "{}");
        write("patches/x.patch", "1");
        let first = digests();
        assert_eq!(first.keys().collect::<Vec<_>>(), ["a.json", "patches"]);
        write("other", "x");
        write("patches/node_modules/y", "x");
        write("patches/.git/HEAD", "x");
        assert_eq!(digests(), first);
        let mut seen = vec![first];
        let mut changed = || {
            let digests = digests();
            assert!(!seen.contains(&digests));
            seen.push(digests);
        };
        write("patches/x.patch", "2");
        changed();
        write("patches/a/node_modules/y", "x");
        changed();
        symlink("x.patch", dir.path().join("patches/link")).unwrap();
        changed();
        write("elsewhere", "{}");
        symlink("elsewhere", dir.path().join("missing")).unwrap();
        changed();
        write("elsewhere", "{ }");
        changed();
    }
}
