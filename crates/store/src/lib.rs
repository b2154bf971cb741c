//! The build cache of an app.
//!
//! It has two kinds of entries. A *tool* is immutable: it is created once, in a staging directory, and renamed;
//! a cheap manifest shows whether it is unchanged. *State* (`deps`, `_build`, `node_modules`) changes with
//! every build: it is restored or dropped as a whole, by a key of everything it depends on.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod cache_dir;
pub mod digest;
pub mod folder_lock;
pub mod json;
mod key;
mod manifest;
mod path_text;
mod saved_state;
#[cfg(test)]
mod tests;
pub mod tree;

pub use cache_dir::real_folder;
pub use cache_dir::{CacheDir, FORMAT};
pub use key::{differences, key_of_files, key_of_variables};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;
use tree::{Amount, TreeError};

/// The note with the record of the last build.
pub const RECORD: &str = "last-build.json";
/// The prefix of the names of notes with the cookies of releases.
pub const COOKIE: &str = "cookie-";

/// All inputs of a cache entry, by name: `{"otp": "27.3.4.2", "os": "ubuntu-24.04"}`.
pub type Key = BTreeMap<String, String>;

/// The result of providing a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    Reused,
    Made,
    /// Created again, since the cached copy is invalid, with the reason.
    Remade(String),
}

impl Tool {
    /// The name in reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Made => "made",
            Self::Remade(_) => "remade",
        }
    }
}

/// The result of taking a tool from the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeResult {
    Yes,
    /// There is none with this key. Has the differences from the last key with this name.
    No(Vec<String>),
    /// The cached copy has changed since it was created, with the reason.
    Unusable(String),
}

/// The reason why there is no tool.
#[derive(Debug, Error)]
pub enum ToolError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The error itself is in the closure of [`tool`].
    #[error("the tool could not be made")]
    Make,
}

/// [`Store::tool`] for a closure with its own error type.
///
/// # Panics
///
/// If the store returns [`ToolError::Make`] without having called `make`.
pub fn tool<E: From<TreeError>>(
    store: &dyn Store,
    name: &str,
    key: &Key,
    place: &Path,
    mut make: impl FnMut(&Path) -> Result<(), E>,
) -> Result<Tool, E> {
    let mut failure = None;
    let result = store.tool(name, key, place, &mut |at| {
        make(at).map_err(|error| {
            failure = Some(error);
            ToolError::Make
        })
    });
    match (result, failure) {
        (Ok(tool), _) => Ok(tool),
        (Err(_), Some(error)) => Err(error),
        (Err(ToolError::Tree(error)), None) => Err(error.into()),
        (Err(ToolError::Make), None) => unreachable!("the maker was not called"),
    }
}

/// The result of restoring an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// The cache has no such entry.
    Nothing,
    Copied(Amount),
    /// Dropped, for these reasons.
    Dropped(Vec<String>),
    /// The app contains its own copy.
    InApp,
}

impl Restored {
    /// The name in reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Copied(_) => "taken",
            Self::Dropped(_) => "dropped",
            Self::InApp => "in the app",
        }
    }
}

/// The build cache: a cache directory, or the layers and their metadata on a Cloud Native platform.
pub trait Store: Sync {
    /// Puts the tool with this name and key at `place`, which must not exist. If it isn't cached, calls `make` with
    /// the path of a directory to create.
    fn tool(
        &self,
        name: &str,
        key: &Key,
        place: &Path,
        make: &mut dyn FnMut(&Path) -> Result<(), ToolError>,
    ) -> Result<Tool, ToolError>;

    /// Moves a cached tool to `place`, and replaces what is there.
    fn take(&self, name: &str, key: &Key, place: &Path) -> Result<TakeResult, TreeError>;

    /// Caches the tree at `from`, which nothing changes any more, as the tool with this name and key.
    fn put(&self, name: &str, key: &Key, from: &Path) -> Result<Amount, TreeError>;

    /// Drops a tool that turned out to be damaged.
    fn drop_tool(&self, name: &str, key: &Key) -> Result<(), TreeError>;

    /// Keeps a tool in the cache that this build doesn't need. Returns whether the cache has it.
    fn mark_used(&self, name: &str, key: &Key) -> bool;

    /// Copies a cached entry to `place`.
    fn restore(&self, name: &str, key: &Key, place: &Path) -> Result<Restored, TreeError>;

    /// Caches a copy of `from`, and replaces the entry of the last build. `skip` names directories to leave
    /// out, relative to `from`.
    fn save(&self, name: &str, key: &Key, from: &Path, skip: &[&str]) -> Result<Amount, TreeError>;

    /// Drops an entry.
    fn drop_state(&self, name: &str) -> Result<(), TreeError>;

    /// Returns a directory that a tool can use as its download cache.
    fn scratch(&self, name: &str) -> Result<PathBuf, TreeError>;

    /// Returns the cache directory shared with other buildpacks, if the platform has one.
    fn shared(&self) -> Option<PathBuf>;

    /// Returns a note, which is a small text file.
    fn read_note(&self, name: &str) -> Option<String>;
    fn write_note(&self, name: &str, text: &str) -> Result<(), TreeError>;

    /// Drops the tools that this build did not use.
    fn forget_unused(&self) -> Result<(), TreeError>;

    /// Returns the size of each entry. A file with several names counts once.
    fn measure(&self) -> BTreeMap<String, Amount>;

    /// Drops everything.
    fn clear(&self) -> Result<(), TreeError>;
}

/// Whether modification times and inodes survive from one build to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamps {
    /// The cache directory persists, or is archived and unpacked with its times.
    Preserved,
    /// Every file has the time at which it was unpacked, as in restored layers of a Cloud Native
    /// platform (archive/extract.go of its lifecycle).
    Lost,
}
