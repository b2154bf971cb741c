//! The sources that this executable was built from.

/// The digest of the sources, which `cargo xtask dist` sets. A development build has none. CI compares it with the
/// sources of the commit.
pub(crate) const DIGEST: &str = match option_env!("MIXPACK_SOURCE_DIGEST") {
    Some(digest) => digest,
    None => "unknown: a development build",
};
