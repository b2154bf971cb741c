//! The steps of a plan, by what they work on.

pub(crate) mod bower;
mod digested_files;
mod executables;
mod hooks;
mod javascript;
mod launch;
mod mix;
pub(crate) mod package_managers;
mod state;
mod tools;
