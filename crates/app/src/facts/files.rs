//! Reads the app's files by their path in the repository.

use super::error::ReadError;
use crate::text_file::{self, Encoding};
use std::io;
use std::path::Path;

/// Reads a file that other programs read too, which only support UTF-8. `None` if it doesn't exist.
pub(super) fn optional(dir: &Path, name: &str) -> Result<Option<String>, ReadError> {
    match in_any_encoding(dir, name)? {
        Some((text, Encoding::Utf8)) => Ok(Some(text)),
        Some((_, encoding)) => Err(ReadError::Encoding {
            path: name.to_owned(),
            encoding,
        }),
        None => Ok(None),
    }
}

/// Reads a file that no other program of the build reads.
pub(super) fn in_any_encoding(
    dir: &Path,
    name: &str,
) -> Result<Option<(String, Encoding)>, ReadError> {
    match text_file::read_bytes(&dir.join(name)) {
        Ok(bytes) => Ok(Some(text_file::decode(&bytes))),
        Err(error) if is_missing(error.kind()) => Ok(None),
        Err(source) => Err(ReadError::Io {
            path: name.to_owned(),
            source,
        }),
    }
}

fn is_missing(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
