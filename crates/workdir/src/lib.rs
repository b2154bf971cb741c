//! The app's directory during a build: its paths now and at run time, its files, and the files that a build may
//! change.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod app_tree;
pub mod bounds;
pub mod generated_files;
pub mod hidden_directories;
pub mod leaked_secrets;
pub mod sources;
pub mod stable_path;
pub mod variables;
pub mod workspace;
