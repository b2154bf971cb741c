//! The steps of a plan, by what they work on.

pub(crate) mod bower;
mod compiling_hooks;
mod digested_files;
mod executables;
pub(crate) mod generated;
mod git;
mod hooks;
mod javascript;
pub(crate) mod kept_assets;
pub(crate) mod launch;
mod mix;
pub(crate) mod package_managers;
pub(crate) mod project;
pub(crate) mod release;
mod settled;
pub(crate) mod slim;
mod stale;
mod state;
mod tools;
mod try_start;
