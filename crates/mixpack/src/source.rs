//! The sources that this executable was built from.

/// The digest of the sources, put in by `cargo xtask dist`; a development build has none. CI
/// compares it with the sources beside the shipped executable.
pub(crate) const DIGEST: &str = match option_env!("MIXPACK_SOURCE_DIGEST") {
    Some(digest) => digest,
    None => "unknown: a development build",
};
