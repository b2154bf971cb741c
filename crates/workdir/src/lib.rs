//! The app's directory during a build: where it is and will run, what is in it, and what a build may change there.

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
