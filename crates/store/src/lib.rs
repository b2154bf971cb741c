//! What lasts from one build of an app to the next.
//!
//! Two kinds are told apart. A *tool* is immutable and known by its content: it is made once,
//! beside its place, and renamed; a cheap manifest tells whether it is still what was made.
//! *State* (`deps`, `_build`, `node_modules`) is changed by every build: it is taken or dropped
//! whole, by a key of everything it depends on.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod cache_dir;
pub mod digest;
pub mod folder_lock;
pub mod json;
mod kept_state;
mod key;
mod manifest;
mod path_text;
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
/// What the names of notes with the cookies of releases begin with.
pub const COOKIE: &str = "cookie-";

/// Everything that something kept depends on, by name: `{"otp": "27.3.4.2", "os": "ubuntu-24.04"}`.
pub type Key = BTreeMap<String, String>;

/// What became of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    Reused,
    Made,
    /// Made anew, since what was kept is not what was made: the reason in words.
    Remade(String),
}

impl Tool {
    /// As reports name it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reused => "reused",
            Self::Made => "made",
            Self::Remade(_) => "remade",
        }
    }
}

/// Whether a tool was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// None of this key was. Of the last one under this name, in words, every way in which its key
    /// differs.
    No(Vec<String>),
    /// It is not what was made: the reason in words.
    Unusable(String),
}

/// The reason why there is no tool.
#[derive(Debug, Error)]
pub enum ToolError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// [`tool`] has the maker's own error.
    #[error("the tool could not be made")]
    Make,
}

/// [`Store::tool`] for a maker with an error of its own.
///
/// # Panics
///
/// If the store blames the maker without having called it.
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

/// What became of kept state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// Nothing was kept.
    Nothing,
    Taken(Amount),
    /// Dropped, for each of these reasons.
    Dropped(Vec<String>),
    /// The app brings its own.
    InApp,
}

impl Restored {
    /// As reports name it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Taken(_) => "taken",
            Self::Dropped(_) => "dropped",
            Self::InApp => "in the app",
        }
    }
}

/// What lasts: a cache directory here, layers with their metadata on a Cloud Native platform.
pub trait Store: Sync {
    /// Puts the tool of this name and key at `place`, which must not exist. `make` is called with
    /// a folder to create when it is not kept.
    fn tool(
        &self,
        name: &str,
        key: &Key,
        place: &Path,
        make: &mut dyn FnMut(&Path) -> Result<(), ToolError>,
    ) -> Result<Tool, ToolError>;

    /// Puts a tool at `place`, in place of what is there, if it is kept.
    fn take(&self, name: &str, key: &Key, place: &Path) -> Result<Taken, TreeError>;

    /// Keeps the tree at `from`, which nothing changes any more, as the tool of this name and key.
    fn give(&self, name: &str, key: &Key, from: &Path) -> Result<Amount, TreeError>;

    /// Whether such a tool is kept: then it stays, though this build does not need it.
    fn hold(&self, name: &str, key: &Key) -> bool;

    /// Copies kept state to `place`.
    fn restore(&self, name: &str, key: &Key, place: &Path) -> Result<Restored, TreeError>;

    /// Keeps a copy of `from` in place of what was kept before; `skip` names folders, relative to
    /// `from`, that are left out.
    fn save(&self, name: &str, key: &Key, from: &Path, skip: &[&str]) -> Result<Amount, TreeError>;

    /// Drops kept state.
    fn drop_state(&self, name: &str) -> Result<(), TreeError>;

    /// A folder that a tool may use as its own download cache.
    fn scratch(&self, name: &str) -> Result<PathBuf, TreeError>;

    /// The folder that other buildpacks keep things in too, where the platform has such a one.
    fn shared(&self) -> Option<PathBuf>;

    /// A small document kept whole, and read back.
    fn read_note(&self, name: &str) -> Option<String>;
    fn write_note(&self, name: &str, text: &str) -> Result<(), TreeError>;

    /// Drops the tools that this build did not use.
    fn forget_unused(&self) -> Result<(), TreeError>;

    /// Returns what it holds, by name. A file with several names counts once.
    fn measure(&self) -> BTreeMap<String, Amount>;

    /// Drops everything.
    fn clear(&self) -> Result<(), TreeError>;
}

/// What becomes of modification times and inodes from one build to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamps {
    /// The cache directory is kept, or archived and unpacked with its times.
    Kept,
    /// Every file has the time at which it was unpacked, as in restored layers of a Cloud Native
    /// platform (archive/extract.go of its lifecycle).
    Lost,
}
