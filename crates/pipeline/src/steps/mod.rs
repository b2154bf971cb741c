//! The steps of a plan, by what they work on.

pub(crate) mod bower;
mod compiling_hooks;
mod digested_files;
pub(crate) mod executables;
pub(crate) mod generated;
mod git;
pub(crate) mod hooks;
pub(crate) mod javascript;
pub(crate) mod kept_assets;
pub(crate) mod launch;
pub(crate) mod mix;
pub(crate) mod package_managers;
pub(crate) mod project;
pub(crate) mod release;
mod settled;
pub(crate) mod slim;
mod stale;
pub(crate) mod state;
pub(crate) mod tools;
mod try_start;
